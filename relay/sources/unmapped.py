"""Names in a body that nothing looks at: what a form posts that is not mapped. Never a value."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from relay.sources import stamp
from relay.sources.source import Source
from relay.sources.text import usual

_DEEPEST = 4
_MOST = 100
_OURS = re.compile(r"relay_\w+|_next|(cf-turnstile|h-captcha|g-recaptcha)-response")
_PLAIN = re.compile(r"[^.\[\]|*?&!<>=@()`'\" ]+")

Name = tuple[str, ...]


def unmapped(source: Source, fields: Mapping[str, Any]) -> set[str]:
    """Return the names of a body that no rule of its source looks at, each as it may be shown.

    Of entries that are found by a label no name can be told: nothing is said of such a source.
    """
    if source.mapping.entries is not None or source.json_fields or source.outlined:
        return set()
    names = list(_names(dict(list(fields.items())[:_MOST]), _looked_at(source), ()))
    answering = {rule.name(fields) for rule in source.mapping.every.values()}
    return {".".join(map(usual, name)) for name in names if not answering & {name[-1], ".".join(name)}}


def _looked_at(source: Source) -> set[Name]:
    """Return what is looked at, as far as it is a plain path; all beneath that counts as looked at."""
    rules = source.mapping.every.values()
    texts = [place.text for rule in rules for place in rule.places]
    texts += [rule.region_from.text for rule in rules if rule.region_from is not None]
    texts += source.mapping.boxes
    texts += [path.text for path in (source.id_path, source.shape, source.region_from) if path is not None]
    texts += [name for name in (source.honeypot, stamp.FIELD, *source.utm.values(), *source.utm) if name]
    texts += [source.captcha.field] if source.captcha else []
    return {(text,) for text in texts} | {_beginning(text) for text in texts}


def _beginning(text: str) -> Name:
    """Return the plain names that an expression begins with."""
    found: list[str] = []
    for part in text.split("."):
        if not _PLAIN.fullmatch(part):
            head = _PLAIN.match(part)
            return (*found, head[0]) if head else tuple(found)
        found.append(part)
    return tuple(found)


def _names(body: Mapping[str, Any], looked_at: set[Name], above: Name) -> Iterator[Name]:
    for key, value in body.items():
        name = (*above, key)
        if name in looked_at or (not above and _OURS.fullmatch(key)):
            continue
        is_beside = any(known[: len(name)] == name for known in looked_at)
        if is_beside and isinstance(value, dict) and len(name) < _DEEPEST:
            yield from _names(value, looked_at, name)
        elif not is_beside:
            yield name


def known_names(source: Source) -> list[str]:
    """Return the names by which a source knows what it maps: its profile fields, and where they are found."""
    rules = source.mapping.every
    return sorted({*rules, *(place.text for rule in rules.values() for place in rule.places)})


def is_mapped(source: Source, name: str) -> bool:
    """Whether a name that was unmapped once is looked at now."""
    looked_at = _looked_at(source)
    parts = tuple(name.split("."))
    return (name,) in looked_at or any(parts[: size + 1] in looked_at for size in range(len(parts)))

"""What is wrong between the keys of a source that are right by themselves."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from relay.config.environment import Advice, Problem, Remark, suggest
from relay.config.pages import LANGUAGES
from relay.config.proofs import NONE, Proof
from relay.sources import origin, own
from relay.sources.consent import YES, Box
from relay.sources.mapping import CONTACTS
from relay.sources.paths import Labels, Path, Place, plain
from relay.sources.rules import Rule

_DAY = 86400.0


def contradictions(
    table: dict[str, Any], loaded: dict[str, Any], proof: Proof, where: str
) -> Iterator[Problem]:
    """Yield problems and remarks. ``table`` is what the file says, ``loaded`` what of it is right."""
    if "rules" in loaded or "fields" not in table:
        if not any(contact in loaded.get("rules", {}) for contact in CONTACTS):
            yield Problem(f"{where}.fields", "must map email or mobile_phone_number")
    handshake = loaded.get("handshake")
    if handshake is not None and handshake.kind in ("echo", "hmac"):
        if proof.is_open or "secret" not in table:
            what = 'of this kind needs a secret, like secret = "env:NAME", and a verify that uses it'
            yield Problem(f"{where}.handshake", what)
    if proof.is_open:
        yield Remark(f"{where}.verify", 'verify = "none" takes submissions without proof')
    for bare in origin.lonely_www(loaded.get("origins", ())):
        yield Advice(f"{where}.origins", f"has www only; people who come by {bare} are refused")
    if loaded.get("retention", _DAY) < _DAY:
        what = "deletes what waits for a person before anybody is told (after a day); days are written "
        yield Remark(f"{where}.retention", what + 'like "30d", a plain number is seconds')
    yield from _unset_yes(loaded.get("consent", {}), where)
    yield from _honeypot(loaded, where)
    yield from _labels(loaded, where)
    yield from _paths(loaded, where)


def _rules(loaded: dict[str, Any]) -> dict[str, Rule]:
    return {**loaded.get("rules", {}), **loaded.get("extra", {})}


def _boxes(loaded: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(box.field for box in loaded.get("consent", {}).values()))


def _unset_yes(consent: dict[str, Box], where: str) -> Iterator[Problem]:
    """A box may say yes in words of its own, and nobody has told them."""
    said = f"says only {', '.join(sorted(YES))} or its name; if it sends another value, write it down as yes"
    for field in dict.fromkeys(box.field for box in consent.values() if not box.yes):
        yield Advice(f"{where}.consent", f'the box "{field}" {said}')


def _honeypot(loaded: dict[str, Any], where: str) -> Iterator[Problem]:
    """A field that people fill in would make every one of them a suspect."""
    name = loaded.get("honeypot")
    if not name:
        return
    users = [f"fields.{field}" for field, rule in _rules(loaded).items() if _reads(rule, name)]
    users += ["region_from"] if "region_from" in loaded and _is_called(loaded["region_from"], name) else []
    users += ["the relay itself"] if name in own.ALL else []
    users += ["consent"] if name in _boxes(loaded) else []
    users += ["utm"] if name in loaded.get("utm", {}).values() else []
    users += ["captcha"] if name == loaded.get("captcha", {}).get("field") else []
    for user in users:
        what = f'"{name}" is used by {user} too: every person would be held; take a field that nobody sees'
        yield Problem(f"{where}.honeypot", what)


def _reads(rule: Rule, name: str) -> bool:
    """Whether a rule takes its value from a field of a form."""
    if rule.region_from is not None and _is_called(rule.region_from, name):
        return True
    return any(
        plain(name) in place.labels if isinstance(place, Labels) else _is_called(place, name)
        for place in rule.places
    )


def _is_called(place: Place, name: str) -> bool:
    """Whether a place is the field of that name: ``contact[email]`` is ``contact.email`` too."""
    return name in (place.text, place.name({name: ""}))


def _labels(loaded: dict[str, Any], where: str) -> Iterator[Problem]:
    """A label that belongs to no input is a slip, and nobody would see it."""
    places = chain.from_iterable(rule.places for rule in _rules(loaded).values())
    known = [*dict.fromkeys(place.text for place in places), *_boxes(loaded)]
    page = loaded.get("page", {})
    tables = {"": page} | {f".{key}": one for key, one in page.items() if key in LANGUAGES}
    for key, table in tables.items():
        for name in table.get("labels", {}):
            if known and name not in known:
                what = suggest(name, known, "is no input", f"one of {', '.join(known)}")
                yield Problem(f"{where}.page{key}.labels.{name}", what)


def _paths(loaded: dict[str, Any], where: str) -> Iterator[Problem]:
    """A path that is no expression is read as the name of a field, which may not be what was meant."""
    for key, paths in _all_paths(loaded):
        for path in paths:
            if path.fault:
                yield Remark(
                    f"{where}.{key}", f'"{path.text}" {path.fault}; it is read as the name of a field'
                )


def _all_paths(loaded: dict[str, Any]) -> Iterator[tuple[str, list[Path]]]:
    for table, key in (("rules", "fields"), ("extra", "update")):
        for field, rule in loaded.get(table, {}).items():
            yield f"{key}.{field}", list(_paths_of(rule))
    yield "consent", [Path(box) for box in _boxes(loaded)]
    verify = loaded.get("verify", NONE)
    if verify != NONE and verify.body:
        yield "verify.body", [Path(verify.body)]
    for attribute, key in (("id_path", "id"), ("region_from", "region_from"), ("shape", "shape")):
        if attribute in loaded:
            yield key, [loaded[attribute]]


def _paths_of(rule: Rule) -> Iterator[Path]:
    for place in (*rule.places, *([rule.region_from] if rule.region_from else [])):
        if isinstance(place, Path):
            yield place
        elif isinstance(place, Labels) and place.within is not None:
            yield place.within

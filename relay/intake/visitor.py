"""What a form says beside its fields: where it stood, where its visitor goes next, what they were shown."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from relay.sources import contact, own
from relay.sources.body import is_key
from relay.sources.origin import ascii_address
from relay.sources.source import Source

ASK = "ask"
_LONGEST_PAGE, _LONGEST_NEXT = 500, 2000
_LONGEST_CODE = 8


def is_empty(source: Source, fields: Mapping[str, Any]) -> bool:
    """Whether a form holds nothing but what the relay's script and pages add, and an unseen field."""
    return {*own.ALL, source.honeypot, *source.utm.values()}.issuperset(fields)


def page_of(headers: Mapping[str, str], fields: Mapping[str, Any]) -> str | None:
    """Return the page a form was filled in on, without its query string: that may name people."""
    kept = fields.get(own.PAGE)
    return _page(kept if isinstance(kept, str) and kept else headers.get("referer", ""))


def _page(address: str) -> str | None:
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return None
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:_LONGEST_PAGE]


def next_page(source: Source, fields: Mapping[str, Any]) -> str | None:
    """Return the thanks page that a form asks for, if its site is one of ``origins`` by name.

    One source so serves many pages. Any other address is ignored: nobody is led where the owner has
    not said that they may be.
    """
    asked = fields.get(own.NEXT)
    if not source.is_form or not isinstance(asked, str) or len(asked) > _LONGEST_NEXT:
        return None
    if not asked.isprintable() or any(one in asked for one in '\\"<>'):
        return None
    try:
        asked = ascii_address(asked.strip())
        parts = urlsplit(asked)
        origin = f"{parts.scheme}://{parts.netloc}".lower()
    except ValueError:
        return None
    is_plain = parts.scheme in ("http", "https") and "@" not in parts.netloc
    return asked if is_plain and source.names(origin) else None


def key_of(source: Source, fields: Mapping[str, Any]) -> str | None:
    """Return the key under which a form's script has posted the same before, if it has."""
    key = fields.get(own.KEY)
    return key if source.is_form and isinstance(key, str) and is_key(key) else None


def shown_language(fields: Mapping[str, Any]) -> str | None:
    """Return the code of the language in which a page of ours was shown; None for any other form."""
    code = fields.get(own.SHOWN)
    return code if isinstance(code, str) and 0 < len(code) <= _LONGEST_CODE else None


def better_address(source: Source, fields: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the e-mail field, as the form calls it, and what was probably meant, if its script can ask."""
    if not source.suggest or fields.get(own.SUGGEST) != ASK:
        return None
    rule = source.mapping.rules.get("email")
    name = (rule.name(dict(fields)) if rule else None) or "email"
    typed = fields.get(name)
    meant = contact.suggestion(typed.strip()) if isinstance(typed, str) else None
    return (name, meant) if meant else None

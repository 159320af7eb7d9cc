"""Texts that people typed, cleaned and joined."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from marshmallow import ValidationError

_UNTICKED = {"", "0", "false", "no", "off"}


_TICKED = {"1", "true", "yes", "on"}


_NAME_PARTS = (
    ("first", "last"),
    ("first_name", "last_name"),
    ("firstName", "lastName"),
    ("firstname", "lastname"),
    ("First", "Last"),
)


_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def _blank(value: Any) -> bool:
    if isinstance(value, list):
        return all(_blank(entry) for entry in value)
    return value is None or (isinstance(value, str) and not value.strip())


def _join(values: Iterable[Any]) -> str | None:
    texts = [_text(value) for value in values if not _blank(value)]
    return " ".join(text.strip() for text in texts if text is not None) or None


def scalar(value: Any) -> Any:
    """Return one value: of a list whose entries are all equal, that entry. Raises ValidationError."""
    if not isinstance(value, list):
        return value
    if not value:
        return None
    if any(entry != value[0] for entry in value[1:]):
        raise ValidationError("Given more than once, with different values.")
    return scalar(value[0])


def _text(value: Any) -> str | None:
    """Return text for what senders put where a text belongs. Raises ValidationError."""
    value = scalar(value)
    if isinstance(value, dict):
        for names in _NAME_PARTS:
            if any(name in value for name in names):
                return _join(value.get(name) for name in names)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValidationError("Expected a text.")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def clean(text: str) -> str:
    """Return text on one line, without control and direction characters, in Unicode NFC."""
    text = _INVISIBLE.sub("", _CONTROL.sub(" ", text))
    return " ".join(unicodedata.normalize("NFC", text).split())


def says_yes(value: Any) -> bool:
    """Whether what a sender gives means yes, as a ticked box or a flag; absent and empty do not."""
    if isinstance(value, list):
        return any(says_yes(entry) for entry in value)
    if value is None or isinstance(value, dict) or value == 0:
        return False
    return str(value).strip().lower() not in _UNTICKED

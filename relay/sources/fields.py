"""Field types: what a value must be, and what it becomes."""

import datetime
import math
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields

from relay.sources import contact, telephone
from relay.sources.text import clean, scalar, text_of

NEEDED = "This field is needed."
_TICKED = {"1", "true", "yes", "on"}
_UNTICKED = {"", "0", "false", "no", "off"}
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,5})?")
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})([T ].*)?")


class Text(fields.Field[str]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        text = clean(text_of(value) or "")
        if not text and self.required:
            raise ValidationError(NEEDED)
        return text


class Email(fields.Field[str]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        value = scalar(value)
        if not isinstance(value, str):
            raise ValidationError("Expected an e-mail address as text.")
        return _checked(contact.email, value)


class Phone(fields.Field[str]):
    def __init__(self, region: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.region = region

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        return _checked(lambda text: contact.phone(text, self.region), text_of(value) or "")


def holds_no_number(value: Any) -> bool:
    """Whether a value, or each of several, holds no telephone number at all."""
    if isinstance(value, list):
        return all(holds_no_number(entry) for entry in value)
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        return False
    return telephone.holds_none(text_of(value) or "")


def _checked(check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except contact.NotAContact as problem:
        raise ValidationError(str(problem)) from None


class Number(fields.Field[float]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        text = clean(text_of(value) or "")
        number = float(text) if _NUMBER.fullmatch(text) else math.inf
        if not math.isfinite(number):
            raise ValidationError("Enter a number.")
        return number


class Integer(fields.Field[int]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        text = clean(text_of(value) or "")
        if not re.fullmatch(r"[+-]?[0-9]{1,30}", text):
            raise ValidationError("Enter a whole number.")
        return int(text)


class Boolean(fields.Field[bool]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        value = scalar(value)
        text = str(value).strip().lower()
        if text in _TICKED:
            return True
        if text in _UNTICKED:
            return False
        raise ValidationError("Enter yes or no.")


class Date(fields.Field[str]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        match = _DATE.fullmatch(clean(text_of(value) or ""))
        try:
            return datetime.date.fromisoformat(match[1] if match else "").isoformat()
        except ValueError:
            raise ValidationError("Enter a date as YYYY-MM-DD.") from None


class Url(fields.Field[str]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        text = (text_of(value) or "").strip()
        try:
            parts = urlsplit(text)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname or clean(text) != text:
            raise ValidationError("Enter a web address that begins with https://.")
        return text


class Listing(fields.Field[list[str]]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[str]:
        values = value if isinstance(value, list) else [value]
        return [clean(text) for text in map(text_of, values) if text and clean(text)]


TYPES: dict[str, type[fields.Field[Any]]] = {
    "text": Text,
    "email": Email,
    "phone": Phone,
    "integer": Integer,
    "number": Number,
    "boolean": Boolean,
    "date": Date,
    "url": Url,
    "list": Listing,
}


DEFAULT_TYPES = {"email": "email", "mobile_phone_number": "phone"}

"""Field types: what a value must be, and what it becomes."""

import datetime
import functools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, validate

from relay.sources import contact, telephone
from relay.sources.text import clean, is_blank, name_of, text_of

NEEDED = "This field is needed."
TWICE = "Given more than once, with different values."
_TICKED = frozenset(["1", "true", "yes", "on"])
_UNTICKED = frozenset(["", "0", "false", "no", "off"])
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,5})?")
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,30}")
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})([T ].*)?")

Value = TypeVar("Value")


class Single(fields.Field[Value]):
    """One value. Of several, blanks lose, and what is left must come to the same."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Value:
        found = [self.read(one) for one in _given(value)] or [self.read(None)]
        return self.choose(found)

    def read(self, value: Any) -> Value:
        """Return what one value becomes. Raises ValidationError."""
        raise NotImplementedError

    def choose(self, found: list[Value]) -> Value:
        """Return the one that all are. Raises ValidationError."""
        if any(one != found[0] for one in found[1:]):
            raise ValidationError(TWICE)
        return found[0]


def _given(value: Any) -> Iterator[Any]:
    for entry in value if isinstance(value, list) else [value]:
        if isinstance(entry, list):
            yield from _given(entry)
        elif not is_blank(entry):
            yield entry


class Sized(Single[str]):
    """A text of ``most`` characters."""

    def __init__(self, most: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._fits = validate.Length(max=most)


class Text(Sized):
    def read(self, value: Any) -> str:
        # Measured as it came: cleaning costs time, and no length is a reason to spend it.
        text = clean(self._fits((text_of(value) or "").strip()))
        if not text and self.required:
            raise ValidationError(NEEDED)
        return text


class Name(Text):
    """A person's name."""

    def read(self, value: Any) -> str:
        return super().read(name_of(super().read(value)))


class Email(Sized):
    def read(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("Expected an e-mail address as text.")
        found: str = self._fits(_checked(contact.email, value))
        return found

    def choose(self, found: list[str]) -> str:
        """Return the first; upper and lower case make no other address."""
        if len({address.casefold() for address in found}) > 1:
            raise ValidationError(TWICE)
        return found[0]


@dataclass(frozen=True)
class Telephone:
    """A number as it was given, and the country or dial code that stood beside it."""

    number: Any
    country: str


class Phone(Single[str]):
    def __init__(self, region: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.region = region

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        region = self.region
        if isinstance(value, Telephone):
            value, region = value.number, telephone.region_of(value.country)
        given = [one for one in _given(value) if not holds_no_number(one)] or [""]
        return self.choose([_read_number(one, region) for one in given])


def _read_number(given: Any, region: str | None) -> str:
    """Return a number in E.164. One that came as a number in JSON may have lost its zeros, which some
    countries cannot do without. Raises ValidationError."""
    read = functools.partial(contact.phone, region=region)
    found = _checked(read, text_of(given) or "")
    if isinstance(given, int | float) and not telephone.is_given_out(found):
        raise ValidationError("Enter a valid phone number.")
    return found


def holds_no_number(value: Any) -> bool:
    """Whether a value, or each of several, holds no telephone number at all."""
    if isinstance(value, list | dict):  # a dict: a number in parts, with none of them filled in
        return all(map(holds_no_number, value.values() if isinstance(value, dict) else value))
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        return False
    return telephone.holds_none(text_of(value) or "")


def _checked(check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except contact.NotAContact as problem:
        raise ValidationError(str(problem)) from None


class Number(Single[float]):
    def read(self, value: Any) -> float:
        text = clean(text_of(value) or "")
        number = float(text) if _NUMBER.fullmatch(text) else math.inf
        if not math.isfinite(number):
            raise ValidationError("Enter a number.")
        return number


class Integer(Single[int]):
    def read(self, value: Any) -> int:
        text = clean(text_of(value) or "")
        if not _WHOLE_NUMBER.fullmatch(text):
            raise ValidationError("Enter a whole number.")
        return int(text)


class Boolean(Single[bool]):
    """Of several values a true one wins: forms send an unticked twin beside a ticked box."""

    def read(self, value: Any) -> bool:
        text = "" if value is None else clean(str(value)).lower()
        if text in _TICKED:
            return True
        if text in _UNTICKED:
            return False
        raise ValidationError("Enter yes or no.")

    def choose(self, found: list[bool]) -> bool:
        return any(found)


class Date(Single[str]):
    def read(self, value: Any) -> str:
        match = _DATE.fullmatch(clean(text_of(value) or ""))
        try:
            return datetime.date.fromisoformat(match[1] if match else "").isoformat()
        except ValueError:
            raise ValidationError("Enter a date as YYYY-MM-DD.") from None


class Url(Sized):
    def read(self, value: Any) -> str:
        text = self._fits((text_of(value) or "").strip())
        try:
            parts = urlsplit(text if clean(text) == text else "")
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValidationError("Enter a web address that begins with https://.")
        return text


class Listing(fields.Field[list[str]]):
    def __init__(self, most: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._fits = validate.Length(max=most)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> list[str]:
        values = self._fits(value if isinstance(value, list) else [value])
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

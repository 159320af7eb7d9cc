"""What every table of relay.toml is read with: a strict schema, kinds of values, and problems in plain words.

The schema of each table stands in the file of what it becomes.
"""

import math
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jmespath
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate, validates_schema

from relay import quota
from relay.config.addresses import is_url, plain_http_problem
from relay.config.environment import Problem, suggest
from relay.sources.paths import unknown_function

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = 3660 * 86400.0
_SIZES = {"": 1, "B": 1, "KIB": 1024, "KB": 1000, "MIB": 1024**2, "MB": 1000**2}


class Strict(Schema):
    """A table in which an unknown key is a mistake."""

    class Meta:
        unknown = EXCLUDE

    error_messages = {"type": "must be a table"}  # noqa: RUF012

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def refuse_unknown_keys(self, _: Any, given: Any, **__: Any) -> None:
        """Name each key that is unknown, and the one that may have been meant."""
        known = {field.data_key or name for name, field in self.fields.items()}
        unknown = sorted(given.keys() - known) if isinstance(given, Mapping) else ()
        if unknown:
            raise ValidationError({key: [suggest(key, known, "unknown key")] for key in unknown})


def load(schema: Schema, table: Any, where: str) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Return a table and what is wrong with it.

    Keys that are wrong are left out, so that what stands beside them can be checked too.
    """
    if not isinstance(table, dict):
        return None, [Problem(where, "must be a table")]
    try:
        return schema.load(table), []
    except ValidationError as problem:
        wrong = problem.messages_dict
    needed = [name for name, field in schema.fields.items() if field.required]
    right = {key: value for key, value in table.items() if key not in wrong}
    return schema.load(right, partial=needed), flatten(where, wrong)


def flatten(where: str, messages: Any) -> list[Problem]:
    """Return marshmallow's nested messages as problems with dotted keys."""
    if isinstance(messages, dict):
        found: list[Problem] = []
        for key, below in messages.items():
            found += flatten(where if key == "_schema" else f"{where}.{key}", below)
        return found
    said = messages if isinstance(messages, list) else [messages]
    return [Problem(where, _PLAIN.get(str(message), str(message))) for message in said]


_PLAIN = {
    "Missing data for required field.": "is needed",
    "Field may not be null.": "must have a value",
    "Not a valid string.": "must be a text in quotes",
    "Not a valid boolean.": "must be true or false",
    "Not a valid integer.": "must be a whole number",
    "Not a valid list.": 'must be a list, like ["a", "b"]',
    "Not a valid mapping type.": "must be a table",
    "Shorter than minimum length 1.": "must not be empty",
    "Invalid input type.": "must be a table",
}
"""What marshmallow says, as what would be right."""


# --- kinds of values ------------------------------------------------------------------------------------


class Duration(fields.Field[float]):
    """``"72h"``, ``"30d"``, ``"5s"`` or a number of seconds."""

    def __init__(self, least: float = 0, most: float = math.inf, **options: Any) -> None:
        super().__init__(**options)
        self._least, self._most = least, most

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        seconds = _seconds(value)
        if seconds is None:
            raise ValidationError(
                'must be a number of seconds, or a time like "30s", "10m", "72h" or "30d", ten years at most'
            )
        if not self._least <= seconds <= self._most:
            bounds = f"at least {self._least:g}"
            if self._most < math.inf:
                bounds = f"{self._least:g} to {self._most:g}"
            raise ValidationError(f"must be {bounds} seconds")
        return seconds


def _seconds(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if 0 <= value <= _LONGEST else None
    match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(ms|s|m|h|d)?", str(value).strip())
    seconds = float(match[1]) * _UNITS[match[2] or "s"] if match else math.inf
    return seconds if seconds <= _LONGEST else None


def size_of(value: Any) -> int:
    """Return the bytes of ``"256KiB"`` or of a number. Raises ValueError."""
    match = re.fullmatch(r"([0-9]{1,12})\s*([A-Za-z]*)", str(value).strip())
    if isinstance(value, bool) or not match or match[2].upper() not in _SIZES or not int(match[1]):
        raise ValueError('must be a size like "256KiB" or a number of bytes')
    return int(match[1]) * _SIZES[match[2].upper()]


class Size(fields.Field[int]):
    """``"256KiB"`` or a number of bytes."""

    def __init__(self, most: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._most = most

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        try:
            size = size_of(value)
        except ValueError as problem:
            raise ValidationError(str(problem)) from None
        if self._most is not None and size > self._most:
            raise ValidationError(f'must be at most "{self._most // 1024**2}MiB"')
        return size


class Text(fields.String):
    """A text that becomes what ``make`` makes of it; its ValueError says what would be right."""

    def __init__(self, make: Callable[[str], Any], **options: Any) -> None:
        super().__init__(**options)
        self._make = make

    def _deserialize(self, value: Any, *rest: Any, **options: Any) -> Any:
        text = str(super()._deserialize(value, *rest, **options))
        try:
            return self._make(text)
        except ValueError as problem:
            raise ValidationError(str(problem)) from None


def limits_or_none(text: str) -> str | None:
    """Return the notation of ``limits``, None for ``"none"``."""
    if text == "none":
        return None
    try:
        quota.parse_limits(text)
    except ValueError as problem:
        raise ValueError(f'{problem}, or "none"') from None
    return text


def expression(text: str) -> Any:
    """Compile a JMESPath expression."""
    try:
        compiled = jmespath.compile(text)
    except Exception:  # noqa: BLE001 - jmespath leaks ValueError and others
        raise ValueError("is not a JMESPath expression; see https://jmespath.org") from None
    if name := unknown_function(compiled):
        raise ValueError(f"knows no function {name}(); see https://jmespath.org")
    return compiled


def expression_text(text: str) -> str:
    """Return a JMESPath expression as it is written."""
    expression(text)
    return text


def pattern(text: str) -> re.Pattern[str]:
    """Compile a regular expression; raise ValueError, saying why, if Python may not read it as meant."""
    try:
        with warnings.catch_warnings(action="error"):  # "[[a]": to be read otherwise in a coming Python
            return re.compile(text)
    except (re.error, Warning, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression: {error}") from None


def secure_address(text: str) -> str:
    """Return an address that secrets may be sent to."""
    problem = plain_http_problem(text)
    if problem:
        raise ValueError(problem)
    return text


def page_address(text: str) -> str:
    """Return the whole address of a page."""
    if not is_url(text):
        raise ValueError("must be a whole address like https://www.example.com/thanks")
    return text


def header_name(text: str) -> str:
    """Return the name of a header."""
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", text):
        raise ValueError("must be the name of a header, like X-Signature, without a colon or blanks")
    return text


NOT_EMPTY = validate.Length(min=1)
"""For a text, and for a list out of which one must match: an empty one refuses everything, and is a slip."""


def texts(**options: Any) -> fields.List[Any]:
    return fields.List(fields.String(validate=NOT_EMPTY), **options)


def choice(*values: str, **options: Any) -> fields.String:
    said = "must be " + " or ".join(f'"{value}"' for value in values)
    return fields.String(validate=validate.OneOf(values, error=said), **options)


def yes_or_no(**options: Any) -> fields.Boolean:
    return fields.Boolean(truthy={True}, falsy={False}, **options)


def whole(low: int, high: int, **options: Any) -> fields.Integer:
    within = validate.Range(low, high, error="must be {min} to {max}")
    return fields.Integer(strict=True, validate=within, **options)

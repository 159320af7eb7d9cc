"""The tables of relay.toml as marshmallow schemas, and what they say as problems."""

import math
import re
import warnings
from typing import Any

import jmespath
from marshmallow import RAISE, Schema, ValidationError, fields, validate

from relay import quota
from relay.config.environment import SEE, Problem
from relay.sources.fields import TYPES
from relay.sources.proof import ENCODINGS, SCHEMES, SECRET_ENCODINGS

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZES = {"": 1, "B": 1, "KIB": 1024, "KB": 1000, "MIB": 1024**2, "MB": 1000**2}


class _Strict(Schema):
    class Meta:
        unknown = RAISE

    error_messages = {"unknown": f"unknown key; {SEE}", "type": "must be a table"}  # noqa: RUF012


class Duration(fields.Field[float]):
    """``"72h"``, ``"30d"``, ``"5s"`` or a number of seconds."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
            return float(value)
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m|h|d)", str(value).strip())
        if not match:
            raise ValidationError('must be a time like "30s", "10m", "72h" or "30d"')
        return float(match[1]) * _UNITS[match[2]]


class Size(fields.Field[int]):
    """``"256KiB"`` or a number of bytes."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        match = re.fullmatch(r"([0-9]{1,12})\s*([A-Za-z]*)", str(value).strip())
        if isinstance(value, bool) or not match or match[2].upper() not in _SIZES or not int(match[1]):
            raise ValidationError('must be a size like "256KiB" or a number of bytes')
        return int(match[1]) * _SIZES[match[2].upper()]


class LimitText(fields.Field[str]):
    """The notation of ``limits``, or ``"none"`` where that is allowed."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if value == "none":
            return "none"
        try:
            quota.parse_limits(str(value))
        except ValueError as problem:
            raise ValidationError(f'{problem}, or "none"') from None
        return str(value)


class Expression(fields.Field[str]):
    """A JMESPath expression."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        try:
            jmespath.compile(str(value))
        except Exception:  # noqa: BLE001 - jmespath leaks ValueError and others
            raise ValidationError("is not a JMESPath expression; see https://jmespath.org") from None
        return str(value)


def pattern(text: str) -> re.Pattern[str]:
    """Compile a regular expression; raise ValueError, saying why, if Python may not read it as meant."""
    try:
        with warnings.catch_warnings(action="error"):  # "[[a]": to be read otherwise in a coming Python
            return re.compile(text)
    except (re.error, Warning, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression: {error}") from None


class Pattern(fields.Field[str]):
    """A regular expression, as its text."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("must be a text")
        try:
            pattern(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        return value


def _strings(**options: Any) -> fields.List[Any]:
    return fields.List(fields.String(validate=validate.Length(min=1)), **options)


def _choice(*values: str, **options: Any) -> fields.String:
    return fields.String(
        validate=validate.OneOf(values, error="must be " + " or ".join(f'"{v}"' for v in values)),
        **options,
    )


def _positive(low: float, high: float, **options: Any) -> fields.Float:
    return fields.Float(validate=validate.Range(low, high, error="must be {min} to {max}"), **options)


def _whole(low: int, high: int, **options: Any) -> fields.Integer:
    return fields.Integer(
        strict=True, validate=validate.Range(low, high, error="must be {min} to {max}"), **options
    )


class DestinationSchema(_Strict):
    """``[destinations.x]``"""

    url = fields.String(load_default="https://api.ocamba.com/v1/hood/profiles")
    token = fields.String(required=True)
    limits = fields.String(load_default="10/second; 150/minute")
    parallel = _whole(1, 64, load_default=8)
    deadline = _positive(0.1, 120, load_default=15.0)
    ambiguous = _choice("retry", "park", load_default="retry")
    give_up_after = Duration(load_default=72 * 3600.0)
    retry = fields.List(
        Duration(),
        validate=validate.Length(min=1, error="must name at least one wait"),
        load_default=[5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 43200.0],
    )


class HeaderSchema(_Strict):
    name = fields.String(required=True)
    values = _strings(required=True)


class PingSchema(_Strict):
    body = Pattern()
    header = fields.Nested(HeaderSchema)


class HandshakeSchema(_Strict):
    kind = _choice("ok", "echo", "hmac", required=True)
    query = fields.String(load_default="")
    token_query = fields.String(load_default="")


def _titles(table: dict[str, str]) -> None:
    if set(table) != {"list", "id", "title"}:
        raise ValidationError("must have list, id and title")
    Expression().deserialize(table["list"])


class EntriesSchema(_Strict):
    list_ = Expression(required=True, data_key="list", attribute="list")
    names = fields.List(Expression(), required=True)
    value = Expression(required=True)
    titles = fields.Dict(fields.String(), fields.String(), validate=_titles)
    entry_id = Expression()


class CaptchaSchema(_Strict):
    url = fields.String(required=True)
    secret = fields.String(required=True)
    field = fields.String(required=True)


class VerifySchema(_Strict):
    """``[sources.x.verify]``"""

    scheme = _choice(*SCHEMES, required=True)
    header = fields.String()
    query = fields.String()
    body = fields.String()
    prefix = fields.String()
    pairs = _choice(",", ";")
    signature_key = fields.String()
    timestamp_key = fields.String()
    separator = fields.String()
    encoding = _choice(*ENCODINGS)
    signed = fields.String()
    timestamp_header = fields.String()
    timestamp_unit = _choice("s", "ms")
    tolerance = _positive(1, 86400)
    id_header = fields.String()
    secret_encoding = _choice(*SECRET_ENCODINGS)
    issuer = fields.String()
    body_claim = fields.String()


class PageSchema(_Strict):
    """Texts and colours of the hosted pages."""

    title = fields.String()
    intro = fields.String()
    button = fields.String()
    thanks_title = fields.String()
    thanks_text = fields.String()
    language = _choice("en", "de", "fr", "es")
    accent = fields.String(
        validate=validate.Regexp("^#[0-9a-fA-F]{6}$", error="must be a colour like #1a5fb4")
    )
    background = fields.String(
        validate=validate.Regexp("^#[0-9a-fA-F]{6}$", error="must be a colour like #ffffff")
    )
    labels = fields.Dict(fields.String(), fields.String())


class SourceSchema(_Strict):
    """``[sources.x]``"""

    kind = _choice("form", "webhook", required=True)
    preset = fields.String()
    destination = fields.String()
    enabled = fields.Boolean(truthy={True}, falsy={False})
    origins = _strings()
    thanks = fields.String()
    region = fields.String()
    honeypot = fields.String()
    consent = fields.Raw()
    secret = fields.Raw()
    verify = fields.Raw()
    wait = _positive(0, 30)
    reply = _strings()
    client_limits = LimitText()
    source_limits = LimitText()
    recipient_limits = LimitText()
    only_ = Expression(data_key="only", attribute="only")
    only_header = fields.Nested(HeaderSchema)
    test = Expression()
    test_header = fields.Nested(HeaderSchema)
    ping = fields.Nested(PingSchema)
    handshake = fields.Nested(HandshakeSchema)
    entries = fields.Nested(EntriesSchema)
    id = fields.String()
    id_header = fields.String()
    repeat_window = Duration()
    retention = Duration()
    max_body = Size()
    max_fields = _whole(1, 100_000)
    max_field = Size()
    json_fields = _strings()
    success_status = _whole(200, 299)
    on_failure = _choice("report", "accept")
    min_seconds = Duration()
    captcha = fields.Nested(CaptchaSchema)
    disposable = fields.String()
    custom_properties_as = _choice("object", "string")
    page = fields.Nested(PageSchema)
    fields_ = fields.Dict(fields.String(), fields.Raw(), data_key="fields", attribute="fields")
    update = fields.Dict(fields.String(), fields.Raw())


class RuleSchema(_Strict):
    """A field rule that is a table."""

    from_ = fields.Raw(data_key="from", attribute="from")
    first = fields.List(fields.Raw())
    labels = fields.Raw()
    within = fields.String()
    strip = Pattern()
    type = _choice(*TYPES)
    required = fields.Boolean(truthy={True}, falsy={False})
    default = fields.Raw()
    max_length = _whole(1, 100_000)
    choices = fields.List(fields.Raw())
    value = fields.Raw()


class ConfigSchema(_Strict):
    """relay.toml"""

    destinations = fields.Dict(fields.String(), fields.Raw(), required=True)
    sources = fields.Dict(fields.String(), fields.Raw(), required=True)


def by_key(problem: ValidationError) -> dict[str, Any]:
    return problem.messages if isinstance(problem.messages, dict) else {"_schema": problem.messages}


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
    "Not a valid number.": "must be a number",
    "Special numeric values (nan or infinity) are not permitted.": "must be a number",
    "Number too large.": "must be a smaller number",
    "Not a valid list.": 'must be a list, like ["a", "b"]',
    "Not a valid mapping type.": "must be a table",
    "Shorter than minimum length 1.": "must not be empty",
    "Invalid input type.": "must be a table",
}
"""What marshmallow says, as what would be right."""

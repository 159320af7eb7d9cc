"""Field rules, entries and consent of a source: what its mapping is made of."""

import re
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate

from relay.config.environment import suggest
from relay.config.presets import shared_labels
from relay.config.schemas import (
    NOT_EMPTY,
    Strict,
    Text,
    choice,
    expression_text,
    pattern,
    texts,
    whole,
    yes_or_no,
)
from relay.sources.consent import Box
from relay.sources.fields import DEFAULT_TYPES, TYPES
from relay.sources.guessing import Guess, OnlyEmail
from relay.sources.mapping import CONTACTS, PROFILE_FIELDS
from relay.sources.paths import Entries, Labels, Path, Place, plain
from relay.sources.rules import Rule

_PLAIN_KEYS = ("default", "max_length", "value", "region_from")
UPDATE_FIELDS = ("lists", "custom_properties", "organization_id", "comment")


def _places_named(given: Any) -> None:
    if given == []:
        raise ValidationError("must not be empty")


class RuleSchema(Strict):
    """A field rule that is a table."""

    from_ = fields.Raw(data_key="from", attribute="from", validate=_places_named)
    first = fields.List(fields.Raw(), validate=NOT_EMPTY)
    labels = fields.Raw()
    within = fields.String()
    strip = Text(pattern)
    type = choice(*TYPES)
    required = yes_or_no()
    default = fields.Raw()
    max_length = whole(1, 100_000)
    choices = fields.List(fields.Raw(), validate=NOT_EMPTY)
    value = fields.Raw()
    region_from = Text(Path)


class Rules(fields.Field[dict[str, Rule]]):
    """Rules by the field of a profile or of an update."""

    def __init__(self, *allowed: str, **options: Any) -> None:
        super().__init__(**options)
        self._allowed = allowed

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Rule]:
        if not isinstance(value, dict):
            raise ValidationError("must be a table")
        rules: dict[str, Rule] = {}
        wrong: dict[str, Any] = {}
        for name, given in _flat(value).items():
            try:
                self._refuse_unknown(name)
                rules[name] = _rule(name, given)
            except ValidationError as problem:
                wrong[name] = problem.messages
        if wrong:
            raise ValidationError(wrong)
        return rules

    def _refuse_unknown(self, name: str) -> None:
        if name.partition(":")[0] not in self._allowed:
            is_later = name in UPDATE_FIELDS
            else_ = "map it under [sources.x.update]" if is_later else f"one of {', '.join(self._allowed)}"
            raise ValidationError(suggest(name, self._allowed, "is no field of Create Profile", else_))


def profile_rules() -> Rules:
    return Rules(*PROFILE_FIELDS, data_key="fields", attribute="rules")


def update_rules() -> Rules:
    return Rules(*UPDATE_FIELDS, data_key="update", attribute="extra")


def _flat(update: dict[str, Any]) -> dict[str, Any]:
    """Return the rules of an update, each custom property as ``custom_properties:<name>``."""
    properties = update.get("custom_properties")
    if not isinstance(properties, dict):
        return update
    rest = {name: rule for name, rule in update.items() if name != "custom_properties"}
    return {**rest, **{f"custom_properties:{name}": rule for name, rule in properties.items()}}


def _rule(name: str, given: Any) -> Rule:
    """Return a rule. Raises ValidationError."""
    loaded = RuleSchema().load({"from": given} if isinstance(given, str) else given)
    origins = [key for key in ("from", "first", "labels", "value") if key in loaded]
    if not origins or ("value" in origins and len(origins) > 1):
        raise ValidationError("needs one of from, first, labels or value")
    usual = DEFAULT_TYPES.get(name, "list" if name == "lists" else "text")
    if name in DEFAULT_TYPES and loaded.get("type", usual) != usual:
        raise ValidationError({"type": [f'must be "{usual}", or left out']})
    if "region_from" in loaded and loaded.get("type", usual) != "phone":
        raise ValidationError({"region_from": ["is for a phone only"]})
    try:
        return Rule(
            type=loaded.get("type", usual),
            joined=tuple(map(_place, _listed(loaded.get("from", [])))),
            first=tuple(map(_place, _firsts(loaded))),
            required=loaded.get("required", False),
            choices=tuple(loaded.get("choices", ())),
            is_name=name == "full_name" and loaded.get("type", usual) == "text",
            **{key: loaded[key] for key in _PLAIN_KEYS if key in loaded},
        )
    except ValueError as problem:
        raise ValidationError(str(problem)) from None


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def _firsts(loaded: dict[str, Any]) -> list[Any]:
    """Return what is tried first; labels of the rule itself are the last of them."""
    own = {key: loaded[key] for key in ("labels", "within", "strip") if key in loaded}
    return [*loaded.get("first", []), *([own] if "labels" in own else [])]


def _place(given: Any) -> Place:
    """Return where a value is found. Raises ValueError."""
    if isinstance(given, str) and given:
        return Path(given)
    if isinstance(given, dict) and "labels" not in given:
        return _guess(given)
    if isinstance(given, dict) and set(given) <= {"labels", "within", "strip"}:
        within, strip, labels = given.get("within"), given.get("strip"), given.get("labels")
        if isinstance(within, str | None):
            inside = Path(within) if within else None
            return Labels(_labels(labels), inside, _strip(strip), _kind(labels))
    raise ValueError("a path must be a text, or a table with labels")


def _guess(given: dict[str, Any]) -> Place:
    """Return what is found by its kind. Raises ValueError."""
    match given:
        case {"guess": str(path), **rest} if path and not rest:
            return Guess(Path(path))
        case {"only": "email", "within": str(path), **rest} if path and not rest:
            return OnlyEmail(Path(path))
        case {"only": "email", **rest} if not rest:
            return OnlyEmail()
    raise ValueError("a path must be a text, or a table with labels")


def _strip(given: Any) -> re.Pattern[str] | None:
    if given is None or isinstance(given, re.Pattern):  # a rule's own was compiled with it
        return given
    if not isinstance(given, str):
        raise ValueError("strip must be a text")
    try:
        return pattern(given)
    except ValueError as error:
        raise ValueError(f"strip {error}") from None


def _kind(labels: Any) -> str:
    """Return what stands beside the shared labels of contacts."""
    return labels if labels in ("email", "phone") else ""


def _labels(given: Any) -> tuple[str, ...]:
    labels = shared_labels(given) if isinstance(given, str) else given
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) for label in labels):
        raise ValueError('labels must be a list of texts, or the name of a known one like "email"')
    reduced = tuple(map(plain, labels))
    if not all(reduced):
        raise ValueError("a label must have a letter or digit")
    return reduced


# --- entries and consent --------------------------------------------------------------------------------


def _titles(table: dict[str, str]) -> None:
    if set(table) != {"list", "id", "title"}:
        raise ValidationError("must have list, id and title")
    try:
        expression_text(table["list"])
    except ValueError as problem:
        raise ValidationError(str(problem)) from None


class EntriesSchema(Strict):
    """``[sources.x.entries]``"""

    list_ = Text(expression_text, required=True, data_key="list", attribute="list")
    names = fields.List(Text(expression_text), required=True, validate=NOT_EMPTY)
    value = Text(expression_text, required=True)
    titles = fields.Dict(fields.String(), fields.String(), validate=_titles)
    entry_id = Text(expression_text)
    hidden = Text(expression_text)

    @post_load
    def build(self, table: dict[str, Any], **_: Any) -> Entries:
        return Entries(**{**table, "names": tuple(table["names"])})


class BoxSchema(Strict):
    """A box that is a table."""

    field = fields.String(required=True, validate=validate.Length(min=1, error="must not be empty"))
    yes = texts(validate=NOT_EMPTY)

    @post_load
    def build(self, table: dict[str, Any], **_: Any) -> Box:
        return Box(table["field"], tuple(table.get("yes", ())))


class Consent(fields.Field[dict[str, Box]]):
    """The box of each contact, or one for both."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Box]:
        if isinstance(value, str) or (isinstance(value, dict) and "field" in value):
            return dict.fromkeys(CONTACTS, _box(value))
        if isinstance(value, dict) and set(value) <= set(CONTACTS):
            return {name: _box(box) for name, box in value.items()}
        raise ValidationError('must be a field name, or like { email = "news_mail" }')


def _box(given: Any) -> Box:
    """Return a box. Raises ValidationError."""
    if not isinstance(given, str | dict) or not given:
        raise ValidationError('must be a field name, or like { field = "news", yes = ["I agree"] }')
    found: Box = BoxSchema().load({"field": given} if isinstance(given, str) else given)
    return found

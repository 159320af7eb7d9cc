"""Mapping: a marshmallow schema built once from configuration; fields in, a profile or errors out.

Nothing here raises for what a sender put in, and no message repeats a value.
"""

import datetime
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from dataclasses import field as factory
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

import jmespath
from jmespath.visitor import TreeInterpreter
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from relay import contact

CONTACTS = ("email", "mobile_phone_number")
PROFILE_FIELDS = (*CONTACTS, "full_name")
NO_CONTACT = "Enter an e-mail address or a mobile phone number."
NEEDED = "This field is needed."
NO_CONSENT = "Tick this box so that we may contact you."
_UNTICKED = {"", "0", "false", "no", "off"}
_TICKED = {"1", "true", "yes", "on"}
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})([T ].*)?")
_DEFAULT_LENGTH = 255
_LONG_LABEL = 200
_NAME_PARTS = (
    ("first", "last"),
    ("first_name", "last_name"),
    ("firstName", "lastName"),
    ("firstname", "lastname"),
    ("First", "Last"),
)
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


# --- paths ------------------------------------------------------------------------------------


class Path:
    """Where a value is found: exactly a key of the body, else JMESPath if it compiles."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._expression: Any = jmespath.compile(text)
        except Exception:  # noqa: BLE001 - jmespath leaks ValueError and others; then it is a literal key
            self._expression = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Path) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def find(self, body: Dict[str, Any]) -> Any:
        """Return what stands there, or None."""
        if self.text in body:
            return body[self.text]
        return search(self._expression, body)

    def name(self, body: Dict[str, Any]) -> str | None:
        """Return what the sender calls it."""
        return self.text

    def exists(self, body: Dict[str, Any]) -> bool:
        """Whether the sender has such a field at all, be it empty."""
        return self.text in body or self.find(body) is not None


_INTERPRETER = TreeInterpreter()


def search(expression: Any, body: Any) -> Any:
    """Evaluate a compiled JMESPath expression; what it cannot digest is not there (None)."""
    if expression is None:
        return None
    try:
        # What the library's own search() does, without a new interpreter each time; it keeps no state.
        return _INTERPRETER.visit(expression.parsed, body)
    except Exception:  # noqa: BLE001 - functions raise several kinds for a body of another shape
        return None


@cache
def _expression(text: str) -> Any:
    """Return an expression of the configuration, compiled once."""
    return jmespath.compile(text)


@dataclass(frozen=True)
class Labels:
    """A value found by the label beside it, compared by letters and digits only, case-blind."""

    labels: tuple[str, ...]
    within: Path | None = None
    strip: re.Pattern[str] | None = None
    """What a sender puts before its keys, like Jotform's ``q4_``; ignored where a key begins with it."""

    @property
    def text(self) -> str:
        return self.labels[0]

    def find(self, body: Dict[str, Any]) -> Any:
        """Return what stands beside the first of the labels that has a value, or None."""
        return self.match(body)[1]

    def match(self, body: Dict[str, Any], used: frozenset[str] = frozenset()) -> tuple[str, Any]:
        """Return the first label, none of those used, that has a value, and the value."""
        known: dict[str, Any] = {}
        for key, value in self._labelled(body).items():
            if not _blank(value):
                known.setdefault(self._plain(key), value)
        label = next((one for one in self.labels if one in known and one not in used), "")
        return label, known.get(label)

    def _plain(self, key: str) -> str:
        prefix = self.strip.match(key) if self.strip else None
        return plain(key[prefix.end() :] if prefix else key)

    def exists(self, body: Dict[str, Any]) -> bool:
        """Whether the sender has such a label at all, be its value empty."""
        return any(self._plain(key) in self.labels for key in self._labelled(body))

    def name(self, body: Dict[str, Any]) -> str | None:
        """Return what the sender calls it: its own spelling of the label that answers, or of any."""
        keys = {self._plain(key): key for key in reversed(self._labelled(body))}
        answering, _ = self.match(body)
        return next((keys[label] for label in (answering, *self.labels) if label in keys), None)

    def _labelled(self, body: Dict[str, Any]) -> dict[str, Any]:
        entries = body.get("entry")
        where = entries if isinstance(entries, _Named) else body
        if self.within:
            where = self.within.find(body)
        return where if isinstance(where, dict) else {}


def plain(label: str) -> str:
    """Return a label as its letters and digits, in lower case."""
    return _remembered(label) if len(label) <= _LONG_LABEL else _plain(label)


def _plain(label: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFC", label).casefold() if c.isalnum())


# The same labels come with every message of a form, and several rules look at each.
_remembered = lru_cache(4096)(_plain)


Place = Path | Labels


class _Named(dict[str, Any]):
    """Listed entries by their names; not to be mistaken for a field that a sender calls "entry"."""


@dataclass(frozen=True)
class Entries:
    """A body that lists its fields: each entry becomes reachable as ``entry."<name>"``."""

    list: str
    names: tuple[str, ...]
    value: str
    titles: Dict[str, str] | None = None
    entry_id: str | None = None

    def read(self, body: Dict[str, Any]) -> dict[str, Any]:
        """Return name → value, the first of equal names winning."""
        found = _Named()
        titles = self._titles(body)
        for entry in _dicts(search(_expression(self.list), body)):
            value = search(_expression(self.value), entry)
            names = [search(_expression(name), entry) for name in self.names]
            if self.entry_id:
                names.append(titles.get(str(search(_expression(self.entry_id), entry))))
            for name in names:
                if isinstance(name, str) and name and not _blank(value):
                    found.setdefault(name, value)
        return found

    def _titles(self, body: Dict[str, Any]) -> dict[str, Any]:
        if not self.titles:
            return {}
        listed = search(_expression(self.titles["list"]), body)
        return {str(t.get(self.titles["id"])): t.get(self.titles["title"]) for t in _dicts(listed)}


def _dicts(found: Any) -> Iterator[dict[str, Any]]:
    return (entry for entry in (found if isinstance(found, list) else ()) if isinstance(entry, dict))


# --- rules ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """Where one profile field comes from, and what it must look like."""

    type: str
    joined: tuple[Place, ...] = ()
    first: tuple[Place, ...] = ()
    required: bool = False
    default: Any = None
    max_length: int | None = None
    choices: tuple[Any, ...] = ()
    value: Any = None

    @property
    def places(self) -> tuple[Place, ...]:
        return (*self.first, *self.joined)

    def name(self, body: Dict[str, Any]) -> str | None:
        """Return what the sender calls it: of alternatives the one that answers, of joined ones the first."""
        answering = (place for place in self.first if not _blank(place.find(body)))
        place = next(answering, None) or next(iter(self.joined or self.first), None)
        return place.name(body) if place else None

    def find(self, body: Dict[str, Any]) -> Any:
        """Return the sender's value, as raw as it came, or None."""
        if self.value is not None:
            return self.value
        if self.first:
            found = (place.find(body) for place in self.first)
            value = next((value for value in found if not _blank(value)), None)
            if value is not None or not self.joined:
                return value
        if len(self.joined) == 1:
            return self.joined[0].find(body)
        return _join(self._parts(body))

    def _parts(self, body: Dict[str, Any]) -> Iterator[Any]:
        """Yield the values to be joined. A label answers once: "Name" is the given name beside
        "Surname", the family name beside "Vorname", and never both."""
        used: set[str] = set()
        for place in self.joined:
            if isinstance(place, Labels):
                label, value = place.match(body, frozenset(used))
                used.add(label)
                yield value
            else:
                yield place.find(body)


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


# --- marshmallow fields: one per type of the configuration ----------------------------------------


class Text(fields.Field[str]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        text = clean(_text(value) or "")
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
        value = scalar(value)
        text = _text(value) or ""
        if isinstance(value, int | float) and self.region is None:
            text = "+" + text
        try:
            return contact.phone(text, self.region)
        except contact.NotAContact as problem:
            # A number cannot carry its "+", and an unencoded form turns it into a blank.
            if isinstance(value, int | float) or text[:1] == " ":
                return _checked(contact.phone, "+" + text.strip())
            raise ValidationError(str(problem)) from None


def _checked(check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except contact.NotAContact as problem:
        raise ValidationError(str(problem)) from None


class Number(fields.Field[float]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        text = clean(_text(value) or "")
        number = float(text) if _NUMBER.fullmatch(text) else math.inf
        if not math.isfinite(number):
            raise ValidationError("Enter a number.")
        return number


class Integer(fields.Field[int]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        text = clean(_text(value) or "")
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
        match = _DATE.fullmatch(clean(_text(value) or ""))
        try:
            return datetime.date.fromisoformat(match[1] if match else "").isoformat()
        except ValueError:
            raise ValidationError("Enter a date as YYYY-MM-DD.") from None


class Url(fields.Field[str]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        text = (_text(value) or "").strip()
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
        return [clean(text) for text in map(_text, values) if text and clean(text)]


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


def _by_name(problem: ValidationError) -> dict[str, Any]:
    return problem.messages if isinstance(problem.messages, dict) else {"": problem.messages}


class _Base(Schema):
    class Meta:
        unknown = EXCLUDE


def _schema_field(rule: Rule, region: str | None) -> fields.Field[Any]:
    checks: list[Any] = []
    if rule.type in ("text", "url", "list"):
        checks.append(validate.Length(max=rule.max_length or _DEFAULT_LENGTH))
    if rule.choices:
        offered = validate.ContainsOnly if rule.type == "list" else validate.OneOf
        checks.append(offered(rule.choices, error="Choose one of the offered values."))
    options: dict[str, Any] = {
        "required": rule.required,
        "validate": checks,
        "error_messages": {"required": NEEDED},
    }
    if rule.type == "phone":
        return Phone(region, **options)
    return TYPES[rule.type](**options)


# --- the mapping --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mapped:
    """What one body came to: a profile, or errors by the sender's field name."""

    profile: dict[str, Any] = factory(default_factory=dict)
    errors: dict[str, list[str]] = factory(default_factory=dict)
    dropped: tuple[str, ...] = ()
    consent: dict[str, dict[str, Any]] | None = None
    extra: dict[str, Any] = factory(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.errors


class Mapping:
    """The rules of one source, and the schema made from them."""

    def __init__(
        self,
        rules: Dict[str, Rule],
        *,
        region: str | None = None,
        consent: Dict[str, str] | None = None,
        keep_good_contact: bool = False,
        entries: Entries | None = None,
        extra: Dict[str, Rule] | None = None,
    ) -> None:
        """``keep_good_contact``: forward one valid contact although the other is bad (webhooks).

        ``extra``: rules for a follow-up update, kept apart from the profile.
        """
        self.rules = dict(rules)
        self.consent = dict(consent or {})
        self.entries = entries
        self._keep_good_contact = keep_good_contact
        self._extra = dict(extra or {})
        every = {**self.rules, **self._extra}
        self._schema = _Base.from_dict(
            {name: _schema_field(rule, region) for name, rule in every.items()},
            name="Profile",
        )()

    @property
    def schema(self) -> Schema:
        return self._schema

    @property
    def extra(self) -> Dict[str, Rule]:
        """The rules for a follow-up update."""
        return self._extra

    def _sender_name(self, field: str, body: Dict[str, Any]) -> str:
        rule = self.rules.get(field) or self._extra.get(field)
        return (rule.name(body) if rule else None) or field

    def body(self, fields_: Dict[str, Any]) -> dict[str, Any]:
        """Return the body that paths look into: the fields, and ``entry`` where entries are listed."""
        if self.entries is None:
            return dict(fields_)
        return {**fields_, "entry": self.entries.read(fields_)}

    def has_contact_fields(self, fields_: Dict[str, Any]) -> bool:
        """Whether any mapped contact is there at all, be it empty."""
        body = self.body(fields_)
        contacts = [self.rules[name] for name in CONTACTS if name in self.rules]
        return any(place.exists(body) for rule in contacts for place in rule.places)

    def apply(self, fields_: Dict[str, Any]) -> Mapped:
        """Map a body."""
        body = self.body(fields_)
        consent, withheld = self._consent(body)
        values, errors = self._find(body, withheld)
        try:
            loaded = self._schema.load(values)
        except ValidationError as problem:
            loaded = problem.valid_data if isinstance(problem.valid_data, dict) else {}
            for name, messages in _by_name(problem).items():
                errors.setdefault(name, [str(message) for message in messages])
        loaded = {name: value for name, value in loaded.items() if not _blank(value)}
        return self._judge(body, loaded, errors, consent, withheld)

    def _find(self, body: Dict[str, Any], withheld: set[str]) -> tuple[dict[str, Any], dict[str, list[str]]]:
        values: dict[str, Any] = {}
        errors: dict[str, list[str]] = {}
        for name, rule in {**self.rules, **self._extra}.items():
            if name in withheld:
                continue
            try:
                value = rule.find(body)
            except ValidationError as problem:  # a joined place that is no text
                errors[name] = [str(message) for message in problem.messages]
                continue
            if _blank(value):
                value = rule.default
            if not _blank(value):
                values[name] = value
        return values, errors

    def _consent(self, body: Dict[str, Any]) -> tuple[dict[str, dict[str, Any]] | None, set[str]]:
        if not self.consent:
            return None, set()
        proof: dict[str, dict[str, Any]] = {}
        for name, box in self.consent.items():
            proof[name] = {"box": box, "ticked": says_yes(Path(box).find(body))}
        return proof, {name for name, said in proof.items() if not said["ticked"]}

    def _judge(
        self,
        body: dict[str, Any],
        loaded: dict[str, Any],
        errors: dict[str, list[str]],
        consent: dict[str, dict[str, Any]] | None,
        withheld: set[str],
    ) -> Mapped:
        good = [name for name in CONTACTS if name in loaded and name not in errors]
        bad = [name for name in CONTACTS if name in errors]
        dropped: tuple[str, ...] = ()
        if good and self._keep_good_contact:
            dropped = tuple(name for name in errors if not self._is_vital(name))
            errors = {name: said for name, said in errors.items() if name not in dropped}
        if not good and not bad:
            errors = {**errors, **self._no_contact(body, withheld)}
        named = {self._sender_name(name, body): said for name, said in errors.items()}
        if named:
            return Mapped(errors=named, consent=consent)
        return Mapped(
            profile={name: loaded[name] for name in self.rules if name in loaded},
            extra={name: loaded[name] for name in self._extra if name in loaded},
            dropped=dropped,
            consent=consent,
        )

    def _is_vital(self, name: str) -> bool:
        """Whether a machine's message is useless where this field is wrong, although a contact is good."""
        rule = self.rules.get(name) or self._extra.get(name)
        return rule is None or rule.required or (bool(rule.choices) and name not in CONTACTS)

    def _no_contact(self, body: dict[str, Any], withheld: set[str]) -> dict[str, list[str]]:
        for name in CONTACTS:
            if name in withheld and self._is_given(name, body):
                return {self.consent[name]: [NO_CONSENT]}
        return {next((n for n in CONTACTS if n in self.rules), CONTACTS[0]): [NO_CONTACT]}

    def _is_given(self, name: str, body: dict[str, Any]) -> bool:
        places = self.rules[name].places if name in self.rules else ()
        return any(not _blank(place.find(body)) for place in places)


def says_yes(value: Any) -> bool:
    """Whether what a sender gives means yes, as a ticked box or a flag; absent and empty do not."""
    if isinstance(value, list):
        return any(says_yes(entry) for entry in value)
    if value is None or isinstance(value, dict) or value == 0:
        return False
    return str(value).strip().lower() not in _UNTICKED

"""Mapping: a marshmallow schema built once from configuration; fields in, a profile or errors out.

Nothing here raises for what a sender put in, and no message repeats a value.
"""

from collections.abc import Mapping as Body
from dataclasses import dataclass, field, replace
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError

from relay.sources.consent import Box
from relay.sources.paths import Entries, Place
from relay.sources.rules import Rule
from relay.sources.text import is_blank

CONTACTS = ("email", "mobile_phone_number")
PROFILE_FIELDS = (*CONTACTS, "full_name")
NO_CONTACT = "Enter an e-mail address or a mobile phone number."
NO_CONSENT = "Tick this box so that we may contact you."


class _Base(Schema):
    class Meta:
        unknown = EXCLUDE


def _by_name(problem: ValidationError) -> dict[str, Any]:
    return problem.messages if isinstance(problem.messages, dict) else {"": problem.messages}


@dataclass(frozen=True)
class Mapped:
    """What one body came to: a profile, or errors by the sender's field name."""

    profile: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    consent: dict[str, dict[str, Any]] | None = None
    unclear: tuple[str, ...] = ()
    """Boxes that hold what says neither yes nor no."""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.errors


class Mapping:
    """The rules of one source, and the schema made from them."""

    def __init__(
        self,
        rules: Body[str, Rule],
        *,
        region: str | None = None,
        region_from: Place | None = None,
        consent: Body[str, Box] | None = None,
        keep_good_contact: bool = False,
        entries: Entries | None = None,
        extra: Body[str, Rule] | None = None,
    ) -> None:
        """``keep_good_contact``: forward one valid contact although the other is bad (webhooks).

        ``extra``: rules for a follow-up update, kept apart from the profile.
        """
        self.rules = dict(rules)
        self.consent = dict(consent or {})
        self.boxes = tuple(dict.fromkeys(box.field for box in self.consent.values()))
        self.entries = entries
        self._region_from = region_from
        self._keep_good_contact = keep_good_contact
        self.extra = dict(extra or {})
        self.every = {**self.rules, **self.extra}
        self._schema = _Base.from_dict(
            {name: rule.field(region) for name, rule in self.every.items()},
            name="Profile",
        )()

    def _sender_name(self, field: str, body: Body[str, Any]) -> str:
        rule = self.every.get(field)
        return (rule.name(body) if rule else None) or field

    def body(self, fields_: Body[str, Any]) -> dict[str, Any]:
        """Return the body that paths look into: the fields, and ``entry`` where entries are listed."""
        if self.entries is None:
            return dict(fields_)
        return {**fields_, "entry": self.entries.read(fields_)}

    def has_contact_fields(self, fields_: Body[str, Any]) -> bool:
        """Whether any mapped contact is there at all, be it empty."""
        body = self.body(fields_)
        contacts = [self.rules[name] for name in CONTACTS if name in self.rules]
        return any(place.exists(body) for rule in contacts for place in rule.places)

    def apply(self, fields_: Body[str, Any]) -> Mapped:
        """Map a body."""
        body = self.body(fields_)
        consent, withheld = self._consent(body)
        values, errors = self._find(body, withheld)
        return self._load(body, values, errors, consent, withheld)

    def _load(
        self,
        body: dict[str, Any],
        values: dict[str, Any],
        errors: dict[str, list[str]],
        consent: dict[str, dict[str, Any]] | None,
        withheld: set[str],
        *,
        has_update: bool = True,
    ) -> Mapped:
        if not has_update:
            values = {name: value for name, value in values.items() if name not in self.extra}
        try:
            loaded = self._schema.load(values, partial=() if has_update else tuple(self.extra))
        except ValidationError as problem:
            loaded = problem.valid_data if isinstance(problem.valid_data, dict) else {}
            for name, messages in _by_name(problem).items():
                errors.setdefault(name, [str(message) for message in messages])
        loaded = {name: value for name, value in loaded.items() if not is_blank(value)}
        unclear = tuple({box.field: box for box in self.consent.values() if box.is_unclear(body)})
        return replace(self._judge(body, loaded, errors, consent, withheld), unclear=unclear)

    def correct(
        self, fields_: Body[str, Any], corrected: Body[str, Any], withheld: set[str] | None = None
    ) -> Mapped:
        """Map a body with some profile fields as a person says they are; None leaves a field out.

        What a person says must be right, also where a sender's other contact would do. Consent stays what
        the sender gave: a contact without it cannot be put in. ``withheld``: the contacts without it, where
        that is known from elsewhere. Without fields, as of a suspect, no update is looked for.
        """
        body = self.body(fields_)
        consent, without = self._consent(body)
        withheld = without if withheld is None else withheld
        given, wrong = self._given(body, corrected)
        found = self._schema.validate(given, partial=True)
        wrong |= {name: [str(message) for message in messages] for name, messages in found.items()}
        wrong |= {name: [NO_CONSENT] for name in given if name in withheld}
        if wrong:
            return Mapped(errors=wrong, consent=consent)
        values, errors = self._find(body, withheld)
        values = {name: value for name, value in values.items() if name not in corrected} | given
        errors = {name: said for name, said in errors.items() if name not in corrected}
        return self._load(body, values, errors, consent, withheld, has_update=bool(fields_))

    def _given(
        self, body: Body[str, Any], corrected: Body[str, Any]
    ) -> tuple[dict[str, Any], dict[str, list[str]]]:
        """Return what a person says; a number is read with the country that stands beside it, as before."""
        given: dict[str, Any] = {}
        wrong: dict[str, list[str]] = {}
        for name, value in corrected.items():
            rule = self.rules.get(name)
            try:
                found = rule.with_country(value, body, self._region_from) if rule else value
            except ValidationError as problem:
                wrong[name] = [str(message) for message in problem.messages]
                continue
            if not is_blank(value):
                given[name] = found
        return given, wrong

    def _find(self, body: Body[str, Any], withheld: set[str]) -> tuple[dict[str, Any], dict[str, list[str]]]:
        values: dict[str, Any] = {}
        errors: dict[str, list[str]] = {}
        for name, rule in self.every.items():
            if name in withheld:
                continue
            try:
                value = rule.find(body)
                blank = rule.is_blank(value)
                value = rule.default if blank else rule.with_country(value, body, self._region_from)
            except ValidationError as problem:  # a joined place or a country that is no text
                errors[name] = [str(message) for message in problem.messages]
                continue
            if not is_blank(value):
                values[name] = value
        return values, errors

    def _consent(self, body: Body[str, Any]) -> tuple[dict[str, dict[str, Any]] | None, set[str]]:
        """Return the proof of consent, of the contacts that this form asked for, and who gave none."""
        if not self.consent:
            return None, set()
        ticked = {name: box.is_ticked(body) for name, box in self.consent.items()}
        proof = {
            name: {"box": box.field, "ticked": ticked[name]}
            for name, box in self.consent.items()
            if self._was_asked(name, body)
        }
        return proof, {name for name in ticked if not ticked[name]}

    def _was_asked(self, name: str, body: Body[str, Any]) -> bool:
        rule = self.rules.get(name)
        return rule is not None and any(place.exists(body) for place in rule.places)

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
        named = dict(self._told(name, said, body, withheld) for name, said in errors.items())
        if named:
            return Mapped(errors=named, consent=consent)
        return Mapped(
            profile={name: loaded[name] for name in self.rules if name in loaded},
            extra={name: loaded[name] for name in self.extra if name in loaded},
            dropped=dropped,
            consent=consent,
        )

    def _told(
        self, name: str, said: list[str], body: dict[str, Any], withheld: set[str]
    ) -> tuple[str, list[str]]:
        """Return what is wrong by the sender's name for it: of a contact that is there the box is missing."""
        if name in withheld and self._is_given(name, body):
            return self.consent[name].field, [NO_CONSENT]
        return self._sender_name(name, body), said

    def _is_vital(self, name: str) -> bool:
        """Whether a machine's message is useless where this field is wrong, although a contact is good."""
        rule = self.every.get(name)
        return rule is None or rule.required or (bool(rule.choices) and name not in CONTACTS)

    def _no_contact(self, body: dict[str, Any], withheld: set[str]) -> dict[str, list[str]]:
        for name in CONTACTS:
            if name in withheld and self._is_given(name, body):
                return {name: [NO_CONSENT]}
        return {next((n for n in CONTACTS if n in self.rules), CONTACTS[0]): [NO_CONTACT]}

    def _is_given(self, name: str, body: dict[str, Any]) -> bool:
        rule = self.rules.get(name)
        return rule is not None and any(not rule.is_blank(place.find(body)) for place in rule.places)

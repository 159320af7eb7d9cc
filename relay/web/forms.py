"""What the form of a source consists of: its inputs, by the names the mapping looks for."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from relay.process.relay import Relay
from relay.sources import own
from relay.sources import stamp as timestamp
from relay.sources.consent import Box
from relay.sources.form_body import fields_of, steps_of
from relay.sources.mapping import CONTACTS
from relay.sources.paths import Labels, Path, Place
from relay.sources.rules import Rule
from relay.sources.source import Source
from relay.sources.telephone import INVISIBLE_PLUS
from relay.sources.text import is_blank
from relay.web.language import Language
from relay.web.texts import consent_label, texts_of

_LONG_TEXT = 255
_KINDS = {"email": "email", "phone": "tel", "date": "date", "url": "url", "boolean": "checkbox"}
# A number typed into type="number" is gone when it is not one; a text is kept and can be mended.
_MODES = {"email": "email", "phone": "tel", "integer": "numeric", "number": "decimal", "url": "url"}
_AUTOCOMPLETE = {
    "email": "email",
    "mobile_phone_number": "tel",
    "full_name": "name",
    "first_name": "given-name",
    "last_name": "family-name",
}
_FIRST_NAME = re.compile(r"first|given|fore|vor|pr[eé]nom|nombre", re.I)
_LAST_NAME = re.compile(r"last|sur|family|nach|nom|apellid", re.I)


@dataclass(frozen=True)
class Input:
    """One input: ``kind`` is the type of an ``<input>``, or ``select`` or ``textarea``."""

    name: str
    kind: str
    label: str
    required: bool = False
    autocomplete: str = ""
    inputmode: str = ""
    hint: str = ""
    choices: tuple[Any, ...] = ()
    value: str = ""
    errors: tuple[str, ...] = ()
    first_error: bool = False

    @property
    def is_half(self) -> bool:
        """Whether two of them share a line: the two parts of a name."""
        return self.autocomplete in ("given-name", "family-name")


@dataclass(frozen=True)
class Form:
    """A source's form, ready to be shown."""

    source: Source
    inputs: tuple[Input, ...]
    stamp: str
    texts: Mapping[str, Any]
    language: str
    carried: tuple[tuple[str, str], ...] = ()
    """What the form that was posted holds beside these inputs; it goes along unseen."""
    intro: str = ""
    detail: str = ""
    """Why it could not be taken, where that is not about its fields."""
    loose_errors: tuple[str, ...] = ()
    """Errors of fields that have no input here."""

    @property
    def errors(self) -> list[tuple[int, Input]]:
        """The inputs that something is wrong with, with their number on the page."""
        return [(number, entry) for number, entry in enumerate(self.inputs) if entry.errors]


def form(
    relay: Relay,
    source: Source,
    language: Language,
    typed: Mapping[str, Any] | None = None,
    errors: Mapping[str, list[str]] | None = None,
    detail: str = "",
) -> Form:
    """Return a source's form, with what was typed and what is wrong with it."""
    is_again, typed = typed is not None, typed or {}
    said = {name: tuple(map(language.say, messages)) for name, messages in (errors or {}).items()}
    inputs = [_filled(entry, source, typed, said) for entry in _inputs(source, language, typed)]
    first = next((number for number, entry in enumerate(inputs) if entry.errors), None)
    if first is not None:
        inputs[first] = replace(inputs[first], first_error=True)
    names = {entry.name for entry in inputs}
    texts = texts_of(source, language)
    return Form(
        source=source,
        inputs=tuple(inputs),
        stamp=_old_stamp(relay, source, typed) if is_again else new_stamp(relay, source),
        texts=texts,
        language=language.code,
        carried=tuple(_carried(source, typed, names)),
        intro=texts.get("intro") or (language.texts["either"] if _either(source) else ""),
        detail=detail,
        loose_errors=tuple(text for name, texts in said.items() if name not in names for text in texts),
    )


def _carried(source: Source, typed: Mapping[str, Any], shown: set[str]) -> list[tuple[str, str]]:
    """Return what goes along: fields the page does not show, lists, the captcha's token.

    What says yes in place of a box that the page shows (``agree[mail]`` for ``agree.mail``) does not: it
    would go on saying so for who takes the tick away. Left out is what does so by itself: a field, else
    all of a bracketed name, else everything.
    """
    pairs = list(_unshown(source, typed, shown))
    for part in (lambda pair: pair, lambda pair: pair[0].partition("[")[0], lambda pair: ""):
        if not _is_consent(source, pairs):
            break
        parts: dict[Any, list[tuple[str, str]]] = {}
        for pair in pairs:
            parts.setdefault(part(pair), []).append(pair)
        pairs = [pair for some in parts.values() if not _is_consent(source, some) for pair in some]
    return pairs


def _is_consent(source: Source, pairs: list[tuple[str, str]]) -> bool:
    fields = fields_of(pairs, source.limits)
    return any(box.is_ticked(fields) for box in source.mapping.consent.values())


def _unshown(source: Source, typed: Mapping[str, Any], shown: set[str]) -> Iterator[tuple[str, str]]:
    ours = {*own.ANEW, source.honeypot}
    for name, value in typed.items():
        if name in shown or name in ours or _is_said_twice(name, typed, shown):
            continue
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str):
                yield name, as_typed(one)


def _is_said_twice(name: str, typed: Mapping[str, Any], shown: set[str]) -> bool:
    """Whether a field goes along under another name already: ``a[]=1`` was read as the list ``a`` too."""
    lists = {steps_of(other)[0] for other in shown if steps_of(other)}
    if steps := steps_of(name):
        return isinstance(typed.get(steps[0]), list) and steps[0] not in lists
    return name in lists


def _filled(
    entry: Input, source: Source, typed: Mapping[str, Any], said: Mapping[str, tuple[str, ...]]
) -> Input:
    value = typed.get(entry.name, "")
    if entry.kind == "checkbox":
        value = "yes" if _is_ticked(source, entry.name, typed) else ""
    if isinstance(value, list):  # given twice, perhaps once without a value
        value = next((one for one in value if not is_blank(one)), "")
    text = as_typed(value) if isinstance(value, str) else ""
    return replace(entry, value=text, errors=said.get(entry.name, ()))


def as_typed(text: str) -> str:
    """Return a text as a person can read it: with a blank where its encoding left a plus in doubt.

    A browser writes that blank as a plus again, so the doubt stays; a plus would be certain, and perhaps
    make a number of another country.
    """
    return text.replace(INVISIBLE_PLUS, " ")


def _is_ticked(source: Source, name: str, typed: Mapping[str, Any]) -> bool:
    boxes = [box for box in source.mapping.consent.values() if box.field == name]
    return (boxes[0] if boxes else Box(name)).is_ticked(typed)


def new_stamp(relay: Relay, source: Source) -> str:
    """Return a signed timestamp of now for a source's form."""
    return timestamp.sign(relay.outbox.vault.hash(timestamp.KEY), source.name, relay.clock())


def _old_stamp(relay: Relay, source: Source, typed: Mapping[str, Any]) -> str:
    """Return the timestamp of a form that is shown again: a new one would make correcting too fast.

    So one that had none goes on without.
    """
    shown, key = typed.get(timestamp.FIELD), relay.outbox.vault.hash(timestamp.KEY)
    seconds = timestamp.age(key, source.name, shown, relay.clock())
    return str(shown) if seconds is not None and seconds < timestamp.MAX_AGE_SECONDS else ""


# --- which inputs there are -----------------------------------------------------------------------------


def _inputs(source: Source, language: Language, typed: Mapping[str, Any]) -> Iterator[Input]:
    seen: set[str] = set()
    for field, rule in source.mapping.every.items():
        for number, place in enumerate(_places(rule)):
            name = _posted_name(place, typed)
            if name not in seen and rule.type != "list":
                seen.add(name)
                yield _input(source, language, field, rule, name, is_first=number == 0)
    for box in source.mapping.boxes:
        if box not in seen:
            yield _consent_box(source, language, box)


def _posted_name(place: Place, typed: Mapping[str, Any]) -> str:
    """Return what the form that was posted calls it; a form of our own calls it as the mapping does."""
    return (place.name(typed) if typed else None) or place.text


def _places(rule: Rule) -> list[Place]:
    """Return the places that a form of our own fills: all that are joined, else the first choice."""
    if rule.value is not None:
        return []
    places = rule.joined or rule.first[:1]
    return [place for place in places if isinstance(place, Path) or _is_plain(place)]


def _is_plain(place: Place) -> bool:
    return isinstance(place, Labels) and place.within is None


def _input(source: Source, language: Language, field: str, rule: Rule, name: str, *, is_first: bool) -> Input:
    role = _role(field, name, alone=len(_places(rule)) == 1)
    is_long = rule.type == "text" and (rule.max_length or 0) > _LONG_TEXT
    is_long = is_long or (field == "comment" and rule.max_length is None)
    kind = "select" if rule.choices else "textarea" if is_long else _KINDS.get(rule.type, "text")
    needs_country = rule.type == "phone" and source.region is None
    return Input(
        name=name,
        kind=kind,
        label=_label(source, language, name, role),
        required=is_first and (rule.required or _only_contact(source) == field),
        autocomplete=_AUTOCOMPLETE.get(role, ""),
        inputmode="" if rule.choices else _MODES.get(rule.type, ""),
        hint=language.texts["phone_hint"] if needs_country else "",
        choices=rule.choices,
    )


def _consent_box(source: Source, language: Language, box: str) -> Input:
    mapped = [contact for contact in CONTACTS if contact in source.mapping.rules]
    consent = source.mapping.consent
    covered = [contact for contact in mapped if contact in consent and consent[contact].field == box]
    return Input(
        name=box,
        kind="checkbox",
        label=consent_label(source, language, box),
        required=covered == mapped,
    )


def _only_contact(source: Source) -> str | None:
    """Return the contact that is needed because there is no other way to reach the person."""
    mapped = [contact for contact in CONTACTS if contact in source.mapping.rules]
    return mapped[0] if len(mapped) == 1 else None


def _either(source: Source) -> bool:
    rules = [source.mapping.rules.get(contact) for contact in CONTACTS]
    return all(rule is not None and not rule.required for rule in rules)


def _role(field: str, name: str, *, alone: bool) -> str:
    if field != "full_name" or alone:
        return field
    if _FIRST_NAME.search(name):
        return "first_name"
    return "last_name" if _LAST_NAME.search(name) else ""


def _label(source: Source, language: Language, name: str, role: str) -> str:
    given = texts_of(source, language)["labels"].get(name)
    return given or language.texts.get(role) or re.sub(r"[_\-\s\[\].]+", " ", name).strip().capitalize()

"""Rules: where one field of a profile comes from, and what it must look like."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import fields, validate

from relay.sources.fields import NEEDED, TYPES, Name, Phone, Telephone, holds_no_number
from relay.sources.paths import Labels, Place
from relay.sources.telephone import region_of
from relay.sources.text import is_blank, is_no_name, join, says_nothing, text_of

_DEFAULT_LENGTH = 255
_NAMES_COUNTRY = re.compile(r"dial|countr|calling|intl|code|(?<![a-z])cc(?![a-z])", re.IGNORECASE)
_NAMES_PLACE = re.compile(r"area|city|local|zip|post", re.IGNORECASE)


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
    is_name: bool = False
    """Whether it is a person's name: programs and people write much else where there is none."""
    region_from: Place | None = None
    """Of a phone: where its country or dial code stands."""

    @property
    def places(self) -> tuple[Place, ...]:
        return (*self.first, *self.joined)

    def is_blank(self, value: Any) -> bool:
        """Whether a value says nothing; of a contact or a name also what programs write for nothing."""
        if is_blank(value):
            return True
        if self.type == "email":
            return isinstance(value, str) and says_nothing(value)
        return holds_no_number(value) if self.type == "phone" else self.is_name and is_no_name(value)

    def name(self, body: Mapping[str, Any]) -> str | None:
        """Return what the sender calls it: of alternatives the one that answers, of joined ones the first."""
        place = self._answering(body)[0] or next(iter(self.joined or self.first), None)
        return place.name(body) if place else None

    def _answering(self, body: Mapping[str, Any]) -> tuple[Place | None, Any]:
        """Return the first of the alternatives that has a value, and the value.

        Nothing is guessed for somebody whose own field is there and was left empty.
        """
        is_asked = False
        for place in self.first:
            if is_asked and place.is_guess:
                continue
            value = place.find(body)
            if not self.is_blank(value):
                return place, value
            is_asked = is_asked or (isinstance(place, Labels) and place.exists(body))
        return None, None

    def find(self, body: Mapping[str, Any]) -> Any:
        """Return the sender's value, as raw as it came, or None: the first that is no guess, the joined ones,
        a guess. Raises ValidationError."""
        if self.value is not None:
            return self.value
        place, value = self._answering(body)
        if self.is_name and isinstance(value, dict):
            value = {name: None if is_no_name(part) else part for name, part in value.items()}
        if not self.joined or (place is not None and not place.is_guess):
            return value
        joined = self._joined(body)
        is_asked = any(isinstance(part, Labels) and part.exists(body) for part in self.joined)
        return value if is_blank(joined) and not is_asked else joined

    def _joined(self, body: Mapping[str, Any]) -> Any:
        if len(self.joined) == 1:
            return self.joined[0].find(body)
        says_no = self.is_blank if self.is_name else is_blank
        parts = [(place, value) for place, value in self._parts(body) if not says_no(value)]
        return self._telephone(parts) if self.type == "phone" else join(value for _, value in parts)

    def _parts(self, body: Mapping[str, Any]) -> list[tuple[Place, Any]]:
        """Return the values to be joined. Where the same labels are looked for in several objects, those of
        the one that tells most: what stands in two tells of two, like a workspace and its member."""
        labels = [place for place in self.joined if isinstance(place, Labels)]
        if len({place.labels for place in labels}) == len(labels):
            return list(self._labelled(body, self.joined))
        objects = dict.fromkeys(place.within for place in labels)
        told = [
            list(self._labelled(body, [p for p in self.joined if getattr(p, "within", one) == one]))
            for one in objects
        ]
        return max(told, key=lambda parts: sum(not self.is_blank(value) for _, value in parts))

    def _labelled(self, body: Mapping[str, Any], places: Iterable[Place]) -> Iterator[tuple[Place, Any]]:
        """Yield what stands at each place. A label answers once: "Name" is the given name beside
        "Surname", the family name beside "Vorname", and never both."""
        used: set[str] = set()
        for place in places:
            if isinstance(place, Labels):
                label, value = place.match(body, frozenset(used))
                used.add(label)
                yield place, value
            else:
                yield place, place.find(body)

    def _telephone(self, parts: list[tuple[Place, Any]]) -> Any:
        """Return a joined number, and apart from it the dial code before it, if that is what it is."""
        if not parts or not _is_country(parts[0][0], join([parts[0][1]]) or ""):
            return join(value for _, value in parts)
        number = join(value for _, value in parts[1:])
        return None if holds_no_number(number) else Telephone(number, join([parts[0][1]]) or "")

    def with_country(self, value: Any, body: Mapping[str, Any], otherwise: Place | None) -> Any:
        """Return a phone's value with the country that stands beside it, if one does."""
        place = self.region_from or otherwise
        if self.type != "phone" or isinstance(value, Telephone):
            return value
        if isinstance(value, dict) and "country" in value:  # its own, also where it is none
            country = value["country"]
        else:
            country = place.find(body) if place else None
        named = "" if is_blank(country) else text_of(country) or ""
        is_none = not named or (says_nothing(named) and region_of(named) is None)  # NO is Norway
        return value if is_none else Telephone(value, named)

    def field(self, region: str | None) -> fields.Field[Any]:
        """Return the field of a schema that checks what is found."""
        options: dict[str, Any] = {"required": self.required, "error_messages": {"required": NEEDED}}
        if self.choices:
            offered = validate.ContainsOnly if self.type == "list" else validate.OneOf
            options["validate"] = offered(self.choices, error="Choose one of the offered values.")
        if self.type == "phone":
            return Phone(region, **options)
        if self.type in ("text", "email", "url", "list"):
            options["most"] = self.max_length or _DEFAULT_LENGTH
        if self.is_name:
            return Name(**options)
        return TYPES[self.type](**options)


def _is_country(place: Place, text: str) -> bool:
    """Whether the first part of a number names its country. Bare digits are also area codes: they
    do only where the field is called so."""
    if text.isdigit() and not text.startswith("00"):
        return bool(_NAMES_COUNTRY.search(place.text)) and not _NAMES_PLACE.search(place.text)
    return region_of(text) is not None

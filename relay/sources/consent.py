"""Consent: the box of a contact, and what in it says yes. Everything else is no."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from relay.sources.paths import Path
from relay.sources.text import clean

YES = frozenset(
    [
        *("on", "1", "true", "yes", "y", "ja", "oui", "si", "sí", "checked", "opt-in"),
        *("agree", "agreed", "accept", "accepted", "subscribe", "subscribed"),
    ]
)
NO = frozenset(
    [
        *("", "off", "0", "false", "no", "n", "nein", "non", "unchecked", "opt-out", "null", "none"),
        *(
            "undefined",
            "decline",
            "declined",
            "disagree",
            "reject",
            "rejected",
            "unsubscribe",
            "unsubscribed",
        ),
    ]
)
"""What is known to say no, so that nobody needs to be told of it."""
_UNTICKED_TWIN = frozenset(["", "0", "false", "off"])
"""What a form sends beside a ticked box of the same name, so that an unticked one sends something."""
_LONGEST = 200


@dataclass(frozen=True)
class Box:
    """Where a person says yes to one kind of contact; ``yes``: what else means so here."""

    field: str
    yes: tuple[str, ...] = ()

    @cached_property
    def _path(self) -> Path:
        return Path(self.field)

    @cached_property
    def _says_yes(self) -> frozenset[str]:
        names = {self.field, re.split(r"[.\[\]\"]+", self.field.rstrip('[]"'))[-1]}
        own = {_word(name) for name in names if not name.isdigit()} - NO  # a number is a place in a list
        return YES | own | {_word(one) for one in self.yes}

    def is_ticked(self, body: Mapping[str, Any]) -> bool:
        """Whether what was sent says yes; of several values none may say anything else."""
        words = set(_words(self._path.find(body)))
        return bool(words & self._says_yes) and words <= self._says_yes | _UNTICKED_TWIN

    def is_unclear(self, body: Mapping[str, Any]) -> bool:
        """Whether something was sent that nobody has said the meaning of: its owner should."""
        return not self._says_yes | NO >= set(_words(self._path.find(body)))


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _words(entry)
    elif value is not None:
        yield _word(value)


def _word(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int | float):
        return "no word"
    return clean(str(value)[:_LONGEST]).casefold()

"""Contacts that nothing calls by a usual name: guessed by their kind, and never another person's.

A guess is only made where the visitor's own field is not there. What stands in "Friend's e-mail" is never
one, even where it is the only address there is.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from relay.sources.paths import Path
from relay.sources.text import is_blank
from relay.sources.whose import names_another

# Short, as every text of a body is looked at.
_ADDRESS = re.compile(r"[^@\s<>,;:/]{1,64}@[^@\s<>,;:/]{1,250}\.[^@\s<>,;:/.]{2,63}")


@dataclass(frozen=True)
class Guess:
    """The first of those that an expression finds: a list, or one."""

    path: Path
    is_guess: ClassVar[bool] = True

    @property
    def text(self) -> str:
        return self.path.text

    def find(self, body: Mapping[str, Any]) -> Any:
        """Return the first that is there and is not only another person's, or None."""
        found = self.path.find(body)
        others = _of_others(body)
        for one in found if isinstance(found, list) else [found]:
            texts = _leaves(one)
            if texts and not texts <= others:
                return one
        return None

    def name(self, body: Mapping[str, Any]) -> str | None:
        """Return what the sender calls it: nothing that would be known."""
        return None

    def exists(self, body: Mapping[str, Any]) -> bool:
        """Whether there is one."""
        return self.find(body) is not None


@dataclass(frozen=True)
class OnlyEmail:
    """The e-mail address of a body that holds no other, whatever it is called."""

    within: Path | None = None
    is_guess: ClassVar[bool] = True

    @property
    def text(self) -> str:
        return "the only e-mail address"

    def find(self, body: Mapping[str, Any]) -> Any:
        """Return it, or None."""
        return self._only(body)[1]

    def name(self, body: Mapping[str, Any]) -> str | None:
        """Return what the sender calls it."""
        return self._only(body)[0]

    def exists(self, body: Mapping[str, Any]) -> bool:
        """Whether there is one."""
        return self.find(body) is not None

    def _only(self, body: Mapping[str, Any]) -> tuple[str | None, str | None]:
        others = _of_others(body)
        found: dict[str, tuple[str, str]] = {}
        for name, value in _texts(self.within.find(body) if self.within else body):
            text = value.strip()
            if _ADDRESS.fullmatch(text) and text.casefold() not in others:
                found.setdefault(text.casefold(), (name, text))
        return next(iter(found.values())) if len(found) == 1 else (None, None)


def _texts(tree: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text in a body, with the key it stands under."""
    if isinstance(tree, str):
        yield name, tree
    elif isinstance(tree, dict):
        for key, one in tree.items():
            yield from _texts(one, key)
    elif isinstance(tree, list):
        for one in tree:
            yield from _texts(one, name)


def _leaves(tree: Any) -> set[str]:
    return {text.strip().casefold() for _, text in _texts(tree) if not is_blank(text)}


def _of_others(tree: Any) -> set[str]:
    """Return the texts that stand under a name of another person's, at any depth."""
    if isinstance(tree, list):
        return set().union(*map(_of_others, tree))
    if not isinstance(tree, dict):
        return set()
    return set().union(
        *(_leaves(one) if names_another(key) else _of_others(one) for key, one in tree.items())
    )

"""Paths: where in a body a value is found."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, ClassVar, Protocol

import jmespath
from jmespath.visitor import TreeInterpreter

from relay.sources.form_body import steps_of
from relay.sources.functions import OwnFunctions
from relay.sources.text import is_blank, normal

_DIGITS = "0123456789"
_MARKS_OF_NEED = ("required", "pflichtfeld", "obligatoire", "obligatorio", "optional")
_LONG_LABEL = 200
_LONG_VALUE = 500
_FEW_DIGITS = 4
_EXPRESSION = re.compile(
    r"\[\?|\[\*|\|\||&&|\| *\[|[=!<>]=|@|`|^[\w.]+\.$|^[\w.]+\[\d*$|^[\w.\[\]]+\.\."
    r"|\.\[|^\[|^\$[.\[]|\{\{|\.\"|\| *$|^[\w.]+[)\]]$"
)
"""What only an expression has; the name of a field may be anything else."""


class Place(Protocol):
    """Where a value is found."""

    is_guess: ClassVar[bool]
    """Whether nothing but its kind says whose it is."""

    @property
    def text(self) -> str: ...

    def find(self, body: Mapping[str, Any]) -> Any:
        """Return what stands there, or None."""

    def name(self, body: Mapping[str, Any]) -> str | None:
        """Return what the sender calls it."""

    def exists(self, body: Mapping[str, Any]) -> bool:
        """Whether the sender has such a field at all, be it empty."""


class Path:
    """Where a value is found: exactly a key of the body, else JMESPath if it compiles."""

    is_guess: ClassVar[bool] = False

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

    @property
    def fault(self) -> str | None:
        """Why it will find nothing although it is meant as an expression; None if all is well."""
        if self._expression is not None:
            name = unknown_function(self._expression)
            return f"knows no function {name}()" if name else None
        return "is not a JMESPath expression" if _EXPRESSION.search(self.text) else None

    def find(self, body: Mapping[str, Any]) -> Any:
        """Return what stands there, or None."""
        if self.text in body:
            return body[self.text]
        return search(self._expression, body)

    def name(self, body: Mapping[str, Any]) -> str | None:
        """Return what the sender calls it: ``contact[phone]`` where a form posts ``contact.phone`` so."""
        if self.text in body:
            return self.text
        return next((name for name in body if ".".join(steps_of(name)) == self.text), self.text)

    def exists(self, body: Mapping[str, Any]) -> bool:
        """Whether the sender has such a field at all, be it empty."""
        return self.text in body or self.find(body) is not None


_INTERPRETER = TreeInterpreter(jmespath.Options(custom_functions=OwnFunctions()))


def unknown_function(expression: Any) -> str | None:
    """Return a function that a compiled expression calls and nobody knows: it finds nothing."""
    waiting = [expression.parsed]
    while waiting:
        node = waiting.pop()
        if node["type"] == "function_expression" and node["value"] not in OwnFunctions.FUNCTION_TABLE:
            return str(node["value"])
        waiting += [child for child in node["children"] if isinstance(child, dict)]
    return None


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
    kind: str = ""
    """What stands there, ``email`` or ``phone``: a box of the same label is another field."""
    is_guess: ClassVar[bool] = False

    @property
    def text(self) -> str:
        return self.labels[0]

    def find(self, body: Mapping[str, Any]) -> Any:
        """Return what stands beside the first of the labels that has a value, or None."""
        return self.match(body)[1]

    def match(self, body: Mapping[str, Any], used: frozenset[str] = frozenset()) -> tuple[str, Any]:
        """Return the first label, none of those used, that has a value, and the value: all of them where
        several are called alike and differ.

        As it is written before what it may be a variant of ("Email" before "Email 2"), and what looks as
        such a value does before "Mobile: yes".
        """
        exact: dict[str, list[Any]] = {}
        loose: dict[str, list[Any]] = {}
        for key, value in self._labelled(body).items():
            if not is_blank(value) and not self._is_passed(value):
                label = self._plain(key)
                exact.setdefault(label, []).append(value)
                loose.setdefault(stem(label), []).append(value)
        found = [
            (label, _one([*filter(self._is_likely, known[label])] or known[label]))
            for known in (exact, loose)
            for label in self.labels
            if label in known and label not in used
        ]
        likely = (pair for pair in found if self._is_likely(pair[1]))
        return next(likely, None) or next(iter(found), ("", None))

    def _is_likely(self, value: Any) -> bool:
        text = str(value)
        if self.kind == "email":
            return "@" in normal(text[:_LONG_VALUE], form="NFKC")
        return self.kind != "phone" or sum(map(str.isdecimal, text[:_LONG_VALUE])) >= _FEW_DIGITS

    def _plain(self, key: str) -> str:
        key = key[: 2 * _LONG_LABEL]  # a pattern of the configuration need not be a quick one
        prefix = self.strip.match(key) if self.strip else None
        return plain(key[prefix.end() :] if prefix else key)

    def exists(self, body: Mapping[str, Any]) -> bool:
        """Whether the sender has such a label at all, be its value empty."""
        fields = (key for key, value in self._labelled(body).items() if not self._is_passed(value))
        return any(key in self.labels or stem(key) in self.labels for key in map(self._plain, fields))

    def _is_passed(self, value: Any) -> bool:
        return bool(self.kind) and isinstance(value, bool)

    def name(self, body: Mapping[str, Any]) -> str | None:
        """Return what the sender calls it: its own spelling of the label that answers, or of any."""
        written = list(reversed(self._labelled(body)))
        keys = {stem(self._plain(key)): key for key in written} | {self._plain(key): key for key in written}
        answering, _ = self.match(body)
        return next((keys[label] for label in (answering, *self.labels) if label in keys), None)

    def _labelled(self, body: Mapping[str, Any]) -> dict[str, Any]:
        entries = body.get("entry")
        where = entries.asked if isinstance(entries, _Named) else body
        if self.within:
            where = self.within.find(body)
        return where if isinstance(where, dict) else {}


def plain(label: str) -> str:
    """Return a label as its letters and digits, in lower case; of a long one those at its beginning."""
    return _plain(label[:_LONG_LABEL])


# The same labels come with every message of a form, and several rules look at each.
@lru_cache(4096)
def _plain(label: str) -> str:
    return "".join(c for c in normal(label).casefold() if c.isalnum())


@lru_cache(4096)
def stem(label: str) -> str:
    """Return a plain label without what form builders add to it: ``nolabelemail2``, ``emailrequired``."""
    rest = label.removeprefix("nolabel").rstrip(_DIGITS)
    for word in _MARKS_OF_NEED:
        rest = rest.removesuffix(word)
    return rest.rstrip(_DIGITS)


class _Named(dict[str, Any]):
    """Listed entries by their names; not to be mistaken for a field that a sender calls "entry"."""

    def __init__(self, every: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        super().__init__(every)
        self.asked = dict(asked)
        """Without those that the visitor was not asked for: a label alone does not make one theirs."""


@dataclass(frozen=True)
class Entries:
    """A body that lists its fields: each entry becomes reachable as ``entry."<name>"``."""

    list: str
    names: tuple[str, ...]
    value: str
    titles: Mapping[str, str] | None = None
    entry_id: str | None = None
    hidden: str | None = None
    """Whether nobody was asked for an entry: the page, or the link to it, filled it in."""

    def read(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return name → value, blank where none has one; of equal names with different values all of them,
        since nothing tells whose each is. A title without an entry is a question that was left empty."""
        listed = list(_dicts(search(_expression(self.list), body)))
        every = self._named(body, listed)
        if self.hidden is None:
            return _Named(every, every)
        hidden = _expression(self.hidden)
        return _Named(every, self._named(body, [one for one in listed if not search(hidden, one)]))

    def _named(self, body: Mapping[str, Any], listed: Iterable[dict[str, Any]]) -> dict[str, Any]:
        titles = self._titles(body)
        found: dict[str, list[Any]] = {title: [] for title in titles.values() if isinstance(title, str)}
        for entry in listed:
            value = search(_expression(self.value), entry)
            names = [search(_expression(name), entry) for name in self.names]
            if self.entry_id:
                names.append(titles.get(str(search(_expression(self.entry_id), entry))))
            for name in names:
                if isinstance(name, str) and name:
                    found.setdefault(name, []).append(value)
        return {name: _one(values) for name, values in found.items()}

    def _titles(self, body: Mapping[str, Any]) -> dict[str, Any]:
        if not self.titles:
            return {}
        listed = search(_expression(self.titles["list"]), body)
        return {str(t.get(self.titles["id"])): t.get(self.titles["title"]) for t in _dicts(listed)}


def _one(values: list[Any]) -> Any:
    """Return what all that are not blank agree on, or the whole list of them."""
    given = [value for value in values if not is_blank(value)]
    return next(iter(given), None) if all(value == given[0] for value in given) else given


def _dicts(found: Any) -> Iterator[dict[str, Any]]:
    return (entry for entry in (found if isinstance(found, list) else ()) if isinstance(entry, dict))

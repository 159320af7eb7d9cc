"""The fields of a form in a page that somebody made, and which of them is what."""

import codecs
import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser

ROLES = ("email", "phone", "full_name", "first_name", "last_name")
_NO_FIELD = ("hidden", "submit", "button", "reset", "image", "file", "password", "search")
AUTOCOMPLETE = {
    "email": "email",
    "tel": "phone",
    "name": "full_name",
    "given-name": "first_name",
    "family-name": "last_name",
}

_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])|[\W_]+")
_REFUSES = re.compile(
    r"\b(?:no|not|dont|don t|never|stop|nein|nicht|kein\w{0,2}|non|pas|sin|niet|geen|none|off|false|0|"
    r"opt ?out|unsub\w*|declin\w*|reject\w*|disagree\w*)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Input:
    """One field: its name, its type and what browsers are told to fill in."""

    name: str
    type: str = "text"
    autocomplete: str = ""
    value: str = ""


@dataclass
class _Forms(HTMLParser):
    """Collects the named fields of every form; those outside of one count as one more."""

    forms: list[list[Input]] = field(default_factory=lambda: [[]])

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append([])
        kind = given.get("type", "text").lower() if tag == "input" else tag
        if tag in ("input", "select", "textarea") and given.get("name") and kind not in _NO_FIELD:
            self.forms[-1].append(
                Input(given["name"], kind, given.get("autocomplete", ""), given.get("value", ""))
            )

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.forms.append([])


def text_of(page: bytes) -> str:
    """Return a page as browsers read it: in the character set that it names, else in UTF-8 or cp1252."""
    from relay.sources import charsets

    if page[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return page.decode("utf-16", "replace")
    said = re.search(rb"<meta[^>]+charset=[\"' ]*([\w-]+)", page[:4096], re.IGNORECASE)
    for codec in ("utf-8-sig", charsets.codec_of(said[1].decode()) if said else None, "cp1252"):
        with contextlib.suppress(UnicodeDecodeError):
            if codec:
                return page.decode(codec)
    return page.decode("latin-1")


def inputs(page: str, labels: Mapping[str, Sequence[str]]) -> list[Input]:
    """Return the fields of the form in a page that looks most like a sign-up."""
    found = _Forms()
    found.feed(page)
    return max(found.forms, key=lambda form: (len(roles(form, labels)), len(form)))


def boxes(form: Iterable[Input]) -> list[str]:
    """Return the names of the boxes to tick, in order."""
    return list(dict.fromkeys(one.name for one in form if one.type == "checkbox"))


def agrees(form: Iterable[Input], box: str) -> bool:
    """Whether a tick may be consent: neither the box's name says no, nor what it sends."""
    return not any(map(_refuses, [box, *(one.value for one in form if one.name == box)]))


def yes_of(form: Iterable[Input], name: str) -> str:
    """Return what a field of that name sends for yes; of several the first that does not say no."""
    return next((one.value for one in form if one.name == name and not _refuses(one.value)), "")


def _refuses(text: str) -> bool:
    from relay.sources.consent import NO

    said = text.strip().lower()
    if said in NO:
        return said != ""  # a box without a value says "on"
    return _REFUSES.search(_WORDS.sub(" ", text)) is not None


def roles(form: Iterable[Input], labels: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return which field is what, by role. ``labels``: what people call a field, by role."""
    from relay.sources.whose import names_another

    texts = [one for one in form if one.type not in ("checkbox", "radio")]
    found: dict[str, str] = {}
    ours = [one for one in texts if not names_another(one.name)]
    for one in sorted(ours, key=lambda one: not any(_plain(one.name) in labels[role] for role in ROLES)):
        for role in (AUTOCOMPLETE.get(one.autocomplete.split(" ")[-1]), AUTOCOMPLETE.get(one.type)):
            if role:
                found.setdefault(role, one.name)
    for role in ROLES:
        known = labels[role]
        fitting = [one.name for one in ours if _plain(one.name) in known and one.name not in found.values()]
        if fitting:
            found.setdefault(role, min(fitting, key=lambda name: known.index(_plain(name))))
    return found


def _plain(name: str) -> str:
    own = re.findall(r"\[([^\[\]]+)\]", name)[-1:] or [name]
    return re.sub(r"[\W_]", "", own[0]).casefold()

"""Every text that a visitor may read is there in every language."""

import ast
import re
from collections.abc import Iterator

import pytest
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from relay.web import problems
from relay.web.language import ENGLISH, LANGUAGES, Language, choose
from tests.kit.relay import ROOT

RELAYED = [
    "sources/mapping",
    "sources/contact",
    "sources/telephone",
    "sources/fields",
    "sources/text",
    "sources/rules",
]
"""What relay.js translates."""
VALIDATING = [*RELAYED, "intake/intake", "intake/answering"]
REFUSING = [
    *(f"sources/{name}" for name in ("body", "json_body", "form_body", "multipart_body", "bounds")),
    *(f"web/{name}" for name in ("submit", "incoming", "problems", "pages", "script", "cors")),
]
# marshmallow's own, and a title for a status that has none.
FOREIGN = {"Longer than maximum length {}.", "The request failed"}
OTHERS = [language for code, language in LANGUAGES.items() if code != "en"]
_SENTENCE = re.compile(r"[A-Z][^\n]* [^\n]*\.")


class _Sentences(ast.NodeVisitor):
    """Collects the sentences of a module that are no docstrings; what is filled in becomes {}."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        parts = [str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values]
        self._add("".join(parts))

    def visit_Constant(self, node: ast.Constant) -> None:
        self._add(node.value)

    def _add(self, text: object) -> None:
        if isinstance(text, str) and _SENTENCE.fullmatch(text):
            self.found.add(text)


def sentences(modules: list[str]) -> set[str]:
    collector = _Sentences()
    for name in modules:
        collector.visit(ast.parse((ROOT / "relay" / f"{name}.py").read_text(encoding="utf-8")))
    return collector.found


def _said() -> set[str]:
    return sentences([*VALIDATING, *REFUSING]) | set(problems.TITLES.values()) | FOREIGN


@pytest.mark.parametrize("language", OTHERS, ids=lambda language: language.code)
def test_every_message_is_translated_and_no_other(language: Language) -> None:
    known = {**language.validation, **language.problems}
    assert len(known) == len(language.validation) + len(language.problems)
    assert _said() - known.keys() == set(), f"add these to languages/{language.code}.toml"
    assert known.keys() - _said() == set(), f"take these out of languages/{language.code}.toml"
    assert [said for said, text in known.items() if said.count("{}") != text.count("{}")] == []
    assert sentences(RELAYED) <= language.validation.keys()


@pytest.mark.parametrize("language", OTHERS, ids=lambda language: language.code)
def test_every_text_of_the_pages_is_there(language: Language) -> None:
    assert language.texts.keys() == ENGLISH.texts.keys()
    assert all(text.strip() for text in language.texts.values())
    assert language.visitors.keys() == ENGLISH.visitors.keys()
    for status, told in language.visitors.items():
        assert told.keys() == ENGLISH.visitors[status].keys() and all(map(str.strip, told.values()))


def _used() -> Iterator[str]:
    for path in (ROOT / "relay/web/templates").glob("*.html"):
        yield from re.findall(r"\bt\.(\w+)", path.read_text(encoding="utf-8"))


def test_templates_use_no_text_that_is_missing() -> None:
    assert set(_used()) <= ENGLISH.texts.keys()


@pytest.mark.parametrize(
    ("message", "german"),
    [
        ("This field is needed.", "Dieses Feld wird benötigt."),
        ("Longer than maximum length 255.", "Höchstens 255 Zeichen sind möglich."),
        ("Nobody ever said this 7 times.", "Nobody ever said this 7 times."),
        ("{0.__class__} {}", "{0.__class__} {}"),
    ],
)
def test_numbers_are_carried_over_and_the_unknown_stays_english(message: str, german: str) -> None:
    assert LANGUAGES["de"].say(message) == german


@pytest.mark.parametrize(
    ("header", "fixed", "code"),
    [
        ("", None, "en"),
        ("de", None, "de"),
        ("de-AT, en;q=0.5", None, "de"),
        ("pt-BR, fr-CA;q=0.8, en;q=0.5", None, "fr"),
        ("es;q=0, en", None, "en"),
        ("ja, ko", None, "en"),
        ("en;q=0.2, ES-mx;q=0.9", None, "es"),
        ("de", "fr", "fr"),
        ("*", None, "en"),
        (";;q=,,\x7f=;q=x, de;q=nan", None, "en"),
    ],
)
def test_the_language_is_the_configured_one_or_the_first_the_visitor_knows(
    header: str, fixed: str | None, code: str
) -> None:
    assert choose(parse_accept_header(header, LanguageAccept), fixed).code == code

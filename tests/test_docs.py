"""What is written agrees with what is there. Run as a module, this rewrites what is generated."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from marshmallow import Schema

from relay.cli.main import commands
from relay.config import environment, settings
from relay.config.destinations import DestinationSchema
from relay.config.schemas import Strict
from tests import http_page, senders_page

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
CONFIGURATION = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
SENDERS = ROOT / "docs/senders.md"
HTTP = ROOT / "docs/http.md"


def _schemas(base: type[Schema]) -> Iterator[type[Schema]]:
    """Every schema of a table, in the room as a whole."""
    for one in base.__subclasses__():
        yield one
        yield from _schemas(one)


_SCHEMAS = sorted(_schemas(Strict), key=lambda one: one.__name__)


def test_the_first_page_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1200


def test_page_of_addresses_is_what_the_description_says() -> None:
    assert HTTP.read_text(encoding="utf-8") == http_page.page(), "run `make docs`"


def test_every_page_is_in_the_sites_menu() -> None:
    menu = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    assert set(re.findall(r'"([a-z]+\.md)"', menu)) == {page.name for page in ROOT.glob("docs/*.md")}


def test_page_of_senders_is_what_the_presets_say() -> None:
    assert SENDERS.read_text(encoding="utf-8") == senders_page.page(), "run `make docs`"


@pytest.mark.parametrize("variable", environment.VARIABLES, ids=lambda one: one.name)
def test_every_variable_is_documented_with_its_default(variable: environment.Variable) -> None:
    row = re.search(rf"^\| `{variable.name}` \| (.*?) \|", CONFIGURATION, re.M)
    assert row, "it has no row in docs/configuration.md"
    if variable.default:
        assert row[1] == f"`{variable.default}`"


def _keys(schema: type[Schema]) -> Iterator[str]:
    for name, field in schema().fields.items():
        yield field.data_key or name


@pytest.mark.parametrize("schema", _SCHEMAS, ids=lambda one: one.__name__)
def test_every_key_of_the_configuration_is_documented(schema: type[Schema]) -> None:
    spans = re.findall(r"`([^`]+)`", re.sub(r"^```.*?^```", "", CONFIGURATION, flags=re.M | re.S))
    named = {word for span in spans for word in re.findall(r"[a-z_]+", span)}
    assert [key for key in _keys(schema) if key not in named] == []


def test_documented_defaults_of_destinations_hold() -> None:
    for name, field in DestinationSchema().fields.items():
        row = re.search(rf"^\| `{name}` \| (.*?) \|", CONFIGURATION, re.M)
        assert row
        if not field.required:
            written = tomllib.loads(f"value = {row[1].strip('`')}")["value"]
            assert field.deserialize(written) == field.load_default, name


# --- what is shown works ----------------------------------------------------------------------------


def _blocks(language: str) -> list[Any]:
    return [
        pytest.param(block, id=f"{page.name}-{number}")
        for page in PAGES
        for number, block in enumerate(
            re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
        )
    ]


@pytest.mark.parametrize("block", _blocks("toml"))
def test_configuration_that_is_shown_is_accepted(block: str, tmp_path: Path) -> None:
    shipped = tomllib.loads((ROOT / "relay.toml").read_text(encoding="utf-8"))
    from tests.kit.relay import toml

    file = tmp_path / "relay.toml"
    file.write_text(toml(_merged(shipped, tomllib.loads(block))), encoding="utf-8")
    settings.load({"RELAY_CONFIG": str(file)}, offline=True)


def _merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    found = dict(base)
    for key, value in more.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = _merged(found[key], value) if both else value
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        other = page.parent / file if file else page
        assert other.exists(), target
        assert not anchor or anchor in _anchors(other), target


def _anchors(page: Path) -> set[str]:
    text = page.read_text(encoding="utf-8")
    heads = re.findall(r"^#+ (.*)$", text, re.M)
    plain = (re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads)
    return {*plain, *re.findall(r'<a id="([^"]+)"', text)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"`((?:relay|tests|docs|benchmarks)/[\w./-]+)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_that_are_named_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    assert set(re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8"))) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"(?:python -m |`)relay ([a-z]+)", page.read_text(encoding="utf-8"))
    assert set(named) <= set(commands.commands)


if __name__ == "__main__":
    SENDERS.write_text(senders_page.page(), encoding="utf-8")
    HTTP.write_text(http_page.page(), encoding="utf-8")

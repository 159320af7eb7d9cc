"""docs/configuration.md knows every key of relay.toml, no other, and tells the defaults that hold."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from marshmallow import Schema

from relay.config import settings
from relay.config.destinations import DestinationSchema
from relay.config.fields import RuleSchema
from relay.config.operators import OperatorSchema
from relay.config.pages import PageSchema
from relay.config.proofs import VerifySchema
from relay.config.sources import CaptchaSchema, SourceSchema
from relay.sources import stamp
from relay.sources.source import Source
from tests.kit.relay import config, toml

PAGE = (Path(__file__).resolve().parents[2] / "docs/configuration.md").read_text(encoding="utf-8")
SECTIONS: dict[str, type[Schema]] = {
    "`[destinations.x]`": DestinationSchema,
    "`[operators.x]`": OperatorSchema,
    "`[sources.x]`": SourceSchema,
    "`[sources.x.fields]`": RuleSchema,
    "`[sources.x.verify]`": VerifySchema,
    "`[sources.x.page]`": PageSchema,
    "`[sources.x.captcha]`": CaptchaSchema,
    "Keys that mostly presets use": SourceSchema,
}
TABLES_OF_THEIR_OWN = {"fields", "verify", "page", "utm", "captcha", "update", "confirm"}
"""Keys of a source that have a section, or are said to be reserved."""


def rows(section: str) -> Iterator[tuple[str, str]]:
    """Yield a key and the cell after it, for each row of a section's tables."""
    text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    for cell, next_cell in re.findall(r"^\| (`.*?) \| (.*?) \|", text, re.M):
        for key in re.findall(r"`(\w+)`", cell):
            yield key, next_cell


def keys(schema: type[Schema]) -> dict[str, str]:
    """The keys of a table, and the attribute that each becomes."""
    return {field.data_key or name: field.attribute or name for name, field in schema().fields.items()}


@pytest.mark.parametrize("section", SECTIONS)
def test_no_key_is_documented_that_does_not_exist(section: str) -> None:
    found = [key for key, _ in rows(section)]
    assert found
    assert [key for key in found if key not in keys(SECTIONS[section])] == []


@pytest.mark.parametrize("schema", list(dict.fromkeys(SECTIONS.values())), ids=lambda one: one.__name__)
def test_every_key_has_a_row(schema: type[Schema]) -> None:
    found = {key for section, one in SECTIONS.items() if one is schema for key, _ in rows(section)}
    said = {"custom_properties_as"} if "`custom_properties_as`" in PAGE else set()
    assert set(keys(schema)) - found - TABLES_OF_THEIR_OWN - said == set()


def defaults() -> Iterator[Any]:
    for key, cell in rows("`[sources.x]`"):
        only = [kind for kind in ("form", "webhook") if f"`{key}` | " in _part(f"**For {kind}s**")]
        for kind in only or ["form", "webhook"]:
            named = re.search(rf"{kind} `(.*?)`", cell) or re.match(r"`(.*?)`", cell)
            if named:
                yield pytest.param(kind, key, named[1], id=f"{kind}-{key}")


def _part(head: str) -> str:
    return PAGE.partition(f"\n{head}\n")[2].partition("\n**")[0].partition("\n## ")[0]


def loaded(folder: Path, table: dict[str, Any]) -> Source:
    file = folder / "relay.toml"
    file.write_text(toml(config("https://api.example.com/", {"x": table})), encoding="utf-8")
    return settings.load({"RELAY_CONFIG": str(file)}, offline=True).sources["x"]


@pytest.mark.parametrize(("kind", "key", "written"), list(defaults()))
def test_default_of_a_source_is_the_documented_one(kind: str, key: str, written: str, tmp_path: Path) -> None:
    table: dict[str, Any] = {"kind": kind, "fields": {"email": "email"}}
    if kind == "webhook":
        table["secret"] = "env:HOOK_SECRET"
    value = tomllib.loads(f"value = {written}")["value"]
    assert held(loaded(tmp_path, table | {key: value}), key) == held(loaded(tmp_path, table), key)


def held(source: Source, key: str) -> Any:
    """What a source has of a key, however it came there."""
    if key.startswith("max_"):
        return getattr(source.limits, key.removeprefix("max_"))
    if key == "min_seconds":
        return stamp.least_seconds(source.min_seconds)
    return getattr(source, keys(SourceSchema)[key])

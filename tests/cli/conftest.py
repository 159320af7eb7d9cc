"""Commands run in this process, in a folder of their own, with what they printed."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from relay.cli.main import main
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config, toml

NOWHERE = "http://127.0.0.1:1/"
TABLE = config(NOWHERE, {"newsletter": NEWSLETTER | {"honeypot": "trap"}, "hook": HOOK})
CLEARED = ("RELAY_CONFIG", "RELAY_DATABASE_URL", "RELAY_SECRET_KEYS", "RELAY_PUBLIC_URL", "RELAY_ADMIN_TOKEN")


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Site:
    """A folder with a configuration, and the commands in it. ``receipts``: what is stored, by state."""

    folder: Path
    run: Callable[..., Said]
    receipts: Mapping[str, list[str]]

    def configure(self, table: dict[str, Any] | str) -> None:
        text = table if isinstance(table, str) else toml(table)
        (self.folder / "relay.toml").write_text(text, encoding="utf-8")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    def run(*words: str) -> Said:
        capsys.readouterr()
        with mock.patch.dict(os.environ):  # a process of its own would keep its variables to itself
            status = main(words)
        said = capsys.readouterr()
        return Said(status, said.out, said.err)

    return run


@pytest.fixture
def empty_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Said]) -> Site:
    """A site where nothing was stored yet."""
    for name in CLEARED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OCAMBA_TOKEN", "a-token-of-the-account")
    monkeypatch.setenv("HOOK_SECRET", "a-secret-of-the-sender")
    made = Site(tmp_path, run, {})
    made.configure(TABLE)
    return made


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, list[str]]]]:
    """A database that a relay left behind: submissions that are queued, held and invalid."""
    folder = tmp_path_factory.mktemp("stored")
    with RelayProcess(TABLE, folder=folder) as relay:
        relay.api("POST", "/api/destinations/ocamba/pause")
        found = {
            "queued": [
                relay.form({"email": f"q{n}@example.com"}, "newsletter").receipt or "" for n in range(3)
            ],
            "held": [
                relay.form({"email": f"h{n}@example.com", "trap": "x"}, "newsletter").receipt or ""
                for n in range(2)
            ],
            "invalid": [relay.hook({"email": "nonsense"}).receipt or ""],
        }
        for state, receipts in found.items():
            assert {relay.state(receipt) for receipt in receipts} == {state}
        relay.term(20)
        yield folder, found


@pytest.fixture
def site(
    empty_site: Site, stored: tuple[Path, dict[str, list[str]]], monkeypatch: pytest.MonkeyPatch
) -> Site:
    """A site with a copy of what is stored."""
    folder, receipts = stored
    (empty_site.folder / "var").mkdir()
    for file in folder.glob("relay.db*"):
        shutil.copy(file, empty_site.folder / "var" / file.name)
    return Site(empty_site.folder, empty_site.run, receipts)

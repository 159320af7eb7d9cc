"""Every command in the documentation is run as it is shown, beside a sandbox relay; or its page says why not.

A block that cannot be run has a line before it in the page's source, ``<!-- not run: why -->``.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.people import TRAP
from tests.kit.relay import HOOK, NEWSLETTER, ROOT, RelayProcess

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
QUICK = ("README.md", "tutorial.md")
BLOCK = re.compile(r"^(?:<!-- not run: (?P<why>.+?) -->\n\n?)?```sh\n(?P<text>.*?)^```", re.M | re.S)
NOT_RUN = {
    "CONTRIBUTING.md": 1,
    "README.md": 2,
    "operations.md": 3,
    "reliability.md": 1,
    "shop.md": 2,
    "tutorial.md": 1,
}
"""How many blocks of a page are not run: make and servers, which .ci/run and other tests start."""
SOURCES: dict[str, Any] = {
    "newsletter": NEWSLETTER | {"honeypot": TRAP},
    "zapier": HOOK | {"secret": "env:ZAPIER_SECRET"},
    "crm": HOOK | {"secret": "env:ZAPIER_SECRET"},
    "survey": {"kind": "webhook", "preset": "typeform", "secret": "env:ZAPIER_SECRET"},
    "customers": {"kind": "webhook", "preset": "shopify", "secret": "env:ZAPIER_SECRET"},
}
PRELUDE = """set -eu
curl() { command curl -fsS "$@"; }
"""


def blocks() -> Iterator[Any]:
    for page in PAGES:
        marks = () if page.name in QUICK else (pytest.mark.slow,)
        for number, found in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8"))):
            if not found["why"]:
                yield pytest.param(found["text"], id=f"{page.name}-{number}", marks=marks)


def test_blocks_that_are_not_run_are_known() -> None:
    found = {page.name: [one for one in BLOCK.finditer(page.read_text()) if one["why"]] for page in PAGES}
    assert {name: len(some) for name, some in found.items() if some} == NOT_RUN


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RelayProcess]:
    folder = tmp_path_factory.mktemp("shown")
    shutil.copy(ROOT / "relay.toml", folder / "new.toml")
    (folder / "message.json").write_text('{"email": "ada@example.com"}')
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / ".venv/bin/python").chmod(0o755)
    settings = {
        "destinations": {"ocamba": {"token": "env:OCAMBA_TOKEN"}},
        "sources": SOURCES,
    }
    with RelayProcess(
        settings, mode="serve", token=None, env={"ZAPIER_SECRET": "letmein"}, folder=folder, cwd=folder
    ) as process:
        shutil.copy(process.config_path, folder / "new.toml")
        yield process


def suspect(relay: RelayProcess) -> str:
    """The receipt of a submission that waits for a person."""
    number = len(relay.rows())
    return str(relay.form({"email": f"bot{number}@example.com", TRAP: "bot"}).receipt)


def as_here(text: str, relay: RelayProcess) -> str:
    """A block with what differs here: the port, a receipt that there is, a folder for a backup."""
    text = text.replace("http://127.0.0.1:8000", relay.url).replace("/backups", str(relay.folder))
    text = re.sub(r"\bRECEIPT\b", lambda _: suspect(relay), text)
    return re.sub(r"^(.* tail)\b", r"timeout 3 \1 || [ $? = 124 ]", text, flags=re.M)  # it follows for ever


@pytest.mark.parametrize("block", list(blocks()))
def test_commands_that_are_shown_work(block: str, relay: RelayProcess) -> None:
    path = f"{relay.folder}/.venv/bin:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", PRELUDE + as_here(block, relay)],
        check=False,
        cwd=relay.folder,
        env={**relay.env, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr

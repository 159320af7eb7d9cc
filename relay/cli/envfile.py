"""The environment file beside relay.toml: variables for commands that are typed in its folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

ENVIRONMENT_FILE = "relay.env"


def read_variables(file: Path) -> dict[str, str]:
    """Return the variables of a file of lines NAME=value; as systemd and containers read it, no shell."""
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def add_variables() -> None:
    """Add the variables of the file in this folder, if there is one; what is set already goes before."""
    file = Path(ENVIRONMENT_FILE)
    if file.is_file():
        for name, value in read_variables(file).items():
            if not os.environ.get(f"{name}_FILE"):
                os.environ.setdefault(name, value)


def surroundings(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that a relay would have here, with these variables in its file."""
    return {**os.environ, **variables}


def write_privately(file: Path, text: str, mode: int = 0o600) -> None:
    """Write a new file that only its owner may read. Raises FileExistsError."""
    with opened_privately(file, mode) as opened:
        opened.write(text)


def opened_privately(file: Path, mode: int = 0o600) -> TextIO:
    """Open a new file that only its owner may read. Raises FileExistsError."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    return open(handle, "w", encoding="utf-8", errors="surrogateescape", newline="")

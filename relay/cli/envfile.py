"""The environment file beside relay.toml: variables for commands that are typed in its folder."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

ENVIRONMENT_FILE = "relay.env"
_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*=\s*([^\0]*)")


def read_variables(file: Path) -> dict[str, str]:
    """Return the variables of a file of lines NAME=value; as systemd and containers read it, no shell.

    Raises Unusable: a variable that is passed over would be missed by nobody, and without a token people
    would be sent to the sandbox.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise _unusable({str(file): "is not UTF-8; save it as that"}) from None
    meant = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    found = [(number, _LINE.fullmatch(line)) for number, line in meant if line and line[0] not in "#;"]
    if wrong := [number for number, match in found if match is None]:
        what = "must be NAME=value, in one line and without `export`"
        raise _unusable({f"{file}, line {number}": what for number in wrong})
    return {match[1]: match[2] for _, match in found if match}


def _unusable(problems: Mapping[str, str]) -> Exception:
    from relay.config.environment import Problem, Unusable  # not for every command, they take a while

    return Unusable(Problem(where, what) for where, what in problems.items())


def add_variables() -> None:
    """Add the variables of the file in this folder, if there is one; what is set already goes before.

    Raises Unusable.
    """
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
    with whole_or_none(file, mode) as opened:
        opened.write(text)


@contextmanager
def whole_or_none(file: Path, mode: int = 0o600) -> Iterator[TextIO]:
    """Open a new file that is taken away again if it cannot be written to its end. Raises FileExistsError.

    Half a file, on a full disk, would be taken for the whole, and the next try would find it there.
    """
    opened = opened_privately(file, mode)
    try:
        with opened:
            yield opened
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def opened_privately(file: Path, mode: int = 0o600) -> TextIO:
    """Open a new file that only its owner may read. Raises FileExistsError."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    return open(handle, "w", encoding="utf-8", errors="surrogateescape", newline="")

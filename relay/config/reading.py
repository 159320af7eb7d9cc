"""What the tables are read against: the environment, its secrets, and whether the sandbox stands in.

Every part of the reader returns its value and its problems; nothing is collected on the side.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marshmallow import ValidationError, fields

from relay.config.environment import (
    Problem,
    Remark,
    is_public,
    is_set,
    look_up,
    paste_problem,
    read_secret_file,
)

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def name_problems(name: str, where: str) -> list[Problem]:
    """Return what is wrong with the name of a table."""
    if _NAME.fullmatch(name):
        return []
    return [Problem(where, "names are lower-case letters, digits, - and _")]


@dataclass(frozen=True)
class Reference:
    """Where a secret is kept: ``env:NAME`` or ``file:/path``."""

    kind: str
    name: str

    @property
    def file(self) -> str | None:
        return self.name if self.kind == "file" else None


class SecretReference(fields.Field[Reference]):
    """``"env:NAME"`` or ``"file:/path"``; never the secret."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Reference:
        kind, _colon, name = str(value).partition(":")
        if kind not in ("env", "file") or not name or not isinstance(value, str):
            raise ValidationError('must be "env:NAME" or "file:/path": secrets do not belong in this file')
        return Reference(kind, name)


@dataclass(frozen=True)
class Surroundings:
    """What surrounds relay.toml. ``offline``: nothing is sent, so secrets need not be there."""

    environ: Mapping[str, str]
    public_url: str = ""
    sandbox_url: str | None = None
    offline: bool = False
    folder: Path = Path()
    """Where relay.toml is."""
    is_sandbox: bool = False
    """Whether the pretend upstream takes the place of a destination."""
    database: Path | None = None
    """The SQLite file that is written to."""

    def lacks(self, reference: Reference) -> bool:
        """Whether the variable of a secret is not set."""
        return reference.kind == "env" and not is_set(self.environ, reference.name)

    def secret(self, reference: Reference, where: str) -> tuple[str, list[Problem]]:
        """Return a secret, empty if it cannot be had, and what is to be said of it."""
        if self.offline and self.lacks(reference):
            return "", []
        try:
            text = self._text(reference)
        except ValueError as problem:
            is_ours = reference.kind == "file" and self.offline
            return "", [] if is_ours else [Problem(where, str(problem))]
        return text, self._remarks(reference, where)

    def _text(self, reference: Reference) -> str:
        if reference.kind == "file":
            return secret_in(reference.name)
        text = look_up(self.environ, reference.name) or ""
        return _whole(text, reference.name, f"the environment variable {reference.name} is not set")

    @staticmethod
    def _remarks(reference: Reference, where: str) -> list[Problem]:
        if reference.file is None or not is_public(reference.file):
            return []
        return [Remark(where, f"everybody on this machine can read {reference.file}; chmod 600 it")]


def secret_in(file: str) -> str:
    """Return the secret that a file holds. Raises ValueError."""
    return _whole(read_secret_file(file), file, f"{file} is empty")


def _whole(text: str, name: str, lacking: str) -> str:
    if not text:
        raise ValueError(lacking)
    if problem := paste_problem(text):
        raise ValueError(f"{name} {problem}")
    return text

"""What comes in, and what may become of it, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as factory
from typing import Any


@dataclass(frozen=True)
class Incoming:
    """A request as the relay's door saw it: exactly its bytes. ``client``: None if it cannot be told."""

    raw: bytes = factory(repr=False)
    content_type: str
    headers: Mapping[str, str] = factory(repr=False)
    query: Mapping[str, str] = factory(repr=False)
    url: str = ""
    client: str | None = None
    request_id: str = ""
    flaw: str = ""
    """Why these are not all of the bytes that were announced; empty if they are."""


@dataclass(frozen=True)
class Taken:
    """It is stored, or needs no storing (``status`` and ``body`` say so): a success for the sender."""

    status: int
    body: dict[str, Any]
    receipt: str | None = None
    repeat: bool = False


@dataclass(frozen=True)
class Refusal:
    """It is refused. With a ``receipt`` it was kept all the same."""

    status: int
    detail: str
    errors: dict[str, list[str]] = factory(default_factory=dict)
    retry_after: float | None = None
    receipt: str | None = None
    state: str | None = None
    trace_id: str | None = None
    repeat: bool = False
    typed: Mapping[str, Any] = factory(default_factory=dict, repr=False)
    """What was typed, for the page that shows the form again; never logged."""

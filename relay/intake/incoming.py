"""What comes in, and what may become of it, as values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Incoming:
    """A request as the relay's door saw it: exactly its bytes. ``client``: None if it cannot be told."""

    raw: bytes = field(repr=False)
    content_type: str
    headers: Mapping[str, str] = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    url: str = ""
    client: str | None = None
    is_proxied: bool = False
    """Whether it came through a proxy that is not trusted: then ``client`` stands for everybody behind it."""
    is_near: bool = False
    """Whether its address is of this machine or network, and may stand for many people."""
    request_id: str = ""
    coding: str = ""
    """The Content-Encoding of the bytes, in lower case."""
    wording: Callable[[str], Mapping[str, str]] | None = field(default=None, repr=False)
    """What stands beside the consent boxes of the relay's own page, in a language."""
    flaw: str = ""
    """Why these are not all of the bytes that were announced; empty if they are."""


@dataclass(frozen=True)
class Taken:
    """It is stored, or needs no storing (``status`` and ``body`` say so): a success for the sender."""

    status: int
    body: dict[str, Any]
    receipt: str | None = None
    repeat: bool = False
    next_page: str | None = None
    """Where the form asks that its visitor be led, if that may be."""
    cause: str = ""
    """Why it waits for a person, for the log; the sender is told nothing of it."""


@dataclass(frozen=True)
class Refusal:
    """It is refused. With a ``receipt`` it was kept all the same."""

    status: int
    detail: str
    errors: dict[str, list[str]] = field(default_factory=dict)
    retry_after: float | None = None
    receipt: str | None = None
    state: str | None = None
    trace_id: str | None = None
    repeat: bool = False
    suggestion: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What was probably meant, by the sender's field: the page asks once, and changes nothing by itself."""
    typed: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What was typed, for the page that shows the form again; never logged."""
    cause: str = ""
    """Why, for the log and the operator, where the sender is told less."""

"""What goes into the outbox and comes out of it, as values."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from relay.delivery import Delivery
from relay.health import Health
from relay.outcome import Outcome
from relay.sources.source import Budget


@dataclass(frozen=True)
class Entry:
    """A delivery to be stored, with what it is recognised by.

    ``repeat_key`` recognises the same content; ``raw_key`` the same bytes where mapping failed;
    ``plain_key`` what ``repeat_key`` would be if this one were not held; ``id_hash`` the sender's key
    alone. ``window``: seconds in which a repeat without a sender's key counts as one. ``twin_key``
    recognises a repeat whatever key it carries, for ``twin_window`` seconds; ``plain_twin`` is to it what
    ``plain_key`` is to ``repeat_key``. ``budget``: what its source may have of such ones.
    """

    delivery: Delivery
    box: bytes | None = field(repr=False)
    repeat_key: bytes
    raw_key: bytes | None = None
    plain_key: bytes | None = None
    id_hash: bytes | None = None
    window: float | None = None
    twin_key: bytes | None = None
    plain_twin: bytes | None = None
    twin_window: float | None = None
    email_hash: bytes | None = None
    phone_hash: bytes | None = None
    consent: str | None = None
    hint: bytes | None = field(default=None, repr=False)
    budget: Budget | None = None
    ignored_files: tuple[str, ...] = ()
    """Fields that were left out because they held a file."""
    is_test: bool = False
    is_imported: bool = False
    """Whether it came in a table: it is no arrival of the day on which it was imported."""
    is_silent: bool = False
    """Whether its sender is not to know that it is a repeat, unless it says so by its own key."""

    @property
    def is_plain(self) -> bool:
        """Whether storing it needs one statement only, as most do."""
        return self.id_hash is None and self.plain_key is None


@dataclass(frozen=True)
class Stored:
    """What became of an entry: its own delivery, or the earlier one that it repeats."""

    delivery: Delivery
    repeat: bool = False
    reply: dict[str, Any] | None = None
    is_alias: bool = False
    """Whether it is shown under a receipt of its own, as a new one is."""


@dataclass(frozen=True)
class NoRoom:
    """An entry was not stored: there are too many of its kind."""


@dataclass(frozen=True)
class Claim:
    """A delivery handed out to be sent once, before ``lease_until``."""

    delivery: Delivery
    attempt: int
    lease_until: float
    started_at: float
    probe: bool
    box: bytes | None = field(repr=False)


@dataclass(frozen=True)
class Look:
    """A look at a destination that fails, its slot taken: nothing is sent."""

    destination: str
    attempt: int


@dataclass(frozen=True)
class ToCheck:
    """A delivery that must be checked before it may be sent."""

    receipt: str
    source: str
    destination: str
    again: bool
    """Whether it was handed out before: its token may be used up, though nobody knows the verdict."""
    age_seconds: float
    box: bytes = field(repr=False)


@dataclass(frozen=True)
class NothingYet:
    """Nothing may be sent before ``until`` (infinite: before something happens), and why."""

    until: float
    why: str


@dataclass(frozen=True)
class Decision:
    """What an outcome changes: the delivery, the destination, and what is kept of the payload."""

    delivery: Delivery
    health: Health
    outcome: Outcome
    reply: dict[str, Any] | None = None
    box: bytes | None = field(default=None, repr=False)
    """Replaces the payload, where only a part of it is still needed."""


@dataclass(frozen=True)
class Known:
    """What the outbox knows when an outcome is decided on; the costly parts only when asked."""

    now: float
    health: Health
    sendable_seconds: Callable[[], float]
    """The delivery's age without the time in which its destination was held."""
    has_room: Callable[[], bool]
    """Whether the ledger would let a call start now."""


Decide = Callable[[Delivery, Known], Decision]


@dataclass
class Turn:
    """Whose turn it is among the sources of a destination; each dispatcher keeps its own."""

    source: str = ""
    count: int = 0
    retry_at: float = 0.0
    """When the next retry keeps an even pace."""

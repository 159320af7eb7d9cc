"""What happens to a destination, told as a story: outcomes one after the other."""

from typing import Any

from relay.destination import Destination
from relay.dispatch.decide import resolve
from relay.health import (
    Health,
    Sent,
    after,
    looked,
    trying,
)
from relay.outcome import (
    Delivered,
    Later,
    Misconfigured,
    Outcome,
    Refused,
    Seen,
    Unclear,
    Wait,
)

NOW = 1_790_000_000.0
OCAMBA = Destination("ocamba", "https://api.example/profiles", "secret-token", (), parallel=8)

OK = Delivered(201)
NO = Refused(400)
ERROR = Unclear(500, answered=True, why="500")
SILENCE = Unclear(None, answered=False, why="timeout")
UNREACHED = Later(None, None, "refused")
BAD_TOKEN = Misconfigured(401, "401")
TOO_MANY_AT_ONCE = Wait(429, 0, parallel=True)


class Story:
    """Outcomes one after the other, each of another submission unless it is named."""

    def __init__(self, health: Health = Health()) -> None:  # noqa: B008 - it is frozen
        self.health = health
        self.now = NOW
        self._count = 0

    def comes(
        self, outcome: Outcome, receipt: str | None = None, *, probe: bool = False, **more: Any
    ) -> "Story":
        self._count += 1
        name = receipt or f"r{self._count}"
        resolved = resolve(self.health, outcome, name, more.pop("forbidden_at", None))
        sent = Sent(name, probe, more.pop("jitter", 0.5), more.pop("started_at", self.now), **more)
        self.health = after(self.health, OCAMBA, resolved, sent, self.now)
        return self

    def times(self, count: int, outcome: Outcome, **more: Any) -> "Story":
        for _ in range(count):
            self.comes(outcome, **more)
        return self

    def passes(self, seconds: float) -> "Story":
        self.now += seconds
        return self

    def probe(self, outcome: Outcome) -> "Story":
        """Wait until one may be sent, and send it."""
        assert self.health.hold_until is not None
        self.now = max(self.now, self.health.hold_until)
        assert self.health.may_probe(self.now)
        self.health = trying(self.health, self.now, self.now + 25)
        return self.comes(outcome, probe=True)

    def looks(self, seen: Seen | Wait, *, idle: bool = False) -> "Story":
        self.health = looked(self.health, OCAMBA, seen, 0.5, self.now, idle=idle)
        return self

    @property
    def hold(self) -> tuple[str, float] | None:
        """The reason and how many seconds it lasts, or None."""
        if not self.health.is_held(self.now):
            return None
        assert self.health.hold_reason is not None
        assert self.health.hold_until is not None
        return self.health.hold_reason, self.health.hold_until - self.now

"""Destination: an account upstream: its limits, its one hold, and what its answers say about it."""

from dataclasses import dataclass, replace

from relay.outcome import (
    Delivered,
    Forbidden,
    Later,
    Misconfigured,
    Outcome,
    Refused,
    Unclear,
    Wait,
)
from relay.quota import Window

FAILURES_IN_A_ROW = 5
REFUSALS_IN_A_ROW = 20
PROBE_SECONDS = 300.0
FIRST_HOLD_SECONDS = 30.0
FORBIDDEN_SECONDS = 300.0
_SUCCESSES_TO_RECOVER = 20

PAUSED = "paused"
RESTORED = "restored"
MISCONFIGURED = "misconfigured"
FAILING = "failing"
REFUSALS = "refusals"
RATE_LIMITED = "rate limited"
UNAVAILABLE = "unavailable"
BY_OTHERS = "quota used by others"
BY_A_PERSON = (PAUSED, RESTORED)
PROBED = (MISCONFIGURED, FAILING, REFUSALS)
"""Reasons under which one submission is tried when ``until`` has come; the others just end."""


@dataclass(frozen=True)
class Destination:
    """One ``[destinations.x]`` of the configuration. Durations are in seconds."""

    name: str
    url: str
    token: str
    windows: tuple[Window, ...]
    parallel: int = 8
    deadline: float = 15
    ambiguous: str = "retry"
    give_up_after: float = 72 * 3600
    retry: tuple[float, ...] = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200)
    token_file: str | None = None
    sandbox: bool = False

    def __repr__(self) -> str:
        return f"Destination({self.name!r})"


@dataclass(frozen=True)
class Health:
    """What recent answers said about a destination; one row of the outbox.

    ``hold_until`` (seconds since 1970) without end is None while ``hold_reason`` is set.
    ``failing`` names the different submissions that failed in a row, ``refused`` counts refusals.
    """

    hold_until: float | None = None
    hold_reason: str | None = None
    hold_seconds: float = 0
    failing: tuple[str, ...] = ()
    refused: int = 0
    forbidden_receipt: str | None = None
    parallel: int | None = None
    successes: int = 0
    delivered_at: float | None = None

    @property
    def reason_kind(self) -> str | None:
        """The reason without its detail: ``misconfigured: 401`` is ``misconfigured``."""
        return self.hold_reason.partition(":")[0] if self.hold_reason else None

    @property
    def ends_at(self) -> float | None:
        """When a hold ends or a probe is due; None without one, and while a person must decide."""
        return None if self.reason_kind in BY_A_PERSON else self.hold_until

    def is_held(self, now: float) -> bool:
        """Whether nothing but a probe may be sent."""
        if self.hold_reason is None:
            return False
        if self.reason_kind in (*PROBED, *BY_A_PERSON) or self.hold_until is None:
            return True
        return now < self.hold_until

    def may_probe(self, now: float) -> bool:
        """Whether one submission may be tried although the destination is held."""
        due = self.hold_until is not None and now >= self.hold_until
        return self.reason_kind in PROBED and due

    def lane_width(self, destination: Destination) -> int:
        """How many calls may be in flight."""
        return min(destination.parallel, self.parallel or destination.parallel)


def resolve(health: Health, outcome: Outcome, receipt: str, forbidden_at: float | None) -> Outcome:
    """Turn Forbidden, which depends on the others, into an outcome that stands for itself.

    The first 403 of a submission may be about that person or about us: later. On two different
    submissions in a row it is about us; twice on one, with another delivered between, about them.
    """
    if not isinstance(outcome, Forbidden):
        return outcome
    if health.forbidden_receipt not in (None, receipt):
        return Misconfigured(outcome.status, "403", trace_id=outcome.trace_id)
    delivered = health.delivered_at
    if forbidden_at is not None and delivered is not None and delivered > forbidden_at:
        return Refused(outcome.status, trace_id=outcome.trace_id)
    return outcome


@dataclass(frozen=True)
class Sent:
    """What was sent when an outcome came: ``probe`` while the destination was held."""

    receipt: str
    probe: bool
    jitter: float
    """A number in [0, 1)."""
    has_room: bool = False
    """Whether our own ledger has room: then a limit that is reached was used up by others."""


def after(health: Health, destination: Destination, outcome: Outcome, sent: Sent, now: float) -> Health:
    """Return what an outcome (already through ``resolve``) says about the destination."""
    if health.reason_kind not in BY_A_PERSON:
        changed = _after(health, destination, outcome, sent, now)
        if outcome.exhausted_for and sent.has_room and changed.hold_reason is None:
            return _hold(changed, f"{RATE_LIMITED}: {BY_OTHERS}", now, outcome.exhausted_for)
        return changed
    # What was still in flight does not end what a person decided.
    free = replace(health, hold_until=None, hold_reason=None)
    changed = _after(free, destination, outcome, sent, now)
    asked = changed.hold_until if changed.reason_kind in (RATE_LIMITED, UNAVAILABLE) else None
    until = max(health.hold_until or 0, asked or 0) or None
    return replace(changed, hold_until=until, hold_reason=health.hold_reason)


def paused(health: Health) -> Health:
    """Return a destination that a person stops; a wait that upstream asked for stays in ``hold_until``."""
    waits = health.reason_kind in (RATE_LIMITED, UNAVAILABLE, *BY_A_PERSON)
    return replace(health, hold_until=health.hold_until if waits else None, hold_reason=PAUSED)


def resumed(health: Health, now: float) -> Health:
    """Return a destination whose hold a person ends; a wait that upstream asked for is still obeyed."""
    if health.reason_kind in (RATE_LIMITED, UNAVAILABLE):
        return health
    waits = health.reason_kind in BY_A_PERSON and (health.hold_until or 0) > now
    until, reason = (health.hold_until, RATE_LIMITED) if waits else (None, None)
    return replace(health, hold_until=until, hold_reason=reason, refused=0, failing=())


def _after(health: Health, destination: Destination, outcome: Outcome, sent: Sent, now: float) -> Health:
    match outcome:
        case Delivered():
            return _after_delivered(health, destination, sent, now)
        case Refused():
            return _after_refused(health, sent, now)
        case Misconfigured(why=why):
            return _hold(health, f"{MISCONFIGURED}: {why}", now, PROBE_SECONDS)
        case Wait(parallel=True):
            said = f"{RATE_LIMITED}: parallel calls"
            # Of calls that were in flight together, the first one that says so halves.
            if not (health.hold_reason == said and health.is_held(now)):
                width = max(1, health.lane_width(destination) // 2)
                health = replace(health, parallel=width, successes=0)
            return _hold(health, said, now, 1 + 4 * sent.jitter)
        case Wait(seconds=seconds):
            reason = f"{RATE_LIMITED}: {BY_OTHERS}" if sent.has_room else RATE_LIMITED
            return _hold(health, reason, now, seconds)
        case Forbidden():
            seen = replace(health, forbidden_receipt=sent.receipt)
            return _probed_in_vain(seen, now) if _is_probe(seen, sent) else seen
        case Later(after=seconds) if seconds:
            return _no_sooner(_failed(health, sent, now), now, seconds)
        case Later() | Unclear():
            return _failed(health, sent, now)
    return health


def _after_delivered(health: Health, destination: Destination, sent: Sent, now: float) -> Health:
    # What is of no use later is not changed: then nothing needs to be written about the destination.
    successes, parallel = health.successes, health.parallel
    if parallel is not None:
        successes += 1
    if parallel is not None and successes >= _SUCCESSES_TO_RECOVER:
        successes, parallel = 0, parallel + 1
    is_news = health.forbidden_receipt is not None or health.delivered_at is None
    return replace(
        _release(health, sent),
        refused=0,
        successes=successes,
        parallel=parallel if parallel and parallel < destination.parallel else None,
        delivered_at=now if is_news else health.delivered_at,
    )


def _after_refused(health: Health, sent: Sent, now: float) -> Health:
    refused = health.refused + 1
    if refused < REFUSALS_IN_A_ROW:
        return replace(_release(health, sent), refused=refused)
    said = f"{REFUSALS}: {refused} in a row"
    return _hold(replace(_release(health, sent), refused=refused), said, now, PROBE_SECONDS)


def _failed(health: Health, sent: Sent, now: float) -> Health:
    if health.reason_kind in PROBED:
        return _probed_in_vain(health, now) if _is_probe(health, sent) else health
    if sent.receipt not in health.failing:
        health = replace(health, failing=(*health.failing, sent.receipt))
    if len(health.failing) < FAILURES_IN_A_ROW or _is_asked_to_wait(health, now):
        return health
    said = replace(health, failing=(), hold_seconds=FIRST_HOLD_SECONDS)
    return _hold(said, FAILING, now, FIRST_HOLD_SECONDS)


def _is_probe(health: Health, sent: Sent) -> bool:
    return sent.probe and health.reason_kind in PROBED


def _probed_in_vain(health: Health, now: float) -> Health:
    seconds = PROBE_SECONDS
    if health.reason_kind == FAILING:
        seconds = min(health.hold_seconds * 2, PROBE_SECONDS)
    return replace(health, hold_until=now + seconds, hold_seconds=seconds)


def _release(health: Health, sent: Sent) -> Health:
    """Upstream works: end a hold that this disproves. One with a time of its own runs out by itself."""
    alive = replace(health, failing=(), forbidden_receipt=None)
    if health.reason_kind not in PROBED:
        return replace(alive, hold_seconds=0)
    if health.reason_kind == MISCONFIGURED and not sent.probe:
        # It was sent before the token or the address went wrong, and proves nothing about now.
        return alive
    return replace(alive, hold_until=None, hold_reason=None, hold_seconds=0)


def _hold(health: Health, reason: str, now: float, seconds: float) -> Health:
    """Hold for so long; what upstream asked for is never shortened.

    While it lasts, it is the hold: one for a fault would end with the fault. A fault that lasts shows
    again when the wait is over.
    """
    until = now + seconds
    if _is_asked_to_wait(health, now):
        if reason.partition(":")[0] in PROBED:
            return health
        until = max(until, health.hold_until or 0)
    return replace(health, hold_until=until, hold_reason=reason)


def _no_sooner(health: Health, now: float, seconds: float) -> Health:
    """Hold for as long as a 503 asked; if there is a fault, it is probed after that."""
    if health.reason_kind not in PROBED:
        return _hold(health, UNAVAILABLE, now, seconds)
    return replace(health, hold_until=max(now + seconds, health.hold_until or 0))


def _is_asked_to_wait(health: Health, now: float) -> bool:
    return health.reason_kind in (RATE_LIMITED, UNAVAILABLE) and health.is_held(now)

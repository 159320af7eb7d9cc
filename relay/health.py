"""Health: what recent answers said about a destination, and its one hold."""

import math
from dataclasses import dataclass, replace

from relay.destination import Destination
from relay.outcome import Delivered, Forbidden, Later, Misconfigured, Outcome, Refused, Seen, Unclear, Wait

UNCLEAR_IN_A_ROW = 2
FAILURES_IN_A_ROW = 5
REFUSALS_IN_A_ROW = 20
PROBE_SECONDS = 300.0
FIRST_FAILING_SECONDS = 5.0
FIRST_REFUSALS_SECONDS = 30.0
TRY_SECONDS = 900.0
"""While upstream fails one submission is sent so often, whatever looks at it say."""
RARE_TRY_SECONDS = 3600.0
"""The same once every submission has been sent ``FEW_SENDS`` times in vain."""
FEW_SENDS = 2
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
ASKED_FOR = (RATE_LIMITED, UNAVAILABLE)
"""Reasons that upstream gave: such a wait is obeyed whatever a person says."""
PROBED = (MISCONFIGURED, FAILING, REFUSALS)
"""Reasons under which one submission is tried when ``until`` has come; the others just end."""


@dataclass(frozen=True)
class Health:
    """What recent answers said about a destination; one row of the outbox.

    ``hold_until`` (seconds since 1970) without end is None while ``hold_reason`` is set.
    ``failing`` names the different submissions that failed in a row, ``unclear`` counts how often in a
    row nobody knew what became of one, ``refusing`` names the different ones that were refused in a row.
    """

    hold_until: float | None = None
    hold_reason: str | None = None
    hold_seconds: float = 0
    failing: tuple[str, ...] = ()
    unclear: int = 0
    refusing: tuple[str, ...] = ()
    tried_at: float | None = None
    """When a submission was last sent, while upstream fails; None while it does not."""
    answers: bool = False
    """Whether upstream answered when it was last looked at, while it fails."""
    misconfigured: str | None = None
    """What is wrong with the token or the address, until a probe proves otherwise."""
    asked_reason: str | None = None
    """While a person holds it: what upstream asked for until ``hold_until``."""
    forbidden_receipt: str | None = None
    parallel: int | None = None
    halved_at: float | None = None
    successes: int = 0
    delivered_at: float | None = None
    """When something was first delivered since the last 403; 0: before it only, None: never."""

    @property
    def reason_kind(self) -> str | None:
        """The reason without its detail: ``misconfigured: 401`` is ``misconfigured``."""
        return self.hold_reason.partition(":")[0] if self.hold_reason else None

    @property
    def ends_at(self) -> float | None:
        """When a hold ends or a probe is due; None without one, and while a person must decide."""
        return None if self.reason_kind in BY_A_PERSON else self.hold_until

    @property
    def is_failing(self) -> bool:
        """Whether upstream fails, also where it is held for another reason at present."""
        return self.tried_at is not None

    @property
    def fault(self) -> str | None:
        """What a wait that upstream asked for covers, and that shows again when the wait is over."""
        are_many = len(self.refusing) >= REFUSALS_IN_A_ROW
        said = self.misconfigured or (f"{REFUSALS}: {REFUSALS_IN_A_ROW} in a row" if are_many else None)
        if self.is_failing:
            return f"{said}, and {FAILING}" if said else FAILING
        return said

    def is_held(self, now: float) -> bool:
        """Whether nothing but a probe may be sent."""
        return self.hold_reason is not None and not (self.is_over(now) and self.fault is None)

    def is_over(self, now: float) -> bool:
        """Whether a hold that ends by itself has done so."""
        ends = self.hold_reason is not None and self.reason_kind not in (*PROBED, *BY_A_PERSON)
        return ends and self.hold_until is not None and now >= self.hold_until

    def may_probe(self, now: float) -> bool:
        """Whether one submission may be tried although the destination is held."""
        due = self.hold_until is not None and now >= self.hold_until
        return self.reason_kind in PROBED and due

    def must_look(self, unclear_sends: int, now: float) -> bool:
        """Whether upstream is to be looked at before a submission is sent that has had so many unclear sends.

        Each such send may make a duplicate; but nobody knows how upstream treats a look, so that now
        and then one is sent whatever the looks say.
        """
        if not self.is_failing or self.answers:
            return False
        every = TRY_SECONDS if unclear_sends < FEW_SENDS else RARE_TRY_SECONDS
        return now - (self.tried_at or 0) < every

    def lane_width(self, destination: Destination) -> int:
        """How many calls may be in flight."""
        return min(destination.parallel, self.parallel or destination.parallel)


@dataclass(frozen=True)
class Sent:
    """What was sent when an outcome came: ``probe`` while the destination was held."""

    receipt: str
    probe: bool
    jitter: float
    """A number in [0, 1)."""
    started_at: float = math.inf
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
    return _stopped(_after(_let_go(health), destination, outcome, sent, now), health.hold_reason)


def looked(
    health: Health, destination: Destination, seen: Seen | Wait, jitter: float, now: float, *, idle: bool
) -> Health:
    """Return what a look at a destination that fails says about it; ``idle``: none is left to be sent."""
    if isinstance(seen, Wait):
        return replace(after(health, destination, seen, Sent("", True, jitter), now), answers=True)
    if not health.is_failing or health.reason_kind not in PROBED:  # decided otherwise meanwhile
        return health
    if seen.answers:
        return ended(_well(health), now) if idle else replace(health, answers=True, hold_until=now)
    # A submission is tried now and then whatever looks say.
    longest = (health.tried_at or now) + TRY_SECONDS - now
    return _no_sooner(_probed_in_vain(health, now), now, min(seen.after or 0, longest))


def ended(health: Health, now: float) -> Health:
    """Return a destination whose hold has run out: free, or to be probed for the fault it had before."""
    return replace(health, hold_until=now if health.fault else None, hold_reason=health.fault)


def trying(health: Health, now: float, until: float) -> Health:
    """Return a destination while a probe is out: nobody else sends one before ``until``."""
    return replace(health, hold_until=until, tried_at=now if health.is_failing else None, answers=False)


def at_once(health: Health, now: float) -> Health:
    """Return a destination that is to be tried at once if it is held for a fault."""
    return replace(health, hold_until=now, answers=True) if health.reason_kind in PROBED else health


def paused(health: Health) -> Health:
    """Return a destination that a person stops; a wait that upstream asked for goes on."""
    return _stopped(_let_go(health) if health.reason_kind in BY_A_PERSON else health, PAUSED)


def resumed(health: Health, now: float) -> Health:
    """Return a destination whose hold a person ends; a wait that upstream asked for is still obeyed."""
    if health.reason_kind in ASKED_FOR:
        return health
    free = _let_go(health) if health.reason_kind in BY_A_PERSON else health
    if not _is_asked_to_wait(free, now):
        free = replace(free, hold_until=None, hold_reason=None)
    return replace(_well(free), misconfigured=None, refusing=())


def _stopped(health: Health, reason: str | None) -> Health:
    asked = health.reason_kind in ASKED_FOR
    until, asked_reason = (health.hold_until, health.hold_reason) if asked else (None, None)
    return replace(health, hold_until=until, hold_reason=reason, asked_reason=asked_reason)


def _let_go(health: Health) -> Health:
    """Return a destination as it is apart from what a person decided."""
    reason = (health.asked_reason or RATE_LIMITED) if health.hold_until else None
    return replace(health, hold_reason=reason, asked_reason=None)


def _after(health: Health, destination: Destination, outcome: Outcome, sent: Sent, now: float) -> Health:
    match outcome:
        case Delivered():
            return _after_delivered(health, destination, sent, now)
        case Refused():
            return _after_refused(health, sent, now)
        case Misconfigured(why=why):
            reason = f"{MISCONFIGURED}: {why}"
            return _hold(replace(_well(health), misconfigured=reason), reason, now, PROBE_SECONDS)
        case Wait(parallel=True):
            said = f"{RATE_LIMITED}: parallel calls"
            # Of calls that were in flight together, the first one that says so halves.
            if health.halved_at is None or sent.started_at > health.halved_at:
                width = max(1, health.lane_width(destination) // 2)
                health = replace(health, parallel=width, successes=0, halved_at=now)
            return _hold(health, said, now, 1 + 4 * sent.jitter)
        case Wait(seconds=seconds):
            reason = f"{RATE_LIMITED}: {BY_OTHERS}" if sent.has_room else RATE_LIMITED
            return _hold(health, reason, now, seconds)
        case Forbidden():
            seen = replace(health, forbidden_receipt=sent.receipt, delivered_at=health.delivered_at and 0.0)
            return _probed_in_vain(seen, now) if sent.probe and seen.reason_kind in PROBED else seen
        case Later(after=seconds) if seconds:
            return _no_sooner(_failed(health, outcome, sent, now), now, seconds)
        case Later() | Unclear():
            return _failed(health, outcome, sent, now)
    return health


def _after_delivered(health: Health, destination: Destination, sent: Sent, now: float) -> Health:
    # What is of no use later is not changed: then nothing needs to be written about the destination.
    parallel = health.parallel
    successes = health.successes + (parallel is not None)
    if parallel is not None and successes >= _SUCCESSES_TO_RECOVER:
        successes, parallel = 0, parallel + 1
    return replace(
        _release(health, sent),
        refusing=(),
        successes=successes,
        parallel=parallel if parallel and parallel < destination.parallel else None,
        delivered_at=health.delivered_at or now,
    )


def _after_refused(health: Health, sent: Sent, now: float) -> Health:
    if health.reason_kind == REFUSALS:
        return _probed_in_vain(_well(health), now) if sent.probe else health
    refusing = health.refusing
    if len(refusing) < REFUSALS_IN_A_ROW and sent.receipt not in refusing:
        refusing = (*refusing, sent.receipt)
    health = replace(_release(health, sent), refusing=refusing)
    if health.misconfigured or health.fault is None:
        return health
    held = replace(health, hold_seconds=FIRST_REFUSALS_SECONDS)
    return _hold(held, health.fault, now, FIRST_REFUSALS_SECONDS)


def _failed(health: Health, outcome: Outcome, sent: Sent, now: float) -> Health:
    is_probed = health.reason_kind in PROBED
    if is_probed and not sent.probe:
        return health
    health = replace(health, unclear=health.unclear + isinstance(outcome, Unclear))
    if sent.receipt not in health.failing:
        health = replace(health, failing=(*health.failing, sent.receipt)[-FAILURES_IN_A_ROW:])
    fails = health.unclear >= UNCLEAR_IN_A_ROW or len(health.failing) >= FAILURES_IN_A_ROW
    if is_probed:
        # Where it is held for another fault it fails as well: that is not held against the probes.
        since = health.tried_at or (now if fails else None)
        return _probed_in_vain(replace(health, tried_at=since), now)
    if not fails or _is_asked_to_wait(health, now):
        return health
    said = replace(_well(health), hold_seconds=FIRST_FAILING_SECONDS, tried_at=now)
    return _hold(said, FAILING, now, FIRST_FAILING_SECONDS)


def _probed_in_vain(health: Health, now: float) -> Health:
    is_wrong = health.misconfigured or health.reason_kind == MISCONFIGURED
    seconds = PROBE_SECONDS if is_wrong else min(health.hold_seconds * 2, PROBE_SECONDS)
    try_at = (health.tried_at or 0) + TRY_SECONDS
    until = min(now + seconds, try_at) if try_at > now else now + seconds
    reason = health.fault or health.hold_reason
    return replace(health, hold_until=until, hold_reason=reason, hold_seconds=seconds, answers=False)


def _release(health: Health, sent: Sent) -> Health:
    """Upstream works: end a hold that this disproves. One with a time of its own runs out by itself."""
    # What was sent before the token or the address went wrong proves nothing about now.
    wrong = None if sent.probe else health.misconfigured
    alive = replace(_well(health), forbidden_receipt=None, misconfigured=wrong, hold_seconds=0)
    if health.reason_kind not in PROBED:
        return alive
    return replace(alive, hold_until=health.hold_until if wrong else None, hold_reason=wrong)


def _well(health: Health) -> Health:
    return replace(health, failing=(), unclear=0, tried_at=None, answers=False)


def _hold(health: Health, reason: str, now: float, seconds: float) -> Health:
    """Hold for so long; what upstream asked for is never shortened.

    While it lasts, it is the hold: one for a fault would end with the fault. A fault that lasts shows
    again when the wait is over.
    """
    asked = (health.hold_until or 0) if _is_asked_to_wait(health, now) else 0
    if asked >= now + seconds or (asked and reason.partition(":")[0] in PROBED):
        return health
    return replace(health, hold_until=now + seconds, hold_reason=reason)


def _no_sooner(health: Health, now: float, seconds: float) -> Health:
    """Hold for as long as a 503 asked; if there is a fault, it is probed after that."""
    if health.reason_kind in PROBED and (health.hold_until or 0) >= now + seconds:
        return health
    return _hold(health, UNAVAILABLE, now, seconds)


def _is_asked_to_wait(health: Health, now: float) -> bool:
    return health.reason_kind in ASKED_FOR and not health.is_over(now)

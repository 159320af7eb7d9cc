"""A walk through holds of every kind, on a clock that is turned by hand and an outbox that is real.

Hypothesis makes up the story: upstream says anything to calls that end in any order, looks come back late,
persons pause and resume, a reload tries at once. What is sent meanwhile must be allowed at that moment.
"""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from relay.delivery import QUEUED, SENDING, Delivery
from relay.destination import Destination
from relay.dispatch.decide import decide
from relay.health import ASKED_FOR, BY_A_PERSON, PROBED, Health, at_once
from relay.outbox.outbox import Outbox
from relay.outbox.records import Claim, Entry, Look, NothingYet, Turn
from relay.outcome import (
    Delivered,
    Forbidden,
    Later,
    Misconfigured,
    Outcome,
    Refused,
    Seen,
    Unclear,
    Wait,
)
from relay.quota import Window
from relay.vault import Vault, new_key, parse_key
from tests.kit.stored import rows_of
from tests.outbox.outboxes import health, idle_until, pause, resume

MEMORY = Path("/dev/shm")
OCAMBA = Destination("ocamba", "http://127.0.0.1:9/", "token", (Window(100, 1, "100/second"),), parallel=4)
OUTCOMES: dict[str, Outcome] = {
    "201": Delivered(201, {"id": "1"}),
    "400": Refused(400),
    "401": Misconfigured(401, "401"),
    "403": Forbidden(403),
    "429": Wait(429, 20.0),
    "429 -1": Wait(429, 0, parallel=True),
    "503": Later(503, None, "503"),
    "503 and when": Later(503, 400.0, "503"),
    "not connected": Later(None, None, "refused"),
    "500": Unclear(500, answered=True, why="500"),
    "silence": Unclear(None, answered=False, why="timeout"),
}
SIGHTS: dict[str, Seen | Wait] = {
    "405": Seen(True, 405),
    "502": Seen(False, 502),
    "503 and when": Seen(False, 503, 400.0),
    "429": Wait(429, 20.0),
    "nothing": Seen(False),
}
SOON = st.sampled_from([0.1, 3.0, 14.0, 31.0, 301.0, 901.0])


class Walk(RuleBasedStateMachine):
    """What may happen to a destination, and what its hold promises."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="relay-holds-", dir=MEMORY if MEMORY.is_dir() else None))
        self.now = 1_790_000_000.0
        self.vault = Vault([parse_key(new_key())])
        self.outbox = Outbox(f"sqlite:///{self.folder / 'relay.db'}", self.vault, lambda: self.now)
        self.outbox.prepare({"ocamba": OCAMBA})
        self.turn = Turn()
        self.out: list[Claim | Look] = []
        self.sent_at: dict[int, float] = {}
        self.probing: list[Claim | Look] = []
        """Probes and looks on their way that no person and no reload has overtaken."""
        self.not_before = 0.0
        self.is_wrong = False
        """Whether upstream said that the token is wrong, and nothing since that it is right."""
        self.is_stopped = False

    def teardown(self) -> None:
        try:
            self.all_is_well_in_the_end()
        finally:
            self.outbox.stop()
            shutil.rmtree(self.folder)

    @property
    def health(self) -> Health:
        return health(self.outbox)

    @initialize()
    def begin(self) -> None:
        self.sign_up(12)

    @rule(count=st.integers(1, 30))
    def sign_up(self, count: int) -> None:
        for _ in range(count):
            receipt = self.vault.receipt()
            delivery = Delivery(receipt, "form", "ocamba", QUEUED, self.now, self.now)
            self.outbox.put(Entry(delivery, self.vault.seal({}, receipt), receipt.encode()))

    def send(self) -> None:
        for _ in range(OCAMBA.parallel + 1):
            claimed = self.outbox.claim(OCAMBA, self.turn)
            if isinstance(claimed, NothingYet):
                return
            self.expect_allowed(claimed)
            self.out.append(claimed)
            self.sent_at[id(claimed)] = self.now

    def expect_allowed(self, claimed: Claim | Look) -> None:
        assert not self.is_stopped
        assert self.now >= self.not_before
        is_probe = isinstance(claimed, Look) or claimed.probe
        assert is_probe or not self.is_wrong
        if is_probe:
            assert not self.probing, "one probe at a time"
            self.probing = [claimed]

    @rule(seconds=SOON)
    def pass_time(self, seconds: float) -> None:
        """Calls end within their deadline: what does not is settled as the sweeper would."""
        until = self.now + seconds
        while self.out and self.sent_at[id(self.out[0])] + OCAMBA.deadline < until:
            self.now = self.sent_at[id(self.out[0])] + OCAMBA.deadline
            self.answer_one(0, "silence", "nothing")
        self.now = until
        self.send()

    @precondition(lambda self: self.out)
    @rule(
        which=st.integers(0, 3),
        answer=st.sampled_from(sorted(OUTCOMES)),
        sight=st.sampled_from(sorted(SIGHTS)),
    )
    def answer_one(self, which: int, answer: str, sight: str) -> None:
        one = self.out.pop(which % len(self.out))
        is_probe = one in self.probing
        self.probing = [probe for probe in self.probing if probe is not one]
        if isinstance(one, Look):
            told = SIGHTS[sight]
            self.outbox.looked(one, OCAMBA, told, 0.1, 0.5)
            self.must_wait(told.seconds if isinstance(told, Wait) else 0.0)
            return
        outcome = OUTCOMES[answer]
        made = decide(
            outcome, OCAMBA, probe=one.probe, started_at=one.started_at, jitter=0.5, vault=self.vault
        )
        self.outbox.record(one, 0.1, made, end_known=answer != "silence")
        if isinstance(outcome, Wait):
            self.must_wait(1.0 if outcome.parallel else outcome.seconds)
        if isinstance(outcome, Later):
            self.must_wait(outcome.after or 0.0)
        if isinstance(outcome, Misconfigured) and not self.is_stopped:
            self.is_wrong = True
        if isinstance(outcome, Delivered | Refused) and is_probe:
            self.is_wrong = False

    def must_wait(self, seconds: float) -> None:
        self.not_before = max(self.not_before, self.now + seconds)

    @rule()
    def pause(self) -> None:
        pause(self.outbox)
        self.is_stopped = True

    @rule()
    def resume(self) -> None:
        waits = self.health.reason_kind in ASKED_FOR
        resume(self.outbox)
        self.is_stopped = False
        self.probing = []
        self.is_wrong = self.is_wrong and waits

    @rule()
    def reload(self) -> None:
        if self.health.reason_kind in PROBED:
            self.probing = []
        self.outbox.change_hold("ocamba", at_once)

    @invariant()
    def the_hold_makes_sense(self) -> None:
        health = self.health
        assert (health.reason_kind in BY_A_PERSON) == self.is_stopped
        assert 1 <= health.lane_width(OCAMBA) <= OCAMBA.parallel
        if health.hold_reason is None:
            assert health.hold_until is None
            assert not health.is_failing
        elif not self.is_stopped:
            assert health.hold_until is not None
            assert health.reason_kind in (*PROBED, *ASKED_FOR)

    def all_is_well_in_the_end(self) -> None:
        self.resume()
        until = self.now + 8 * 3600
        while self.now < until:
            while self.out:
                self.answer_one(0, "201", "405")
            claimed = self.outbox.claim(OCAMBA, self.turn)
            if not isinstance(claimed, NothingYet):
                self.out.append(claimed)
            elif idle_until(self.outbox) == float("inf"):
                break
            else:
                self.now = max(self.now + 0.1, min(claimed.until, until))
        states = {row["state"] for row in rows_of(self.outbox, limit=1000)}
        assert not states & {QUEUED, SENDING}
        assert not self.health.is_held(self.now)


TestWalk = Walk.TestCase
TestWalk.settings = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)

"""A model of several dispatchers on one outbox: whatever they do, in whatever order, the promises hold.

Hypothesis makes up the story: people sign up, dispatchers claim, upstream answers or does not, processes
die or fall asleep, leases end, operators replay and discard by what they saw a while ago. The model knows
what upstream really received.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from relay.delivery import DELIVERED, KEPT, QUEUED, SENDING, STATES, Delivery
from relay.destination import Destination
from relay.dispatch.decide import decide
from relay.health import PAUSED
from relay.outbox.moves import Changed, Expected, Moved, Same
from relay.outbox.outbox import Outbox
from relay.outbox.records import Claim, Decide, Decision, Entry, Known, Turn
from relay.outcome import (
    Delivered,
    Forbidden,
    Later,
    Misconfigured,
    NotSent,
    Outcome,
    Refused,
    Unclear,
    Wait,
)
from relay.quota import Window
from relay.vault import Vault, new_key, parse_key
from tests.kit.stored import rows_of
from tests.kit.upstream import worst
from tests.outbox.outboxes import discard, health, named, pause, requeue, resume, row

KEY = parse_key(new_key())
WINDOWS = (Window(1, 1, "1/second"), Window(9, 60, "9/minute"))
OCAMBA = Destination(
    "ocamba", "http://127.0.0.1:9/", "token", WINDOWS, parallel=3, give_up_after=3600, retry=(5.0, 30.0)
)
PARKING = replace(OCAMBA, ambiguous="park")
MEMORY = Path("/dev/shm")

CREATING: dict[str, Outcome] = {
    "201": Delivered(201, {"id": "1"}),
    "created, then 500": Unclear(500, answered=True, why="500"),
    "created, then silence": Unclear(None, answered=False, why="timeout"),
}
NOT_CREATING: dict[str, Outcome] = {
    "400": Refused(400),
    "401": Misconfigured(401, "401"),
    "403": Forbidden(403),
    "429": Wait(429, 20.0),
    "429 -1": Wait(429, 0, parallel=True),
    "503": Later(503, None, "503"),
    "503 and when": Later(503, 40.0, "503"),
    "not connected": Later(None, None, "refused"),
    "not sent": NotSent(None),
    "500": Unclear(500, answered=True, why="500"),
    "silence": Unclear(None, answered=False, why="timeout"),
}
HOW = st.sampled_from([*CREATING] * 4 + [*NOT_CREATING])


@dataclass
class Call:
    """One call as upstream and its dispatcher know it. ``asleep``: its process was stopped meanwhile."""

    dispatcher: int
    claim: Claim
    asleep: bool = False


class ManyDispatchers(RuleBasedStateMachine):
    """The rules are what may happen; the invariants what the relay promises."""

    outbox_class = Outbox

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="relay-model-", dir=MEMORY if MEMORY.is_dir() else None))
        self.now = 1_790_000_000.0
        vault = Vault([KEY])
        self.outbox = self.outbox_class(f"sqlite:///{self.folder / 'relay.db'}", vault, lambda: self.now)
        self.destination = OCAMBA
        self.turns = [Turn(), Turn(), Turn()]
        self.calls: list[Call] = []
        self.stored: list[str] = []
        self.seen: dict[str, Expected] = {}
        self.owner: dict[str, int] = {}
        """Which attempt a delivery that is being sent belongs to."""
        self.creates: dict[str, int] = {}
        self.arrivals: list[float] = []

    @initialize(ambiguous=st.sampled_from([OCAMBA, OCAMBA, PARKING]))
    def prepare(self, ambiguous: Destination) -> None:
        self.destination = ambiguous
        self.outbox.prepare({"ocamba": ambiguous})
        self.sign_up(0)
        self.claim(0)

    def teardown(self) -> None:
        self.outbox.stop()
        shutil.rmtree(self.folder)

    # --- what happens -------------------------------------------------------------------------------

    @rule(person=st.integers(0, 2))
    def sign_up(self, person: int) -> None:
        vault, receipt = self.outbox.vault, self.outbox.vault.receipt()
        payload = {"profile": {"email": f"person-{person}@example.com"}}
        delivery = Delivery(receipt, "form", "ocamba", QUEUED, self.now, self.now, payload=payload)
        key = vault.hash("content", str(person))
        stored = self.outbox.put(Entry(delivery, vault.seal(payload, receipt), key, window=600.0))
        if stored.repeat:
            assert stored.delivery.receipt in self.stored
        else:
            self.stored.append(receipt)

    @rule(
        seconds=st.sampled_from([0.05, 0.4, 5.0, 26.0, 70.0, 400.0]),
        dispatchers=st.lists(st.integers(0, 2), min_size=1, max_size=3),
    )
    def time_passes(self, seconds: float, dispatchers: list[int]) -> None:
        """Calls that outlast their deadline are those of processes that sleep; the sweeper finds them."""
        self.pass_time(seconds)
        if seconds >= 5:
            self.recover()
        for dispatcher in dispatchers:
            self.claim(dispatcher)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for call in self.calls:
            call.asleep = call.asleep or self.now > call.claim.started_at + OCAMBA.deadline

    def recover(self) -> None:
        for decision in self.outbox.recover(self.crashed(), every=False):
            assert decision.delivery.state != SENDING
            del self.owner[decision.delivery.receipt]

    def claim(self, dispatcher: int) -> None:
        found = self.outbox.claim(self.destination, self.turns[dispatcher])
        if not isinstance(found, Claim):
            return
        receipt = found.delivery.receipt
        assert receipt not in self.owner, "it is being sent already"
        assert found.delivery.may_be_duplicate or not self.creates.get(receipt), "a second create, unmarked"
        assert self.health().hold_reason is None or found.probe
        self.owner[receipt] = found.attempt
        self.calls.append(Call(dispatcher, found))

    @precondition(lambda self: any(not call.asleep for call in self.calls))
    @rule(which=st.integers(0, 9), how=HOW, seconds=st.sampled_from([0.0, 0.3, 4.0]))
    def answer(self, which: int, how: str, seconds: float) -> None:
        """Upstream answers, or does not within the deadline; then there may be room for the next."""
        self.pass_time(seconds)
        awake = [call for call in self.calls if not call.asleep]
        if awake:
            call = awake[which % len(awake)]
            self.end(call, how)
            self.claim(call.dispatcher)

    @precondition(lambda self: any(call.asleep for call in self.calls))
    @rule(which=st.integers(0, 9), how=HOW)
    def wake_up(self, which: int, how: str) -> None:
        """A process that slept goes on, with the answer to the call it had made before."""
        asleep = [call for call in self.calls if call.asleep]
        self.end(asleep[which % len(asleep)], how)

    def end(self, call: Call, how: str) -> None:
        self.calls.remove(call)
        receipt = call.claim.delivery.receipt
        is_late = self.owner.get(receipt) != call.claim.attempt
        if how in CREATING:
            self.creates[receipt] = self.creates.get(receipt, 0) + 1
        outcome = CREATING.get(how) or NOT_CREATING[how]
        # Upstream may have seen it at any moment until now; one that slept, before it fell asleep.
        self.arrivals.append(call.claim.started_at if call.asleep else self.now)
        before, health = self.row(receipt), self.health()

        decision = self.record(call, outcome)

        if is_late:
            self.judge_late(call, outcome, decision, before)
            assert self.health() == health
        else:
            assert decision is not None
            assert self.row(receipt)["state"] == decision.delivery.state
            del self.owner[receipt]

    def judge_late(
        self, call: Call, outcome: Outcome, decision: Decision | None, before: dict[str, Any]
    ) -> None:
        """A known success is taken late if nobody sent it again meanwhile; nothing else is."""
        current = named(self.outbox, call.claim.delivery.receipt)
        assert current is not None
        was_sent_again = current.sends != call.claim.delivery.sends
        after = self.row(before["receipt"])
        if not isinstance(outcome, Delivered) or was_sent_again or before["state"] in (SENDING, DELIVERED):
            assert decision is None, "a late result was taken"
            assert after == before
        else:
            assert decision is not None, "a late success was thrown away"
            assert after["state"] == DELIVERED

    @precondition(lambda self: self.calls)
    @rule(which=st.integers(0, 9), seconds=st.sampled_from([1.0, 30.0, 90.0]), how=HOW)
    def sleep(self, which: int, seconds: float, how: str) -> None:
        """A process is stopped, the others go on, and then so does it."""
        sleeper = self.calls[which % len(self.calls)].dispatcher
        asleep = [call for call in self.calls if call.dispatcher == sleeper]
        for call in asleep:
            call.asleep = True
        for _ in range(2):
            self.time_passes(seconds, [other for other in range(3) if other != sleeper])
        for call in asleep:
            self.end(call, how)

    @precondition(lambda self: self.calls)
    @rule(dispatcher=st.integers(0, 2), created=st.booleans())
    def die(self, dispatcher: int, created: bool) -> None:
        """A process ends; nobody will ever hear the answers to its calls."""
        for call in [call for call in self.calls if call.dispatcher == dispatcher]:
            self.calls.remove(call)
            self.arrivals.append(call.claim.started_at)
            if created:
                receipt = call.claim.delivery.receipt
                self.creates[receipt] = self.creates.get(receipt, 0) + 1

    @rule()
    def look(self) -> None:
        """An operator reads the list, and acts on it later."""
        rows = rows_of(self.outbox, limit=1000)
        self.seen = {row["receipt"]: Expected(row["state"], row["fence"]) for row in rows}

    @precondition(lambda self: any(one.state in KEPT for one in self.seen.values()))
    @rule(which=st.integers(0, 99), move=st.sampled_from([requeue, discard]))
    def act(self, which: int, move: Callable[..., Moved | Changed | Same]) -> None:
        # In the order of signing up: receipts are random, and a story must be told again as it was.
        chosen = [one for one in self.stored if one in self.seen and self.seen[one].state in KEPT]
        receipt = chosen[which % len(chosen)]
        before = self.row(receipt)
        found = move(self.outbox, receipt, self.seen[receipt])
        if Expected(before["state"], before["fence"]) != self.seen[receipt]:
            assert isinstance(found, Changed)
        if not isinstance(found, Moved):
            assert self.row(receipt) == before

    @precondition(lambda self: self.calls)
    @rule(seconds=st.sampled_from([0.3, 70.0]), how=HOW)
    def pause_for_a_while(self, seconds: float, how: str) -> None:
        """Nothing is claimed meanwhile; a call that is under way is answered all the same."""
        assert pause(self.outbox).hold_reason == PAUSED
        number = len(self.calls)
        self.time_passes(seconds, [0, 1, 2])
        assert len(self.calls) == number
        self.end(self.calls[0], how)
        assert self.health().hold_reason == PAUSED
        resume(self.outbox)

    # --- what must be true at every moment ----------------------------------------------------------

    @invariant()
    def each_is_in_exactly_one_state_and_says_so_if_there_may_be_two_of_it(self) -> None:
        rows = {row["receipt"]: row for row in rows_of(self.outbox, limit=1000)}
        assert sorted(rows) == sorted(self.stored)
        assert all(row["state"] in STATES for row in rows.values())
        assert {receipt for receipt, row in rows.items() if row["state"] == SENDING} == set(self.owner)
        assert all(rows[receipt]["may_be_duplicate"] for receipt, made in self.creates.items() if made > 1)

    @invariant()
    def delivered_means_that_upstream_has_it(self) -> None:
        for one in rows_of(self.outbox, state=DELIVERED, limit=1000):
            assert self.creates.get(one["receipt"])
            assert not one["has_payload"]

    @invariant()
    def no_window_holds_more_than_its_limit(self) -> None:
        flying = [call.claim.started_at for call in self.calls]
        for window in WINDOWS:
            assert worst([*self.arrivals, *flying], window.seconds) <= window.limit, window.name

    # --- inside -------------------------------------------------------------------------------------

    def record(self, call: Call, outcome: Outcome) -> Decision | None:
        end_known = not isinstance(outcome, Unclear) or outcome.answered
        made = self.decided(outcome, probe=call.claim.probe)
        return self.outbox.record(call.claim, 0.1, made, end_known=end_known)

    def decided(self, outcome: Outcome, *, probe: bool = False) -> Decide:
        return decide(outcome, self.destination, probe=probe, jitter=0.5, vault=self.outbox.vault)

    def crashed(self) -> Decide:
        return self.decided(Unclear(None, answered=False, why="crash"))

    def row(self, receipt: str) -> dict[str, Any]:
        return row(self.outbox, receipt)

    def health(self) -> Any:
        return health(self.outbox)


QUICK = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
TestManyDispatchers = ManyDispatchers.TestCase
TestManyDispatchers.settings = QUICK


@pytest.mark.slow
def test_the_promises_hold_in_many_more_stories() -> None:
    run_state_machine_as_test(ManyDispatchers, settings=settings(QUICK, max_examples=3000))


# --- the model finds what it is there for -----------------------------------------------------------------


class Unfenced(Outbox):
    """A seeded bug: a result is taken whatever happened to the delivery since."""

    def record(
        self, claim: Claim, seconds: float, decide: Decide, *, end_known: bool = True
    ) -> Decision | None:
        current = named(self, claim.delivery.receipt)
        assert current is not None
        claim = replace(claim, delivery=replace(claim.delivery, fence=current.fence))
        return super().record(claim, seconds, decide, end_known=end_known)


class Unmarked(Outbox):
    """A seeded bug: what a crash left behind is queued again as if nothing had been sent."""

    def recover(self, decide: Decide, *, every: bool) -> list[Decision]:
        def as_if_new(delivery: Delivery, known: Known) -> Decision:
            made = decide(delivery, known)
            return replace(made, delivery=replace(made.delivery, may_be_duplicate=False))

        return super().recover(as_if_new, every=every)


class Unaccounted(Outbox):
    """A seeded bug: a slot comes back one window after its call began, however long the call took."""

    def record(
        self, claim: Claim, seconds: float, decide: Decide, *, end_known: bool = True
    ) -> Decision | None:
        decision = super().record(claim, seconds, decide, end_known=end_known)
        self.write(
            lambda conn: conn.exec_driver_sql(
                "UPDATE attempts SET held_until = started_at WHERE id = ?", (claim.attempt,)
            )
        )
        return decision


@pytest.mark.slow
@pytest.mark.parametrize("bug", [Unfenced, Unmarked, Unaccounted])
def test_the_model_finds_a_seeded_bug(bug: type[Outbox]) -> None:
    class Seeded(ManyDispatchers):
        outbox_class = bug

    found = settings(
        QUICK, max_examples=1000, phases=[Phase.generate], report_multiple_bugs=False, derandomize=True
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Seeded, settings=found)

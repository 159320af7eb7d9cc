"""Outages of every length, on a clock that is turned by hand: nobody is parked, few go twice, all arrive.

The outbox, the decisions and the holds are the real ones; only the line upstream and the time are not.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa

from relay.delivery import QUEUED, Delivery
from relay.destination import Destination
from relay.dispatch.decide import decide
from relay.outbox.outbox import Outbox
from relay.outbox.records import Claim, Entry, Look, NothingYet, Turn
from relay.outbox.schema import deliveries
from relay.outcome import Answer, NoAnswer, Outcome, Unreadable, read, read_look
from relay.quota import parse_windows
from relay.vault import Vault, new_key, parse_key
from tests.kit.stored import rows_of
from tests.outbox.outboxes import health, idle_until

BEGAN = 1_790_000_000.0
OCAMBA = Destination("ocamba", "https://api.example/profiles", "t", parse_windows("10/second; 150/minute"))
MINUTE, HOUR = 60.0, 3600.0
YES = Answer(201, {}, b'{"id": "1"}')
FAULTS = {
    "502": (Answer(502), 0.3),
    "silence": (NoAnswer("timeout", may_have_arrived=True), 15.0),
    "reset": (NoAnswer("reset", may_have_arrived=True), 0.3),
}
LOOKS = {"honest": None, "405": Answer(405), "404": Answer(404)}
"""What ``HEAD`` is answered with during an outage; None: with the outage itself."""


@dataclass
class Night:
    """An upstream that is down for a while, and a relay that has so many to send."""

    outbox: Outbox
    down_seconds: float
    fault: str
    look: str = "honest"
    now: float = BEGAN
    sends: Counter[str] = field(default_factory=Counter)
    looks: int = 0
    calls: list[float] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)
    """Those that cannot be read."""

    def clock(self) -> float:
        return self.now

    @property
    def is_down(self) -> bool:
        return self.now < BEGAN + self.down_seconds

    def queue(self, count: int) -> None:
        for number in range(count):
            receipt = f"r{number}"
            delivery = Delivery(receipt, "form", "ocamba", QUEUED, self.now, self.now)
            self.outbox.put(Entry(delivery, b"sealed", repeat_key=receipt.encode()))

    def pass_until_done(self, limit: float) -> float:
        """Send whatever may be sent, turning the clock on; return when nothing was queued any more."""
        turn = Turn()
        while self.now < BEGAN + limit:
            claimed = self.outbox.claim(OCAMBA, turn)
            if isinstance(claimed, NothingYet):
                if not self._are_left():
                    return self.now - BEGAN
                self.now = max(self.now + 0.01, min(claimed.until, BEGAN + limit))
            elif isinstance(claimed, Look):
                self._look(claimed)
            else:
                self._send(claimed)
        return self.now - BEGAN

    def states(self) -> dict[str, int]:
        return dict(Counter(row["state"] for row in rows_of(self.outbox, limit=1000)))

    def _are_left(self) -> bool:
        return any(state in (QUEUED, "sending") for state in self.states())

    def _look(self, look: Look) -> None:
        self.looks += 1
        self.calls.append(self.now)
        answer, seconds = FAULTS[self.fault] if self.is_down else (Answer(405), 0.3)
        if self.is_down and LOOKS[self.look] is not None:
            answer, seconds = LOOKS[self.look], 0.3
        self.now += seconds
        self.outbox.looked(look, OCAMBA, read_look(answer, self.now), seconds, 0.5)

    def _send(self, claim: Claim) -> None:
        self.sends[claim.delivery.receipt] += 1
        self.calls.append(self.now)
        answer, seconds = FAULTS[self.fault] if self.is_down else (YES, 0.1)
        self.now += seconds
        if claim.delivery.receipt in self.damaged:
            outcome: Outcome = Unreadable(None, None, "damaged")
        else:
            outcome = read(answer, self.now)
        made = decide(outcome, OCAMBA, probe=claim.probe, jitter=0.5, vault=self.outbox.vault)
        self.outbox.record(claim, seconds, made, end_known=isinstance(answer, Answer))


@pytest.fixture
def night(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Night]:
    vault = Vault([parse_key(new_key())])
    made = Night(None, *request.param)  # type: ignore[arg-type]
    made.outbox = Outbox(f"sqlite:///{tmp_path / 'relay.db'}", vault, made.clock)
    made.outbox.prepare({"ocamba": OCAMBA})
    yield made
    made.outbox.stop()


LENGTHS = (MINUTE, 100.0, 10 * MINUTE, HOUR, 3 * HOUR, 8 * HOUR)
FEW = {
    *itertools.product((MINUTE, HOUR, 8 * HOUR), FAULTS, ["honest"], [1, 5]),
    *itertools.product([HOUR], ["502", "silence"], ["405", "404"], [3]),
}
"""Those that are tried each time; all of them take a minute of hard work."""
OUTAGES = [
    pytest.param(
        night,
        count,
        id=f"{count} queued, {night[0]:.0f} s, {night[1]}, HEAD {night[2]}",
        marks=[] if (*night, count) in FEW else pytest.mark.slow,
    )
    for *night, count in [
        *itertools.product(LENGTHS, FAULTS, ["honest"], [1, 3, 5, 20]),
        *itertools.product(LENGTHS[1::2], ["502", "silence"], ["405", "404"], [1, 3, 20]),
        (HOUR, "silence", "honest", 500),
        (8 * HOUR, "502", "honest", 500),
    ]
]


@pytest.mark.parametrize(("night", "count"), OUTAGES, indirect=["night"])
def test_an_outage_parks_nobody_and_all_arrive_soon_after_it(night: Night, count: int) -> None:
    night.queue(count)
    done = night.pass_until_done(night.down_seconds + 3 * HOUR)
    assert night.states() == {"delivered": count}
    assert done <= night.down_seconds + HOUR + 10 * MINUTE + count
    assert max(night.sends.values()) <= 13
    # Each unclear one may be a duplicate: some at first, then one every quarter of an hour, or hourly.
    unclear = sum(night.sends.values()) - count
    hours = night.down_seconds / HOUR
    assert unclear <= (4 + 4 * hours if night.look == "honest" else 4 * count + count * hours + 12 * hours)
    assert max(Counter(int(at) for at in night.calls).values()) <= 10


@pytest.mark.parametrize("night", [(2.5 * HOUR, "502", "honest")], indirect=True)
def test_a_newcomer_ends_an_outage_for_all(night: Night) -> None:
    """It has no unclear send yet, so it goes first."""
    night.queue(1)
    night.pass_until_done(2.5 * HOUR + MINUTE)
    assert night.states() == {"queued": 1}
    delivery = Delivery("new", "form", "ocamba", QUEUED, night.now, night.now)
    night.outbox.put(Entry(delivery, b"sealed", repeat_key=b"new"))
    night.pass_until_done(2.5 * HOUR + 7 * MINUTE)
    assert night.sends["new"] == 1
    assert health(night.outbox).hold_reason is None


@pytest.mark.parametrize("night", [(HOUR, "502", "honest")], indirect=True)
def test_an_outage_ends_also_where_nobody_waits_any_more(night: Night) -> None:
    night.queue(2)
    night.pass_until_done(MINUTE)
    night.outbox.write(lambda conn: conn.execute(sa.update(deliveries).values(state="discarded")))
    while idle_until(night.outbox) != float("inf"):
        assert night.now < BEGAN + night.down_seconds + 10 * MINUTE
        claimed = night.outbox.claim(OCAMBA, Turn())
        if isinstance(claimed, NothingYet):
            night.now = max(night.now + 0.01, claimed.until)
        else:
            assert isinstance(claimed, Look)
            night._look(claimed)
    assert not night.is_down
    assert night.looks <= 25
    assert health(night.outbox).hold_reason is None


@pytest.mark.parametrize("night", [(48 * HOUR, "502", "honest")], indirect=True)
def test_what_was_sent_in_vain_too_often_waits_for_a_person(night: Night) -> None:
    night.queue(1)
    night.pass_until_done(48 * HOUR)
    assert night.states() == {"parked": 1}
    assert night.sends["r0"] == 13


@pytest.mark.parametrize("night", [(MINUTE, "502", "honest")], indirect=True)
def test_what_cannot_be_read_keeps_nobody_in_an_outage_that_is_over(night: Night) -> None:
    """It was never sent in vain, so that it would be every probe."""
    night.queue(21)
    night.damaged = {f"r{number}" for number in range(1, 21)}
    night.pass_until_done(20 * MINUTE)
    assert night.states() == {"delivered": 1, "queued": 20}

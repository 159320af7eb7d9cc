"""An independent judge of one run: what people submitted, what upstream saw, what the relay says.

    assert judge(crowd.ledger, upstream.arrivals, relay.rows()) == []

I1  every acknowledged sign-up is in exactly one state, and went out with its own payload
I2  upstream got only what was submitted and not refused
I3  a second profile for one sign-up only after an unclear attempt, and the row says so
I4  never more calls in any window, of any phase, than the limits allow
I5  no secret outside its place (`leaks`)
I6  delivered means that upstream said so
I7  after the faults the backlog drains at the promised rate
I8  no 5xx caused by input alone
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.kit.canary import Place, leaks
from tests.kit.client import Sent, accepted
from tests.kit.upstream import Arrival, worst

__all__ = ["LIMITS", "STATES", "Calm", "Row", "judge", "leaks"]

LIMITS = ((10, 1.0), (150, 60.0))
UNFINISHED = ("queued", "sending")
STATES = (*UNFINISHED, "delivered", "refused", "parked", "dead", "held", "invalid", "discarded")
DRAIN_RATE = 2.2  # per second; the full minute's limit would be 2.5

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Calm:
    """A time without faults that began with a backlog (monotonic seconds): I7 is about it.

    `slack`: seconds in which nothing need happen, such as a minute of waiting after a restart.
    """

    since: float
    until: float
    slack: float = 0.0


def judge(
    submitted: Iterable[Sent],
    arrivals: Iterable[Arrival],
    rows: Iterable[Row],
    *,
    limits: Sequence[tuple[int, float]] = LIMITS,
    finished: bool = False,
    faults: bool = True,
    calm: Calm | None = None,
    canaries: Mapping[str, str | bytes] | None = None,
    places: Iterable[Place] = (),
) -> list[str]:
    """The violations, each a line that begins with the number of its promise; [] is a clean run.

    `rows`: what the operator's API says, with history. `finished`: nothing may be queued any more.
    `faults`: whether storage faults were injected, which excuse 503s.
    """
    run = _Run.of(submitted, arrivals, rows)
    found = _each_in_one_state(run) + _payloads(run) + (_unfinished(run) if finished else [])
    found += _nothing_else(run) + _once(run) + _paced(run, limits) + _really_delivered(run)
    found += leaks(canaries or {}, places)
    found += (_drained(run, calm) if calm else []) + _no_server_errors(run, faults)
    return found


@dataclass(frozen=True)
class _Run:
    submitted: list[Sent]
    arrivals: list[Arrival]  # all of them, as they count for the limits
    rows: list[Row]
    by_receipt: dict[str, Row]
    calls: dict[int, list[Arrival]]  # Create calls by the position of their sign-up
    strangers: list[Arrival]  # Create calls that belong to no sign-up

    @classmethod
    def of(cls, submitted: Iterable[Sent], arrivals: Iterable[Arrival], rows: Iterable[Row]) -> "_Run":
        sents, calls, all_rows = list(submitted), list(arrivals), list(rows)
        people = {c: n for n, sent in enumerate(sents) for c in _contacts(sent.profile)}
        owned: dict[int, list[Arrival]] = defaultdict(list)
        strangers = []
        for call in calls:
            if call.method != "POST" or not call.complete:
                continue
            whose = {people[c] for c in _contacts(call.json) if c in people}
            if len(whose) == 1:
                owned[whose.pop()].append(call)
            else:
                strangers.append(call)
        by_receipt = {str(row["receipt"]): row for row in all_rows}
        return cls(sents, calls, all_rows, by_receipt, dict(owned), strangers)

    def row(self, number: int) -> Row | None:
        """The row of a sign-up: by its receipt, else by the id of a profile it made."""
        receipt = self.submitted[number].receipt
        if receipt:
            return self.by_receipt.get(receipt)
        made = {call.profile_id for call in self.calls.get(number, ()) if call.created}
        return next((r for r in self.rows if r.get("profile_id") in made - {None}), None)


def _each_in_one_state(run: _Run) -> list[str]:
    found = []
    for receipt, times in Counter(str(row["receipt"]) for row in run.rows).items():
        if times > 1:
            found.append(f"I1 receipt {receipt}: listed {times} times")
    found += [
        f"I1 receipt {row['receipt']}: unknown state {row.get('state')!r}"
        for row in run.rows
        if row.get("state") not in STATES
    ]
    for receipt, times in Counter(s.receipt for s in run.submitted if s.receipt).items():
        if times > 1:
            found.append(f"I1 receipt {receipt}: given to {times} sign-ups")
    for sent in run.submitted:
        if sent.acknowledged and sent.receipt and sent.receipt not in run.by_receipt:
            found.append(f"I1 {_name(sent)}: acknowledged and not there")
    return found + _numbers_add_up(run)


def _numbers_add_up(run: _Run) -> list[str]:
    """Rows without a known receipt must be those of people who never learnt theirs, and no more."""
    known = {sent.receipt for sent in run.submitted if sent.receipt}
    orphans = sum(str(row["receipt"]) not in known for row in run.rows)
    unnamed = [sent for sent in run.submitted if not sent.receipt]
    surely = sum(sent.acknowledged for sent in unnamed)
    perhaps = sum(not sent.acknowledged and None in sent.outcomes for sent in unnamed)
    if orphans < surely:
        return [f"I1 {surely} sign-ups acknowledged without a receipt, {orphans} rows for them"]
    if orphans > surely + perhaps:
        return [f"I1 {orphans} rows that at most {surely + perhaps} sign-ups can have made"]
    return []


def _unfinished(run: _Run) -> list[str]:
    return [
        f"I1 receipt {row['receipt']}: still {row['state']}"
        for row in run.rows
        if row.get("state") in UNFINISHED
    ]


def _payloads(run: _Run) -> list[str]:
    return [
        f"I1 {_name(run.submitted[number])}: call {call.index} carried another payload:"
        f" {call.json} instead of {run.submitted[number].profile}"
        for number, calls in run.calls.items()
        for call in calls
        if call.json != run.submitted[number].profile
    ]


def _nothing_else(run: _Run) -> list[str]:
    found = [f"I2 call {call.index}: nobody submitted {call.body[:200]!r}" for call in run.strangers]
    for number, calls in run.calls.items():
        sent = run.submitted[number]
        refused = sent.outcomes and not any(s is None or accepted(s) for s in sent.outcomes)
        if refused and not sent.receipt:
            said = ", ".join(map(str, sent.outcomes))
            found.append(f"I2 {_name(sent)}: answered {said}, and yet sent {len(calls)} times")
    return found


def _once(run: _Run) -> list[str]:
    found = []
    for number, calls in run.calls.items():
        made = [call for call in calls if call.created]
        if len(made) < 2:
            continue
        row = run.row(number)
        what = f"I3 {_name(run.submitted[number])}: {len(made)} profiles (calls" + "".join(
            f" {call.index}" for call in made
        )
        if row is None:
            found.append(f"{what}), and no row to say so")
        elif not row.get("may_be_duplicate"):
            found.append(f"{what}), and the row does not say may_be_duplicate")
        elif not _ended_unclear(row):
            found.append(f"{what}), and no attempt ended unclear")
    return found


def _ended_unclear(row: Row) -> bool:
    history = row.get("history")
    return history is None or any(str(entry.get("outcome")).lower() == "unclear" for entry in history)


def _paced(run: _Run, limits: Sequence[tuple[int, float]]) -> list[str]:
    times = [call.at for call in run.arrivals]
    most = [(worst(times, seconds), limit, seconds) for limit, seconds in limits]
    return [
        f"I4 {seen} calls within {seconds:g} s, allowed are {limit}"
        for seen, limit, seconds in most
        if seen > limit
    ]


def _really_delivered(run: _Run) -> list[str]:
    found = []
    owners = {sent.receipt: n for n, sent in enumerate(run.submitted) if sent.receipt}
    ids = {call.profile_id for call in run.arrivals if call.created}
    for row in run.rows:
        number = owners.get(str(row["receipt"]))
        if row.get("state") != "delivered":
            if number is not None and run.submitted[number].state == "delivered":
                name = _name(run.submitted[number])
                found.append(f"I6 {name}: was told delivered, and is {row.get('state')}")
            continue
        calls = run.calls.get(number, []) if number is not None else run.arrivals
        if not any(call.status is not None and 200 <= call.status < 300 for call in calls):
            found.append(f"I6 receipt {row['receipt']}: delivered, but upstream never said yes")
        elif row.get("profile_id") and row["profile_id"] not in ids:
            found.append(f"I6 receipt {row['receipt']}: profile {row['profile_id']} was never made")
    return found


def _drained(run: _Run, calm: Calm) -> list[str]:
    made = [call.at for call in run.arrivals if call.created and calm.since <= call.at < calm.until]
    left = sum(row.get("state") in UNFINISHED for row in run.rows)
    end = calm.until if left else max(made, default=calm.since)
    needed = DRAIN_RATE * max(0.0, end - calm.since - calm.slack)
    if len(made) >= int(needed):
        return []
    return [
        f"I7 {len(made)} delivered in {end - calm.since:.1f} s without faults, {left} still wait;"
        f" {DRAIN_RATE:g} per second would be {int(needed)}"
    ]


def _no_server_errors(run: _Run, faults: bool) -> list[str]:
    found = []
    for sent in run.submitted:
        for status in sorted({s for s in sent.outcomes if s is not None and s >= 500}):
            if status != 503 or not faults:
                found.append(f"I8 {_name(sent)}: answered {status}")
        if sent.status == 503 and sent.receipt:
            found.append(f"I8 {_name(sent)}: answered 503 with a receipt")
    return found


def _contacts(profile: Any) -> set[tuple[str, str]]:
    if not isinstance(profile, Mapping):
        return set()
    fields = ("email", "mobile_phone_number")
    return {(name, str(profile[name])) for name in fields if profile.get(name)}


def _name(sent: Sent) -> str:
    return f"sign-up {sent.number}" + (f" (receipt {sent.receipt})" if sent.receipt else "")

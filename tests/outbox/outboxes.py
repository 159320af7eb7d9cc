"""An outbox on one of the databases, its time, what is put into it and what is done with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from relay.delivery import (
    CHECK,
    DEAD,
    DELIVERED,
    DISCARDED,
    HELD,
    INVALID,
    PARKED,
    QUEUED,
    REFUSED,
    SENDING,
    Delivery,
)
from relay.destination import Destination
from relay.dispatch.decide import decide
from relay.health import Health, paused, resumed
from relay.outbox import audit, due, jobs, listing, moves, operating, storing, upkeep
from relay.outbox.audit import Act
from relay.outbox.claiming import LEASE_GRACE_SECONDS
from relay.outbox.hints import sealed_hint
from relay.outbox.holds import health_of
from relay.outbox.moves import Changed, Expected, Mended, Moved, Near, Same
from relay.outbox.outbox import Outbox
from relay.outbox.records import Claim, Decision, Entry, Known, NothingYet, Stored, Turn
from relay.outbox.schema import attempts, deliveries, destinations, holds, meta
from relay.outcome import Delivered, Later, Outcome, Refused, Unclear
from relay.quota import Window
from relay.sources.source import Budget
from relay.vault import Vault, new_key, parse_key
from tests.kit.stored import rows_of

NOW = 1_790_000_000.0
KEY = new_key()
WIDE = (Window(100_000, 1, "100000/second"),)
OCAMBA = Destination("ocamba", "http://127.0.0.1:9/", "token", WIDE, parallel=1000)
LEASE = OCAMBA.deadline + LEASE_GRACE_SECONDS
CREATED = Delivered(201, {"id": "17430755068336100383", "country_code": "DE"})
SILENCE = Unclear(None, answered=False, why="timeout")

# --- an outbox and its time ---------------------------------------------------------------------------


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Store:
    """An outbox on one of the databases, and a way to let its time pass."""

    url: str
    clock: Clock = field(default_factory=Clock)
    opened: list[Outbox] = field(default_factory=list)

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    @property
    def path(self) -> Path:
        return Path(self.url.removeprefix("sqlite:///"))

    def open(self, *keys: str, start: bool = True) -> Outbox:
        """Another view of the database: what another process has."""
        vault = Vault([parse_key(key) for key in keys or (KEY,)])
        outbox = Outbox(self.url, vault, self.clock)
        outbox.prepare({"ocamba": OCAMBA})
        if start:
            outbox.start(died)
        self.opened.append(outbox)
        return outbox

    def close(self) -> None:
        for outbox in self.opened:
            outbox.stop()
        self.opened.clear()

    def pass_time(self, seconds: float) -> None:
        """Let time pass; PostgreSQL has a clock of its own, so there the past moves back instead."""
        if self.is_sqlite:
            self.clock.now += seconds
            return

        def back(conn: sa.Connection) -> None:
            for table in (deliveries, attempts, destinations, holds, operating.jobs, operating.audit):
                times = [column for column in table.c if isinstance(column.type, sa.Double)]
                past = {c: c - seconds for c in times if c.name not in ("seconds", "hold_seconds")}
                conn.execute(sa.update(table).values(past))
            alerts = meta.c.key.startswith("alert:")
            for key, at in conn.execute(sa.select(meta.c.key, meta.c.value).where(alerts)).all():
                earlier = str(float(at) - seconds).encode()
                conn.execute(sa.update(meta).where(meta.c.key == key).values(value=earlier))

        self.opened[0].write(back)


def empty(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as conn:
        for table in (deliveries, attempts, destinations, holds, meta, operating.jobs):
            conn.execute(sa.delete(table))
    engine.dispose()


def died(death: BaseException) -> None:
    raise AssertionError("the writer thread died") from death


KNOWN: dict[str, Any] = {"known": ["form"], "patience": 600.0}
"""For ``take_to_check``: the source that entries have unless they are told."""

# --- what is put into it ------------------------------------------------------------------------------


def entry(
    outbox: Outbox,
    name: str = "ada",
    *,
    source: str = "form",
    raw: str | None = None,
    key: str = "",
    state: str = QUEUED,
    window: float | None = 600.0,
    budget: Budget | None = None,
    silent: bool = False,
    token: str | None = None,
    twin_window: float | None = None,
    **more: Any,
) -> Entry:
    """A sign-up of ``name``, with the keys that a source gives it.

    ``raw``: its body, if it matters; ``token``: a captcha's, which is yet to be asked about;
    ``twin_window``: recognise a repeat whatever key it carries.
    """
    vault, receipt = outbox.vault, outbox.vault.receipt()
    profile = {"email": f"{name}@example.com"}
    payload: dict[str, Any] = {"body": (raw or name).encode()} if state == INVALID else {"profile": profile}
    now = outbox.time()
    given = {"destination": "ocamba", "received_at": now, "due_at": now} | more
    if token is not None:
        given["lane"] = CHECK
    apart = ("held",) if state == HELD else ("unchecked", token) if token is not None else None
    twin = None if state == INVALID else vault.hash("content", source, "", name)
    by_content = vault.hash("content", source, key, name)
    by_bytes = vault.hash("bytes", source, key, raw or name)
    plain = by_bytes if state == INVALID else by_content
    return Entry(
        delivery=Delivery(receipt, source, state=state, payload=payload, **given),
        box=vault.seal(payload, receipt),
        repeat_key=vault.hash(*apart, plain) if apart else plain,
        plain_key=plain if apart else None,
        twin_key=(vault.hash(*apart, twin) if apart else twin) if twin_window and twin else None,
        plain_twin=twin if twin_window and apart else None,
        twin_window=twin_window,
        raw_key=by_bytes if state == QUEUED else None,
        id_hash=vault.hash("key", source, key) if key else None,
        window=None if key else window,
        hint=sealed_hint(payload, receipt, vault),
        budget=budget,
        is_silent=silent,
        email_hash=None if state == INVALID else vault.hash("contact", profile["email"]),
    )


def put(outbox: Outbox, name: str = "ada", **more: Any) -> Stored:
    return outbox.put(entry(outbox, name, **more))


def fill(outbox: Outbox, *names: str, **more: Any) -> list[str]:
    return [put(outbox, name, **more).delivery.receipt for name in names]


def filled_quickly(outbox: Outbox, number: int) -> list[str]:
    """Many rows in one transaction."""
    entries = [entry(outbox, f"n{one}") for one in range(number)]
    for start in range(0, number, 500):
        part = entries[start : start + 500]
        outbox.write(outbox._store_batch, part)
    return [one.delivery.receipt for one in entries]


# --- what is done with it -----------------------------------------------------------------------------


def claim(outbox: Outbox, destination: Destination = OCAMBA, turn: Turn | None = None) -> Claim:
    found = outbox.claim(destination, turn or Turn())
    assert isinstance(found, Claim), found
    return found


def nothing(outbox: Outbox, destination: Destination = OCAMBA) -> NothingYet:
    found = outbox.claim(destination, Turn())
    assert isinstance(found, NothingYet), found
    return found


def record(
    outbox: Outbox,
    claimed: Claim,
    outcome: Outcome = CREATED,
    destination: Destination = OCAMBA,
    *,
    jitter: float = 0.5,
    keep: tuple[str, ...] = (),
) -> Decision | None:
    made = decide(outcome, destination, probe=claimed.probe, jitter=jitter, vault=outbox.vault, keep=keep)
    end_known = not isinstance(outcome, Unclear) or outcome.answered
    return outbox.record(claimed, 0.1, made, end_known=end_known)


def crashed(delivery: Delivery, known: Known) -> Decision:
    """What a dispatcher makes of a delivery whose sender is gone."""
    gone = Unclear(None, answered=False, why="crash")
    return decide(gone, OCAMBA, probe=False, jitter=0.5, vault=None)(delivery, known)


def named(outbox: Outbox, receipt: str) -> Delivery | None:
    return outbox.read(storing.named, receipt)


def state(outbox: Outbox, receipt: str) -> str:
    found = named(outbox, receipt)
    assert found is not None
    return found.state


def row(outbox: Outbox, receipt: str) -> dict[str, Any]:
    found = outbox.read(listing.row, receipt)
    assert found is not None
    return found


def forget(outbox: Outbox) -> None:
    """What housekeeping does with old jobs and acts."""
    outbox.write(lambda conn: jobs.forget(conn, outbox.now(conn)))
    outbox.write(lambda conn: audit.forget(conn, outbox.now(conn)))


def history(outbox: Outbox, receipt: str) -> list[dict[str, Any]]:
    return outbox.read(listing.history, receipt)


def erase(outbox: Outbox, receipts: Sequence[str]) -> list[tuple[str | None, bool]]:
    return outbox.write(upkeep.erase, receipts)


def stale(outbox: Outbox) -> list[tuple[int, str, bytes | None, bytes | None]]:
    return outbox.read(listing.stale, outbox.vault.newest_id, 0)


def reseal(outbox: Outbox, rows: Sequence[tuple[int, str, bytes | None, bytes | None]]) -> list[str]:
    return outbox.write(upkeep.reseal, rows, outbox.vault)


def seen(outbox: Outbox, receipt: str) -> Expected:
    """A row as a page shows it to who acts on it."""
    found = row(outbox, receipt)
    return Expected(found["state"], found["fence"])


def health(outbox: Outbox, name: str = "ocamba") -> Health:
    return outbox.read(health_of, name)


def pause(outbox: Outbox, name: str = "ocamba") -> Health:
    return outbox.change_hold(name, lambda health, _: paused(health))


def resume(outbox: Outbox, name: str = "ocamba") -> Health:
    return outbox.change_hold(name, resumed)


def pass_check(outbox: Outbox, receipt: str, window: float | None) -> bool:
    near = Near(window, window)
    return outbox.write(lambda conn: moves.let_pass(conn, receipt, near, outbox.now(conn)))


def fail_check(outbox: Outbox, receipt: str, reason: str) -> bool:
    return outbox.write(lambda conn: moves.hold_back(conn, receipt, reason, outbox.vault, outbox.now(conn)))


def idle_until(outbox: Outbox, name: str = "ocamba") -> float | None:
    return outbox.read(lambda conn: due.idle_until(conn, name, outbox.now(conn)))


def slots(outbox: Outbox, destination: Destination) -> list[float]:
    return outbox.read(lambda conn: due.slots(conn, destination, outbox.now(conn)))


def requeue(
    outbox: Outbox,
    receipt: str,
    expect: Expected,
    *,
    window: float | None = None,
    mended: Mended | None = None,
    act: Act | None = None,
) -> Moved | Changed | Same:
    near = Near(window, window)
    return outbox.write(
        lambda conn: moves.requeue(conn, receipt, expect, near, mended, act, outbox.now(conn))
    )


def discard(outbox: Outbox, receipt: str, expect: Expected) -> Moved | Changed:
    return outbox.write(lambda conn: moves.discard(conn, receipt, expect, None, outbox.now(conn)))


def change_episodes(outbox: Outbox, current: set[str]) -> tuple[set[str], set[str]]:
    """What is told of alerts without a cause."""
    causes: dict[str, frozenset[str] | None] = dict.fromkeys(current, frozenset())
    return outbox.write(lambda conn: upkeep.change_episodes(conn, outbox.now(conn), causes))


def replay(outbox: Outbox, receipt: str, window: float | None = 600.0) -> None:
    """What an operator's replay does to a row that nobody changes meanwhile."""
    assert requeue(outbox, receipt, seen(outbox, receipt), window=window) == Moved()


def count(outbox: Outbox) -> int:
    return len(rows_of(outbox, limit=100_000))


END: dict[str, tuple[Outcome, Destination]] = {
    DELIVERED: (CREATED, OCAMBA),
    REFUSED: (Refused(400), OCAMBA),
    PARKED: (SILENCE, replace(OCAMBA, ambiguous="park")),
    DEAD: (Later(None, None, "refused"), replace(OCAMBA, give_up_after=0)),
}


def bring_to(outbox: Outbox, wanted: str, name: str = "ada", **more: Any) -> str:
    """Put a sign-up and take it to a state; returns its receipt."""
    if wanted in (HELD, INVALID, QUEUED):
        return put(outbox, name, state=wanted, **more).delivery.receipt
    receipt = put(outbox, name, **more).delivery.receipt
    if wanted == DISCARDED:
        assert isinstance(discard(outbox, receipt, seen(outbox, receipt)), Moved)
        return receipt
    claimed = claim(outbox)
    assert claimed.delivery.receipt == receipt
    if wanted != SENDING:
        outcome, destination = END[wanted]
        record(outbox, claimed, outcome, destination)
    assert state(outbox, receipt) == wanted
    return receipt

"""What remains on the disk, and what many rows cost."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from relay.delivery import (
    DELIVERED,
    HELD,
    INVALID,
    QUEUED,
)
from relay.outbox import figures, listing
from relay.outbox.errors import Unfit
from relay.outbox.outbox import Outbox
from relay.outbox.records import Turn
from relay.outbox.schema import deliveries
from relay.outcome import Delivered
from tests.kit.stored import rows_of
from tests.outbox.outboxes import (
    OCAMBA,
    Store,
    claim,
    crashed,
    discard,
    entry,
    erase,
    fill,
    put,
    record,
    row,
    seen,
)

# --- what remains on the disk -------------------------------------------------------------------------


def test_once_delivered_no_byte_of_the_payload_is_left(sqlite_store: Store) -> None:
    outbox, folder = sqlite_store.opened[0], sqlite_store.path.parent
    entries = [entry(outbox, f"n{number}") for number in range(60)]
    for one in entries:
        outbox.put(one)
    boxes = [one.box for one in entries if one.box]
    assert left(folder, boxes) == 60

    for _ in entries:
        record(outbox, claim(outbox))
    assert outbox.checkpoint()

    assert left(folder, boxes) == 0


@pytest.mark.parametrize("way", ["discard", "erase", "expire"])
def test_what_is_given_up_erased_or_expired_is_gone_from_the_disk(sqlite_store: Store, way: str) -> None:
    outbox, folder = sqlite_store.opened[0], sqlite_store.path.parent
    made = entry(outbox, state=HELD)
    assert made.box is not None and made.email_hash is not None
    traces = [made.box] if way == "discard" else [made.box, made.email_hash, made.repeat_key]
    outbox.put(made)
    outbox.checkpoint()
    assert left(folder, traces) == len(traces)

    if way == "discard":
        discard(outbox, made.delivery.receipt, seen(outbox, made.delivery.receipt))
    elif way == "erase":
        erase(outbox, [made.delivery.receipt])
    else:
        sqlite_store.pass_time(101)
        outbox.expire({"form": 100}, 100)
    assert outbox.checkpoint()

    assert left(folder, traces) == 0


def left(folder: Path, traces: list[bytes]) -> int:
    """How many of these can be found in the files of a folder."""
    content = [path.read_bytes() for path in folder.iterdir() if path.is_file()]
    return sum(any(trace in one for one in content) for trace in traces)


def test_nothing_personal_is_stored_in_clear(sqlite_store: Store) -> None:
    outbox, folder = sqlite_store.opened[0], sqlite_store.path.parent
    fill(outbox, "ada-canary")
    fill(outbox, "eve-canary", state=INVALID)

    assert left(folder, [b"canary", b"example.com"]) == 0


def test_the_files_are_their_owners_alone(sqlite_store: Store) -> None:
    put(sqlite_store.opened[0])

    modes = {path.name: path.stat().st_mode & 0o777 for path in sqlite_store.path.parent.iterdir()}

    assert set(modes) >= {"relay.db", "relay.db-wal"}
    assert set(modes.values()) == {0o600}


def test_a_pretend_database_takes_no_real_people(store: Store) -> None:
    outbox = store.opened[0]
    outbox.prepare(sandbox=True)
    outbox.prepare()

    with pytest.raises(Unfit, match="sandbox"):
        outbox.prepare(sandbox=False)


# --- many rows ----------------------------------------------------------------------------------------

FINISHED = (2_000, 50_000)
"""A small store and a large one: what walks through finished rows takes 25 times as long in the second."""


def test_finished_rows_cost_nothing_when_claiming_looking_or_tidying(store: Store, outbox: Outbox) -> None:
    few, many = FINISHED
    finish(store, outbox, 0, few)
    fill(outbox, *(f"n{number}" for number in range(40)))
    quick: dict[str, Callable[[], object]] = {
        "claim": lambda: outbox.claim(OCAMBA, Turn()),
        "backlog": lambda: outbox.read(listing.backlog),
        "waiting": lambda: outbox.read(lambda conn: listing.waiting(conn, "ocamba", outbox.now(conn))),
        "recover": lambda: outbox.recover(crashed, every=False),
        "expire": lambda: outbox.expire({"form": 100}, 100),
        "last_states": lambda: outbox.read(figures.last_states, "form", 10),
        "rows": lambda: rows_of(outbox, state=QUEUED, limit=100),
        "count": lambda: outbox.read(listing.count, "form", INVALID),
    }

    in_small = fastest(quick)
    finish(store, outbox, few, many)
    in_large = fastest(quick)

    ratios = {name: round(in_large[name] / in_small[name], 1) for name in quick}
    assert {name: ratio for name, ratio in ratios.items() if ratio > 6} == {}


def finish(store: Store, outbox: Outbox, first: int, last: int) -> None:
    """Put rows there that are done."""
    now = outbox.time()
    rows = [
        {
            "receipt": f"done{number}",
            "source": "form",
            "destination": "ocamba",
            "state": DELIVERED,
            "received_at": now,
            "due_at": now,
            "changed_at": now - 1000,
        }
        for number in range(first, last)
    ]
    outbox.write(lambda conn: conn.execute(sa.insert(deliveries), rows))
    if not store.is_sqlite:
        outbox.write(lambda conn: conn.execute(sa.text("ANALYZE")))


def fastest(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The shortest that each takes, in rounds: what disturbs for a moment disturbs no work's every try."""
    rounds = [{name: seconds_of(work) for name, work in works.items()} for _ in range(7)]
    return {name: min(one[name] for one in rounds) for name in works}


def seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def test_the_reply_of_a_delivery_is_kept_without_what_is_personal(outbox: Outbox) -> None:
    receipt = put(outbox).delivery.receipt
    answer = Delivered(201, {"id": "9", "country_code": "DE", "email": "ada@example.com"})

    record(outbox, claim(outbox), answer, keep=("id", "country_code", "email"))

    assert json.loads(row(outbox, receipt)["reply"]) == {"country_code": "DE"}

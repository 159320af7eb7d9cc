"""Clocks that are wrong, that are set, and that tell odd dates.

libfaketime gives a server a wall clock that can be set while it runs; its monotonic clock stays true, and
so does everybody else's.
"""

import calendar
import contextlib
import hashlib
import hmac
import re
import sqlite3
import time
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tests.faults.tools import WallClock
from tests.kit.client import Answer, post_json
from tests.kit.people import TRAP
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream, status

HOUR, DAY = 3600, 86400
SIGNED = HOOK | {
    "secret": "env:HOOK_SECRET",
    "verify": {
        "scheme": "hmac-sha256",
        "header": "X-Signature",
        "signed": "{timestamp}.{body}",
        "timestamp_header": "X-Time",
    },
}
OWN_FORM = NEWSLETTER | {"min_seconds": "2s", "honeypot": TRAP}
SOURCES = {"newsletter": OWN_FORM, "signed": SIGNED, "hook": HOOK}


def relay_with(clock: WallClock, upstream: ScriptedUpstream, **more: Any) -> RelayProcess:
    env = clock.environment | more.pop("env", {})
    return RelayProcess(config(upstream.url, SOURCES), env=env, command=clock.command, **more)


def signed(relay: RelayProcess, email: str) -> Answer:
    """A message of a sender whose clock is right."""
    body, now = f'{{"email": "{email}"}}'.encode(), str(int(time.time()))
    made = hmac.new(relay.hook_secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    return post_json(relay.port, "signed", body, {"X-Signature": made, "X-Time": now})


def skews(relay: RelayProcess) -> list[dict[str, Any]]:
    return [line.data for line in relay.log_lines() if line.data and line.data.get("event") == "clock.skew"]


def test_a_clock_that_is_slow_is_named_and_once_it_is_set_signatures_are_taken(tmp_path: Path) -> None:
    clock = WallClock(tmp_path)
    clock.set(-600)
    with ScriptedUpstream() as upstream, relay_with(clock, upstream) as relay:
        assert signed(relay, "ada@example.com").status == 401
        (said,) = eventually(lambda: skews(relay), 5, "what is wrong being said")
        assert (said["source"], said["level"]) == ("signed", "warning")
        assert "clock" in said["problem"]

        clock.set(0)

        taken = eventually(lambda: a_success(signed(relay, "ada@example.com")), 10, "its being taken")
        relay.wait_state(str(taken.receipt), "delivered")
        assert len(upstream.arrivals) == 1


def a_success(answer: Answer) -> Answer | None:
    return answer if answer.status < 300 else None


# --- dates ------------------------------------------------------------------------------------------------

EDGES = {
    "summer time begins": (2027, 3, 28, 1, 0, 0),
    "summer time ends": (2027, 10, 31, 1, 0, 0),
    "29 February": (2028, 2, 29, 0, 0, 0),
    "a leap year's end": (2028, 12, 31, 23, 59, 59),
    "32 bits end": (2038, 1, 19, 3, 14, 8),
}
QUICK = ("32 bits end",)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in EDGES]
)
def test_times_are_utc_and_in_order_over_odd_dates(tmp_path: Path, name: str) -> None:
    """The server is in Berlin, and starts a little before the edge."""
    edge = calendar.timegm((*EDGES[name], 0, 0, 0))
    clock = WallClock(tmp_path)
    with ScriptedUpstream() as upstream:
        relay = relay_with(clock, upstream, env={"TZ": "Europe/Berlin"}, start=False)
        with relay:
            offset = round(edge - 12 - time.time())  # a busy machine takes its time to start
            clock.set(offset)
            relay.start()
            receipts = []
            while time.time() + offset < edge + 2:
                receipts.append(str(relay.form({"email": f"n{len(receipts)}@example.com"}).receipt))
                time.sleep(0.3)
            newest = str(relay.form({"email": "last@example.com"}).receipt)
            relay.wait_drained()
            rows = {row["receipt"]: row for row in relay.rows()}
            times = [moment(rows[receipt]["received_at"]) for receipt in (*receipts, newest)]
            assert times == sorted(times)
            assert times[0] < edge < times[-1], (edge, times)
            assert abs(times[-1] - (time.time() + offset)) < 3
            assert {row["state"] for row in rows.values()} == {"delivered"}
            order = [arrival.json["email"] for arrival in upstream.arrivals]
            assert order[-1] == "last@example.com"


def moment(text: str) -> float:
    """Seconds since 1970 of a time that must be told in UTC."""
    found = datetime.fromisoformat(text)
    assert found.utcoffset() == UTC.utcoffset(None), text
    return found.timestamp()


def test_a_second_that_comes_twice_changes_no_order(tmp_path: Path) -> None:
    """What a machine sees of a leap second: its clock goes back by one."""
    clock = WallClock(tmp_path)
    with ScriptedUpstream() as upstream, relay_with(clock, upstream) as relay:
        receipts = []
        for number in range(24):
            if number == 8:
                clock.set(-1)
            receipts.append(str(relay.form({"email": f"n{number}@example.com"}).receipt))
            time.sleep(0.15)
        relay.wait_drained()
        rows = {row["receipt"]: row for row in relay.rows()}
        times = [moment(rows[receipt]["received_at"]) for receipt in receipts]
        assert times == sorted(times)
        assert {row["state"] for row in rows.values()} == {"delivered"}
        emails = [arrival.json["email"] for arrival in upstream.arrivals]
        assert sorted(emails) == sorted(f"n{number}@example.com" for number in range(24))


@pytest.mark.parametrize(("days", "kept"), [(40, False), (4000, True)])
def test_a_clock_that_is_years_ahead_deletes_nothing_until_it_may_have_been_set(
    tmp_path: Path, days: int, kept: bool
) -> None:
    """What a machine shows whose battery is empty, before it has asked for the time."""
    clock = WallClock(tmp_path)
    with ScriptedUpstream() as upstream, relay_with(clock, upstream) as relay:
        receipt = str(relay.form({"email": "ada@example.com", TRAP: "bot"}).receipt)
        assert relay.state(receipt) == "held"
        relay.term(timeout=20)
        with contextlib.closing(sqlite3.connect(relay.database_path)) as database, database:
            database.execute("DELETE FROM meta WHERE key = 'clock'")  # of another run of the machine
        clock.set(days * DAY)
        relay.start()

        if not kept:
            eventually(lambda: "retention.expired" in relay.output(), 20, "the end of its time")
            return
        time.sleep(4)  # retention is looked after in the second second
        assert relay.state(receipt) == "held"
        clock.set(0)
        eventually(lambda: "clock.jumped" in relay.output(), 20, "its being set")
        assert relay.state(receipt) == "held"


@pytest.mark.slow
def test_a_new_database_is_no_clock_that_is_ahead(tmp_path: Path) -> None:
    brief = {"newsletter": OWN_FORM | {"retention": "1s"}}
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url, brief)) as relay:
        assert relay.form({"email": "ada@example.com", TRAP: "bot"}).receipt
        eventually(lambda: "retention.expired" in relay.output(), 90, "the end of its time")


# --- other people's clocks --------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "wrong"), [(429, HOUR), (503, -HOUR)])
def test_a_date_to_come_back_at_is_read_by_the_clock_that_named_it(code: int, wrong: int) -> None:
    def answer(_: Any) -> Any:
        now = time.time() + wrong
        return status(
            code, {"Date": formatdate(now, usegmt=True), "Retry-After": formatdate(now + 5, usegmt=True)}
        )

    with ScriptedUpstream(answer) as upstream, RelayProcess(config(upstream.url, retry=["100ms"])) as relay:
        receipt = str(relay.form({"email": "ada@example.com"}).receipt)
        refused = upstream.wait_answered(1)[0].at
        upstream.script = None
        relay.wait_state(receipt, "delivered")
        waited = upstream.arrivals[1].at - refused
        assert 4 <= waited <= 9, waited


# --- forms ------------------------------------------------------------------------------------------------


def handed_out(relay: RelayProcess) -> str:
    """The time that is signed into the relay's own form."""
    page = relay.get("/forms/newsletter").text
    found = re.search(r'name="relay_ts"\s+value="([^"]+)"', page)
    assert found, page[:3000]
    return found[1]


def state_of(relay: RelayProcess, email: str, stamp: str) -> tuple[str, str | None]:
    answer = relay.form({"email": email, "relay_ts": stamp})
    assert answer.status == 202, "a suspect is told no more than others"
    row = relay.submission(str(answer.receipt))
    return ("held" if row["state"] == "held" else "taken"), row["reason"]


Step = tuple[float, str, str | None]
STEPS: dict[str, list[Step]] = {
    "a day on": [(DAY + 60, "held", "stale form"), (0, "taken", None)],
    "nearly a day on": [(DAY - 60, "taken", None)],
    "an hour back": [(-HOUR, "taken", None), (0, "taken", None)],
}


@pytest.mark.parametrize(
    "name",
    ["a day on", pytest.param("nearly a day on", marks=pytest.mark.slow), "an hour back"],
)
def test_a_forms_time_expires_by_the_clock_whichever_way_it_is_set(tmp_path: Path, name: str) -> None:
    """A time that we signed and that is yet to come says nothing of the visitor: a clock was set."""
    clock = WallClock(tmp_path)
    with ScriptedUpstream() as upstream, relay_with(clock, upstream) as relay:
        stamp = handed_out(relay)
        time.sleep(2.5)
        assert state_of(relay, "first@example.com", stamp) == ("taken", None)
        for number, (seconds, state, reason) in enumerate(STEPS[name]):
            clock.set(seconds)
            eventually(lambda: relay.output().count("clock.jumped") > number, 10, "its being noticed")
            assert state_of(relay, f"n{number}@example.com", stamp) == (state, reason), seconds

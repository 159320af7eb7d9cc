"""What the relay tells by itself: metrics and alerts."""

import re
import sqlite3
import time

import pytest

from tests.kit.canary import leaks
from tests.kit.people import (
    SETTINGS,
    SOURCES,
    Moods,
    email,
    in_state,
    receipt_of,
)
from tests.kit.processes import eventually, send
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream, created, status

# --- metrics --------------------------------------------------------------------------------------------


def metric(text: str, name: str, **labels: str) -> float:
    """The value of one sample, whatever the order of its labels."""
    for line in text.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if not found or found[1] != name:
            continue
        own = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
        if own == labels:
            return float(found[3])
    return 0.0


def test_metrics_count_truly_also_over_a_restart_of_the_worker() -> None:
    with (
        ScriptedUpstream(Moods()) as upstream,
        RelayProcess(config(upstream.url, SOURCES, **SETTINGS)) as relay,
    ):

        def taken(result: str) -> float:
            return metric(relay.metrics(), "relay_submissions_total", source="hook", result=result)

        def sent(outcome: str) -> float:
            return metric(relay.metrics(), "relay_deliveries_total", destination="ocamba", outcome=outcome)

        def waits(state: str) -> float:
            return metric(relay.metrics(), "relay_backlog", destination="ocamba", state=state)

        address = email("fine")
        in_state(relay, "refused")
        in_state(relay, "invalid")
        relay.wait_state(receipt_of(relay.hook({"email": address})), "delivered")
        assert relay.hook({"email": address}).json["repeat"]
        assert relay.hook(b"{").status == 400
        words = ("accepted", "repeat", "invalid", "rejected", "held")
        assert [taken(word) for word in words] == [2, 1, 1, 1, 0]
        assert (sent("delivered"), sent("refused")) == (1, 1)
        assert (waits("refused"), waits("invalid"), waits("queued")) == (1, 1, 0)

        workers = relay.worker_pids()
        send(9, workers)  # as when the kernel runs out of memory
        eventually(lambda: relay.worker_pids() not in ([], workers), 20, "another worker")
        relay.wait_ready()
        relay.wait_state(receipt_of(relay.hook({"email": email("fine")})), "delivered")

        assert [taken(word) for word in words] == [3, 1, 1, 1, 0]
        assert (sent("delivered"), sent("refused")) == (2, 1)
        text = relay.metrics()
        quota = {"destination": "ocamba", "window": "5000/minute"}
        assert metric(text, "relay_quota_used", **quota) == 3
        assert metric(text, "relay_upstream_seconds_count") == 3
        assert metric(text, "relay_request_seconds_count") == 6
        assert metric(text, "relay_destination_held", destination="ocamba") == 0
        relay.api("POST", "/api/destinations/ocamba/pause")
        relay.hook({"email": email("waits")})
        time.sleep(1)
        text = relay.metrics()
        assert metric(text, "relay_destination_held", destination="ocamba") == 1
        assert metric(text, "relay_oldest_queued_seconds", destination="ocamba") >= 1
        assert waits("queued") == 1
        assert leaks(relay.secrets | {"address": address}, [("metrics", text)]) == []


# --- alerts ---------------------------------------------------------------------------------------------


def told(receiver: ScriptedUpstream) -> list[tuple[str, str]]:
    return [(one.json["alert"], one.json["state"]) for one in receiver.arrivals]


def test_an_alert_is_posted_once_when_it_begins_and_once_when_it_is_over() -> None:
    answers = {"then": status(401)}
    with ScriptedUpstream(lambda _: answers["then"]) as upstream, ScriptedUpstream() as receiver:
        settings = config(upstream.url, SOURCES, **SETTINGS)
        alerts = {"RELAY_ALERT_URL": receiver.url}
        with RelayProcess(settings, env=alerts) as relay:
            receiver.refuse()  # what cannot be told yet is told later
            first = email("held-up")
            relay.hook({"email": first})
            relay.hook({"nothing": "mapped"})
            upstream.wait_for(1)
            eventually(lambda: "alert.unsent" in relay.output(), 20, "a try to tell")
            receiver.listen_again()
            eventually(lambda: len(told(receiver)) >= 2, 20, "both being told")
            assert sorted(told(receiver)) == [("held:ocamba", "firing"), ("invalid:ocamba", "firing")]
            held = next(one.json for one in receiver.arrivals if one.json["alert"] == "held:ocamba")
            assert set(held) == {"alert", "state", "detail", "at"}
            assert "misconfigured: 401" in held["detail"]

            relay.restart()
            answers["then"] = created()
            relay.hup()  # tries the destination at once
            relay.wait_drained(15)
            eventually(lambda: ("held:ocamba", "over") in told(receiver), 20, "the end being told")
            relay.api("POST", "/api/replay", {"state": "invalid"})
            for row in relay.rows(history=False, state="invalid"):
                relay.api("POST", f"/api/submissions/{row['receipt']}/discard")
            eventually(lambda: ("invalid:ocamba", "over") in told(receiver), 20, "the end being told")
            assert sorted(told(receiver)) == [
                *[("held:ocamba", "firing"), ("held:ocamba", "over")],
                *[("invalid:ocamba", "firing"), ("invalid:ocamba", "over")],
            ]
            assert "Authorization" not in str(receiver.arrivals[0].headers).title()
            posted = b"".join(one.body for one in receiver.arrivals)
            assert leaks(relay.secrets | {"address": first}, [("alerts", posted)]) == []
            logged = [line.data for line in relay.log_lines() if line.data and "alert" in line.data]
            assert [one["event"] for one in logged].count("alert.firing") == 2


def test_another_source_in_trouble_is_told_while_something_of_the_first_waits() -> None:
    """What waits may do so for weeks."""
    with ScriptedUpstream() as upstream, ScriptedUpstream() as receiver:
        alerts = {"RELAY_ALERT_URL": receiver.url}
        with RelayProcess(config(upstream.url, SOURCES, **SETTINGS), env=alerts) as relay:
            in_state(relay, "invalid", "hook")
            receiver.wait_for(1, timeout=30)
            in_state(relay, "invalid", "hook")
            in_state(relay, "invalid", "other")
            receiver.wait_for(2, timeout=30)
            assert told(receiver) == [("invalid:ocamba", "firing")] * 2
            details = [one.json["detail"] for one in receiver.arrivals]
            assert details[0].startswith("1 submission of hook is invalid")
            assert details[1].startswith("3 submissions of hook, other are invalid")


@pytest.mark.slow
def test_a_wrong_token_is_told_also_where_it_follows_a_wait_and_an_outage() -> None:
    """Who was told to wait waits, and would not hear that nothing comes any more until they see to it."""
    answers = {"then": status(429, {"Retry-After": "12"})}
    with ScriptedUpstream(lambda _: answers["then"]) as upstream, ScriptedUpstream() as receiver:
        settings = config(upstream.url, SOURCES, **SETTINGS | {"ambiguous": "retry", "give_up_after": "72h"})
        with RelayProcess(settings, env={"RELAY_ALERT_URL": receiver.url}) as relay:
            for number in range(4):
                relay.hook({"email": email(f"waits-{number}")})
            time.sleep(11)  # longer than it takes to look
            assert told(receiver) == [], "it ends by itself"

            answers["then"] = status(500)
            eventually(lambda: len(told(receiver)) == 1, 60, "the outage being told")
            answers["then"] = status(401)
            eventually(lambda: len(told(receiver)) == 2, 60, "the wrong token being told")
            assert told(receiver) == [("held:ocamba", "firing")] * 2
            details = [one.json["detail"] for one in receiver.arrivals]
            assert "is held: failing" in details[0] and "is held: misconfigured: 401" in details[1]

            answers["then"] = created()
            relay.hup()
            eventually(lambda: len(told(receiver)) == 3, 60, "the end being told")
            assert told(receiver)[-1] == ("held:ocamba", "over")


@pytest.mark.slow
def test_that_the_database_cannot_be_used_is_told_without_it() -> None:
    with ScriptedUpstream() as upstream, ScriptedUpstream() as receiver:
        alerts = {"RELAY_ALERT_URL": receiver.url}
        with RelayProcess(config(upstream.url, SOURCES, **SETTINGS), env=alerts) as relay:
            link = sqlite3.connect(relay.database_path, isolation_level=None)
            link.execute("BEGIN IMMEDIATE")  # as where nothing can be written any more
            receiver.wait_for(1, timeout=60)
            link.close()
            receiver.wait_for(2, timeout=60)
            assert told(receiver) == [("outbox", "firing"), ("outbox", "over")]
            assert receiver.arrivals[0].json["detail"].endswith("nothing is accepted: database is locked")
            assert "outbox.unavailable" in relay.output()
            assert "housekeeping.failed" not in relay.output(), "a mistake of the relay"

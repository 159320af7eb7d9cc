"""Several real processes on one PostgreSQL: two that only accept, two that only send, one Redis.

Who sends is told by its log, what arrived by upstream's ledger, and the judge compares.
"""

import secrets
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.kit import services
from tests.kit.client import Answer, Sent, Submitters, heard
from tests.kit.judge import judge
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RELAY, RelayProcess, StartFailed, config
from tests.kit.upstream import (
    Arrival,
    Reaction,
    ScriptedUpstream,
    created,
    hold,
    problem_json,
    status,
)

pytestmark = pytest.mark.postgres

KEY = secrets.token_hex(32)
SOURCES: dict[str, Any] = {
    "newsletter": NEWSLETTER,
    "patient": HOOK | {"wait": 10, "reply": ["id", "country_code"]},
    "hasty": HOOK | {"wait": 1},
    "limited": NEWSLETTER | {"client_limits": "3/minute"},
}
LIMITS = "8/second; 40/8 second"
WINDOWS = ((8, 1.0), (40, 8.0))
SHARED = {"RELAY_SECRET_KEYS": KEY, "OCAMBA_TOKEN": "one-token-for-all-of-them"}


def mood(arrival: Arrival) -> Reaction:
    """How upstream takes somebody: by the name."""
    email = str((arrival.json or {}).get("email", ""))
    return status(400, json=problem_json(400)) if email.startswith("refuse") else created()


def web(settings: Any, url: str, **env: str) -> RelayProcess:
    return RelayProcess(settings, database_url=url, env=SHARED | {"RELAY_ROLE": "web"} | env, start=False)


def sender(settings: Any, url: str, **more: Any) -> RelayProcess:
    """``python -m relay dispatch``, which listens nowhere."""
    return RelayProcess(
        settings, database_url=url, env=SHARED, command=[*RELAY, "dispatch"], start=False, **more
    )


def is_sending(process: RelayProcess) -> bool:
    return "relay.started" in process.output()


def started(stack: ExitStack, *processes: RelayProcess) -> None:
    """Start them side by side, and wait until all work."""
    for process in processes:
        stack.enter_context(process)
        process.start(wait_ready=False)
    for process in processes:
        if process.command[-1] == "dispatch":
            eventually(lambda process=process: is_sending(process), 30, "the dispatcher's start")
        else:
            process.wait_ready()


@dataclass
class Site:
    """Two web processes and two dispatchers: one under gunicorn, one as the command."""

    url: str
    upstream: ScriptedUpstream
    webs: list[RelayProcess]
    senders: list[RelayProcess]

    def sent_by(self, process: RelayProcess) -> int:
        return sum(
            1 for line in process.log_lines() if (line.data or {}).get("event") == "delivery.attempted"
        )

    def crowds(self, count: int, **more: Any) -> list[Submitters]:
        return [
            Submitters(one.port, "newsletter", count=count, threads=3, resend=True, **more)
            for one in self.webs
        ]


@pytest.fixture(scope="module")
def site(postgres_cluster: services.Postgres) -> Iterator[Site]:
    url = postgres_cluster.create_database()
    with ExitStack() as stack:
        upstream = stack.enter_context(ScriptedUpstream(mood))
        settings = config(upstream.url, SOURCES, limits=LIMITS)
        webs = [web(settings, url) for _ in range(2)]
        serving = RelayProcess(
            settings, database_url=url, env=SHARED | {"RELAY_ROLE": "dispatcher"}, start=False
        )
        senders = [serving, sender(settings, url)]
        started(stack, *webs, *senders)
        yield Site(url, upstream, webs, senders)
    postgres_cluster.drop_database(url)


def drained(site: Site, timeout: float = 60.0) -> None:
    site.webs[0].wait_drained(timeout)


# --- accepting and sending apart ----------------------------------------------------------------------


def test_what_two_take_two_others_send_within_the_windows(site: Site) -> None:
    """G 101: the windows hold for all of them together, and are used."""
    site.upstream.forget()
    before = [site.sent_by(process) for process in site.senders]
    crowds = site.crowds(24)
    began = time.monotonic()
    for crowd in crowds:
        crowd.start()
    for crowd in crowds:
        crowd.join()
    drained(site)
    seconds = time.monotonic() - began

    submitted = [sent for crowd in crowds for sent in crowd.ledger]
    rows = [row for row in site.webs[1].rows() if row["receipt"] in {sent.receipt for sent in submitted}]
    assert judge(submitted, site.upstream.arrivals, rows, limits=WINDOWS, finished=True, faults=False) == []
    assert {row["state"] for row in rows} == {"delivered"}
    assert len(site.upstream.arrivals) == 48
    sent = [site.sent_by(process) - was for process, was in zip(site.senders, before, strict=True)]
    assert sum(sent) == 48
    assert min(sent) >= 5, f"each has its part: {sent}"
    assert seconds < 20


def test_a_caller_that_waits_gets_the_verdict_of_another_process(site: Site) -> None:
    answer = site.webs[0].hook({"email": "ada@example.com"}, "patient")

    assert (answer.status, answer.json["state"]) == (201, "delivered")
    made = next(one for one in site.upstream.creates if one.json["email"] == "ada@example.com")
    assert answer.json["profile"] == {"id": made.profile_id, "country_code": "DE"}
    again = site.webs[1].hook({"email": "ada@example.com"}, "patient")
    assert (again.status, again.json["repeat"]) == (200, True)
    assert again.json["profile"] == answer.json["profile"]


def test_a_refusal_is_told_to_the_caller_that_waits(site: Site) -> None:
    answer = site.webs[1].hook({"email": "refuse-me@example.com"}, "patient")

    assert (answer.status, answer.json["state"]) == (422, "refused")
    assert answer.json["trace_id"] == problem_json(400)["trace_id"]


def test_a_caller_is_not_kept_longer_than_it_waits(site: Site) -> None:
    site.webs[0].api("POST", "/api/destinations/ocamba/pause")
    try:
        began = time.monotonic()
        answer = site.webs[1].hook({"email": "bob@example.com"}, "hasty")
        seconds = time.monotonic() - began
    finally:
        site.webs[1].api("POST", "/api/destinations/ocamba/resume")

    assert (answer.status, answer.json["state"]) == (202, "queued")
    assert seconds < 5
    assert site.webs[0].wait_state(answer.json["receipt"], "delivered")


def test_one_person_who_signs_up_everywhere_at_once_is_one(site: Site) -> None:
    """K 128, over two processes."""
    fields = {"email": "everywhere@example.com", "first_name": "Eve"}

    with ThreadPoolExecutor(30) as crowd:
        answers = list(crowd.map(lambda n: site.webs[n % 2].form(fields), range(30)))

    assert {answer.status for answer in answers} == {202}
    drained(site)
    sent = [one for one in site.upstream.arrivals if one.json["email"] == "everywhere@example.com"]
    assert len(sent) == 1


def test_an_operator_of_either_stops_and_restarts_both_senders(site: Site) -> None:
    site.webs[0].api("POST", "/api/destinations/ocamba/pause")
    answer = site.webs[1].form({"email": "patience@example.com"})
    time.sleep(2.5)
    still = site.webs[1].state(answer.receipt or "")
    reason = site.webs[1].status()["ocamba"]["hold_reason"]

    done = site.webs[1].cli("resume")

    assert (still, reason) == ("queued", "paused")
    assert (done.returncode, done.stdout) == (0, "ocamba: resumed\n")
    assert site.webs[0].wait_state(answer.receipt or "", "delivered")


def test_what_only_sends_accepts_nothing_and_what_only_accepts_sends_nothing(site: Site) -> None:
    answer = site.senders[0].form({"email": "ada@example.com"})

    assert answer.status in (404, 503)
    assert [site.sent_by(one) for one in site.webs] == [0, 0]
    assert all(one.readyz() == 200 for one in [*site.webs, site.senders[0]])


# --- a database that fails ----------------------------------------------------------------------------


def test_backends_that_end_under_load_lose_nobody_and_store_nobody_twice(
    site: Site, postgres_cluster: services.Postgres
) -> None:
    site.upstream.forget()
    crowds = site.crowds(24, rate=10, pause=0.05)
    for crowd in crowds:
        crowd.start()
    ended = 0
    for _ in range(10):
        time.sleep(0.25)
        ended += postgres_cluster.terminate_backends(site.url)
    for crowd in crowds:
        crowd.join()

    # A result that could not be recorded is recorded later; a call of which nothing is known waits
    # for its lease and a minute more, so not all are through, but none is lost.
    submitted = [sent for crowd in crowds for sent in crowd.ledger]
    assert ended > 10
    assert all(sent.acknowledged for sent in submitted)

    def nearly_done() -> bool:
        return site.webs[0].counts().get("queued", 0) == 0

    eventually(nearly_done, 45, "the end of the backlog", 0.3)
    mine = {sent.receipt for sent in submitted}
    rows = [row for row in site.webs[0].rows() if row["receipt"] in mine]
    assert len(rows) == 48
    assert judge(submitted, site.upstream.arrivals, rows, limits=WINDOWS) == []


def test_while_nothing_can_be_written_nothing_is_taken(
    site: Site, postgres_cluster: services.Postgres
) -> None:
    """Such as after a failover to a standby, or where a full disk made the database read-only: connections
    work, writing does not. Those of that time stay read-only, and must not be kept for it."""
    name = site.url.rpartition("/")[2]
    before = len(site.webs[0].rows(history=False))
    postgres_cluster.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    postgres_cluster.terminate_backends(site.url)
    try:
        answers = [one.form({"email": "read-only@example.com"}) for one in site.webs for _ in range(2)]
        assert [answer.status for answer in answers] == [503] * 4
        assert all(answer.header("Retry-After") for answer in answers)
        assert eventually(lambda: site.webs[0].readyz() == 503, 5, "readyz telling it")
    finally:
        postgres_cluster.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")

    def taken() -> str | None:
        return site.webs[0].form({"email": "read-only@example.com"}).receipt

    receipt = eventually(taken, 15, "taking again")
    assert receipt
    assert site.webs[0].wait_state(receipt, "delivered")
    assert len(site.webs[0].rows(history=False)) == before + 1


def test_who_tried_in_vain_while_nothing_was_taken_is_not_held_for_it(
    postgres_cluster: services.Postgres, postgres_url: str
) -> None:
    name = postgres_url.rpartition("/")[2]
    sources = {"newsletter": NEWSLETTER | {"source_limits": "20/hour"}}
    with (
        ScriptedUpstream() as upstream,
        RelayProcess(config(upstream.url, sources), database_url=postgres_url) as relay,
    ):
        postgres_cluster.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        postgres_cluster.terminate_backends(postgres_url)
        tries = [relay.form({"email": f"tried{number % 3}@example.com"}) for number in range(30)]
        assert {answer.status for answer in tries} == {503}
        postgres_cluster.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")

        receipt = eventually(lambda: relay.form({"email": "tried0@example.com"}).receipt, 15, "taking again")
        assert receipt
        assert relay.wait_state(receipt, "delivered", "held")["state"] == "delivered"


def answered(process: RelayProcess, name: str, ledger: list[Sent]) -> Answer:
    fields, profile = {"email": f"{name}@example.com"}, {"email": f"{name}@example.com"}
    answer = process.form(fields)
    ledger.append(heard(Sent(len(ledger), "newsletter", fields, profile), answer))
    return answer


def test_a_database_that_goes_and_comes_back_is_found_again(own_cluster: services.Postgres) -> None:
    url = own_cluster.create_database()
    ledger: list[Sent] = []
    with ExitStack() as stack:
        upstream = stack.enter_context(ScriptedUpstream())
        settings = config(upstream.url, SOURCES, limits=LIMITS)
        accepting, sending = web(settings, url), sender(settings, url)
        started(stack, accepting, sending)
        assert answered(accepting, "before", ledger).status == 202
        upstream.wait_for(1)

        own_cluster.stop()
        began = time.monotonic()
        refused = [answered(accepting, f"during{number}", ledger) for number in range(5)]
        seconds = time.monotonic() - began
        assert [(answer.status, answer.receipt) for answer in refused] == [(503, None)] * 5
        assert all(answer.header("Retry-After") for answer in refused)
        assert seconds < 10
        assert eventually(lambda: accepting.readyz() == 503, 5, "readyz telling it")
        assert accepting.get("/healthz").status == 200
        time.sleep(2)
        assert accepting.alive() and sending.alive()

        own_cluster.start()
        eventually(lambda: accepting.readyz() == 200, 15, "readyz telling that it is back")
        assert answered(accepting, "after", ledger).status == 202
        upstream.wait_for(2, 20)
        accepting.wait_drained(20)
        rows = accepting.rows()
        assert len(rows) == 2
        assert judge(ledger, upstream.arrivals, rows, limits=WINDOWS, finished=True) == []


@pytest.mark.slow
def test_a_database_that_hangs_for_a_while_stores_nobody_twice(own_cluster: services.Postgres) -> None:
    """As in a failover: connections stay open, and nothing is answered on them."""
    url = own_cluster.create_database()
    with ExitStack() as stack:
        upstream = stack.enter_context(ScriptedUpstream())
        settings = config(upstream.url, SOURCES, limits=LIMITS)
        accepting, sending = web(settings, url), sender(settings, url)
        started(stack, accepting, sending)
        crowd = Submitters(accepting.port, "newsletter", seconds=45, rate=4, threads=4, resend=True)
        with crowd:
            time.sleep(3)
            own_cluster.pause()
            time.sleep(30)
            own_cluster.resume()
        eventually(lambda: accepting.readyz() == 200, 30, "readyz telling that it is back")

        def settled() -> bool:
            return set(accepting.counts()) <= {"delivered"}

        eventually(settled, 150, "the end of the backlog", 1.0)
        assert all(sent.acknowledged for sent in crowd.ledger)
        assert judge(crowd.ledger, upstream.arrivals, accepting.rows(), limits=WINDOWS, finished=True) == []


def test_a_newer_database_is_refused_by_every_process(
    postgres_url: str, postgres_cluster: services.Postgres
) -> None:
    settings = config("http://127.0.0.1:9/", SOURCES)
    process = web(settings, postgres_url)
    assert process.cli("migrate").stdout.startswith("the database has schema version")
    name = postgres_url.rpartition("/")[2]
    postgres_cluster.execute("UPDATE schema_version SET version = 99", name)

    migrated, dispatching = process.cli("migrate"), process.cli("dispatch")
    with pytest.raises(StartFailed) as refused, process:
        process.start()

    for done in (migrated, dispatching):
        assert (done.returncode, done.stdout) == (1, ""), done.stderr
        assert done.stderr.strip().splitlines()[-1].endswith("run a newer relay")
    assert "Traceback" not in dispatching.stderr
    assert refused.value.returncode == 3
    assert "run a newer relay" in refused.value.output
    assert postgres_cluster.execute("SELECT version FROM schema_version", name) == [(99,)]
    assert postgres_cluster.execute("SELECT count(*) FROM meta WHERE key = 'purpose'", name) == [(0,)]


# --- a dispatcher that stops --------------------------------------------------------------------------

DEADLINE = 2
LEASE = DEADLINE + 10


def test_a_terminated_dispatcher_records_what_is_in_flight(postgres_url: str) -> None:
    go = threading.Event()
    with ExitStack() as stack:
        upstream = stack.enter_context(ScriptedUpstream([hold(go, create_first=True)]))
        settings = config(upstream.url, SOURCES)
        accepting, sending = web(settings, postgres_url), sender(settings, postgres_url)
        started(stack, accepting, sending)
        receipt = accepting.form({"email": "ada@example.com"}).receipt or ""
        upstream.wait_for(1)

        sending.term()
        time.sleep(0.5)
        go.set()

        assert sending.wait(15) == 0
        assert accepting.state(receipt) == "delivered"


@pytest.mark.slow
@pytest.mark.parametrize("ambiguous", ["park", "retry"])
def test_one_that_sleeps_past_its_lease_is_overtaken(postgres_url: str, ambiguous: str) -> None:
    """Its call went out before; when it wakes up its result is of no use any more."""
    go = threading.Event()
    with ExitStack() as stack:
        upstream = stack.enter_context(ScriptedUpstream([hold(go, create_first=True)]))
        settings = config(upstream.url, SOURCES, deadline=DEADLINE, ambiguous=ambiguous)
        accepting = web(settings, postgres_url)
        first, second = sender(settings, postgres_url), sender(settings, postgres_url)
        started(stack, accepting, first)
        ledger: list[Sent] = []
        receipt = answered(accepting, "ada", ledger).receipt or ""
        upstream.wait_for(1, creates=True)

        first.stop()
        go.set()
        started(stack, second)
        settled = accepting.wait_state(receipt, "queued", "parked", timeout=LEASE + 10)
        assert settled["may_be_duplicate"]
        assert [one["outcome"] for one in settled["history"]] == ["unclear"]
        if ambiguous == "retry":
            delivered = accepting.wait_state(receipt, "delivered", timeout=90)
            assert len(upstream.creates) == 2
        before = accepting.submission(receipt)
        first.cont()
        eventually(lambda: "delivery.overtaken" in first.output(), 10, "the late result being refused")
        time.sleep(1)

        assert accepting.submission(receipt) == before
        assert before["state"] == ("parked" if ambiguous == "park" else "delivered")
        if ambiguous == "retry":
            assert delivered["profile_id"] == upstream.creates[1].profile_id
            assert upstream.arrivals[1].at - upstream.arrivals[0].at >= 60
        assert judge(ledger, upstream.arrivals, accepting.rows()) == []


@pytest.mark.slow
def test_a_killed_dispatchers_work_is_taken_over(postgres_url: str) -> None:
    go = threading.Event()
    with ExitStack() as stack:
        upstream = stack.enter_context(ScriptedUpstream([hold(go)]))
        settings = config(upstream.url, SOURCES, deadline=DEADLINE)
        accepting = web(settings, postgres_url)
        first, second = sender(settings, postgres_url), sender(settings, postgres_url)
        started(stack, accepting, first)
        ledger: list[Sent] = []
        lost = answered(accepting, "ada", ledger).receipt or ""
        upstream.wait_for(1)
        first.kill9()
        started(stack, second)
        other = answered(accepting, "eve", ledger).receipt or ""

        assert accepting.wait_state(other, "delivered", timeout=10)
        found = accepting.wait_state(lost, "delivered", timeout=LEASE + 90)

        assert found["may_be_duplicate"]
        assert [one["outcome"] for one in found["history"]] == ["unclear", "delivered"]
        go.set()
        assert judge(ledger, upstream.arrivals, accepting.rows(), finished=True) == []


# --- limits in Redis ----------------------------------------------------------------------------------


def test_clients_are_limited_over_processes_and_redis_may_fail(
    own_redis: services.Redis, postgres_url: str
) -> None:
    with ExitStack() as stack:
        limited_everywhere(stack, own_redis, postgres_url)


def limited_everywhere(stack: ExitStack, redis: services.Redis, postgres_url: str) -> None:
    settings = config("http://127.0.0.1:9/", SOURCES)
    webs = [web(settings, postgres_url, RELAY_LIMITS_URL=redis.url) for _ in range(2)]
    started(stack, *webs)
    people = iter(range(1000))

    def sign_up(process: RelayProcess) -> tuple[int, float]:
        began = time.monotonic()
        answer = process.form({"email": f"n{next(people)}@example.com"}, "limited")
        return answer.status, time.monotonic() - began

    def warned(process: RelayProcess) -> bool:
        return "RELAY_LIMITS_URL cannot be used" in str(process.readiness().json["warnings"])

    assert [sign_up(webs[n % 2])[0] for n in range(5)] == [202, 202, 202, 429, 429]
    assert not any(warned(process) for process in webs)

    redis.stop()
    went = [sign_up(webs[n % 2]) for n in range(8)]
    assert [code for code, _ in went] == [202] * 6 + [429] * 2, "each counts for itself"
    assert max(seconds for _, seconds in went) < 2
    assert all(warned(process) for process in webs)
    assert all(process.readyz() == 200 for process in webs)

    redis.start()
    time.sleep(5.5)
    assert [sign_up(webs[n % 2])[0] for n in range(4)] == [202, 202, 202, 429]
    assert not any(warned(process) for process in webs)

    redis.pause()
    hung = [sign_up(webs[n % 2]) for n in range(6)]
    redis.resume()
    assert {code for code, _ in hung} <= {202, 429}
    assert max(seconds for _, seconds in hung) < 2
    assert sum(seconds for _, seconds in hung) < 5, "only the first one waits for it"
    assert all(warned(process) for process in webs)


def test_a_signal_to_reload_reaches_a_process_that_only_sends(postgres_url: str) -> None:
    with ExitStack() as stack:
        upstream = stack.enter_context(ScriptedUpstream())
        settings = config("http://127.0.0.1:9/", SOURCES)
        accepting, sending = web(settings, postgres_url), sender(settings, postgres_url)
        started(stack, accepting, sending)
        receipt = accepting.form({"email": "ada@example.com"}).receipt or ""
        eventually(lambda: accepting.submission(receipt)["attempts"] == 1, 10, "a first try in vain")

        sending.configure(config(upstream.url, SOURCES, retry=["1s"]))
        sending._signal(signal.SIGHUP)

        eventually(lambda: "config.reloaded" in sending.output(), 10, "the reload")
        assert accepting.wait_state(receipt, "delivered", timeout=15)

"""Groups X (135-137, 140, 141) and E (69, 73, 74, lightly) of the catalogue of faults: ends and beginnings.

Upstream takes a moment for every call, so that there is always something in flight. Destinations park what
is unclear: then nothing waits for a minute, and the judge can look at the end of every story.
"""

import contextlib
import http.client
import random
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.kit.client import HOST, Raw, Submitters, encoded, head
from tests.kit.judge import judge, leaks
from tests.kit.processes import eventually, send
from tests.kit.relay import GUNICORN, HOOK, NEWSLETTER, RELAY, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream, delay

GRACE = 25.0
"""gunicorn.conf.py: graceful_timeout."""
LIMITS = "50/second; 1000/minute"
WINDOWS = ((50, 1.0), (1000, 60.0))
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(lambda _: delay(0.15)) as server:
        yield server


def settings(upstream: ScriptedUpstream, **options: Any) -> dict[str, Any]:
    return config(upstream.url, **{"limits": LIMITS, "ambiguous": "park", **options})


def load(relay: RelayProcess, **more: Any) -> Submitters:
    """Thirty people a second sign up."""
    return Submitters(relay.port, threads=4, rate=30, **{"seconds": 600, **more})


def settled(relay: RelayProcess, upstream: ScriptedUpstream, crowd: Submitters, **more: Any) -> list[str]:
    """Waits for the end of every story; returns what the judge finds."""
    relay.wait_drained(60)
    return judge(crowd.ledger, upstream.arrivals, relay.rows(), limits=WINDOWS, finished=True, **more)


Meanwhile = Callable[[Callable[[], None]], None]


@pytest.fixture(scope="module", autouse=True)
def meanwhile() -> Iterator[Meanwhile]:
    """What mostly waits begins at once, beside the other tests; call it to wait for one of them."""
    with ThreadPoolExecutor() as pool:
        running = {one: pool.submit(one) for one in (a_stalled_client, two_servers_on_one_file)}
        yield lambda one: running[one].result(90)


# --- X 135-137: going ---------------------------------------------------------------------------------


Ending = tuple[signal.Signals, ...]
TERM: Ending = (signal.SIGTERM,)
ENDINGS: list[Ending] = [
    TERM,
    (signal.SIGTERM, signal.SIGTERM),
    (signal.SIGINT,),
    (signal.SIGQUIT,),
    (signal.SIGHUP, signal.SIGTERM),
]


def ended_again_and_again(
    upstream: ScriptedUpstream, chance: random.Random, endings: list[Ending], longest: float
) -> None:
    """Ends it at random moments, with calls in flight; what was in flight is recorded."""
    with RelayProcess(settings(upstream)) as relay, load(relay) as crowd:
        for ending in endings:
            time.sleep(chance.uniform(0.2, longest))
            began = time.monotonic()
            for number in ending:
                send(number, [relay.pid])
                time.sleep(0.05)
            assert relay.wait(GRACE + 5) == 0, ending
            assert time.monotonic() - began <= GRACE + 2, ending
            relay.start()
        crowd.stop()
        assert settled(relay, upstream, crowd) == []
        assert len(crowd.acknowledged) >= 5 * len(endings)
        assert not any(row["may_be_duplicate"] for row in relay.rows())


def test_135_and_137_every_way_of_ending_it_under_load_loses_nobody(
    upstream: ScriptedUpstream, seed: int
) -> None:
    chance = random.Random(seed)
    ended_again_and_again(upstream, chance, chance.sample(ENDINGS, len(ENDINGS)), 0.8)


@pytest.mark.slow
def test_135_nor_do_twenty_terminations(upstream: ScriptedUpstream, seed: int) -> None:
    ended_again_and_again(upstream, random.Random(seed), [TERM] * 20, 4)


def a_stalled_client() -> None:
    with ScriptedUpstream(lambda _: delay(1.5)) as upstream, RelayProcess(settings(upstream)) as relay:
        receipt = str(relay.form({"email": "ada@example.com"}).receipt)
        upstream.wait_for(1)
        with Raw(relay.port) as stalled, Raw(relay.port) as silent:
            stalled.send(head("POST", "/submit/newsletter", FORM | {"Content-Length": "100"}) + b"email=")
            silent.send(b"POST /sub")
            time.sleep(0.2)
            began = time.monotonic()
            assert relay.term(GRACE + 5) == 0
            assert time.monotonic() - began <= GRACE + 2
        relay.start()
        row = relay.submission(receipt)
        assert (row["state"], row["may_be_duplicate"]) == ("delivered", False)
        assert len(relay.rows()) == 1


def test_136_a_stalled_client_does_not_hold_up_the_end(meanwhile: Meanwhile) -> None:
    meanwhile(a_stalled_client)


# --- SIGHUP: staying ----------------------------------------------------------------------------------


def test_a_reload_under_load_fails_nobody_and_happens_in_place(upstream: ScriptedUpstream) -> None:
    with RelayProcess(settings(upstream)) as relay:
        workers = relay.worker_pids()
        with load(relay) as crowd, kept_alive(relay) as statuses:
            for number in range(10):
                more = {f"more-{number}": NEWSLETTER}
                relay.configure(settings(upstream, sources={"newsletter": NEWSLETTER, **more}))
                relay.hup()
                eventually(lambda n=number: relay.form({"email": "a@b.de"}, f"more-{n}").status == 202, 5)
                time.sleep(0.1)
            crowd.stop()
        assert {sent.outcomes for sent in crowd.ledger} == {(202,)}
        assert set(statuses) == {202} and len(statuses) > 5
        assert relay.worker_pids() == workers
        relay.wait_drained()
        assert relay.form({"email": "a@b.de"}, "more-0").status == 404, "the last reload took it out"


class kept_alive:
    """Posts over one connection, again and again, for as long as it stays open."""

    def __init__(self, relay: RelayProcess) -> None:
        self._link = http.client.HTTPConnection(HOST, relay.port, timeout=10)
        self._over = threading.Event()
        self._statuses: list[int | None] = []
        self._thread = threading.Thread(target=self._post)

    def __enter__(self) -> list[int | None]:
        self._thread.start()
        return self._statuses

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._link.close()

    def _post(self) -> None:
        headers = FORM | {"Accept": "application/json"}
        while not self._over.wait(0.05):
            body = encoded({"email": f"kept-{len(self._statuses)}@example.com"})
            try:
                self._link.request("POST", "/submit/newsletter", body, headers)
                answer = self._link.getresponse()
                answer.read()
                self._statuses.append(answer.status)
            except (OSError, http.client.HTTPException):
                self._statuses.append(None)
                return


DESTINATION = '[destinations.ocamba]\nurl = "https://upstream.invalid/"\n'
BAD = {
    "no TOML": "[destinations",
    "an unknown key": f'{DESTINATION}token = "env:OCAMBA_TOKEN"\ncolour = 1',
    "a missing secret": f'{DESTINATION}token = "env:NOT_SET"',
    "impossible limits": f'{DESTINATION}token = "env:OCAMBA_TOKEN"\nlimits = "10/second; 5/minute"',
}


def test_a_bad_new_configuration_changes_nothing(upstream: ScriptedUpstream) -> None:
    with RelayProcess(settings(upstream)) as relay:
        for count, (kind, text) in enumerate(BAD.items(), 1):
            relay.configure(text)
            relay.hup()
            eventually(lambda n=count: relay.output().count('"config.kept"') == n, 5, kind)
            assert relay.hook({"email": f"ada-{count}@example.com"}).status == 201
        problems = [
            line.data for line in relay.log_lines() if line.data and line.data["event"] == "config.problem"
        ]
        assert len(problems) >= len(BAD)
        assert any("colour" in problem["problem"] for problem in problems)
        relay.config_path.unlink()
        relay.hup()
        eventually(lambda: relay.output().count('"config.kept"') == len(BAD) + 1, 5)
        assert relay.readyz() == 200
        relay.configure(settings(upstream))
        relay.hup()
        eventually(lambda: '"config.reloaded"' in relay.output(), 5)


def test_a_secret_in_a_file_is_read_again(upstream: ScriptedUpstream) -> None:
    with RelayProcess(settings(upstream), start=False) as relay:
        secret = relay.folder / "secret"
        secret.write_text("first-secret-of-the-sender\n")
        secret.chmod(0o600)
        hook = HOOK | {"secret": f"file:{secret}"}
        relay.configure(settings(upstream, sources={"hook": hook}))
        relay.start()

        def statuses() -> list[int]:
            words = "first-secret-of-the-sender", "second-secret-of-the-sender"
            proofs = [{"Authorization": f"Bearer {word}"} for word in words]
            return [relay.hook({"email": "ada@example.com"}, headers=proof).status for proof in proofs]

        assert statuses() == [201, 401]
        secret.write_text("second-secret-of-the-sender\n")
        assert statuses()[1] == 401
        relay.hup()
        eventually(lambda: statuses() == [401, 200], 5)


# --- X 140: coming back -------------------------------------------------------------------------------


def restarted_with_due_retries(count: int, fresh: int, limits: str, windows: Any, seconds: float) -> None:
    trap = {"honeypot": "relay_leave_empty"}
    with ScriptedUpstream() as upstream:
        sources = {"newsletter": NEWSLETTER | trap}
        with RelayProcess(config(upstream.url, sources, limits=limits)) as relay:
            assert relay.api("POST", "/api/destinations/ocamba/pause").status == 200
            old = Submitters(relay.port, threads=8, count=count, make=_trapped).start().join()
            replayed = relay.api("POST", "/api/replay", {"state": "held"}, timeout=300)
            assert replayed.json == {"count": count}
            new = Submitters(relay.port, threads=4, count=fresh).start().join()
            assert relay.restart() == 0
            assert upstream.arrivals == [], "a pause outlives a restart"
            assert relay.api("POST", "/api/destinations/ocamba/resume").status == 200
            first = upstream.wait_for(fresh, timeout=seconds)[:fresh]
            names = {sent.profile["email"] for sent in new.ledger}
            assert sum(arrival.json["email"] in names for arrival in first) >= 0.85 * fresh
            rows = relay.rows(history=False)
            assert judge(old.ledger + new.ledger, upstream.arrivals, rows, limits=windows) == []


def _trapped(number: int) -> tuple[dict[str, Any], dict[str, str]]:
    email = f"trapped-{number}@example.com"
    return {"email": email, "relay_leave_empty": "x"}, {"email": email}


def test_140_after_a_restart_fresh_ones_go_before_due_retries() -> None:
    restarted_with_due_retries(120, 30, "10/second; 20/3 second", ((10, 1.0), (20, 3.0)), 20)


@pytest.mark.slow
def test_140_also_before_ten_thousand() -> None:
    restarted_with_due_retries(10_000, 300, "10/second; 150/minute", ((10, 1.0), (150, 60.0)), 180)


# --- E 69, 73, 74: killed -----------------------------------------------------------------------------


def killed_under_load(upstream: ScriptedUpstream, chance: random.Random, kills: int, **options: Any) -> None:
    """Senders try again with the same key until they are told that it is kept."""
    with RelayProcess(settings(upstream, deadline=2, **options)) as relay:
        with load(relay, resend=True) as crowd:
            for _ in range(kills):
                time.sleep(chance.uniform(0.1, 1.5))
                relay.kill9()
                relay.start()
            time.sleep(1)
            crowd.stop()
        relay.wait_drained(300)
        rows = relay.rows()
        found = judge(crowd.ledger, upstream.arrivals, rows, limits=WINDOWS, finished=True)
        assert found == []
        assert {sent.status for sent in crowd.ledger[:-8]} <= {200, 202}
        assert len(crowd.acknowledged) > 10 * kills
        allowed = {"delivered"} | ({"parked"} if options.get("ambiguous") != "retry" else set())
        assert {row["state"] for row in rows} <= allowed
        assert all(row["may_be_duplicate"] for row in rows if row["state"] == "parked")


def test_73_kills_under_load_lose_nobody_and_send_nobody_twice(upstream: ScriptedUpstream, seed: int) -> None:
    killed_under_load(upstream, random.Random(seed), 3)


@pytest.mark.slow
def test_73_what_was_in_flight_is_sent_again_after_a_minute(upstream: ScriptedUpstream, seed: int) -> None:
    killed_under_load(upstream, random.Random(seed), 12, ambiguous="retry")


def test_74_a_worker_or_a_master_that_is_killed_alone_loses_nobody(upstream: ScriptedUpstream) -> None:
    with RelayProcess(settings(upstream, deadline=2)) as relay, load(relay, resend=True) as crowd:
        upstream.wait_for(8)
        master, workers = relay.pid, relay.worker_pids()
        send(signal.SIGKILL, workers)
        eventually(lambda: set(relay.worker_pids()) - set(workers), 10, "another worker")
        relay.wait_ready(15)
        assert relay.pid == master and relay.alive()
        time.sleep(0.5)
        send(signal.SIGKILL, [master])
        eventually(lambda: not relay.pids(), GRACE + 5, "the end of the worker without a master")
        relay.start()
        time.sleep(0.5)
        crowd.stop()
        assert settled(relay, upstream, crowd) == []
        assert {sent.status for sent in crowd.ledger[:-8]} <= {200, 202}


def test_75_a_payload_that_cannot_be_read_stops_nobody_else(upstream: ScriptedUpstream) -> None:
    with RelayProcess(settings(upstream, parallel=1, retry=["20s"])) as relay:
        assert relay.api("POST", "/api/destinations/ocamba/pause").status == 200
        receipts = [str(relay.form({"email": f"ada-{n}@example.com"}).receipt) for n in range(5)]
        relay.kill9()
        with contextlib.closing(sqlite3.connect(relay.database_path)) as database, database:
            box = database.execute(
                "SELECT payload FROM deliveries WHERE receipt = ?", receipts[:1]
            ).fetchone()[0]
            spoiled = box[:-1] + bytes([box[-1] ^ 1])
            database.execute("UPDATE deliveries SET payload = ? WHERE receipt = ?", (spoiled, receipts[0]))
        relay.start()
        assert relay.api("POST", "/api/destinations/ocamba/resume").status == 200
        for receipt in receipts[1:]:
            relay.wait_state(receipt, "delivered")
        row = relay.submission(receipts[0])
        assert (row["state"], row["may_be_duplicate"]) == ("queued", False)
        assert "damaged" in row["reason"]
        assert len(upstream.arrivals) == 4


# --- X 141: refusing to start -------------------------------------------------------------------------

COMMANDS = {"gunicorn": GUNICORN, "serve": [*RELAY, "serve"]}
GOOD = config("https://upstream.invalid/v1/hood/profiles")


def refused(relay: RelayProcess, within: float = 5.0) -> tuple[int, list[str]]:
    """Starts it; returns the exit status and the lines that are about the problem."""
    began = time.monotonic()
    relay.start(wait_ready=False)
    status = relay.wait(30)
    took = time.monotonic() - began
    assert took < within, took
    output = relay.output()
    assert "Traceback" not in output
    assert leaks(relay.secrets, [output]) == []
    assert not relay.pids()
    lines = [line.raw for line in relay.log_lines() if line.raw.strip()]
    return status, [line for line in lines if '"level": "info"' not in line]


@pytest.mark.parametrize("mode", COMMANDS)
def test_141_an_address_in_use(mode: str) -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with RelayProcess(GOOD, mode=mode, port=port, start=False) as relay:
            status, lines = refused(relay)
    assert status == 1
    assert len(lines) == 1
    assert f"{HOST}:{port}" in lines[0] and "in use" in lines[0]


def _no_file(relay: RelayProcess) -> None:
    relay.config_path.unlink()


def _unreadable(relay: RelayProcess) -> None:
    relay.config_path.unlink()
    relay.config_path.mkdir()


def _without(name: str) -> Callable[[RelayProcess], None]:
    return lambda relay: relay.env.pop(name) and None


def _with(**variables: str) -> Callable[[RelayProcess], None]:
    return lambda relay: relay.env.update(variables)


def _text(**more: Any) -> Callable[[RelayProcess], None]:
    return lambda relay: relay.configure(GOOD | more)


PROBLEMS: dict[str, tuple[Callable[[RelayProcess], None], list[str]]] = {
    "a missing token": (_without("OCAMBA_TOKEN"), ["OCAMBA_TOKEN"]),
    "no configuration": (_no_file, ["relay.toml"]),
    "an unreadable configuration": (_unreadable, ["relay.toml"]),
    "no TOML": (lambda relay: relay.configure("[[["), ["relay.toml"]),
    "an unknown key": (_text(colour="red"), ["colour"]),
    "many at once": (
        _with(
            PORT="x",
            HOOK_SECRET="",
            RELAY_ROLE="cook",
            RELAY_COLOUR="red",
            RELAY_ADMIN_TOKEN="short",
            RELAY_DATABASE_URL="mysql://x",
            RELAY_SECRET_KEYS_FILE="/nowhere",
        ),
        [
            "PORT",
            "HOOK_SECRET",
            "RELAY_ROLE",
            "RELAY_COLOUR",
            "RELAY_ADMIN_TOKEN",
            "RELAY_DATABASE_URL",
            "RELAY_SECRET_KEYS",
        ],
    ),
}


@pytest.mark.parametrize("kind", PROBLEMS)
def test_141_what_is_wrong_is_said_in_a_line_each(kind: str) -> None:
    spoil, words = PROBLEMS[kind]
    with RelayProcess(GOOD, start=False) as relay:
        spoil(relay)
        status, lines = refused(relay)
    assert status == 2
    assert len(lines) == len(words), lines
    for word in words:
        assert any(word in line for line in lines), (word, lines)


def test_141_serve_says_the_same() -> None:
    """Without a token it would take the sandbox; so here the secret is what is missing."""
    with RelayProcess(GOOD | {"colour": "red"}, mode="serve", start=False) as relay:
        status, lines = refused(relay)
    assert status == 2
    assert len(lines) == 1 and "colour" in lines[0]


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with RelayProcess(GOOD, database_url="sqlite:////proc/nowhere/relay.db", start=False) as relay:
        status, lines = refused(relay)
    assert status in (2, 3)
    assert sum("/proc/nowhere" in line for line in lines) == 1


# --- two at once --------------------------------------------------------------------------------------


def two_servers_on_one_file() -> None:
    """The second waits for the first to go, as after a restart; then it gives up."""
    with RelayProcess(GOOD) as first:
        with RelayProcess(GOOD, database_url=first.database_url, start=False) as second:
            began = time.monotonic()
            second.start(wait_ready=False)
            assert second.wait(40) in (2, 3)
            assert time.monotonic() - began <= 30
            said = [line for line in second.output().splitlines() if "PostgreSQL" in line]
            assert len(said) == 1
        assert first.form({"email": "ada@example.com"}).status == 202, "the first does not mind"


def test_a_second_server_on_one_file_goes_and_names_postgresql(meanwhile: Meanwhile) -> None:
    meanwhile(two_servers_on_one_file)


def test_commands_work_beside_the_server(upstream: ScriptedUpstream) -> None:
    with RelayProcess(settings(upstream)) as relay:
        receipt = str(relay.hook({"email": "ada@example.com"}).receipt)
        shown = relay.cli("submissions", "show", receipt)
        assert shown.returncode == 0 and receipt in shown.stdout
        assert relay.cli("pause", "ocamba").returncode == 0
        assert relay.status()["ocamba"]["hold_reason"] == "paused"
        assert relay.cli("resume", "ocamba").returncode == 0
        assert relay.hook({"email": "eve@example.com"}).status == 201

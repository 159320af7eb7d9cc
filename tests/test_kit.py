"""The kit itself: every reaction seen from a client's side, every helper against a real server.

A test kit that cannot fail proves nothing, so the judge is shown a violation of each promise.
"""

import base64
import html
import json
import signal
import socket
import sys
import time
import tomllib
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import conftest
from tests.kit import services
from tests.kit import upstream as up
from tests.kit.calls import ADA, posted
from tests.kit.client import Raw, Sent, Submitters, head, heard, numbered
from tests.kit.judge import Calm, judge, leaks
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, StartFailed, config, toml


@pytest.fixture
def upstream() -> Iterator[up.ScriptedUpstream]:
    with up.ScriptedUpstream() as server:
        yield server


# --- the client -----------------------------------------------------------------------------


def test_raw_reads_answers_one_after_another(upstream: up.ScriptedUpstream) -> None:
    upstream.script = [up.status(400), up.raw(_chunked_answer()), up.created()]
    with Raw(upstream.port) as raw:
        raw.send(posted(b"{}") + posted(b"{}"))
        raw.send(head("POST", up.PATH, {"Transfer-Encoding": "chunked"}))
        raw.chunk(b'{"a"').chunk(b":1}").last_chunk()
        assert raw.read().status == 400
        assert raw.read().body == b"hello"
        assert raw.read().status == 201
        assert not raw.closed(0.05)
    assert upstream.arrivals[2].json == {"a": 1}


def test_raw_can_send_slowly_and_reset(upstream: up.ScriptedUpstream) -> None:
    with Raw(upstream.port) as raw:
        raw.send_slowly(posted(b"{}"), every=0.0002)
        assert raw.read().status == 201
    raw = Raw(upstream.port)
    raw.send(head("POST", up.PATH, {"Content-Length": "9"}))
    raw.reset()
    eventually(lambda: len(upstream.arrivals) == 2, 2)
    assert not upstream.arrivals[1].complete


def test_a_crowd_keeps_a_ledger_through_refusals(upstream: up.ScriptedUpstream) -> None:
    """Here the scripted upstream plays the relay: it only has to answer."""
    said = {"receipt": "r", "state": "queued", "eta_seconds": 1}
    upstream.script = [up.status(202, json=said), up.status(503), up.create_then_close()]
    crowd = Submitters(upstream.port, threads=2, count=20, resend=True, pause=0.02)
    upstream.refuse()
    with crowd:
        time.sleep(0.1)
        upstream.listen_again()
    assert [sent.number for sent in crowd.ledger] == list(range(20))
    assert all(sent.acknowledged for sent in crowd.ledger)
    assert sum(len(sent.outcomes) for sent in crowd.ledger) > 22
    keys = {arrival.headers["idempotency-key"] for arrival in upstream.arrivals}
    assert keys == {sent.key for sent in crowd.ledger}
    first = next(sent for sent in crowd.ledger if sent.receipt)
    assert (first.receipt, first.state, first.status) == ("r", "queued", 202)


def test_a_crowd_does_not_insist_unless_told_to(upstream: up.ScriptedUpstream) -> None:
    upstream.script = lambda arrival: up.status(503)
    with Submitters(upstream.port, threads=1, seconds=0.3, rate=20, kind="json") as crowd:
        pass
    assert 4 <= len(crowd.ledger) <= 7
    assert not crowd.acknowledged
    assert {sent.outcomes for sent in crowd.ledger} == {(503,)}


def test_numbered_people_are_distinct() -> None:
    assert numbered(1)[1] == {"email": "person-1@example.com", "full_name": "Ada Number 1"}
    assert len({numbered(n)[1]["email"] for n in range(100)}) == 100


# --- the relay's process ----------------------------------------------------------------------


def test_a_configuration_becomes_toml() -> None:
    value = {
        "destinations": {"ocamba": {"url": "http://x", "parallel": 8, "retry": ["5s", "1m"]}},
        "sources": {
            "a b": {
                "only": "x == 'é\\'\n\x7f'",
                "enabled": False,
                "fields": {"full_name": {"from": ["a"]}},
            },
            "c": {"list": [{"name": "X", "values": ["1"]}], "wait": 0.5},
        },
    }
    assert tomllib.loads(toml(value)) == value


def test_a_relay_starts_only_when_told_to(tmp_path: Path) -> None:
    relay = RelayProcess("", start=False, folder=tmp_path, env={"RELAY_LOG_LEVEL": None})
    assert set(relay.env) >= {"PATH", "HOME", "OCAMBA_TOKEN", "RELAY_CONFIG", "HOST", "PORT"}
    assert not relay.alive() and relay.output() == "" and relay.readyz() is None
    relay.close()
    assert relay.config_path.exists()


STUB = """
import http.server, json, os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
signal.signal(signal.SIGHUP, lambda *_: print(json.dumps({"event": "reloaded"}), flush=True))
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
rows = [{"receipt": f"r{n}", "state": "queued"} for n in range(3)]

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_GET(self):
        url, _, query = self.path.partition("?")
        said = {"submissions": rows[2:] if "before=" in query else rows[:2]}
        said["next"] = None if "before=" in query else "r1"
        if url.startswith("/api/submissions/"):
            said = {"receipt": url.rpartition("/")[2], "state": "queued", "history": []}
        known = self.headers.get("Authorization") == "Bearer " + os.environ["RELAY_ADMIN_TOKEN"]
        self.answer(200 if known or url == "/readyz" else 401, said)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(202, {"receipt": "r9", "state": "queued"})
    def answer(self, status, said):
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

print("hello, not JSON", flush=True)
place = (os.environ["HOST"], int(os.environ["PORT"]))
http.server.ThreadingHTTPServer(place, Handler).serve_forever()
"""


@pytest.fixture
def stub() -> Iterator[RelayProcess]:
    """A process that behaves like a relay as far as the kit goes: a master with one child."""
    command = [sys.executable, "-c", STUB]
    with RelayProcess(config("http://127.0.0.1:1/"), command=command) as relay:
        yield relay


def test_a_relay_is_asked_through_its_api(stub: RelayProcess) -> None:
    assert [row["receipt"] for row in stub.rows()] == ["r0", "r1", "r2"]
    assert stub.rows()[0]["history"] == [] and stub.counts() == {"queued": 3}
    assert stub.state("r1") == "queued"
    assert stub.wait_state("r1", "queued", "dead")["receipt"] == "r1"
    assert stub.get("/api/status").status == 401
    assert stub.hook(ADA).receipt == "r9"
    sent = heard(person(1, None, receipt=None), stub.form(ADA))
    assert (sent.receipt, sent.state, sent.outcomes) == ("r9", "queued", (None, 202))
    assert sent.acknowledged


def test_a_relay_can_be_killed_reloaded_frozen_and_started_again(stub: RelayProcess) -> None:
    master, (worker,) = stub.pid, stub.worker_pids()
    assert sorted(stub.pids()) == sorted([master, worker]) and stub.rss() > 1_000_000
    stub.hup()
    eventually(lambda: any(line.data for line in stub.log_lines()), 2)
    assert [line.raw for line in stub.log_lines() if not line.data] == ["hello, not JSON"]
    stub.stop()
    with pytest.raises(TimeoutError):
        stub.get("/readyz", timeout=0.1)
    stub.cont()
    assert stub.readyz() == 200
    stub.kill9()
    assert not stub.alive() and stub.pids() == [] and stub.wait() == -signal.SIGKILL
    stub.start()
    assert stub.pid != master and stub.readyz() == 200
    assert stub.output().count("hello") == 2


def test_a_relay_is_ended_in_order_and_leaves_no_child(stub: RelayProcess) -> None:
    assert stub.term(timeout=5) == 0
    assert len(stub.pids()) == 1
    stub.close()
    assert stub.pids() == [] and not stub.folder.exists()


def test_a_relay_that_cannot_start_says_why() -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no token')"]
    with pytest.raises(StartFailed, match="no token") as failed:
        RelayProcess("", command=command)
    assert failed.value.returncode == 1


def test_nothing_secret_is_in_the_evidence_of_a_stub(stub: RelayProcess) -> None:
    assert leaks(stub.secrets, stub.evidence()) == []
    assert leaks(stub.secrets, [str(stub.env)]) != []


# --- servers --------------------------------------------------------------------------------


def test_every_test_gets_a_fresh_database(postgres_url: str, postgres_cluster: services.Postgres) -> None:
    name = postgres_url.rpartition("/")[2]
    assert postgres_cluster.execute("SHOW fsync") == [("on",)]
    postgres_cluster.execute("CREATE TABLE t (a int)", name)
    assert postgres_cluster.execute("SELECT count(*) FROM t", name) == [(0,)]
    assert postgres_url.startswith("postgresql+psycopg://")


def test_postgres_can_stop_start_and_freeze(own_cluster: services.Postgres) -> None:
    url = own_cluster.create_database()
    own_cluster.stop()
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", own_cluster.port), 1):
        pass
    own_cluster.start()
    assert own_cluster.terminate_backends(url) == 0
    own_cluster.pause()
    with socket.create_connection(("127.0.0.1", own_cluster.port), 1) as link:
        link.settimeout(0.1)
        with pytest.raises(TimeoutError):
            link.recv(1)
    own_cluster.resume()
    assert own_cluster.execute("SELECT 1") == [(1,)]


def test_redis_is_empty_for_every_test(redis_url: str, redis_server: services.Redis) -> None:
    assert redis_url == redis_server.url
    assert redis_server.command("DBSIZE") == ":0"
    redis_server.command("SET", "a", "1")
    redis_server.pause()
    redis_server.resume()
    assert redis_server.command("DBSIZE") == ":1"


def test_the_seed_stays_the_same_for_a_whole_run(seed: int) -> None:
    assert seed == conftest.SEED


# --- the judge ------------------------------------------------------------------------------


def person(number: int, *outcomes: int | None, receipt: str | None = "", **more: Any) -> Sent:
    """Sign-up `number`, by default acknowledged with the receipt "r<number>"."""
    fields, profile = numbered(number)
    known = f"r{number}" if receipt == "" else receipt
    return Sent(number, "newsletter", fields, profile, None, outcomes or (202,), known, **more)


def arrival(number: int, index: int, at: float | None = None, **more: Any) -> up.Arrival:
    """A call for sign-up `number`, by default answered 201, one second after the one before."""
    body = json.dumps(more.pop("profile", numbered(number)[1])).encode()
    seen = {"created": True, "profile_id": f"p{index}", "status": 201} | more
    when = float(index) if at is None else at
    return up.Arrival(index, when, when, "POST", up.PATH, {}, body, 1, **seen)


def row(number: int, state: str = "delivered", **more: Any) -> dict[str, Any]:
    shown = {"receipt": f"r{number}", "state": state, "may_be_duplicate": False, "history": []}
    return shown | more


UNCLEAR = [{"outcome": "unclear", "status": None}, {"outcome": "delivered", "status": 201}]


def crowd_of(count: int, *outcomes: int | None) -> list[Sent]:
    return [person(number, *outcomes) for number in range(count)]


@pytest.mark.parametrize(
    ("submitted", "arrivals", "rows", "more"),
    [
        ([], [], [], {}),
        ([person(1)], [arrival(1, 0)], [row(1)], {"finished": True}),
        ([person(1)], [arrival(1, 0)], [row(1, profile_id="p0")], {}),
        ([person(1)], [], [row(1, "queued")], {}),
        ([person(1, 422)], [arrival(1, 0, created=False, status=400)], [row(1, "refused")], {}),
        ([person(1, 422, receipt=None)], [], [], {}),
        ([person(1, None, receipt=None)], [], [], {}),
        ([person(1, None, receipt=None)], [arrival(1, 0)], [row(7)], {}),
        ([person(1, 303, receipt=None)], [], [row(7, "queued")], {}),
        ([person(1, None, 503, 202)], [], [row(1, "queued")], {}),
        (
            [person(1)],
            [arrival(1, 0, status=None), arrival(1, 1)],
            [row(1, may_be_duplicate=True, history=UNCLEAR)],
            {},
        ),
        ([person(1)], [arrival(1, 0, status=200, created=False)], [row(1)], {}),
        (
            crowd_of(10),
            [arrival(n, n, at=n / 10) for n in range(10)],
            [row(n) for n in range(10)],
            {"calm": Calm(0.0, 60.0)},
        ),
        (crowd_of(1), [], [row(0, "queued")], {"calm": Calm(0.0, 60.0, slack=61.0)}),
    ],
)
def test_the_judge_lets_a_clean_run_pass(
    submitted: list[Sent],
    arrivals: list[up.Arrival],
    rows: list[dict[str, Any]],
    more: dict[str, Any],
) -> None:
    assert judge(submitted, arrivals, rows, **more) == []


@pytest.mark.parametrize(
    ("submitted", "arrivals", "rows", "more", "verdict"),
    [
        ([person(1)], [], [], {}, "I1 sign-up 1 (receipt r1): acknowledged and not there"),
        ([person(1)], [], [row(1, "lost")], {}, "I1 receipt r1: unknown state 'lost'"),
        ([person(1)], [], [row(1, "queued"), row(1, "dead")], {}, "I1 receipt r1: listed 2 times"),
        (
            [person(1), person(2, receipt="r1")],
            [],
            [row(1, "queued")],
            {},
            "I1 receipt r1: given to 2",
        ),
        ([person(1, 303, receipt=None)], [], [], {}, "I1 1 sign-ups acknowledged without"),
        ([person(1)], [], [row(1, "queued"), row(2, "queued")], {}, "I1 1 rows that at most 0"),
        (
            [person(1, 503, receipt=None)],
            [],
            [row(1, "queued")],
            {},
            "I1 1 rows that at most 0",
        ),
        ([person(1)], [], [row(1, "sending")], {"finished": True}, "I1 receipt r1: still sending"),
        (
            [person(1)],
            [arrival(1, 0, profile={"email": "person-1@example.com"})],
            [row(1)],
            {},
            "I1 sign-up 1 (receipt r1): call 0 carried another payload",
        ),
        ([], [arrival(1, 0)], [], {}, "I2 call 0: nobody submitted"),
        (
            [person(1)],
            [arrival(1, 0), arrival(1, 1, profile=["person-1@example.com"])],
            [row(1)],
            {},
            "I2 call 1: nobody submitted",
        ),
        (
            [person(1, 422, 503, receipt=None)],
            [arrival(1, 0)],
            [],
            {},
            "I2 sign-up 1: answered 422, 503, and yet sent 1 times",
        ),
        (
            [person(1)],
            [arrival(1, 0), arrival(1, 1)],
            [row(1)],
            {},
            "I3 sign-up 1 (receipt r1): 2 profiles (calls 0 1), and the row does not say",
        ),
        (
            [person(1)],
            [arrival(1, 0), arrival(1, 1)],
            [row(1, may_be_duplicate=True)],
            {},
            "I3 sign-up 1 (receipt r1): 2 profiles (calls 0 1), and no attempt ended unclear",
        ),
        (
            [person(1, None, receipt=None)],
            [arrival(1, 0), arrival(1, 1)],
            [],
            {},
            "I3 sign-up 1: 2 profiles (calls 0 1), and no row",
        ),
        (
            crowd_of(11),
            [arrival(n, n, at=5.05 + n * 0.0999) for n in range(11)],
            [row(n) for n in range(11)],
            {},
            "I4 11 calls within 1 s, allowed are 10",
        ),
        (
            crowd_of(151),
            [arrival(n, n, at=30.0 + n * 0.399) for n in range(151)],
            [row(n) for n in range(151)],
            {},
            "I4 151 calls within 60 s, allowed are 150",
        ),
        (
            [],
            [],
            [],
            {"canaries": {"token": "secret-token"}, "places": [b"Bearer secret-token"]},
            "I5 token (plain) is in place 0 at byte 7",
        ),
        ([person(1)], [], [row(1)], {}, "I6 receipt r1: delivered, but upstream never said yes"),
        (
            [person(1)],
            [arrival(1, 0, status=None)],
            [row(1)],
            {},
            "I6 receipt r1: delivered, but upstream never said yes",
        ),
        (
            [person(1)],
            [arrival(1, 0)],
            [row(1, profile_id="p9")],
            {},
            "I6 receipt r1: profile p9 was never made",
        ),
        (
            [person(1, 201, state="delivered")],
            [],
            [row(1, "queued")],
            {},
            "I6 sign-up 1 (receipt r1): was told delivered, and is queued",
        ),
        (
            crowd_of(30),
            [arrival(n, n, at=100.0 + n) for n in range(20)],
            [row(n, "delivered" if n < 20 else "queued") for n in range(30)],
            {"calm": Calm(100.0, 120.0)},
            "I7 20 delivered in 20.0 s without faults, 10 still wait",
        ),
        (
            crowd_of(20),
            [arrival(n, n, at=100.0 + n) for n in range(20)],
            [row(n) for n in range(20)],
            {"calm": Calm(100.0, 500.0)},
            "I7 20 delivered in 19.0 s without faults, 0 still wait",
        ),
        (
            crowd_of(1),
            [],
            [row(0, "queued")],
            {"calm": Calm(0.0, 60.0)},
            "I7 0 delivered in 60.0 s",
        ),
        ([person(1, 500, receipt=None)], [], [], {}, "I8 sign-up 1: answered 500"),
        (
            [person(1, 503, receipt=None)],
            [],
            [],
            {"faults": False},
            "I8 sign-up 1: answered 503",
        ),
        (
            [person(1, 503)],
            [],
            [row(1, "queued")],
            {},
            "I8 sign-up 1 (receipt r1): answered 503 with",
        ),
    ],
)
def test_the_judge_finds_every_violation(
    submitted: list[Sent],
    arrivals: list[up.Arrival],
    rows: list[dict[str, Any]],
    more: dict[str, Any],
    verdict: str,
) -> None:
    (found,) = judge(submitted, arrivals, rows, **more)
    assert found.startswith(verdict)


@pytest.mark.parametrize("shift", range(3))
@pytest.mark.parametrize(
    "disguise",
    [
        lambda s: s,
        lambda s: json.dumps({"a": s.decode()}).encode(),
        lambda s: urllib.parse.quote(s, safe="").encode(),
        lambda s: html.escape(s.decode()).encode(),
        bytes.hex,
        base64.b64encode,
        base64.urlsafe_b64encode,
        lambda s: s.decode().upper().encode(),
        lambda s: s.decode().encode("utf-16-le"),
    ],
)
def test_a_leak_is_found_in_every_disguise(
    disguise: Callable[[bytes], bytes | str], shift: int, tmp_path: Path
) -> None:
    canary = "grüße+<ada>?~@example.com"
    seen = disguise(b"x" * shift + canary.encode() + b"y")
    data = seen if isinstance(seen, bytes) else seen.encode()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\0\1" + data + b"\xff")
    places = [tmp_path, ("page", data), "nothing here"]
    found = leaks({"e-mail": canary, "other": "canary-other"}, places)
    assert [line.partition(" (")[0] for line in found] == ["I5 e-mail", "I5 e-mail"]
    assert "deep/file" in found[0] and "in page" in found[1]
    assert not any(canary in line for line in found)


def test_a_canary_must_be_long_enough_to_mean_something() -> None:
    with pytest.raises(ValueError, match="8 bytes"):
        leaks({"name": "Ada"}, [b""])


def _chunked_answer() -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

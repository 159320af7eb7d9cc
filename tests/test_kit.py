"""The kit itself: every reaction seen from a client's side, every helper against a real server.

A test kit that cannot fail proves nothing, so the judge is shown a violation of each promise.
"""

import base64
import gzip
import html
import json
import signal
import socket
import sys
import threading
import time
import tomllib
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import conftest
from tests.kit import services
from tests.kit import upstream as up
from tests.kit.client import NoAnswer, Raw, Sent, Submitters, head, heard, numbered
from tests.kit.judge import Calm, judge, leaks
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, StartFailed, config, toml

ADA = {"email": "ada@example.com"}


@pytest.fixture
def upstream() -> Iterator[up.ScriptedUpstream]:
    with up.ScriptedUpstream() as server:
        yield server


def call(upstream: up.ScriptedUpstream, timeout: float = 2.0, **more: object) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.post(upstream.url, json=ADA, timeout=timeout, allow_redirects=False, **more)


# --- the upstream ---------------------------------------------------------------------------


def test_by_default_a_profile_is_created_and_the_ledger_says_all(
    upstream: up.ScriptedUpstream,
) -> None:
    before = time.monotonic()
    answer = call(upstream, headers={"Authorization": "Bearer t"})
    (arrival,) = upstream.arrivals
    assert answer.status_code == 201
    assert answer.json()["id"] == arrival.profile_id and len(arrival.profile_id or "") == 20
    assert (arrival.method, arrival.path, arrival.json) == ("POST", up.PATH, ADA)
    assert arrival.headers["authorization"] == "Bearer t"
    assert (arrival.created, arrival.status, arrival.complete) == (True, 201, True)
    assert before <= arrival.at <= time.monotonic()


def test_a_list_is_consumed_in_order_and_then_profiles_are_created(
    upstream: up.ScriptedUpstream,
) -> None:
    upstream.script = [up.status(400), up.status(429, {"Retry-After": "7"}), up.status(500)]
    answers = [call(upstream) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [400, 429, 500, 201]
    assert answers[1].headers["Retry-After"] == "7"
    assert "message" in answers[0].json() and "message" not in answers[2].json()
    assert [arrival.created for arrival in upstream.arrivals] == [False, False, False, True]


def test_a_script_may_decide_by_the_arrival(upstream: up.ScriptedUpstream) -> None:
    upstream.script = lambda arrival: up.status(500) if arrival.json == ADA else up.created()
    assert call(upstream).status_code == 500


def test_a_mistake_in_the_script_is_reported() -> None:
    with pytest.raises(ZeroDivisionError), up.ScriptedUpstream(lambda arrival: 1 // 0) as upstream:
        assert call(upstream).status_code == 500


@pytest.mark.parametrize(
    ("reaction", "error", "creates"),
    [
        (up.silent(), requests.ReadTimeout, True),
        (up.silent(creates=False), requests.ReadTimeout, False),
        (up.create_then_reset(), requests.ConnectionError, True),
        (up.create_then_close(), requests.ConnectionError, True),
        (up.drop(), requests.ConnectionError, False),
        (up.drop(reset=True), requests.ConnectionError, False),
        (up.truncated(), requests.ConnectionError, True),
        (up.garbage(), requests.ConnectionError, False),
        (up.wrong_length(), requests.exceptions.ChunkedEncodingError, True),
        (up.delay(5), requests.ReadTimeout, False),
        (up.delay(5, create_first=True), requests.ReadTimeout, True),
        (up.hold(threading.Event()), requests.ReadTimeout, False),
    ],
    ids=str,
)
def test_a_call_can_end_without_an_answer(
    upstream: up.ScriptedUpstream, reaction: up.Reaction, error: type[Exception], creates: bool
) -> None:
    upstream.script = [reaction]
    with pytest.raises(error):
        call(upstream, timeout=0.2)
    (arrival,) = upstream.arrivals
    assert arrival.created is creates


def test_a_reset_is_a_reset(upstream: up.ScriptedUpstream) -> None:
    upstream.script = [up.create_then_reset(), up.create_then_close()]
    with Raw(upstream.port) as raw, pytest.raises(NoAnswer, match="ConnectionResetError"):
        raw.send(_post(b"{}")).read()
    with Raw(upstream.port) as raw, pytest.raises(NoAnswer, match="closed"):
        raw.send(_post(b"{}")).read()


@pytest.mark.parametrize("where", ["head", "body"])
def test_an_answer_can_drip(upstream: up.ScriptedUpstream, where: str) -> None:
    upstream.script = [up.drip(0.02, where)]
    with Raw(upstream.port) as raw:
        first = raw.send(_post(b"{}")).read_all(0.1)
        more = raw.read_all(0.2)
    assert first.startswith(b"HTTP/1.1 201 Created\r\n")
    assert 3 <= len(more) <= 11 and set(more) <= set(b"a ")


@pytest.mark.parametrize("code", [100, 103])
def test_interim_answers_can_go_on_for_ever(upstream: up.ScriptedUpstream, code: int) -> None:
    upstream.script = [up.endless_interim(code, every=0.01)]
    with Raw(upstream.port) as raw, pytest.raises(NoAnswer, match="deadline"):
        raw.send(_post(b"{}")).read(0.2)
    assert upstream.creates


def test_bodies_can_be_huge_packed_or_endless(upstream: up.ScriptedUpstream) -> None:
    upstream.script = [up.big_body(300_000), up.gzip_bomb(1_000_000), up.endless_chunks()]
    assert len(call(upstream).content) == 300_000
    with Raw(upstream.port) as raw:
        packed = raw.send(_post(b"{}")).read().body
    assert len(packed) < 5_000 and len(gzip.decompress(packed)) == 1_000_000
    with Raw(upstream.port) as raw:
        assert len(raw.send(_post(b"{}")).read_all(0.1)) > 100_000


def test_a_redirect_and_odd_statuses_come_through(upstream: up.ScriptedUpstream) -> None:
    upstream.script = [
        up.redirect("https://elsewhere.example/", 307),
        up.status(204),
        up.status(999),
        up.created(body=b"not json"),
        up.created(id="7", body={}),
        up.status(500, creates=True),
        up.raw(b"HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"),
    ]
    answers = [call(upstream) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [307, 204, 999, 201, 201, 500, 429]
    assert answers[0].headers["Location"] == "https://elsewhere.example/"
    assert (answers[3].content, answers[4].content) == (b"not json", b"{}")
    assert upstream.arrivals[4].profile_id == "7" and upstream.arrivals[5].created


def test_an_answer_can_be_held_back_after_creating(upstream: up.ScriptedUpstream) -> None:
    release = threading.Event()
    upstream.script = [up.hold(release, create_first=True)]
    with Raw(upstream.port) as raw:
        raw.send(_post(b"{}"))
        (made,) = upstream.wait_for(1, creates=True)
        assert made.status is None
        release.set()
        assert raw.read().status == 201
    assert upstream.wait_answered(1)


def test_connections_are_kept_and_told_apart(upstream: up.ScriptedUpstream) -> None:
    with requests.Session() as session:
        session.trust_env = False
        for _ in range(3):
            session.post(upstream.url, json=ADA, timeout=2).raise_for_status()
    call(upstream)
    assert [arrival.connection_id for arrival in upstream.arrivals] == [1, 1, 1, 2]


def test_chunked_and_unfinished_requests_are_recorded(upstream: up.ScriptedUpstream) -> None:
    with requests.Session() as session:
        session.post(upstream.url, data=iter([b'{"a":', b"1}"]), timeout=2)
    with Raw(upstream.port) as raw:
        raw.send(head("POST", up.PATH, {"Content-Length": "9"}) + b"{").half_close()
        assert raw.closed(2)
    whole, part = upstream.arrivals
    assert whole.json == {"a": 1} and whole.created
    assert (part.body, part.complete, part.created) == (b"{", False, False)


def test_an_upstream_can_refuse_and_come_back(upstream: up.ScriptedUpstream) -> None:
    assert call(upstream).ok
    upstream.refuse()
    with pytest.raises(requests.ConnectionError):
        call(upstream)
    upstream.listen_again()
    assert call(upstream).ok
    assert len(upstream.arrivals) == 2


def test_a_wrong_token_gets_401() -> None:
    with up.ScriptedUpstream(token="right") as upstream:
        assert call(upstream).status_code == 401
        assert call(upstream, headers={"Authorization": "Bearer right"}).status_code == 201


def test_strict_windows_refuse_what_is_too_much_and_count_it() -> None:
    with up.ScriptedUpstream(windows=[(3, 3600.0)], phase=10.0) as upstream:
        answers = [call(upstream) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [201] * 3 + [429] * 2
    assert upstream.violations == 2 and len(upstream.creates) == 3
    assert answers[0].headers["X-RateLimit-Remaining"] == "2"
    assert 1 <= int(answers[4].headers["Retry-After"]) <= 3600
    assert "X-RateLimit-Limit" not in answers[4].headers


def test_too_many_at_once_get_a_retry_after_of_minus_one() -> None:
    release = threading.Event()
    with up.ScriptedUpstream([up.hold(release)], parallel=1) as upstream:
        with Raw(upstream.port) as raw:
            raw.send(_post(b"{}"))
            upstream.wait_for(1)
            second = call(upstream)
            release.set()
            assert raw.read().status == 201
        assert (second.status_code, second.headers["Retry-After"]) == (429, "-1")
        assert upstream.peak == 2


def test_the_ledger_file_survives(tmp_path: Path) -> None:
    with up.ScriptedUpstream([up.create_then_reset()], ledger=tmp_path / "ledger") as upstream:
        with pytest.raises(requests.ConnectionError):
            call(upstream)
        call(upstream)
        assert up.read_ledger(tmp_path / "ledger") == upstream.arrivals


@pytest.mark.parametrize(
    ("times", "seconds", "most"),
    [
        ([], 1.0, 0),
        ([0.0, 0.5, 0.9], 1.0, 3),
        ([0.0, 0.5, 1.0], 1.0, 2),
        ([5.0, 0.9, 1.0, 1.1, 1.8], 1.0, 4),
        ([float(n) for n in range(61)], 60.0, 60),
    ],
)
def test_the_worst_window_is_half_open_and_of_any_phase(
    times: list[float], seconds: float, most: int
) -> None:
    assert up.worst(times, seconds) == most


@pytest.mark.parametrize("kind", ["self-signed", "expired", "wrong-name"])
def test_a_bad_certificate_is_refused_before_a_byte_is_sent(kind: str, tmp_path: Path) -> None:
    with up.ScriptedUpstream(tls=kind) as upstream:
        assert upstream.certificate
        trusted = upstream.certificate.write_authority(tmp_path)
        with pytest.raises(requests.exceptions.SSLError):
            call(upstream, verify=str(trusted))
        eventually(lambda: upstream.failed_handshakes, 2)
    assert upstream.arrivals == []


def test_a_good_certificate_is_accepted(tmp_path: Path) -> None:
    with up.ScriptedUpstream([up.created(), up.create_then_reset()], tls="good") as upstream:
        assert upstream.certificate
        trusted = upstream.certificate.write_authority(tmp_path)
        assert call(upstream, verify=str(trusted)).ok
        with pytest.raises(requests.ConnectionError):
            call(upstream, verify=str(trusted))
    assert len(upstream.creates) == 2


def test_closing_ends_what_never_ends() -> None:
    with up.ScriptedUpstream([up.silent(), up.endless_chunks(), up.hold(threading.Event())]) as upstream:
        talks = [Raw(upstream.port) for _ in range(4)]
        for raw in talks[:3]:
            raw.send(_post(b"{}"))
        upstream.wait_for(3)
        began = time.monotonic()
    assert time.monotonic() - began < 2
    for raw in talks:
        raw.close()


# --- the client -----------------------------------------------------------------------------


def test_raw_reads_answers_one_after_another(upstream: up.ScriptedUpstream) -> None:
    upstream.script = [up.status(400), up.raw(_chunked_answer()), up.created()]
    with Raw(upstream.port) as raw:
        raw.send(_post(b"{}") + _post(b"{}"))
        raw.send(head("POST", up.PATH, {"Transfer-Encoding": "chunked"}))
        raw.chunk(b'{"a"').chunk(b":1}").last_chunk()
        assert raw.read().status == 400
        assert raw.read().body == b"hello"
        assert raw.read().status == 201
        assert not raw.closed(0.05)
    assert upstream.arrivals[2].json == {"a": 1}


def test_raw_can_send_slowly_and_reset(upstream: up.ScriptedUpstream) -> None:
    with Raw(upstream.port) as raw:
        raw.send_slowly(_post(b"{}"), every=0.0002)
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


def test_postgres_can_stop_start_and_freeze() -> None:
    try:
        with services.postgres() as cluster:
            url = cluster.create_database()
            cluster.stop()
            with pytest.raises(OSError), socket.create_connection(("127.0.0.1", cluster.port), 1):
                pass
            cluster.start()
            assert cluster.terminate_backends(url) == 0
            cluster.pause()
            with socket.create_connection(("127.0.0.1", cluster.port), 1) as link:
                link.settimeout(0.1)
                with pytest.raises(TimeoutError):
                    link.recv(1)
            cluster.resume()
            assert cluster.execute("SELECT 1") == [(1,)]
    except services.Missing as missing:
        services.lacking(missing)


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


def _post(body: bytes) -> bytes:
    return head("POST", up.PATH, {"Content-Length": str(len(body))}) + body


def _chunked_answer() -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

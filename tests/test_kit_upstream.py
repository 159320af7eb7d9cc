"""The upstream that tests are told by: what it records, and all the ways in which it misbehaves."""

import gzip
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.kit import upstream as up
from tests.kit.calls import ADA, call, posted
from tests.kit.client import NoAnswer, Raw, head
from tests.kit.processes import eventually


@pytest.fixture
def upstream() -> Iterator[up.ScriptedUpstream]:
    with up.ScriptedUpstream() as server:
        yield server


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
        raw.send(posted(b"{}")).read()
    with Raw(upstream.port) as raw, pytest.raises(NoAnswer, match="closed"):
        raw.send(posted(b"{}")).read()


@pytest.mark.parametrize("where", ["head", "body"])
def test_an_answer_can_drip(upstream: up.ScriptedUpstream, where: str) -> None:
    upstream.script = [up.drip(0.02, where)]
    with Raw(upstream.port) as raw:
        first = raw.send(posted(b"{}")).read_all(0.1)
        more = raw.read_all(0.2)
    assert first.startswith(b"HTTP/1.1 201 Created\r\n")
    assert 3 <= len(more) <= 11 and set(more) <= set(b"a ")


@pytest.mark.parametrize("code", [100, 103])
def test_interim_answers_can_go_on_for_ever(upstream: up.ScriptedUpstream, code: int) -> None:
    upstream.script = [up.endless_interim(code, every=0.01)]
    with Raw(upstream.port) as raw, pytest.raises(NoAnswer, match="deadline"):
        raw.send(posted(b"{}")).read(0.2)
    assert upstream.creates


def test_bodies_can_be_huge_packed_or_endless(upstream: up.ScriptedUpstream) -> None:
    upstream.script = [up.big_body(300_000), up.gzip_bomb(1_000_000), up.endless_chunks()]
    assert len(call(upstream).content) == 300_000
    with Raw(upstream.port) as raw:
        packed = raw.send(posted(b"{}")).read().body
    assert len(packed) < 5_000 and len(gzip.decompress(packed)) == 1_000_000
    with Raw(upstream.port) as raw:
        assert len(raw.send(posted(b"{}")).read_all(0.1)) > 100_000


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
        raw.send(posted(b"{}"))
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
            raw.send(posted(b"{}"))
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
            raw.send(posted(b"{}"))
        upstream.wait_for(3)
        began = time.monotonic()
    assert time.monotonic() - began < 2
    for raw in talks:
        raw.close()

"""The pretend upstream, over real sockets."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from relay.cli.main import main
from relay.sandbox import answers, moods
from relay.sandbox import serve as sandbox
from relay.sandbox.answers import MASK, PROFILES, Profiles
from relay.sandbox.limits import FixedWindows
from relay.sandbox.moods import Mood, mood_of
from relay.sandbox.serve import create_sandbox

ROOT = Path(__file__).resolve().parents[2]
JANE = {"full_name": "Jane Doe", "mobile_phone_number": "+49234432234", "email": "jane@example.com"}
# The 201 of https://docs.ocamba.com, Create Profile, word for word.
DOCUMENTED = json.loads("""
{ "id": "17430755068336100383", "company_id": "1234567", "status": "1", "container_id": "0",
"app_type": "web", "app_name": "", "country_code": "DE", "region": "0", "city": "0",
"asn": "0", "os_id": "0", "browser_id": "0", "device_id": "0", "user_lang": "en",
"timezone": "", "total_pageviews": "0", "total_goals": "0", "push_wokenup": "0",
"push_clicks": "0", "ad_served": "0", "ad_impressions": "0", "ad_spam_impressions": "0",
"ad_clicks": "0", "ad_spam_clicks": "0", "ad_conversions": "0", "metadata": { "encrypted": [
"email", "mobile_phone_number" ] }, "mobile_phone_number": "* * * * * * * * * *",
"email": "* * * * * * * * * *", "subscription": { "sms": { "status": "active",
"create_time": "2025-03-27 11:38:26" }, "email": { "status": "active",
"create_time": "2025-03-27 11:38:26" } }, "engagement_score": 0, "conversion_score": "0",
"first_session_date": "2025-03-27", "income": "0", "cost": "0", "full_name": "Jane Doe",
"create_time": "2025-03-27 11:38:26", "update_time": "2025-03-27 11:38:26",
"total_engagements": "0" }
""")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Upstream:
    port: int
    log: Path
    told: list[str] = field(default_factory=list)

    def call(
        self,
        body: object = None,
        method: str = "POST",
        path: str = PROFILES,
        token: str = "Bearer secret-token",
        mimetype: str = "application/json",
    ) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": mimetype} | ({"Authorization": token} if token else {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, path, raw, headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def create(self, full_name: str = "Jane Doe", **more: Any) -> Answer:
        return self.call(JANE | {"full_name": full_name}, **more)

    @property
    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextmanager
def serving(log: Path, **options: Any) -> Iterator[Upstream]:
    told: list[str] = []
    server = sandbox.listen(create_sandbox(log, tell=told.append, **options))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield Upstream(server.port, log, told)
    finally:
        server.shutdown()
        thread.join()


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Upstream]:
    with serving(tmp_path / "log", windows=((1000, 1), (1000, 60))) as upstream:
        yield upstream


# --- Create -----------------------------------------------------------------------------------


def test_a_created_profile_is_the_documented_object_but_for_id_and_times(
    upstream: Upstream,
) -> None:
    answer = upstream.call(JANE)
    assert answer.status == 201
    assert answer.headers["Content-Type"] == "application/json"
    assert list(answer.json) == list(DOCUMENTED)
    id, at = answer.json["id"], answer.json["create_time"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", at)
    as_documented = answer.body.decode().replace(id, DOCUMENTED["id"])
    as_documented = as_documented.replace(at, DOCUMENTED["create_time"])
    as_documented = as_documented.replace(at[:10], DOCUMENTED["first_session_date"])
    assert json.loads(as_documented) == DOCUMENTED


def test_ids_are_strings_of_20_digits_beyond_signed_64_bits(upstream: Upstream) -> None:
    ids = [upstream.call(JANE).json["id"] for _ in range(5)]
    assert len(set(ids)) == 5
    assert all(re.fullmatch(r"\d{20}", id) and 2**63 < int(id) < 2**64 for id in ids)


@pytest.mark.parametrize(
    ("given", "encrypted", "subscribed"),
    [
        ({"email": "a@example.com"}, ["email"], ["email"]),
        ({"mobile_phone_number": "+12015550123"}, ["mobile_phone_number"], ["sms"]),
        ({"email": "a@example.com", "mobile_phone_number": ""}, ["email"], ["email"]),
        ({"email": "a@example.com", "unheard_of": [1]}, ["email"], ["email"]),
    ],
)
def test_only_the_contacts_given_come_back_masked(
    upstream: Upstream, given: dict[str, Any], encrypted: list[str], subscribed: list[str]
) -> None:
    created = upstream.call(given).json
    assert created["metadata"]["encrypted"] == encrypted
    assert list(created["subscription"]) == subscribed
    absent = {"email", "mobile_phone_number"} - set(encrypted)
    assert all(created[key] == MASK for key in encrypted)
    assert all(created[key] == "" for key in absent)
    assert upstream.logged[0]["body"] == given


@pytest.mark.parametrize(
    ("phone", "country"),
    [("+49234432234", "DE"), ("+12015550123", "US"), ("+999123", ""), ("0171", ""), ("", "")],
)
def test_the_country_comes_from_the_number_if_possible(phone: str, country: str) -> None:
    assert answers.country_of(phone) == country


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"full_name": "Jane Doe"},
        {"email": "", "mobile_phone_number": " "},
        {"email": None},
        {"email": "a@example.com", "mobile_phone_number": 49234432234},
        {"email": ["a@example.com"]},
        ["a@example.com"],
        b"",
        b"{",
        b"\xff\xfe\xfd",
        b"[" * 100_000,
    ],
)
def test_a_body_without_a_contact_is_refused_in_the_documented_shape(
    upstream: Upstream, body: object
) -> None:
    answer = upstream.call(body)
    assert answer.status == 400
    assert list(answer.json) == ["code", "title", "message", "trace_id"]
    assert answer.json["title"] == "Bad request."
    assert answer.json["message"] == "The request is not valid."
    assert uuid.UUID(answer.json["trace_id"])


def test_another_content_type_is_refused(upstream: Upstream) -> None:
    assert upstream.call(JANE, mimetype="text/plain").status == 400
    assert upstream.call(JANE, mimetype="application/json; charset=utf-8").status == 201


@pytest.mark.parametrize(
    ("token", "status"),
    [
        ("", 401),
        ("Bearer", 401),
        ("Bearer  ", 401),
        ("Basic c2VjcmV0", 401),
        ("Bearer wrong", 401),
        ("Bearer expired-yesterday", 401),
        ("Bearer wrongish", 201),
        ("bearer x", 201),
    ],
)
def test_any_bearer_token_will_do_but_the_bad_ones(upstream: Upstream, token: str, status: int) -> None:
    answer = upstream.call(JANE, token=token)
    assert answer.status == status
    if status == 401:
        assert answer.json["code"] == 401
        assert answer.json["trace_id"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", PROFILES, 405),
        ("POST", f"{PROFILES}/1", 405),
        ("DELETE", f"{PROFILES}/1", 405),
        ("POST", "/v1/hood//profiles", 404),
        ("POST", "/", 404),
    ],
)
def test_other_paths_and_methods_are_answered_and_logged(
    upstream: Upstream, method: str, path: str, status: int
) -> None:
    answer = upstream.call(JANE, method=method, path=path)
    assert (answer.status, answer.json["code"]) == (status, status)
    assert [(line["method"], line["path"]) for line in upstream.logged] == [(method, path)]


def test_it_may_be_looked_at_without_sending_anything(upstream: Upstream) -> None:
    answer = upstream.call(None, method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["X-RateLimit-Remaining"] == "999", "a look is counted like any call"
    assert upstream.call(None, method="HEAD", token="wrong").status == 401
    assert [line["method"] for line in upstream.logged] == ["HEAD", "HEAD"]


def test_a_body_over_a_mebibyte_is_refused(upstream: Upstream) -> None:
    assert upstream.call(JANE | {"more": "x" * 2**20}).status == 413


def test_a_body_cut_short_creates_nothing(upstream: Upstream) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=5)
    connection.putrequest("POST", PROFILES)
    for header in ("Authorization: Bearer t", "Content-Type: application/json"):
        connection.putheader(*header.split(": "))
    connection.putheader("Content-Length", "999")
    connection.endheaders(json.dumps(JANE).encode())
    connection.close()
    wait_until(lambda: upstream.log.stat().st_size > 0)
    assert [(line["status"], line["created"]) for line in upstream.logged] == [(400, False)]


# --- Moods ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("full_name", "mood"),
    [
        ("Jane Doe", Mood()),
        ("", Mood()),
        ("status 500", Mood("status", 500)),
        ("  Status   503 ", Mood("status", 503)),
        ("delay 1, status 500", Mood("status", 500, 1)),
        ("Jane Doe, create drop, delay 0.25", Mood("create drop", 0, 0.25)),
        ("limit -1", Mood("limit", -1)),
        ("limit 7", Mood("limit", 7)),
        ("delay 9999", Mood(delay=60)),
        ("drop, status 404", Mood("status", 404)),
        *((name, Mood()) for name in ("status", "status 399", "status 600", "status 500.5")),
        *((name, Mood()) for name in ("delay -1", "limit 1.5", "drop 3", "raindrop", "delay 1e3")),
    ],
)
def test_the_name_tells_the_mood(full_name: str, mood: Mood) -> None:
    assert mood_of(full_name) == mood


@pytest.mark.parametrize("words", moods.MOODS)
def test_every_mood_of_the_help_is_understood(words: str) -> None:
    assert mood_of(words) != Mood()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 499, 500, 502, 503, 599])
def test_any_error_status_can_be_had(upstream: Upstream, status: int) -> None:
    answer = upstream.create(f"status {status}")
    assert (answer.status, answer.json["code"]) == (status, status)
    assert ("message" in answer.json) is (status < 500)
    assert answer.json["trace_id"]
    assert "Retry-After" not in answer.headers
    assert ("X-RateLimit-Limit" in answer.headers) is (status != 429)
    assert [line["created"] for line in upstream.logged] == [False]


@pytest.mark.parametrize("seconds", ["-1", "7"])
def test_a_limit_can_be_had(upstream: Upstream, seconds: str) -> None:
    answer = upstream.create(f"limit {seconds}")
    assert (answer.status, answer.headers["Retry-After"]) == (429, seconds)
    assert not [name for name in answer.headers if name.lower().startswith("x-ratelimit")]
    assert answer.json["code"] == 429


def test_one_who_unsubscribed_is_refused(upstream: Upstream) -> None:
    assert upstream.create("unsubscribed").status == 400


def test_a_redirect_leads_elsewhere(upstream: Upstream) -> None:
    answer = upstream.create("redirect")
    assert (answer.status, answer.headers["Location"]) == (307, "/v1/hood/elsewhere")
    assert upstream.create(path=answer.headers["Location"]).status == 404


@pytest.mark.parametrize(("name", "body"), [("empty", b""), ("garbage", b"<html>It works!</html>")])
def test_a_201_without_a_usable_body_is_created_nevertheless(
    upstream: Upstream, name: str, body: bytes
) -> None:
    answer = upstream.create(name)
    assert (answer.status, answer.body) == (201, body)
    assert upstream.logged[0]["created"]
    assert re.fullmatch(r"\d{20}", upstream.logged[0]["id"])


@pytest.mark.parametrize(("name", "created"), [("drop", False), ("create drop", True)])
def test_a_dropped_call_sees_its_connection_closed_without_a_byte(
    upstream: Upstream, name: str, created: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        upstream.create(name)
    [line] = upstream.logged
    assert (line["status"], line["created"], line["id"] is not None) == (None, created, created)
    assert upstream.create().status == 201
    assert capfd.readouterr() == ("", "")


def test_a_delayed_call_is_logged_when_it_arrives_and_answered_later(upstream: Upstream) -> None:
    began = time.monotonic()
    thread = threading.Thread(target=upstream.create, args=("delay 0.3",))
    thread.start()
    wait_until(lambda: upstream.log.stat().st_size > 0)
    assert thread.is_alive()
    assert upstream.logged[0]["created"]
    assert began < upstream.logged[0]["t"] < time.monotonic()
    thread.join()
    assert 0.3 <= time.monotonic() - began < 2


def test_moods_combine(upstream: Upstream) -> None:
    began = time.monotonic()
    assert upstream.create("delay 0.1, status 503").status == 503
    assert time.monotonic() - began >= 0.1


# --- Limits -----------------------------------------------------------------------------------


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_ten_calls_a_second_and_no_more(tmp_path: Path) -> None:
    clock = Clock(6_000.25)
    with serving(tmp_path / "log", clock=clock) as upstream:
        answers = [upstream.call(JANE) for _ in range(11)]
        assert [answer.status for answer in answers] == [201] * 10 + [429]
        assert [answer.headers.get("X-RateLimit-Remaining") for answer in answers] == [
            *map(str, range(9, -1, -1)),
            None,
        ]
        assert answers[0].headers["X-RateLimit-Limit"] == "10"
        assert answers[0].headers["X-RateLimit-Reset"] == "1"
        assert answers[10].headers["Retry-After"] == "1"
        assert "X-RateLimit-Limit" not in answers[10].headers
        assert upstream.call(JANE, token="Bearer another").status == 201
        clock.now = 6_000.999
        assert upstream.call(JANE).status == 429
        clock.now = 6_001.0
        assert upstream.call(JANE).status == 201


def test_150_calls_a_minute_and_no_more(tmp_path: Path) -> None:
    clock = Clock(6_000.0)
    with serving(tmp_path / "log", clock=clock) as upstream:
        for second in range(15):
            clock.now = 6_000.0 + second
            assert [upstream.call(JANE).status for _ in range(10)] == [201] * 10
        clock.now = 6_020.5
        refused = upstream.call(JANE)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "40")
        clock.now = 6_060.0
        assert upstream.call(JANE).headers["X-RateLimit-Remaining"] == "9"


def test_the_headers_tell_of_the_fuller_window() -> None:
    clock = Clock(6_000.0)
    windows = FixedWindows(((10, 1), (150, 60)), clock)
    for second in range(14):
        clock.now = 6_000.0 + second
        standings = [windows.take("t") for _ in range(10)]
        assert standings[-1].limit == 10
    clock.now = 6_030.25
    standing = windows.take("t")
    assert (standing.limit, standing.remaining, standing.reset) == (150, 9, 30)


def test_refused_calls_use_up_no_window() -> None:
    clock = Clock(6_000.0)
    windows = FixedWindows(((2, 1), (4, 60)), clock)
    assert [windows.take("t").allowed for _ in range(9)] == [True] * 2 + [False] * 7
    clock.now += 1
    assert [windows.take("t").allowed for _ in range(3)] == [True, True, False]


def test_with_both_windows_full_the_longer_wait_is_told() -> None:
    windows = FixedWindows(((2, 1), (2, 60)), Clock(6_000.5))
    assert [windows.take("t").reset for _ in range(3)] == [1, 1, 60]


def test_windows_hold_under_threads() -> None:
    windows = FixedWindows(((100, 1), (1000, 60)), Clock(6_000.0))
    allowed: list[bool] = []
    work = [threading.Thread(target=lambda: allowed.append(windows.take("t").allowed)) for _ in range(150)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert sorted(allowed) == [False] * 50 + [True] * 100


def test_what_is_refused_counts_as_well(tmp_path: Path) -> None:
    with serving(tmp_path / "log", windows=((3, 60),), clock=Clock(6_000.0)) as upstream:
        assert upstream.call({}).status == 400
        assert upstream.create("status 500").status == 500
        assert upstream.call({}, method="PATCH", path=f"{PROFILES}/1").status == 400
        assert upstream.call(JANE).status == 429


def test_too_many_calls_at_once_are_told_so_with_minus_one(tmp_path: Path) -> None:
    with serving(tmp_path / "log", parallel=2) as upstream:
        slow = [threading.Thread(target=upstream.create, args=("delay 0.4",)) for _ in range(2)]
        for thread in slow:
            thread.start()
        wait_until(lambda: len(upstream.logged) == 2)
        refused = upstream.call(JANE)
        assert (refused.status, refused.headers["Retry-After"]) == (429, "-1")
        assert "X-RateLimit-Limit" not in refused.headers
        assert upstream.call(JANE, token="Bearer another").status == 201
        for thread in slow:
            thread.join()
        wait_until(lambda: upstream.call(JANE).status == 201)


# --- Update -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"lists": ["17", "18"]}, 204),
        ({"organization_id": 5}, 204),
        ({"organization_id": "5", "comment": ""}, 204),
        ({"custom_properties": {"a": 1}}, 204),
        ({"custom_properties": '{"a": 1}'}, 204),
        ({"email": "b@example.com", "unheard_of": 1}, 204),
        ({}, 400),
        ({"unheard_of": 1}, 400),
        ({"email": ""}, 400),
        ({"lists": [17]}, 400),
        ({"lists": "17"}, 400),
        ({"organization_id": True}, 400),
        ({"comment": None}, 400),
        ([], 400),
        ({"full_name": "status 500"}, 500),
        ({"full_name": "empty"}, 204),
        ({"full_name": "garbage"}, 204),
    ],
)
def test_a_profile_can_be_updated(upstream: Upstream, body: object, status: int) -> None:
    id = upstream.call(JANE).json["id"]
    answer = upstream.call(body, method="PATCH", path=f"{PROFILES}/{id}")
    assert answer.status == status
    assert answer.headers["X-RateLimit-Limit"] == "1000"
    assert (answer.body == b"") is (status == 204)
    assert not upstream.logged[1]["created"]


@pytest.mark.parametrize("id", ["17430755068336100383", "", "x/y"])
def test_an_unknown_profile_is_not_found(upstream: Upstream, id: str) -> None:
    answer = upstream.call({"comment": "Hi"}, method="PATCH", path=f"{PROFILES}/{id}")
    assert (answer.status, answer.json["code"]) == (404, 404)


def test_only_the_last_ids_are_remembered() -> None:
    profiles = Profiles(remembered=2)
    first, second, third = (profiles.add() for _ in range(3))
    assert first not in profiles
    assert second in profiles
    assert third in profiles


# --- What is written down ---------------------------------------------------------------------


def test_the_log_has_a_line_for_each_call(upstream: Upstream) -> None:
    id = upstream.call(JANE | {"unheard_of": "Grüße"}).json["id"]
    upstream.call(b"no json", token="Bearer wrong")
    upstream.call({"comment": "Hi"}, method="PATCH", path=f"{PROFILES}/{id}", token="")
    first, second, third = upstream.logged
    assert " ".join(first) == "at t method path status created id body authorization"
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*\+00:00$", first["at"])
    assert (first["method"], first["path"], first["status"]) == ("POST", PROFILES, 201)
    assert (first["created"], first["id"]) == (True, id)
    assert first["body"] == JANE | {"unheard_of": "Grüße"}
    assert first["authorization"] == "Bearer ***en"
    assert (second["status"], second["created"], second["id"]) == (401, False, None)
    assert (second["body"], second["authorization"]) == ("no json", "Bearer ***ng")
    assert (third["path"], third["authorization"]) == (f"{PROFILES}/{id}", "")
    assert 0 < first["t"] <= second["t"] <= third["t"] <= time.monotonic()
    assert "secret" not in upstream.log.read_text()
    assert upstream.log.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("header", "masked"),
    [("", ""), ("Bearer", "***er"), ("Bearer abcd", "Bearer ***"), ("abcdef", "***ef")],
)
def test_no_token_is_written_down_in_full(header: str, masked: str) -> None:
    assert sandbox.masked_authorization(header) == masked


def test_the_console_shows_people_masked(upstream: Upstream) -> None:
    id = upstream.call(JANE).json["id"]
    upstream.call({"full_name": "Cher,\x1b[2J delay 0, status  503", "email": "c@example.com"})
    upstream.call(b"[]")
    with pytest.raises(http.client.RemoteDisconnected):
        upstream.call({"full_name": "drop", "email": "x@y"})
    assert upstream.told == [
        f"201 created {id}  Jane D.  j***@example.com  +49***34",
        "503 refused  C., [2J d. 0., status 503  c***@example.com",
        "400 refused",
        "--- dropped  drop  x***@y",
    ]


# --- The process ------------------------------------------------------------------------------

COMMAND = [sys.executable, "-m", "relay", "sandbox"]


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def test_it_runs_until_told_to_stop(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started("--port", "0", "--log", str(log)) as process:
        assert process.stdout
        assert process.stderr
        first = process.stdout.readline()
        address = re.fullmatch(r"sandbox upstream on http://127\.0\.0\.1:(\d+)/v1/hood/profiles\n", first)
        assert address
        upstream = Upstream(int(address[1]), log)
        id = upstream.create("Jäne Doe").json["id"]
        line = f"201 created {id}  J?ne D.  j***@example.com  +49***34\n"
        assert process.stdout.readline() == line
        with started("--port", address[1]) as second:
            assert second.wait(10) == 1
            assert second.stderr
            assert re.fullmatch(r"sandbox: cannot start: .*\n", second.stderr.read())
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
    assert [line["status"] for line in upstream.logged] == [201]


def test_it_ends_with_its_stdin_when_asked_to() -> None:
    with started("--port", "0", "--watch-stdin") as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline().startswith("sandbox upstream on ")
        process.stdin.close()
        assert process.wait(10) == 0


def test_the_help_lists_every_mood(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {words} " in shown and text in shown for words, text in moods.MOODS.items())
    assert "--watch-stdin" not in shown


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_senseless_port_is_asked_wrongly(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", f"--port={port}"]) == 2
    assert "--port" in capsys.readouterr().err


def wait_until(true: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)

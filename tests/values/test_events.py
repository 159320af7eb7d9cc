"""The log: one JSON line per event, permitted fields only, nothing about anybody. And the metrics."""

import ast
import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay import events
from relay.events import PERMITTED, FromLibraries, Unpermitted, note
from relay.metrics import count_delivery, count_submission, exposition

RELAY = Path(events.__file__).parent
HOSTILE = [
    "two\nlines",
    "\r\n",
    '"}\n{"level": "error"}',
    "\x1b[31mred\x1b[0m",
    "\u202eevil",
    "\u2028\u2029\x85",
    "\ud800",
    "\x00",
    "ü😀",
    "%s %n {0}",
    "x" * 10_000,
]


class Log:
    """What goes to standard error."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    @property
    def text(self) -> str:
        """What was written since the last time."""
        events.flush()
        return self._capsys.readouterr().err

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Every line as JSON; raises if one is not."""
        text = self.text
        assert text.isascii()
        assert text.endswith("\n") or not text
        return [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Iterator[Log]:
    events.configure("INFO")
    yield Log(capsys)
    events.configure("INFO")


# --- one line per event ------------------------------------------------------------------


def test_an_event_is_one_json_object_with_time_level_and_name(log: Log) -> None:
    note("delivery.attempted", receipt="r1", seconds=0.25, status=None)
    (line,) = log.lines
    assert datetime.fromisoformat(line.pop("at")).utcoffset() == timedelta(0)
    assert line == {"level": "info", "event": "delivery.attempted", "receipt": "r1", "seconds": 0.25}


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
@pytest.mark.parametrize("field", ["reason", "warning", "client", "problem"])
def test_no_value_can_forge_a_line_or_move_a_cursor(log: Log, field: str, text: str) -> None:
    note("submission.rejected", **{field: text})
    (line,) = log.lines
    assert line[field] == text


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text() | st.integers() | st.binary(), inner, max_size=3)
        ),
        max_leaves=6,
    )
)
def test_whatever_the_value_it_is_one_line_of_json(log: Log, value: Any) -> None:
    note("x", reason=value)
    assert len(log.lines) == 1


def test_a_value_of_a_kind_of_its_own_is_its_text(log: Log) -> None:
    note("x", reason=Path("/a"), error=ValueError)
    (line,) = log.lines
    assert line["reason"] == "/a"


def test_threads_do_not_mix_their_lines(log: Log) -> None:
    def many() -> None:
        for _ in range(200):
            note("x", reason="y" * 100)

    threads = [threading.Thread(target=many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(log.lines) == 1600


@pytest.mark.parametrize(
    ("level", "written"),
    [("DEBUG", ["debug", "info", "warning"]), ("INFO", ["info", "warning"]), ("ERROR", [])],
)
def test_the_level_is_configured(log: Log, level: str, written: list[str]) -> None:
    events.configure(level)
    for name in ("DEBUG", "INFO", "WARNING"):
        note(name, level=getattr(logging, name))
    assert [line["level"] for line in log.lines] == written


def test_a_log_that_nobody_reads_any_more_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    note("x", level=logging.ERROR)


def test_a_pipe_that_is_gone_stops_nothing() -> None:
    script = "from relay import events; import sys\nfor _ in range(3): events.note('x')\nprint('alive')"
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=RELAY.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    process.stderr.close()
    assert process.stdout is not None
    assert process.stdout.read() == "alive\n"
    process.stdout.close()
    process.wait(10)


def test_what_is_not_urgent_is_written_soon_by_the_process_that_serves() -> None:
    script = """
import time, sys
from relay import events
events.configure("INFO", background=True)
events.note("first")
print("noted", flush=True)
time.sleep(0.5)
events.note("last words")
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=RELAY.parent,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["first", "last words"]


def test_a_log_that_is_not_read_stops_nothing_and_says_later_what_is_missing() -> None:
    script = """
from relay import events
events.configure("INFO", background=True)
for number in range(40_000):
    events.note("flood", count=number)
print("alive", flush=True)
input()
events.flush()
events.note("read again")
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=RELAY.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"alive\n", "although nobody has read a line"
    said = process.communicate(b"\n", 20)[1]
    lines = [json.loads(line) for line in said.splitlines()]
    missing = sum(line["count"] for line in lines if line["event"] == "log.dropped")
    assert missing > 0 and sum(line["event"] == "flood" for line in lines) + missing == 40_000
    assert lines[-1]["event"] == "read again"


def test_a_process_ends_although_its_log_is_not_read() -> None:
    script = """
from relay import events
events.configure("INFO", background=True)
for number in range(20_000):
    events.note("flood", count=number)
"""
    command = [sys.executable, "-c", script]
    process = subprocess.Popen(command, cwd=RELAY.parent, stderr=subprocess.PIPE)
    assert process.wait(20) == 0
    assert process.stderr is not None
    process.stderr.close()


# --- permitted fields only --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field", ["email", "phone", "mobile_phone_number", "name", "full_name", "token", "body"]
)
def test_a_field_that_is_not_permitted_is_a_mistake_of_the_program(log: Log, field: str) -> None:
    with pytest.raises(Unpermitted) as refused:
        note("x", **{field: "jane@example.com"})
    assert str(refused.value) == field
    assert log.lines == []


def test_it_is_a_mistake_at_every_level(log: Log) -> None:
    with pytest.raises(Unpermitted):
        note("x", level=logging.DEBUG, email="jane@example.com")


def test_no_permitted_field_is_about_a_person_or_a_secret() -> None:
    """I5: the list itself."""
    suspicious = (
        "mail",
        "phone",
        "name",
        "token",
        "secret",
        "password",
        "body",
        "payload",
        "profile",
        "header",
    )
    found = {field for field in PERMITTED for word in suspicious if word in field}
    assert found == set()
    assert not PERMITTED & {"at", "level", "event", "message"}


def _noted() -> Iterator[tuple[str, ast.keyword]]:
    for file in RELAY.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("events.note", "note"):
                for keyword in node.keywords:
                    yield f"{file.name}:{node.lineno}", keyword


def test_every_event_in_the_program_uses_permitted_fields_by_name() -> None:
    """An event that raises would be found only when it happens."""
    allowed = PERMITTED | {"level"}
    assert [(place, k.arg) for place, k in _noted() if k.arg not in allowed] == []


def test_every_permitted_field_is_used() -> None:
    assert {keyword.arg for _, keyword in _noted()} >= PERMITTED


def test_an_exception_is_logged_by_its_class_and_place_never_by_its_text() -> None:
    errors = [(place, ast.unparse(keyword.value)) for place, keyword in _noted() if keyword.arg == "error"]
    assert errors
    assert [(place, text) for place, text in errors if "where_from" not in text] == []


def test_an_error_is_its_class_and_place() -> None:
    try:
        int("jane@example.com")
    except ValueError as problem:
        said = events.where_from(problem)
    assert said.startswith("ValueError at test_events.py:")
    assert "jane" not in said
    assert events.where_from(KeyError("jane")) == "KeyError at "


# --- what libraries log -----------------------------------------------------------------------------------


@pytest.fixture
def library(log: Log) -> logging.Logger:
    return logging.getLogger("gunicorn.error")


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING, logging.ERROR])
def test_libraries_warnings_lose_what_they_quote(log: Log, library: logging.Logger, level: int) -> None:
    record = library.makeRecord(
        "gunicorn.error", level, "x.py", 1, "Invalid request from %s: %r (%d)", ("1.2.3.4", "jane@", 7), None
    )
    FromLibraries().emit(record)
    (line,) = log.lines
    assert line["event"] == "gunicorn", "the logger's name, gunicorn.error, reads like a fault"
    assert line["message"] == "Invalid request from …: '…' (7)"


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("50% of %s", ("jane",)),
        ("%(who)s", ({"who": "jane"},)),
        ("%d", ("jane",)),
        ("%s %s", ("jane",)),
        ("ok", ()),
    ],
)
def test_a_librarys_odd_message_is_still_one_line_without_values(
    log: Log, library: logging.Logger, message: str, arguments: Any
) -> None:
    record = library.makeRecord("urllib3", logging.WARNING, "x.py", 1, message, arguments, None)
    FromLibraries().emit(record)
    (line,) = log.lines
    assert "jane" not in json.dumps(line)


def test_a_librarys_exception_is_its_class_and_place(log: Log, library: logging.Logger) -> None:
    try:
        raise ValueError("jane@example.com")
    except ValueError:
        record = library.makeRecord("x", logging.ERROR, "x.py", 1, "Error", (), sys.exc_info())
    FromLibraries().emit(record)
    (line,) = log.lines
    assert line["error"].startswith("ValueError at test_events.py:")
    assert "jane" not in json.dumps(line)


# --- metrics ------------------------------------------------------------------------------------------------


def test_metrics_are_named_and_labelled_as_promised() -> None:
    count_submission("newsletter", "accepted", 0.01)
    count_submission("newsletter", "limited")
    count_delivery("ocamba", "delivered", 0.2)
    gauges = [
        ("relay_backlog", "Submissions", {"destination": "ocamba", "state": "queued"}, 3.0),
        ("relay_backlog", "Submissions", {"destination": "ocamba", "state": "dead"}, 1.0),
        ("relay_destination_held", "Held", {"destination": "ocamba"}, 0.0),
    ]
    raw, content_type = exposition(gauges)
    text = raw.decode()
    assert content_type.startswith("text/plain")
    for line in (
        'relay_submissions_total{result="accepted",source="newsletter"} ',
        'relay_submissions_total{result="limited",source="newsletter"} ',
        'relay_deliveries_total{destination="ocamba",outcome="delivered"} ',
        "relay_upstream_seconds_bucket{",
        "relay_request_seconds_bucket{",
        'relay_backlog{destination="ocamba",state="queued"} 3.0',
        'relay_backlog{destination="ocamba",state="dead"} 1.0',
        'relay_destination_held{destination="ocamba"} 0.0',
    ):
        assert f"\n{line}" in text


def test_counting_together_loses_nothing() -> None:
    def value() -> float:
        text = exposition([])[0].decode()
        (line,) = [
            one for one in text.splitlines() if one.startswith("relay_deliveries_total{") and "threads" in one
        ]
        return float(line.rpartition(" ")[2])

    def many() -> None:
        for _ in range(500):
            count_delivery("threads", "later")

    count_delivery("threads", "later")
    before = value()
    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value() == before + 2000

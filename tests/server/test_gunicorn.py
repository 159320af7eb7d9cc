"""What of gunicorn's insides the server relies on: an upgrade that changes it fails here first."""

import inspect
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.http.message import Request
from gunicorn.http.parser import Parser
from gunicorn.http.unreader import Unreader
from gunicorn.http.wsgi import Response
from gunicorn.workers.base import Worker
from gunicorn.workers.gthread import TConn, ThreadWorker

ROOT = Path(__file__).parents[2]
METHODS = [
    (ThreadWorker.accept, ["self", "listener"]),
    (ThreadWorker.enqueue_req, ["self", "conn"]),
    (ThreadWorker.finish_request, ["self", "conn", "fs"]),
    (ThreadWorker.handle, ["self", "conn"]),
    (ThreadWorker.handle_request, ["self", "req", "conn"]),
    (ThreadWorker.murder_pending, ["self"]),
    (ThreadWorker.run, ["self"]),
    (ThreadWorker.set_accept_enabled, ["self", "enabled"]),
    (Worker.handle_error, ["self", "req", "client", "addr", "exc"]),
    (Worker.init_signals, ["self"]),
    (TConn.__init__, ["self", "cfg", "sock", "client", "server"]),
    (TConn.init, ["self"]),
    (TConn.close, ["self", "graceful"]),
    (Unreader.unread, ["self", "data"]),
    (Unreader.take_buffered, ["self"]),
    (Request.force_close, ["self"]),
    (Response.force_close, ["self"]),
    (Response.start_response, ["self", "status", "headers", "exc_info"]),
    (Logger.setup, ["self", "cfg"]),
    (Logger.access, ["self", "resp", "req", "environ", "request_time"]),
    (Arbiter.kill_worker, ["self", "pid", "sig"]),
    (Arbiter.reload, ["self"]),
    (Arbiter.handle_ttin, ["self"]),
    (Arbiter.handle_ttou, ["self"]),
    (Arbiter.handle_usr2, ["self"]),
    (HaltServer.__init__, ["self", "reason", "exit_status"]),
]
ATTRIBUTES = {
    ThreadWorker: ["nr_conns", "poller", "worker_connections", "alive"],
    Worker: ["wsgi", "cfg", "sockets"],
    TConn: ["sock", "parser"],
    Parser: ["unreader"],
    Arbiter: ["WORKERS"],
    Logger: ["error_log"],
}
ERRORS = [
    "ParseException",
    "LimitRequestLine",
    "LimitRequestHeaders",
    "ExpectationFailed",
    "InvalidResponseHeader",
    "InvalidResponseHeaderName",
    "ConfigurationProblem",
]


def test_the_version_is_pinned() -> None:
    assert version("gunicorn").startswith("27.")
    assert "gunicorn==27.*" in (ROOT / "requirements.in").read_text(encoding="utf-8")


@pytest.mark.parametrize(("method", "names"), METHODS, ids=lambda value: getattr(value, "__qualname__", ""))
def test_a_method_that_is_called_or_replaced_takes_what_it_took(method, names) -> None:
    assert list(inspect.signature(method).parameters) == names


@pytest.mark.parametrize("kind", ATTRIBUTES, ids=lambda kind: kind.__name__)
def test_an_attribute_that_is_read_is_there(kind) -> None:
    source = "".join(inspect.getsource(one) for one in kind.__mro__[:-1])
    for name in ATTRIBUTES[kind]:
        assert f"self.{name}" in source or hasattr(kind, name)


def test_a_parser_reads_what_was_given_back_before_its_socket() -> None:
    reader = Unreader()
    reader.unread(b"second")
    reader.unread(b"first ")
    assert reader.take_buffered() == b"first second" and reader.take_buffered() == b""


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_that_is_told_apart_is_there(name: str) -> None:
    assert issubclass(getattr(errors, name), Exception)


def test_started_without_the_relays_settings_it_says_so_and_ends(tmp_path: Path) -> None:
    """Nobody would have opened the outbox, and everybody would have been answered 503."""
    elsewhere = [sys.executable, "-m", "gunicorn", "relay.server.app:app", "-b", "127.0.0.1:0"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        elsewhere, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 3
    assert "relay: gunicorn was not given the relay's settings: start it where" in done.stderr
    assert "Traceback" not in done.stderr

"""A pretend Create Profile (and Update Profile) of Ocamba Hood, for trying out and for tests.

It behaves as https://docs.ocamba.com documents the real one: the answers' shape, the rate limits'
two fixed windows and their headers, the parallel limit. What the documentation leaves open is
decided here and said in a comment. It never keeps a person, only the ids it has given out; with
`--log` it writes down everything it received, so that file holds what was posted.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from relay.sandbox.answers import CREATABLE, PROFILES, Call, Profiles, Reply, answer, limited
from relay.sandbox.limits import FixedWindows, Parallel
from relay.sandbox.moods import understood

MAX_BODY = 1024 * 1024


# --- What is written down ---------------------------------------------------------------------


def log_line(call: Call, reply: Reply, at: datetime, t: float) -> bytes:
    """One line of the log: what was received, when, and what became of it."""
    entry = {
        "at": at.isoformat(),
        "t": t,
        "method": call.method,
        "path": call.path,
        "status": reply.status,
        "created": reply.created,
        "id": reply.id,
        "body": call.data,
        "authorization": masked_authorization(call.authorization),
    }
    return json.dumps(entry).encode() + b"\n"


def masked_authorization(header: str) -> str:
    """The scheme and the last two characters: enough to tell two tokens apart."""
    scheme, _, token = header.strip().rpartition(" ")
    return f"{scheme} ***{token[-2:] if len(token) > 4 else ''}".strip() if token else ""


def console_line(call: Call, reply: Reply) -> str:
    """A short line for a person to watch, e.g. "201 created 1743…  Jane D.  j***@example.com"."""
    data = call.data if isinstance(call.data, dict) else {}
    name, email, phone = (str(data.get(key) or "") for key in CREATABLE)
    head = f"{reply.status or '---'} {reply.word} {reply.id or ''}".rstrip()
    line = "  ".join(filter(None, (head, _masked_names(name), _masked(email), _masked(phone))))
    return "".join(character for character in line if character.isprintable())


def _masked_names(full_name: str) -> str:
    parts = [" ".join(part.split()) for part in full_name.split(",")]
    return ", ".join(part if understood(part) else _masked_name(part) for part in parts)[:80]


def _masked_name(name: str) -> str:
    first, *others = name.split() or [""]
    initials = [f"{word[0]}." for word in others]
    return " ".join([first, *initials] if initials else [f"{first[:1]}."] if first else [])


def _masked(contact: str) -> str:
    start, at, domain = contact.rpartition("@")
    if at:
        return f"{start[:1]}***@{domain}"
    return f"{contact[:3]}***{contact[-2:]}" if len(contact) > 7 else "***" if contact else ""


# --- Serving ----------------------------------------------------------------------------------


def create_sandbox(
    log: Path | None = None,
    *,
    windows: tuple[tuple[int, int], ...] = ((10, 1), (150, 60)),
    parallel: int = 8,
    clock: Callable[[], float] = time.time,
    tell: Callable[[str], None] | None = None,
) -> Flask:
    """The pretend API as a WSGI application, to be served by `listen` (a mood closes its socket).

    `windows` are (calls, seconds) per token, counted by `clock`; `log` gets a line and `tell` a
    short text for each call, before it is answered and before any delay. Raises OSError when
    `log` cannot be written.
    """
    app = Flask("relay-sandbox", static_folder=None)
    counted, slots, profiles = FixedWindows(windows, clock), Parallel(parallel), Profiles()
    if log:
        _append(log, b"")

    # In place of routes: unknown paths and methods are counted and logged as well.
    @app.before_request
    def serve() -> Response:
        at, t = datetime.now(UTC), time.monotonic()
        with slots.slot(Call("", "", request.headers.get("Authorization", "")).token) as free:
            call = _received()
            reply = answer(call, counted, profiles) if free else limited(-1)
            if log:
                _append(log, log_line(call, reply, at, t))
            if tell:
                tell(console_line(call, reply))
            time.sleep(reply.delay)
        return _response(reply)

    return app


def _append(log: Path, line: bytes) -> None:
    # Unbuffered and in one write, so that lines of parallel calls never mix. Others may not read
    # it: people try a sandbox with their own address.
    with open(log, "ab", buffering=0, opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
        f.write(line)


def _received() -> Call:
    request.max_content_length = MAX_BODY
    call = Call(request.method, request.path, request.headers.get("Authorization", ""), request.mimetype)
    try:
        return replace(call, body=request.get_data())
    except HTTPException as error:
        # Cut short by the caller, or too large.
        return replace(call, problem=error.code or 400)


def _response(reply: Reply) -> Response:
    if reply.status is None:
        # Only shut down, not closed: the server then fails quietly when it writes this answer,
        # and closes the socket itself.
        with suppress(OSError):  # the caller was quicker
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return Response()
    response = Response(reply.body, reply.status, list(reply.headers))
    response.content_type = "application/json"
    return response


class _QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: the console has a line for each call already."""


def listen(app: Flask, port: int = 0) -> BaseWSGIServer:
    """A threaded server for `app`, listening on loopback only; 0 takes any free port.

    The caller runs `serve_forever`. Raises OSError when the port cannot be had.
    """
    # Bound here because the server's own way ends the process when the port is taken.
    with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
        number = listener.getsockname()[1]
        return make_server(
            "127.0.0.1",
            number,
            app,
            threaded=True,
            request_handler=_QuietHandler,
            fd=listener.fileno(),
        )


def run(port: int, log: Path | None, *, watch_stdin: bool) -> int:
    """Serve until SIGTERM or SIGINT (or, with ``watch_stdin``, the end of stdin); the exit code.

    Raises OSError when the port or the log cannot be had.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = listen(create_sandbox(log, tell=_tell), port)
    if watch_stdin:
        threading.Thread(target=_wait_for_end_of_stdin, args=(stop,), daemon=True).start()
    serving = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    serving.start()
    _tell(f"sandbox upstream on http://127.0.0.1:{server.port}{PROFILES}")
    stop.wait()
    server.shutdown()
    serving.join()
    return 0


def _wait_for_end_of_stdin(stop: threading.Event) -> None:
    # Read below sys.stdin, whose lock would be in the way when the process ends.
    with suppress(OSError):  # no stdin, or a terminal that went away: ended too
        while os.read(0, 4096):
            continue
    stop.set()


def _tell(line: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    # Nobody reading any more must not spoil the answer to the call.
    with suppress(BrokenPipeError):
        sys.stdout.write(line.encode(encoding, "replace").decode(encoding) + "\n")
        sys.stdout.flush()

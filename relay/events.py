"""Events: named, with permitted fields only; one JSON line each.

What may leave is an allow-list of field names; the values under them never come from a person.
"""

import atexit
import contextlib
import json
import logging
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

PERMITTED = frozenset(
    [
        "request_id",
        "receipt",
        "source",
        "destination",
        "state",
        "reason",
        "outcome",
        "status",
        "seconds",
        "attempt",
        "due_at",
        "kind",
        "client",
        "problem",
        "count",
        "version",
        "process",
        "until",
        "warning",
        "trace_id",
        "error",
        "where",
        "alert",
        "origin",
    ]
)
_QUIET_SECONDS = 0.05
_MOST_LINES = 10_000
"""So many wait for whoever reads the log; more are counted instead."""
_FLUSH_SECONDS = 1.0
_STDERR = 2
_OWN_WORDS = ("Shutting down: ", "Reason: ", "Worker (pid:")
"""How gunicorn's messages begin that tell of its processes alone: why they stop, which signal ended one."""


class Unpermitted(ValueError):
    """A field that is on no allow-list was about to be logged: a mistake in the program."""


def note(event: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log one event. Raises Unpermitted for a field that is not on the list."""
    if not PERMITTED.issuperset(fields):
        raise Unpermitted(", ".join(sorted(fields.keys() - PERMITTED)))
    if level >= _sink.level:
        _sink.write(_line(time.time(), level, event, fields), urgent=level >= logging.WARNING)


def _line(at: float, level: int, event: str, fields: dict[str, Any]) -> str:
    """Return one JSON object, ASCII only, so that no value can forge a line or move a cursor."""
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    line: dict[str, Any] = {"at": moment, "level": logging.getLevelName(level).lower(), "event": event}
    line.update((name, value) for name, value in fields.items() if value is not None)
    try:
        return json.dumps(line, default=str, allow_nan=False)
    except (TypeError, ValueError):  # keys that are no text, and numbers that are none in JSON
        return json.dumps({name: str(value) for name, value in line.items()})


class _Sink:
    """Standard error. In the process that serves one thread alone writes, a few lines at a time.

    Whoever reads the log may be slow or gone; then what does not fit is counted, and nobody waits.
    """

    def __init__(self) -> None:
        self.level = logging.INFO
        self._lines: list[str] = []
        self._dropped = 0
        self._is_writing = False
        self._lock = threading.Lock()
        self._wish = threading.Event()
        self._writer: threading.Thread | None = None

    def write(self, line: str, *, urgent: bool) -> None:
        with self._lock:
            if len(self._lines) < _MOST_LINES:
                self._lines.append(line)
            else:
                self._dropped += 1
        if self._writer is None:
            self._drain(_to_stderr)
        elif urgent:
            self._wish.set()

    def flush(self) -> None:
        """Have what is there written, if that is possible soon."""
        until = time.monotonic() + _FLUSH_SECONDS
        while self._writer is not None and time.monotonic() < until:
            self._wish.set()
            with self._lock:
                if not self._lines and not self._is_writing:
                    return
            time.sleep(0.005)

    def write_in_background(self) -> None:
        """To be called in the process that serves."""
        if self._writer is None or not self._writer.is_alive():
            self._writer = threading.Thread(target=self._run, name="log", daemon=True)
            self._writer.start()
            atexit.register(self.flush)

    def _run(self) -> None:
        while True:
            self._wish.wait(_QUIET_SECONDS)
            self._wish.clear()
            self._drain(_to_descriptor)

    def _drain(self, write: Callable[[str], None]) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
            dropped, self._dropped = self._dropped, 0
            self._is_writing = True
        if dropped:
            lines.append(_line(time.time(), logging.ERROR, "log.dropped", {"count": dropped}))
        if lines:
            # Nobody may read it any more; that is no reason to refuse a submission.
            with contextlib.suppress(OSError, ValueError):
                write("\n".join(lines) + "\n")
        self._is_writing = False


def _to_stderr(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


def _to_descriptor(text: str) -> None:
    """Write past Python's own buffer, whose lock would keep the process from ending while nobody reads."""
    left = text.encode()
    while left:
        try:
            left = left[os.write(_STDERR, left) :]
        except BlockingIOError:  # who started us shares it, and does not wait; the thread that writes may
            select.select([], [_STDERR], [])


_sink = _Sink()


class FromLibraries(logging.Handler):
    """What libraries log, gunicorn among them, in the same form.

    Their warnings quote addresses with query strings and what else was sent: of those only the wording
    and the numbers are kept.
    """

    def emit(self, record: logging.LogRecord) -> None:
        quoted = record.levelno >= logging.WARNING or record.levelno <= logging.DEBUG
        fields: dict[str, Any] = {"message": _bare(record) if quoted else record.getMessage()}
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = where_from(record.exc_info[1])
        line = _line(record.created, record.levelno, record.name.removesuffix(".error"), fields)
        _sink.write(line, urgent=True)


def _bare(record: logging.LogRecord) -> str:
    """Return a message without the texts in it, but for what gunicorn says of its own processes."""
    if record.name == "gunicorn.error" and str(record.msg).startswith(_OWN_WORDS):
        return record.getMessage()
    if not isinstance(record.args, tuple):
        return str(record.msg)
    bare = tuple(value if isinstance(value, int | float) else "…" for value in record.args)
    try:
        return str(record.msg) % bare
    except (TypeError, ValueError):
        return str(record.msg)


def where_from(error: BaseException) -> str:
    """Return an exception's class and place, without its text, which may hold what somebody sent."""
    place, step = "", error.__traceback__
    while step is not None:
        place = f"{step.tb_frame.f_code.co_filename.rpartition('/')[2]}:{step.tb_lineno}"
        step = step.tb_next
    return f"{type(error).__name__} at {place}"


def keep_streams() -> None:
    """Open what is closed of the three streams: else the next file or line is one, and gets the log."""
    while (stream := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(stream, True)
    os.close(stream)
    sys.stdin = sys.stdin or os.fdopen(0, "r", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(_STDERR, "w", closefd=False)


def configure(level: str = "INFO", *, background: bool = False) -> None:
    """Log to standard error as JSON lines. ``background``: this process serves, see ``_Sink``."""
    _sink.level = logging.getLevelNamesMapping()[level]
    root = logging.getLogger()
    if not any(isinstance(handler, FromLibraries) for handler in root.handlers):
        root.addHandler(FromLibraries(logging.WARNING))
    if background:
        _sink.write_in_background()


def flush() -> None:
    """Write what has not been written yet."""
    _sink.flush()

"""Events: named, with permitted fields only; one JSON line each.

What may leave is an allow-list of field names; the values under them never come from a person.
"""

import atexit
import contextlib
import json
import logging
import sys
import threading
import time
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
        "method",
        "path",
        "client",
        "problem",
        "problems",
        "count",
        "limit",
        "window",
        "version",
        "path_name",
        "process",
        "port",
        "url",
        "until",
        "warning",
        "commits",
        "remaining",
        "eta_seconds",
        "trace_id",
        "error",
        "where",
        "preset",
        "rows",
        "bytes",
        "alert",
        "origin",
    ]
)
_QUIET_SECONDS = 0.05
_QUIET_LINES = 200


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
    """Standard error. Lines that are no warning are written a few at a time.

    A line of its own for each submission would make every request thread wait for every other.
    """

    def __init__(self) -> None:
        self.level = logging.INFO
        self._lines: list[str] = []
        self._lock = threading.Lock()
        self._flusher: threading.Thread | None = None

    def write(self, line: str, *, urgent: bool) -> None:
        with self._lock:
            self._lines.append(line)
        if urgent or self._flusher is None or len(self._lines) >= _QUIET_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what is there."""
        with self._lock:
            lines, self._lines = self._lines, []
            if lines:
                # Nobody may read it any more; that is no reason to refuse a submission.
                with contextlib.suppress(OSError, ValueError):
                    sys.stderr.write("\n".join(lines) + "\n")
                    sys.stderr.flush()

    def flush_often(self) -> None:
        """Write in the background from now on; to be called in the process that serves."""
        if self._flusher is None or not self._flusher.is_alive():
            self._flusher = threading.Thread(target=self._run, name="log", daemon=True)
            self._flusher.start()
            atexit.register(self.flush)

    def _run(self) -> None:
        while True:
            time.sleep(_QUIET_SECONDS)
            self.flush()


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
    """Return a message without the texts in it, but for gunicorn's reasons to stop."""
    if record.msg in ("Shutting down: %s", "Reason: %s"):
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


def configure(level: str = "INFO", *, background: bool = False) -> None:
    """Log to standard error as JSON lines. ``background``: this process serves, see ``_Sink``."""
    _sink.level = logging.getLevelNamesMapping()[level]
    root = logging.getLogger()
    if not any(isinstance(handler, FromLibraries) for handler in root.handlers):
        root.addHandler(FromLibraries(logging.WARNING))
    if background:
        _sink.flush_often()


def flush() -> None:
    """Write what has not been written yet."""
    _sink.flush()


# --- metrics ------------------------------------------------------------------------------------

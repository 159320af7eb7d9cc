"""Files that somebody named: read whole, and without waiting for ever."""

import errno
import os
import select
import stat
import time
from io import FileIO
from pathlib import Path

_PIPE_SECONDS = 5.0


def read_text(path: str | Path) -> str:
    """Return what a file holds. Raises OSError, UnicodeDecodeError.

    A pipe does as well, as shells make them of ``<(…)``: but where nobody writes, one that is read again at
    each reload would be waited for without end.
    """
    with FileIO(path, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        is_pipe = stat.S_ISFIFO(os.fstat(file.fileno()).st_mode)
        text = _read_pipe(file) if is_pipe else file.read() or b""
    return text.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def _read_pipe(pipe: FileIO) -> bytes:
    ends_at = time.monotonic() + _PIPE_SECONDS
    found, waiting = b"", select.poll()
    waiting.register(pipe, select.POLLIN)
    while waiting.poll(max(0.0, ends_at - time.monotonic()) * 1000):
        part = pipe.read(65536)
        if not part:
            return found
        found += part
    raise TimeoutError(errno.ETIMEDOUT, "is a pipe that nobody writes to, or does not end")

"""The command line inside the process of the test: its whole way but for the start of a Python, which costs
more than everything else. It takes the process's environment, folder and streams while it runs."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from unittest import mock

from relay.cli.main import main


def run_inside(
    words: tuple[str, ...], env: Mapping[str, str], cwd: Path, given: bytes
) -> subprocess.CompletedProcess[str]:
    """Run `relay …` and return how it ended and what it wrote."""
    out, err = _stream(), _stream()
    with (
        mock.patch.dict(os.environ, env, clear=True),
        mock.patch.object(sys, "stdin", _stream(given)),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            status = main(list(words))
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
    return subprocess.CompletedProcess(words, status, _written(out), _written(err))


def _stream(given: bytes = b"") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(given), encoding="utf-8", write_through=True)


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    written: bytes = stream.buffer.getvalue()  # type: ignore[attr-defined]
    return written.decode("utf-8", "replace")

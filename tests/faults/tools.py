"""What makes things go wrong: strace that spoils system calls, small disks, foreign locks, wrong clocks."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tests.faults.trial import Lacking
from tests.kit.processes import eventually
from tests.kit.relay import ROOT

KILL = "signal=KILL"
STOP = "signal=STOP"
_LIBFAKETIME = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
)
_TRACED = "pwrite64,pread64,write,fsync,fdatasync,sendto,recvfrom,connect,ftruncate"


def strace() -> str:
    """Return the path of strace. Raises Lacking."""
    found = shutil.which("strace")
    if not found:
        raise Lacking("apt-get install -y strace")
    return found


class Spoiler:
    """strace, attached to a running process, that spoils the n-th call of every thread of it.

    ``what`` is in strace's words: signal=KILL, error=EIO. ``when`` too: 3, or 3+ for the third and all later.
    """

    def __init__(self, pid: int, calls: str, what: str, when: int | str) -> None:
        self._folder = tempfile.mkdtemp(prefix="relay-strace-")
        self._log = Path(self._folder, "log")
        inject = f"inject={calls}:{what}:when={when}"
        command = [strace(), "-f", "-o", self._log, "-e", f"trace={calls}", "-e", inject, "-p", str(pid)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        said = self._process.stderr.readline()
        if b"attached" not in said:
            self.end()
            raise Lacking(f"strace cannot attach: {said.decode(errors='replace').strip()}")

    @property
    def hit(self) -> bool:
        """Whether a call was spoilt."""
        text = self._log.read_text("utf-8", "replace")
        return any(mark in text for mark in ("(INJECTED)", "killed by SIGKILL", "stopped by SIGSTOP"))

    def end(self) -> None:
        """Let the process go."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        if self._process.stderr is not None:
            self._process.stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        shutil.rmtree(self._folder, ignore_errors=True)


class Tracer:
    """strace, attached, that only writes down the order of calls, in ``path``."""

    def __init__(self, pid: int, path: Path) -> None:
        command = [strace(), "-f", "-y", "-s", "64", "-o", path, "-e", f"trace={_TRACED}", "-p", str(pid)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        self._process.stderr.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(5)
        if self._process.stderr is not None:
            self._process.stderr.close()


def wrapped(calls: str, what: str, when: int, database: Path, log: Path) -> list[str]:
    """Return the words before a command that spoil its n-th call on a database's files, from its start."""
    names = ("", "-wal", "-shm", ".keys", ".lock", ".ballast")
    paths = [database.parent, *(database.with_name(database.name + name) for name in names)]
    only = [word for path in paths for word in ("-P", str(path))]
    inject = f"inject={calls}:{what}:when={when}"
    return [strace(), "-f", "-o", str(log), "-e", f"trace={calls}", "-e", inject, *only]


def was_hit(log: Path) -> bool:
    """Whether a command under ``wrapped`` had a call spoilt."""
    text = log.read_text("utf-8", "replace") if log.exists() else ""
    return "killed by SIGKILL" in text or "(INJECTED)" in text


# --- disks ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """A tmpfs of this size. Raises Lacking if this user may not mount one."""
    if os.geteuid() != 0:
        raise Lacking("a small disk needs root: sudo make faults ARGS='--only disk'")
    folder = Path(tempfile.mkdtemp(prefix="relay-disk-"))
    made = _mount("mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(folder))
    try:
        if made.returncode != 0:
            raise Lacking(f"a small disk: {made.stderr.strip()}")
        try:
            yield folder
        finally:
            unmount(folder)
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()


def remount(folder: Path, how: str) -> None:
    """Remount a small disk: "ro" or "rw"."""
    done = _mount("mount", "-o", f"remount,{how}", str(folder))
    assert done.returncode == 0, done.stderr


def unmount(folder: Path) -> None:
    """Unmount, waiting a moment for what is still being closed."""
    eventually(lambda: _mount("umount", str(folder)).returncode == 0, 15, f"unmounting {folder}")


def fill(folder: Path) -> Path:
    """Fill a disk to the last byte and return the file that does it."""
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"\0" * size)
    return filler


def _mount(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)


# --- locks ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold the write lock of an SQLite file, as another program's long transaction would."""
    link = sqlite3.connect(database, isolation_level=None, timeout=10)
    try:
        link.execute("BEGIN IMMEDIATE")
        yield
        link.execute("ROLLBACK")
    finally:
        link.close()


# --- clocks ---------------------------------------------------------------------------------------------


_LAUNCH = """
import runpy, select, sys, time
time.sleep = lambda seconds: select.select((), (), (), seconds) and None
runpy.run_module("gunicorn", run_name="__main__", alter_sys=True)
"""


class WallClock:
    """A wall clock that can be set while a process runs; its monotonic clock stays true.

    libfaketime 0.9.10 makes clock_nanosleep, which Python sleeps by, fail when it is absolute and monotonic;
    ``command`` starts gunicorn with a sleep that does not use it.
    """

    command = (sys.executable, "-c", _LAUNCH, "app:app", "-c", str(ROOT / "gunicorn.conf.py"))

    def __init__(self, folder: Path) -> None:
        library = next((path for path in _LIBFAKETIME if os.path.exists(path)), None)
        if library is None:
            raise Lacking("apt-get install -y libfaketime")
        self._file = folder / "clock"
        self.set(0)
        self.environment = {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    def set(self, seconds: float) -> None:
        """Let the clock be so many seconds off."""
        draft = self._file.with_suffix(".new")
        draft.write_text(f"{seconds:+.0f}\n")
        draft.replace(self._file)


# --- processes ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def asleep(pids: list[int]) -> Iterator[None]:
    """Stop processes of ours for as long as the block lasts."""
    _signal(signal.SIGSTOP, pids)
    try:
        yield
    finally:
        _signal(signal.SIGCONT, pids)


def _signal(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def pause(seconds: float) -> float:
    """Sleep, and return the time it was before."""
    now = time.monotonic()
    time.sleep(seconds)
    return now

"""Hooks: what gunicorn's master and worker do besides serving: load, start, reload, stop, count together."""

import errno
import fcntl
import gc
import glob
import mmap
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time
from typing import Any

from relay import events, metrics
from relay.config import settings as configuration
from relay.config.environment import Problem, Unusable
from relay.config.settings import Settings
from relay.process.exits import EXIT_UNFIT, leave
from relay.process.keeping import configuration_kept
from relay.server import core

_ADDRESS_SECONDS = 1.5
_CONNECTIONS = 2000
_FILES_KEPT = 256
"""Open files that clients may not take: the database's, the calls upstream, the log."""
_COUNTS = "relay-counts-"
"""Not ``relay-metrics-``, as 0.1.0 has them and locks none: a server of it that runs would lose its own."""
_TURN_SECONDS = 0.0005
"""Storing a submission changes threads some eight times, and each waits for whoever makes a page: with the
usual 5 ms five people who click made the p99 of signing up 2.5 times as long, with this 1.7 times."""

last_status = mmap.mmap(-1, 1)
"""Why a worker left for good, for its master: memory that both share; 0 while none has."""
sandbox_url: str | None = None
"""Where ``serve`` started the sandbox, if it did."""
_settings: Settings | None = None
"""The last good settings: loaded in the master, inherited by every worker it forks."""


def load() -> Settings:
    """Read the settings, for the sandbox where ``serve`` started one. Raises Unusable."""
    settings = configuration.load(sandbox_url=sandbox_url)
    if sandbox_url is not None and not settings.is_sandbox:
        what = "every token is there now: start again, so that nobody made up goes to the real upstream"
        raise Unusable([Problem("destinations", what)])
    return settings


def load_or_exit() -> Settings:
    """Read the settings in the master; leave with status 2 and one line per problem if they are unusable."""
    global _settings
    if _settings is None:
        try:
            _settings = load()
        except Unusable as unusable:
            for problem in unusable.problems:
                print(problem, file=sys.stderr)
            sys.exit(2)
    return _settings


def application() -> Any:
    """Return the WSGI application; its relay is started by ``start`` once the worker is forked.

    Leaves with a line where nobody would start it: its master has read other settings, or none.
    """
    from relay.process.relay import Relay
    from relay.web import create_app

    if _settings is None:
        where = "start it where the relay's gunicorn.conf.py is, or with -c python:relay.server.conf"
        print(f"relay: gunicorn was not given the relay's settings: {where}", file=sys.stderr, flush=True)
        sys.exit(EXIT_UNFIT)
    events.configure(_settings.log_level)
    return create_app(Relay(_settings, load, _leave))


# --- hooks of gunicorn ----------------------------------------------------------------------------------


def claim_address(arbiter: Any) -> None:
    """See whether the address is free; leave with one line if it is not, where gunicorn takes a dozen."""
    if os.environ.get("GUNICORN_FD") or os.environ.get("LISTEN_FDS"):  # somebody listens for us already
        return
    for address in arbiter.cfg.address:
        if isinstance(address, tuple) and (wrong := _cannot_listen(address)):
            print(f"relay: cannot listen on {address[0]}:{address[1]}: {wrong}", file=sys.stderr, flush=True)
            sys.exit(1)


def _cannot_listen(address: tuple[str, int]) -> str | None:
    """Return why not, if it stays so for a moment: the one before may be just leaving."""
    until = time.monotonic() + _ADDRESS_SECONDS
    while True:
        with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(address)
                return None
            except OSError as problem:
                if problem.errno != errno.EADDRINUSE or time.monotonic() > until:
                    return problem.strerror or str(problem)
        time.sleep(0.1)


def start(worker: Any) -> None:
    """Open the outbox in the worker; if it cannot, the master stops instead of trying for ever."""
    from relay.process.relay import start_or_explain

    core.stay_on_one()
    sys.setswitchinterval(_TURN_SECONDS)
    wrong = start_or_explain(worker.wsgi.relay)
    if wrong is not None:
        print(f"relay: {wrong[0]}", file=sys.stderr, flush=True)
        _leave(wrong[1])
    for number in (signal.SIGINT, signal.SIGQUIT):
        # Ctrl-C is heard here too, and then told by the master: gunicorn's own way ends the process on the
        # spot, and the second time in the middle of finishing the calls that are under way.
        signal.signal(number, worker.handle_exit)
    gc.freeze()  # what is there now stays: looking through it again and again stops everybody for 80 ms


def _leave(status: int) -> None:
    """End the worker for good: its master stops with the same status."""
    last_status[0] = status
    leave(status)


def keep_one_worker(arbiter: Any) -> None:
    """Ignore the signals that would add a worker or a second master: neither gets the outbox."""
    for name in ("ttin", "ttou", "usr2"):
        setattr(arbiter, f"handle_{name}", lambda: None)


def connections(threads: int) -> int:
    """Return how many clients may be connected: as many as leave files for what they are here for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS + _FILES_KEPT
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return _CONNECTIONS
    return max(threads + 1, min(_CONNECTIONS, soft - _FILES_KEPT))


def share_counts() -> None:
    """Let the processes of this server count together, in memory where there is such a file system.

    A lock says that the folder is in use, and goes with the last of its processes, however they end.
    """
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()
    for left_behind in glob.glob(os.path.join(memory, f"{_COUNTS}*")):
        if (lock := _locked(left_behind)) is not None:
            shutil.rmtree(left_behind, ignore_errors=True)
            os.close(lock)
    os.environ[metrics.SHARED_COUNTS] = _folder_of_our_own(memory)


def _folder_of_our_own(memory: str) -> str:
    """Make a folder and lock it; a server that starts meanwhile may have taken it for one left behind."""
    while True:
        folder = tempfile.mkdtemp(prefix=_COUNTS, dir=memory)
        if _locked(folder) is not None and os.path.isdir(folder):
            return folder


def _locked(folder: str) -> int | None:
    """Lock a folder of our own until the last process that inherits it ends; None if another has it."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def forget_counts() -> None:
    """Remove what the processes counted in."""
    shutil.rmtree(os.environ.get(metrics.SHARED_COUNTS, ""), ignore_errors=True)


def left(arbiter: Any) -> None:
    """A worker is gone: if it said that another would fare no better, stop. Raises HaltServer."""
    from gunicorn.errors import HaltServer

    if last_status[0]:
        raise HaltServer("the storage cannot be used", last_status[0])


def stop(worker: Any) -> None:
    """Finish what is in flight when the worker leaves."""
    relay = getattr(worker.wsgi, "relay", None)
    if relay is not None and hasattr(relay, "outbox"):
        relay.stop()


def reload(arbiter: Any) -> None:
    """SIGHUP: check the configuration; if it is good, let the workers read it, in place."""
    global _settings
    try:
        _settings = load()
    except Unusable as unusable:
        configuration_kept(unusable.problems)
        return
    for pid in list(arbiter.WORKERS):
        arbiter.kill_worker(pid, signal.SIGHUP)

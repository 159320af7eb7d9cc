"""Who is compared: how each is set up to do the relay's work, started, and killed.

Each takes a form of e-mail, phone, first and last name, maps it, and calls upstream with a token, at most 150
times a minute if it can be told to. Each has the durable settings of its own that its documentation names.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import ClassVar

from tests.kit.processes import eventually, pids_of_session
from tests.kit.relay import toml

ROOT = Path(__file__).parents[2]
TOKEN = "the-token-of-the-account"
START_SECONDS = 120.0

Command = tuple[list[str], dict[str, str]]


@dataclass
class Contender:
    """One way to take sign-ups. ``folder`` is its own, and outlives its processes."""

    folder: Path
    port: int
    upstream: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    title: ClassVar[str]
    path: ClassVar[str] = "/signup"
    waiting_path: ClassVar[str] = "/wait"

    @staticmethod
    def is_installed() -> bool:
        """Whether it is on this machine."""
        return True

    def marked(self) -> int:
        """How many people it says may have been sent twice."""
        return 0

    def prepare(self) -> None:
        """Write what it is configured with."""

    def commands(self) -> list[Command]:
        """Return what is started, with what is added to the environment."""
        raise NotImplementedError

    def start(self) -> float:
        """Start it; return the seconds until it listened."""
        began = time.perf_counter()
        for command, more in self.commands():
            self.processes.append(
                subprocess.Popen(
                    command,
                    cwd=ROOT if command[0] == sys.executable else self.folder,
                    env={"PATH": os.environ["PATH"], "HOME": str(self.folder)} | more,
                    stdin=subprocess.DEVNULL,
                    stdout=(self.folder / "output.log").open("ab"),
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
        eventually(self.ready, START_SECONDS, f"{self.title} listening", 0.02)
        return time.perf_counter() - began

    def ready(self) -> bool:
        """Whether its application answers; a form that is asked for is not there, or not that way."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", self.path)
            return connection.getresponse().status < 500
        except OSError:
            return False
        finally:
            connection.close()

    def pids(self) -> list[int]:
        """Return all its processes."""
        return [pid for process in self.processes for pid in pids_of_session(process.pid)]

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End every process it started."""
        for process in self.processes:
            for pid in pids_of_session(process.pid):
                os.kill(pid, how)
        for process in self.processes:
            process.wait(30)
        eventually(lambda: not self.pids(), 30, f"{self.title} ending")
        self.processes.clear()

    def memory(self) -> float:
        """Return the resident memory of all its processes, in MiB."""
        pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids())
        return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


class Relay(Contender):
    """This relay, with its defaults but for the limits of each visitor, since all come from one address."""

    title, path, waiting_path = "this relay", "/submit/signup", "/submit/wait"

    def prepare(self) -> None:
        none = {"client_limits": "none", "source_limits": "none", "recipient_limits": "none"}
        names = {"from": ["first_name", "last_name"]}
        fields = {"email": "email", "mobile_phone_number": "phone", "full_name": names}
        source = {"kind": "form", "fields": fields} | none
        settings = {
            "destinations": {"ocamba": {"url": self.upstream, "token": "env:OCAMBA_TOKEN"}},
            "sources": {"signup": source, "wait": source | {"wait": 5}},
        }
        (self.folder / "relay.toml").write_text(toml(settings))

    def commands(self) -> list[Command]:
        more = {
            "RELAY_CONFIG": str(self.folder / "relay.toml"),
            "RELAY_DATABASE_URL": f"sqlite:///{self.folder}/relay.db",
            "OCAMBA_TOKEN": TOKEN,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
        }
        return [([sys.executable, "-m", "relay", "serve"], more)]

    def marked(self) -> int:
        with closing(sqlite3.connect(self.folder / "relay.db")) as link:
            return int(link.execute("SELECT count(*) FROM deliveries WHERE may_be_duplicate").fetchone()[0])


class Direct(Contender):
    """Bare Flask that calls upstream in the visitor's request (`direct.py`)."""

    title, waiting_path = "bare Flask", "/signup"

    def commands(self) -> list[Command]:
        return [(gunicorn("direct", self.port), {"UPSTREAM": self.upstream, "OCAMBA_TOKEN": TOKEN})]


class Afternoon(Contender):
    """Flask and huey (`afternoon.py`): a web process, and the consumer of the queue."""

    title = "Flask + huey"

    def commands(self) -> list[Command]:
        more = {"UPSTREAM": self.upstream, "OCAMBA_TOKEN": TOKEN, "QUEUE": str(self.folder / "queue.db")}
        consumer = [sys.executable, "-m", "huey.bin.huey_consumer", "benchmarks.peers.afternoon.huey"]
        return [(gunicorn("afternoon", self.port), more), ([*consumer, "-w", "1"], more)]


def gunicorn(module: str, port: int) -> list[str]:
    """Return a web process like the relay's: one worker with 16 threads."""
    return [
        *(sys.executable, "-m", "gunicorn", f"benchmarks.peers.{module}:app", "-c", "/dev/null"),
        *("-b", f"127.0.0.1:{port}", "-w", "1", "-k", "gthread", "--threads", "16"),
        *("--worker-connections", "2000", "--keep-alive", "2", "--no-control-socket"),
    ]


@contextmanager
def running(contender: Contender) -> Iterator[float]:
    """Run it for a while; yields how long its start took, in seconds."""
    try:
        yield contender.start()
    finally:
        contender.end()

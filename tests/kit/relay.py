"""The relay as a real process, driven through its outside only.

with RelayProcess(config(upstream.url)) as relay:
    relay.form({"email": "ada@example.com"})
    relay.kill9()
    relay.start()
    relay.rows()
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Literal, Self

from tests.kit.canary import Place
from tests.kit.client import HOST, Answer, Fields, Headers, get, post_form, post_json, request
from tests.kit.command import run_inside
from tests.kit.processes import children, eventually, free_port, pids_of_session, send

ROOT = Path(__file__).resolve().parents[2]
GUNICORN = [sys.executable, "-m", "gunicorn", "app:app", "-c", str(ROOT / "gunicorn.conf.py")]
RELAY = [sys.executable, "-m", "relay"]

NEWSLETTER: dict[str, Any] = {
    "kind": "form",
    "origins": ["*"],
    "region": "DE",
    "client_limits": "none",
    "source_limits": "none",
    "fields": {
        "email": "email",
        "mobile_phone_number": "phone",
        "full_name": {"from": ["first_name", "last_name"]},
    },
}
HOOK: dict[str, Any] = {
    "kind": "webhook",
    "secret": "env:HOOK_SECRET",
    "fields": {"email": "email", "mobile_phone_number": "phone", "full_name": "name"},
}


def config(url: str, sources: Mapping[str, Any] | None = None, **destination: Any) -> dict[str, Any]:
    """A configuration with one destination (`destination`: more of its keys) and, unless others are
    named, the sources `newsletter` (a form without limits) and `hook` (a webhook with a token)."""
    ocamba = {"url": url, "token": "env:OCAMBA_TOKEN"} | destination
    chosen = dict(sources) if sources is not None else {"newsletter": NEWSLETTER, "hook": HOOK}
    return {"destinations": {"ocamba": ocamba}, "sources": chosen}


class StartFailed(Exception):
    """The process ended, or was not ready in time; `returncode` is None while it runs."""

    def __init__(self, returncode: int | None, output: str) -> None:
        super().__init__(f"exit {returncode}\n{output[-4000:]}")
        self.returncode = returncode
        self.output = output


@dataclass(frozen=True)
class LogLine:
    raw: str
    data: dict[str, Any] | None  # None: not a JSON object


class RelayProcess:
    """One server process with a folder, a configuration, a database, a port and secrets of its own.

    `config`: a dict or TOML text. `mode`: "gunicorn" (production) or "serve" (`python -m relay …`).
    `token=None`: no OCAMBA_TOKEN (sandbox mode with `serve`). `env`: more variables; None removes
    one. `start=False`: do not start yet. `wait_ready=False`: do not wait for /readyz. `folder`:
    keep state there and leave it at the end; otherwise in a temporary folder, then removed.
    `wrap`: words before the command (strace, faketime, prlimit). `command`: another command.
    `cwd`: where it runs; elsewhere than at the top of the repository it leaves no `var/` there.
    """

    def __init__(
        self,
        config: Mapping[str, Any] | str,
        *,
        mode: Literal["gunicorn", "serve"] = "gunicorn",
        database_url: str | None = None,
        token: str | None = "",
        env: Mapping[str, str | None] | None = None,
        folder: Path | None = None,
        port: int | None = None,
        wrap: Sequence[str] = (),
        command: Sequence[str] | None = None,
        cwd: Path = ROOT,
        start: bool = True,
        wait_ready: bool = True,
        ready_timeout: float = 30.0,
    ) -> None:
        self._own_folder = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="relay-test-"))
        usual = GUNICORN if mode == "gunicorn" else [*RELAY, "serve"]
        self.command = [*wrap, *(command or usual)]
        self.cwd = cwd
        self.port = port or free_port()
        self.ready_timeout = ready_timeout
        self.database_path = self.folder / "relay.db"
        self.database_url = database_url or f"sqlite:///{self.database_path}"
        self.config_path = self.folder / "relay.toml"
        self.output_path = self.folder / "output.log"
        self.token = secret("token") if token == "" else token
        self.admin_token = secret("admin")
        self.metrics_token = secret("metrics")
        self.hook_secret = secret("hook")
        self.env = self._environment(env or {})
        self.process: subprocess.Popen[bytes] | None = None
        self.configure(config)
        if start:
            try:
                self.start(wait_ready=wait_ready)
            except BaseException:
                self.close()
                raise

    # --- starting and ending ----------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The master's process id."""
        if self.process is None:
            raise RuntimeError("the relay was never started")
        if Path(self.command[0]).name != "strace":  # the others become the command, strace stays
            return self.process.pid
        return (children(self.process.pid) or [self.process.pid])[0]

    @property
    def secrets(self) -> dict[str, str]:
        """Every secret the process was given, by name: canaries for `judge.leaks`."""
        found = {
            "admin_token": self.admin_token,
            "metrics_token": self.metrics_token,
            "hook_secret": self.hook_secret,
        }
        if self.token:
            found["token"] = self.token
        if self.env.get("RELAY_SECRET_KEYS"):
            found["secret_keys"] = self.env["RELAY_SECRET_KEYS"]
        return found

    def configure(self, config: Mapping[str, Any] | str) -> None:
        """Writes relay.toml; a running server sees it after `hup()`."""
        text = config if isinstance(config, str) else toml(config)
        self.config_path.write_text(text, encoding="utf-8")

    def start(self, wait_ready: bool = True) -> Self:
        """Starts the server (again) on the same folder and port. Raises StartFailed."""
        if self.alive():
            raise RuntimeError("the relay is running already")
        with self.output_path.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.cwd,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if wait_ready:
            self.wait_ready()
        return self

    def wait_ready(self, timeout: float | None = None) -> None:
        """Waits for 200 from /readyz; StartFailed when the process ends or the time is over."""
        ends = time.monotonic() + (timeout or self.ready_timeout)
        while self.readyz() != 200:
            if not self.alive() or time.monotonic() >= ends:
                raise StartFailed(self.process.poll() if self.process else None, self.output())
            time.sleep(0.05)

    def readyz(self) -> int | None:
        """The status of /readyz; None when nobody answers."""
        try:
            return get(self.port, "/readyz", timeout=5).status
        except (OSError, HTTPException):
            return None

    def readiness(self) -> Answer:
        """What /readyz tells those who may know why."""
        return get(self.port, "/readyz", {"Authorization": f"Bearer {self.metrics_token}"})

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def term(self, timeout: float | None = None) -> int | None:
        """SIGTERM to the master; with `timeout`, waits for the exit status."""
        self._signal(signal.SIGTERM)
        return self.wait(timeout) if timeout else None

    def hup(self) -> None:
        self._signal(signal.SIGHUP)

    def wait(self, timeout: float = 30.0) -> int:
        """The exit status; subprocess.TimeoutExpired when it does not end in time."""
        if self.process is None:
            raise RuntimeError("the relay was never started")
        return self.process.wait(timeout)

    def kill9(self) -> None:
        """SIGKILL to the master and everything it started, at once; returns when all are gone."""
        if self.process is None:
            return
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        eventually(self._killed, 10, "the end of the relay's processes")

    def restart(self, timeout: float = 30.0, wait_ready: bool = True) -> int:
        """SIGTERM, wait, start again; returns the exit status of the first."""
        self._signal(signal.SIGTERM)
        status = self.wait(timeout)
        self.start(wait_ready)
        return status

    def stop(self) -> None:
        """SIGSTOP to all of its processes: the machine sleeps. `cont()` wakes it."""
        send(signal.SIGSTOP, self.pids())

    def cont(self) -> None:
        send(signal.SIGCONT, self.pids())

    def pids(self) -> list[int]:
        """All of its living processes, the master among them."""
        return pids_of_session(self.process.pid) if self.process else []

    def labour(self) -> int:
        """Nanoseconds that its workers have computed, whatever else the machine does meanwhile."""
        found = 0
        for pid in self.worker_pids():
            for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # that thread has ended
                    found += int(file.read_text().split()[0])
        return found

    def worker_pids(self) -> list[int]:
        """The living children of the master."""
        return children(self.pid)

    def close(self) -> None:
        self.kill9()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is not None:
            print(f"--- the relay's output ---\n{self.output()[-8000:]}")
        self.close()

    # --- what it says -----------------------------------------------------------------------

    def output(self) -> str:
        """Everything it wrote to stdout and stderr, over all starts."""
        if not self.output_path.exists():
            return ""
        return self.output_path.read_text("utf-8", "replace")

    def log_lines(self) -> list[LogLine]:
        return [LogLine(line, _json_object(line)) for line in self.output().splitlines()]

    def evidence(self) -> list[Place]:
        """Where nothing secret or personal may be: output, database files, process titles."""
        titles = b"\n".join(_title(pid) for pid in self.pids())
        database = sorted(self.folder.glob(self.database_path.name + "*"))
        return [self.output_path, *database, ("process titles", titles)]

    def rss(self) -> int:
        """Resident memory of all of its processes, in bytes."""
        page = os.sysconf("SC_PAGE_SIZE")
        sizes = [Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in self.pids()]
        return sum(int(size) for size in sizes) * page

    # --- asking it --------------------------------------------------------------------------

    def form(
        self,
        fields: Fields,
        source: str = "newsletter",
        headers: Headers = None,
        **more: Any,
    ) -> Answer:
        """Submits a form (JSON answer unless `headers` ask otherwise)."""
        return post_form(self.port, source, fields, headers, **more)

    def hook(self, value: Any, source: str = "hook", headers: Headers = None, **more: Any) -> Answer:
        """Submits JSON with the hook's bearer token."""
        proof = {"Authorization": f"Bearer {self.hook_secret}"}
        return post_json(self.port, source, value, proof | dict(headers or {}), **more)

    def get(self, path: str, headers: Headers = None, **more: Any) -> Answer:
        return get(self.port, path, headers, **more)

    def api(self, method: str, path: str, json: Any = None, **more: Any) -> Answer:
        """Calls the operator's API; `path` begins with /api."""
        headers = {"Authorization": f"Bearer {self.admin_token}"}
        if json is None:
            return request(self.port, method, path, None, headers, **more)
        headers["Content-Type"] = "application/json"
        return request(self.port, method, path, _dumps(json), headers, **more)

    def submission(self, receipt: str) -> dict[str, Any]:
        """One submission with its history."""
        answer = self.api("GET", f"/api/submissions/{receipt}")
        assert answer.status == 200, (answer.status, answer.text[:500])
        found: dict[str, Any] = answer.json
        shown: dict[str, Any] = found.get("submission", found)
        return shown

    def state(self, receipt: str) -> str:
        return str(self.submission(receipt)["state"])

    def wait_state(self, receipt: str, *states: str, timeout: float = 15.0) -> dict[str, Any]:
        """Waits until a submission is in one of `states`; returns it."""

        def reached() -> dict[str, Any] | None:
            found = self.submission(receipt)
            return found if found["state"] in states else None

        found = eventually(reached, timeout, f"{receipt} becoming {' or '.join(states)}")
        assert found is not None
        return found

    def rows(self, history: bool = True, **query: str) -> list[dict[str, Any]]:
        """All submissions the API knows (with `query`: state=, source=, contact=), newest first."""
        link = HTTPConnection(HOST, self.port, timeout=30)
        try:
            found = list(self._pages(link, query))
            if not history:
                return found
            return [self._asked(link, f"/api/submissions/{row['receipt']}") for row in found]
        finally:
            link.close()

    def counts(self) -> dict[str, int]:
        """How many submissions are in each state."""
        found: dict[str, int] = {}
        for row in self.rows(history=False):
            found[row["state"]] = found.get(row["state"], 0) + 1
        return found

    def wait_drained(self, timeout: float = 60.0, every: float = 0.2) -> None:
        """Waits until nothing is `queued` or `sending` any more."""

        def drained() -> bool:
            paths = [f"/api/submissions?state={state}&limit=1" for state in ("queued", "sending")]
            return not any(self.api("GET", path).json["submissions"] for path in paths)

        eventually(drained, timeout, "the end of the backlog", every)

    def wait_job(self, name: str, timeout: float = 60.0) -> dict[str, Any]:
        """Waits until a job is over; returns it."""

        def over() -> dict[str, Any] | None:
            found: dict[str, Any] = self.api("GET", f"/api/jobs/{name}").json
            return found if found["ended_at"] else None

        found = eventually(over, timeout, f"the end of job {name}")
        assert found is not None
        return found

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.api("GET", "/api/status").json
        return found

    def metrics(self) -> str:
        answer = self.get("/metrics", {"Authorization": f"Bearer {self.metrics_token}"})
        assert answer.status == 200, answer.status
        return answer.text

    def cli(
        self,
        *args: str,
        input: str | bytes | None = None,
        timeout: float = 60.0,
        env: Mapping[str, str | None] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs `python -m relay …` in the same environment (plus `env`), beside the server."""
        data = input.encode() if isinstance(input, str) else input
        done = subprocess.run(
            [*RELAY, *args],
            cwd=self.cwd,
            env=_merged(self.env, env or {}),
            input=data or b"",
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        out, err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    def command_line(
        self, *args: str, input: str | bytes = b"", env: Mapping[str, str | None] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Does what `cli` does in this process, much quicker; not while another thread does so."""
        given = input.encode() if isinstance(input, str) else input
        return run_inside(args, _merged(self.env, env or {}), Path(self.cwd), given)

    # --- inside -----------------------------------------------------------------------------

    def _environment(self, extra: Mapping[str, str | None]) -> dict[str, str]:
        base: dict[str, str | None] = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "OCAMBA_TOKEN": self.token,
            "RELAY_CONFIG": str(self.config_path),
            "RELAY_DATABASE_URL": self.database_url,
            "RELAY_ADMIN_TOKEN": self.admin_token,
            "RELAY_METRICS_TOKEN": self.metrics_token,
            "HOOK_SECRET": self.hook_secret,
            "HOST": HOST,
            "PORT": str(self.port),
        }
        if not self.database_url.startswith("sqlite"):
            base["RELAY_SECRET_KEYS"] = secrets.token_hex(32)
        if self.cwd != ROOT:
            base["PYTHONPATH"] = str(ROOT)
        return _merged({}, base | dict(extra))

    def _signal(self, number: signal.Signals) -> None:
        send(number, [self.pid] if self.alive() else [])

    def _killed(self) -> bool:
        """Ends what left the group or was just being forked; true when nothing was there."""
        left = self.pids()
        send(signal.SIGKILL, left)
        return not left

    def _pages(self, link: HTTPConnection, query: Mapping[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        asked = dict(query) | {"limit": "500"}
        while True:
            page = self._asked(link, f"/api/submissions?{urllib.parse.urlencode(asked)}")
            found += page["submissions"]
            if not page.get("next") or not page["submissions"]:
                return found
            asked["before"] = str(page["next"])

    def _asked(self, link: HTTPConnection, path: str) -> dict[str, Any]:
        link.request("GET", path, headers={"Authorization": f"Bearer {self.admin_token}"})
        answer = link.getresponse()
        body = answer.read()
        assert answer.status == 200, (path, answer.status, body[:500])
        found: dict[str, Any] = json.loads(body)
        return found


def secret(name: str) -> str:
    """A secret that is easy to find where it should not be."""
    return f"canary-{name}-{secrets.token_hex(20)}"


def toml(value: Mapping[str, Any]) -> str:
    """A configuration as TOML: tables for nested dicts, inline ones in lists, None left out."""
    return "\n".join(_tables(value, ())) + "\n"


def _tables(value: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = {k: v for k, v in value.items() if not isinstance(v, Mapping) and v is not None}
    lines = [f"[{'.'.join(_key(part) for part in path)}]"] if path else []
    lines += [f"{_key(k)} = {_toml(v)}" for k, v in plain.items()]
    for k, v in value.items():
        if isinstance(v, Mapping):
            lines += ["", *_tables(v, (*path, k))]
    return lines


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _title(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it ended meanwhile
        return b""


def _merged(base: Mapping[str, str], extra: Mapping[str, str | None]) -> dict[str, str]:
    return {k: v for k, v in {**base, **extra}.items() if v is not None}


def _json_object(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _dumps(value: Any) -> bytes:
    return json.dumps(value).encode()

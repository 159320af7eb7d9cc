"""Ends and beginnings."""

import contextlib
import http.client
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.kit import services
from tests.kit.client import HOST, Raw, Submitters, encoded, head
from tests.kit.judge import judge, leaks
from tests.kit.processes import children, eventually, send
from tests.kit.relay import GUNICORN, HOOK, NEWSLETTER, RELAY, ROOT, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream, delay
from tests.process.ending import FORM, WINDOWS, settings, settled

GRACE = 25.0
"""relay/server/conf.py: graceful_timeout."""


def load(relay: RelayProcess, **more: Any) -> Submitters:
    """Thirty people a second sign up."""
    return Submitters(relay.port, threads=4, rate=30, **{"seconds": 600, **more})


Meanwhile = Callable[[Callable[[], None]], None]


@pytest.fixture(scope="module", autouse=True)
def meanwhile() -> Iterator[Meanwhile]:
    """What mostly waits begins at once, beside the other tests; call it to wait for one of them."""
    with ThreadPoolExecutor() as pool:
        running = {one: pool.submit(one) for one in (a_stalled_client, two_servers_on_one_file)}
        yield lambda one: running[one].result(90)


# --- going ---------------------------------------------------------------------------------


Ending = tuple[signal.Signals, ...]
TERM: Ending = (signal.SIGTERM,)
ENDINGS: list[Ending] = [
    TERM,
    (signal.SIGTERM, signal.SIGTERM),
    (signal.SIGINT,),
    (signal.SIGQUIT,),
    (signal.SIGHUP, signal.SIGTERM),
]


def ended_again_and_again(
    upstream: ScriptedUpstream, chance: random.Random, endings: list[Ending], longest: float
) -> None:
    """Ends it at random moments, with calls in flight; what was in flight is recorded."""
    with RelayProcess(settings(upstream)) as relay, load(relay) as crowd:
        for ending in endings:
            time.sleep(chance.uniform(0.2, longest))
            began = time.monotonic()
            for number in ending:
                send(number, [relay.pid])
                time.sleep(0.05)
            assert relay.wait(GRACE + 5) == 0, ending
            assert time.monotonic() - began <= GRACE + 2, ending
            relay.start()
        crowd.stop()
        assert settled(relay, upstream, crowd) == []
        assert len(crowd.acknowledged) >= 5 * len(endings)
        assert not any(row["may_be_duplicate"] for row in relay.rows())


def test_every_way_of_ending_it_under_load_loses_nobody(upstream: ScriptedUpstream, seed: int) -> None:
    chance = random.Random(seed)
    ended_again_and_again(upstream, chance, chance.sample(ENDINGS, len(ENDINGS)), 0.8)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM])
def test_what_a_terminal_tells_every_process_ends_it_once(number: signal.Signals) -> None:
    """Ctrl-C is heard by the master and by the worker, which then hears of it from its master, too."""
    with ScriptedUpstream(lambda _: delay(1.5)) as upstream, RelayProcess(settings(upstream)) as relay:
        receipt = str(relay.form({"email": "ada@example.com"}).receipt)
        upstream.wait_for(1)
        for _ in range(3):  # impatience
            send(number, relay.pids())
            time.sleep(0.3)
        assert relay.wait(GRACE) == 0
        assert relay.output().count('"relay.stopped"') == 1
        relay.start()
        row = relay.submission(receipt)
        assert (row["state"], row["may_be_duplicate"]) == ("delivered", False)


@pytest.mark.slow
def test_nor_do_twenty_terminations(upstream: ScriptedUpstream, seed: int) -> None:
    ended_again_and_again(upstream, random.Random(seed), [TERM] * 20, 4)


def a_stalled_client() -> None:
    with ScriptedUpstream(lambda _: delay(1.5)) as upstream, RelayProcess(settings(upstream)) as relay:
        receipt = str(relay.form({"email": "ada@example.com"}).receipt)
        upstream.wait_for(1)
        with Raw(relay.port) as stalled, Raw(relay.port) as silent:
            stalled.send(head("POST", "/submit/newsletter", FORM | {"Content-Length": "100"}) + b"email=")
            silent.send(b"POST /sub")
            time.sleep(0.2)
            began = time.monotonic()
            assert relay.term(GRACE + 5) == 0
            assert time.monotonic() - began <= GRACE + 2
        relay.start()
        row = relay.submission(receipt)
        assert (row["state"], row["may_be_duplicate"]) == ("delivered", False)
        assert len(relay.rows()) == 1


def test_a_stalled_client_does_not_hold_up_the_end(meanwhile: Meanwhile) -> None:
    meanwhile(a_stalled_client)


# --- SIGHUP: staying ----------------------------------------------------------------------------------


def test_a_reload_under_load_fails_nobody_and_happens_in_place(upstream: ScriptedUpstream) -> None:
    with RelayProcess(settings(upstream)) as relay:
        workers = relay.worker_pids()
        with load(relay) as crowd, kept_alive(relay) as statuses:
            for number in range(10):
                more = {f"more-{number}": NEWSLETTER}
                relay.configure(settings(upstream, sources={"newsletter": NEWSLETTER, **more}))
                relay.hup()
                eventually(lambda n=number: relay.form({"email": "a@b.de"}, f"more-{n}").status == 202, 5)
                time.sleep(0.1)
            crowd.stop()
        assert {sent.outcomes for sent in crowd.ledger} == {(202,)}
        assert set(statuses) == {202} and len(statuses) > 5
        assert relay.worker_pids() == workers
        relay.wait_drained()
        assert relay.form({"email": "a@b.de"}, "more-0").status == 404, "the last reload took it out"


class kept_alive:
    """Posts over one connection, again and again, for as long as it stays open."""

    def __init__(self, relay: RelayProcess) -> None:
        self._link = http.client.HTTPConnection(HOST, relay.port, timeout=10)
        self._over = threading.Event()
        self._statuses: list[int | None] = []
        self._thread = threading.Thread(target=self._post)

    def __enter__(self) -> list[int | None]:
        self._thread.start()
        return self._statuses

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._link.close()

    def _post(self) -> None:
        headers = FORM | {"Accept": "application/json"}
        while not self._over.wait(0.05):
            body = encoded({"email": f"kept-{len(self._statuses)}@example.com"})
            try:
                self._link.request("POST", "/submit/newsletter", body, headers)
                answer = self._link.getresponse()
                answer.read()
                self._statuses.append(answer.status)
            except (OSError, http.client.HTTPException):
                self._statuses.append(None)
                return


DESTINATION = '[destinations.ocamba]\nurl = "https://upstream.invalid/"\n'
BAD = {
    "no TOML": "[destinations",
    "an unknown key": f'{DESTINATION}token = "env:OCAMBA_TOKEN"\ncolour = 1',
    "a missing secret": f'{DESTINATION}token = "env:NOT_SET"',
    "impossible limits": f'{DESTINATION}token = "env:OCAMBA_TOKEN"\nlimits = "10/second; 5/minute"',
}


def test_a_bad_new_configuration_changes_nothing(upstream: ScriptedUpstream) -> None:
    with RelayProcess(settings(upstream)) as relay:
        for count, (kind, text) in enumerate(BAD.items(), 1):
            relay.configure(text)
            relay.hup()
            eventually(lambda n=count: relay.output().count('"config.kept"') == n, 5, kind)
            assert relay.hook({"email": f"ada-{count}@example.com"}).status == 201
        problems = [
            line.data for line in relay.log_lines() if line.data and line.data["event"] == "config.problem"
        ]
        assert len(problems) >= len(BAD)
        assert any("colour" in problem["problem"] for problem in problems)
        relay.config_path.unlink()
        relay.hup()
        eventually(lambda: relay.output().count('"config.kept"') == len(BAD) + 1, 5)
        assert relay.readyz() == 200
        relay.configure(settings(upstream))
        relay.hup()
        eventually(lambda: '"config.reloaded"' in relay.output(), 5)


def test_a_secret_in_a_file_is_read_again(upstream: ScriptedUpstream) -> None:
    with RelayProcess(settings(upstream), start=False) as relay:
        secret = relay.folder / "secret"
        secret.write_text("first-secret-of-the-sender\n")
        secret.chmod(0o600)
        hook = HOOK | {"secret": f"file:{secret}"}
        relay.configure(settings(upstream, sources={"hook": hook}))
        relay.start()

        def statuses() -> list[int]:
            words = "first-secret-of-the-sender", "second-secret-of-the-sender"
            proofs = [{"Authorization": f"Bearer {word}"} for word in words]
            return [relay.hook({"email": "ada@example.com"}, headers=proof).status for proof in proofs]

        assert statuses() == [201, 401]
        secret.write_text("second-secret-of-the-sender\n")
        assert statuses()[1] == 401
        relay.hup()
        eventually(lambda: statuses() == [401, 200], 5)


# --- coming back -------------------------------------------------------------------------------


def restarted_with_due_retries(count: int, fresh: int, limits: str, windows: Any, seconds: float) -> None:
    trap = {"honeypot": "relay_leave_empty"}
    with ScriptedUpstream() as upstream:
        sources = {"newsletter": NEWSLETTER | trap}
        with RelayProcess(config(upstream.url, sources, limits=limits)) as relay:
            assert relay.api("POST", "/api/destinations/ocamba/pause").status == 200
            old = Submitters(relay.port, threads=8, count=count, make=_trapped).start().join()
            replayed = relay.api("POST", "/api/replay", {"state": "held"}, timeout=300)
            assert replayed.json["count"] == count
            relay.wait_job(replayed.json["job"])
            new = Submitters(relay.port, threads=4, count=fresh).start().join()
            assert relay.restart() == 0
            assert upstream.arrivals == [], "a pause outlives a restart"
            assert relay.api("POST", "/api/destinations/ocamba/resume").status == 200
            first = upstream.wait_for(fresh, timeout=seconds)[:fresh]
            names = {sent.profile["email"] for sent in new.ledger}
            assert sum(arrival.json["email"] in names for arrival in first) >= 0.85 * fresh
            rows = relay.rows(history=False)
            assert judge(old.ledger + new.ledger, upstream.arrivals, rows, limits=windows) == []


def _trapped(number: int) -> tuple[dict[str, Any], dict[str, str]]:
    email = f"trapped-{number}@example.com"
    return {"email": email, "relay_leave_empty": "x"}, {"email": email}


def test_after_a_restart_fresh_ones_go_before_due_retries() -> None:
    restarted_with_due_retries(120, 30, "10/second; 20/3 second", ((10, 1.0), (20, 3.0)), 20)


@pytest.mark.slow
def test_also_before_ten_thousand() -> None:
    restarted_with_due_retries(10_000, 300, "10/second; 150/minute", ((10, 1.0), (150, 60.0)), 180)


# --- E 69, 73, 74: killed -----------------------------------------------------------------------------


def killed_under_load(upstream: ScriptedUpstream, chance: random.Random, kills: int, **options: Any) -> None:
    """Senders try again with the same key until they are told that it is kept."""
    with RelayProcess(settings(upstream, deadline=2, **options)) as relay:
        with load(relay, resend=True) as crowd:
            for _ in range(kills):
                time.sleep(chance.uniform(0.1, 1.5))
                relay.kill9()
                relay.start()
            time.sleep(1)
            crowd.stop()
        relay.wait_drained(300)
        rows = relay.rows()
        found = judge(crowd.ledger, upstream.arrivals, rows, limits=WINDOWS, finished=True)
        assert found == []
        assert {sent.status for sent in crowd.ledger[:-8]} <= {200, 202}
        assert len(crowd.acknowledged) > 10 * kills
        allowed = {"delivered"} | ({"parked"} if options.get("ambiguous") != "retry" else set())
        assert {row["state"] for row in rows} <= allowed
        assert all(row["may_be_duplicate"] for row in rows if row["state"] == "parked")


def test_kills_under_load_lose_nobody_and_send_nobody_twice(upstream: ScriptedUpstream, seed: int) -> None:
    killed_under_load(upstream, random.Random(seed), 3)


@pytest.mark.slow
def test_what_was_in_flight_is_sent_again_after_a_minute(upstream: ScriptedUpstream, seed: int) -> None:
    killed_under_load(upstream, random.Random(seed), 12, ambiguous="retry")


def test_a_worker_or_a_master_that_is_killed_alone_loses_nobody(upstream: ScriptedUpstream) -> None:
    with RelayProcess(settings(upstream, deadline=2)) as relay, load(relay, resend=True) as crowd:
        upstream.wait_for(8)
        master, workers = relay.pid, relay.worker_pids()
        send(signal.SIGKILL, workers)
        eventually(lambda: set(relay.worker_pids()) - set(workers), 10, "another worker")
        relay.wait_ready(15)
        assert relay.pid == master and relay.alive()
        time.sleep(0.5)
        send(signal.SIGKILL, [master])
        eventually(lambda: not relay.pids(), GRACE + 5, "the end of the worker without a master")
        relay.start()
        time.sleep(0.5)
        crowd.stop()
        assert settled(relay, upstream, crowd) == []
        assert {sent.status for sent in crowd.ledger[:-8]} <= {200, 202}


def test_a_payload_that_cannot_be_read_stops_nobody_else(upstream: ScriptedUpstream) -> None:
    with RelayProcess(settings(upstream, parallel=1, retry=["20s"])) as relay:
        assert relay.api("POST", "/api/destinations/ocamba/pause").status == 200
        receipts = [str(relay.form({"email": f"ada-{n}@example.com"}).receipt) for n in range(5)]
        relay.kill9()
        with contextlib.closing(sqlite3.connect(relay.database_path)) as database, database:
            box = database.execute(
                "SELECT payload FROM deliveries WHERE receipt = ?", receipts[:1]
            ).fetchone()[0]
            spoiled = box[:-1] + bytes([box[-1] ^ 1])
            database.execute("UPDATE deliveries SET payload = ? WHERE receipt = ?", (spoiled, receipts[0]))
        relay.start()
        assert relay.api("POST", "/api/destinations/ocamba/resume").status == 200
        for receipt in receipts[1:]:
            relay.wait_state(receipt, "delivered")
        row = relay.submission(receipts[0])
        assert (row["state"], row["may_be_duplicate"]) == ("queued", False)
        assert "damaged" in row["reason"]
        assert len(upstream.arrivals) == 4


# --- refusing to start -------------------------------------------------------------------------

COMMANDS = {"gunicorn": GUNICORN, "serve": [*RELAY, "serve"]}
GOOD = config("https://upstream.invalid/v1/hood/profiles")


def refused(relay: RelayProcess, within: float = 30.0) -> tuple[int, list[str]]:
    """Starts it; returns the exit status and the lines that are about the problem."""
    began = time.monotonic()
    relay.start(wait_ready=False)
    status = relay.wait(30)
    took = time.monotonic() - began
    assert took < within, took
    output = relay.output()
    assert "Traceback" not in output
    assert leaks(relay.secrets, [output]) == []
    assert not relay.pids()
    lines = [line.raw for line in relay.log_lines() if line.raw.strip()]
    return status, [line for line in lines if '"level": "info"' not in line]


@pytest.mark.parametrize("mode", COMMANDS)
def test_an_address_in_use(mode: str) -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        with RelayProcess(GOOD, mode=mode, port=port, start=False) as relay:
            status, lines = refused(relay)
    assert status == 1
    assert len(lines) == 1
    assert f"{HOST}:{port}" in lines[0] and "in use" in lines[0]


def _no_file(relay: RelayProcess) -> None:
    relay.config_path.unlink()


def _unreadable(relay: RelayProcess) -> None:
    relay.config_path.unlink()
    relay.config_path.mkdir()


def _without(name: str) -> Callable[[RelayProcess], None]:
    return lambda relay: relay.env.pop(name) and None


def _with(**variables: str) -> Callable[[RelayProcess], None]:
    return lambda relay: relay.env.update(variables)


def _text(**more: Any) -> Callable[[RelayProcess], None]:
    return lambda relay: relay.configure(GOOD | more)


PROBLEMS: dict[str, tuple[Callable[[RelayProcess], None], list[str]]] = {
    "a missing token": (_without("OCAMBA_TOKEN"), ["OCAMBA_TOKEN"]),
    "no configuration": (_no_file, ["relay.toml"]),
    "an unreadable configuration": (_unreadable, ["relay.toml"]),
    "no TOML": (lambda relay: relay.configure("[[["), ["relay.toml"]),
    "an unknown key": (_text(colour="red"), ["colour"]),
    "many at once": (
        _with(
            PORT="x",
            HOOK_SECRET="",
            RELAY_ROLE="cook",
            RELAY_COLOUR="red",
            RELAY_ADMIN_TOKEN="short",
            RELAY_DATABASE_URL="mysql://x",
            RELAY_SECRET_KEYS_FILE="/nowhere",
        ),
        [
            "PORT",
            "HOOK_SECRET",
            "RELAY_ROLE",
            "RELAY_COLOUR",
            "RELAY_ADMIN_TOKEN",
            "RELAY_DATABASE_URL",
            "RELAY_SECRET_KEYS",
        ],
    ),
}


@pytest.mark.parametrize("kind", PROBLEMS)
def test_what_is_wrong_is_said_in_a_line_each(kind: str) -> None:
    spoil, words = PROBLEMS[kind]
    with RelayProcess(GOOD, start=False) as relay:
        spoil(relay)
        status, lines = refused(relay)
    assert status == 2
    assert len(lines) == len(words), lines
    for word in words:
        assert any(word in line for line in lines), (word, lines)


@pytest.mark.parametrize("limits", ["0/second", "-1/second", "10/second; 5/minute", "fast", "none", ""])
def test_limits_that_make_no_sense_are_refused(limits: str) -> None:
    with RelayProcess(config("http://127.0.0.1:9/", limits=limits), start=False) as relay:
        status, lines = refused(relay)
    assert status == 2
    (line,) = lines
    assert "destinations.ocamba.limits" in line


def test_serve_says_the_same() -> None:
    """Without a token it would take the sandbox; so here the secret is what is missing."""
    with RelayProcess(GOOD | {"colour": "red"}, mode="serve", start=False) as relay:
        status, lines = refused(relay)
    assert status == 2
    assert len(lines) == 1 and "colour" in lines[0]


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with RelayProcess(GOOD, database_url="sqlite:////proc/nowhere/relay.db", start=False) as relay:
        status, lines = refused(relay)
    assert status in (2, 3)
    assert sum("/proc/nowhere" in line for line in lines) == 1


# --- in a container -------------------------------------------------------------------------


def namespaced(*options: str) -> list[str]:
    """Words before a command that run it in namespaces of its own. Raises Missing."""
    words = ["unshare", *options]
    if not shutil.which("unshare"):
        raise services.Missing("apt-get install -y util-linux")
    tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise services.Missing(f"as root: {tried.stderr.strip()}")
    return words


def zombies(parent: int) -> int:
    stats = [path.read_text() for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
    fields = [stat.rpartition(")")[2].split() for stat in stats]
    return sum(state == "Z" and int(ppid) == parent for state, ppid, *_ in fields)


def test_as_process_1_it_reaps_orphans_and_ends_when_asked(upstream: ScriptedUpstream) -> None:
    """Orphans of a command that was run beside it are its children; how they end is nothing to it."""
    wrap = namespaced("--fork", "--pid", "--mount-proc", "--kill-child")
    with RelayProcess(settings(upstream), wrap=wrap) as relay:
        (master,) = children(relay.pid)
        assert Path(f"/proc/{master}/status").read_text().split("NSpid:")[1].split()[1] == "1"
        enter = ["nsenter", "--target", str(master), "--pid", "sh", "-c"]
        for status in (0, 1, 3, 4):
            subprocess.run([*enter, f"(sleep 0.3; exit {status}) & (sleep 0.3; kill -9 $$) &"], check=True)
        eventually(lambda: len(children(master)) > 1, 5, "the orphans")
        eventually(lambda: len(children(master)) == 1 and zombies(master) == 0, 10, "their end")
        assert relay.form({"email": "ada@example.com"}).status == 202
        relay.wait_drained()
        os.kill(children(master)[0], signal.SIGKILL)
        eventually(lambda: relay.readyz() == 200 and zombies(master) == 0, 20, "another worker")
        receipt = str(relay.form({"email": "eve@example.com"}).receipt)
        upstream.wait_for(2)
        os.kill(master, signal.SIGTERM)
        assert relay.wait(GRACE + 5) == 0
        relay.start()
        row = relay.submission(receipt)
        assert (row["state"], row["may_be_duplicate"]) == ("delivered", False)


def confined(folder: Path) -> list[str]:
    """Words before a command: nobody's, without capabilities, and only this folder can be written."""
    blocked = {top for path in (ROOT, Path(sys.base_prefix)) if (top := closed_ancestor(path))}
    opened = []
    for top in blocked:  # such as root's home with an interpreter in it
        inside = [path for path in (ROOT, Path(sys.base_prefix)) if path.is_relative_to(top)]
        kept = [folder.parent / f"kept{number}" for number in range(len(inside))]
        for place in kept:
            place.mkdir()
        pairs = list(zip(inside, kept, strict=True))
        opened += [f"mount --bind {path} {place}" for path, place in pairs]
        opened += [f"mount -t tmpfs -o mode=755 tmpfs {top}"]
        opened += [f"mkdir -p {path} && mount --bind {place} {path}" for path, place in pairs]
    steps = [
        "mount --make-rprivate /",
        *opened,
        f"chown -R 65534:65534 {folder}",
        f"mount --bind {folder} {folder}",
        "mount -o remount,bind,ro /",
    ]
    drop = "--reuid 65534 --regid 65534 --clear-groups --inh-caps -all --bounding-set -all --no-new-privs"
    script = " && ".join(steps) + f' && exec setpriv {drop} "$@"'
    return [*namespaced("--mount"), "sh", "-c", script, "sh"]


def closed_ancestor(path: Path) -> Path | None:
    """The uppermost folder on the way to a path that not everybody may pass."""
    way = [*reversed(path.resolve().parents), path]
    return next((folder for folder in way if not folder.stat().st_mode & 0o001), None)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user gets at; those of pytest are closed to all others whenever it is run."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


def test_confined_as_in_a_container_it_works(upstream: ScriptedUpstream, open_folder: Path) -> None:
    """Nothing can be written but its folder, as an ordinary user without any capability, in 128 MB."""
    folder = open_folder / "var"
    folder.mkdir()
    with RelayProcess(settings(upstream), folder=folder, wrap=confined(folder)) as relay:
        said = Path(f"/proc/{relay.worker_pids()[0]}/status").read_text()
        assert re.search(r"CapEff:\s+0+\n", said) and re.search(r"Uid:\s+65534\s+65534", said)
        assert " / ro," in Path(f"/proc/{relay.worker_pids()[0]}/mounts").read_text().replace(" ext4", "")
        with load(relay, seconds=3) as crowd:
            pass
        assert relay.hook({"email": "eve@example.com"}).status == 201
        relay.hup()
        eventually(lambda: "config.reloaded" in relay.output(), 5, "the reload")
        assert relay.get("/forms/newsletter").status == 200
        assert "relay_submissions_total" in relay.metrics()
        used = sum(memory(pid) for pid in relay.pids())
        assert used < 128 * 1024**2, f"{used / 1024**2:.0f} MB"
        relay.wait_drained()
        assert len(relay.rows()) == len(crowd.acknowledged) + 1
        assert relay.restart(GRACE + 5) == 0
        assert relay.counts() == {"delivered": len(crowd.acknowledged) + 1}


def memory(pid: int) -> int:
    """What a process uses by itself, and its part of what it shares."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


# --- two at once --------------------------------------------------------------------------------------


def two_servers_on_one_file() -> None:
    """The second waits for the first to go, as after a restart; then it gives up."""
    with RelayProcess(GOOD) as first:
        with RelayProcess(GOOD, database_url=first.database_url, start=False) as second:
            began = time.monotonic()
            second.start(wait_ready=False)
            assert second.wait(40) in (2, 3)
            assert time.monotonic() - began <= 30
            said = [line for line in second.output().splitlines() if "PostgreSQL" in line]
            assert len(said) == 1
        assert first.form({"email": "ada@example.com"}).status == 202, "the first does not mind"


def test_a_second_server_on_one_file_goes_and_names_postgresql(meanwhile: Meanwhile) -> None:
    meanwhile(two_servers_on_one_file)


def test_commands_work_beside_the_server(upstream: ScriptedUpstream) -> None:
    with RelayProcess(settings(upstream)) as relay:
        receipt = str(relay.hook({"email": "ada@example.com"}).receipt)
        shown = relay.cli("submissions", "show", receipt)
        assert shown.returncode == 0 and receipt in shown.stdout
        assert relay.cli("pause", "ocamba").returncode == 0
        assert relay.status()["ocamba"]["hold_reason"] == "paused"
        assert relay.cli("resume", "ocamba").returncode == 0
        assert relay.hook({"email": "eve@example.com"}).status == 201

"""Little space, odd disks, long readers, much data, and what memory does.

Full and failing disks, damaged files, locks and power cuts are tried by tests/faults/storage.py.
"""

import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from relay.outbox.disk import Disk
from tests.faults.tools import fill, small_disk
from tests.faults.trial import Lacking
from tests.kit.client import Made, Submitters, numbered
from tests.kit.judge import judge
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream, delay

WIDE = {"limits": "100/second; 6000/minute", "ambiguous": "park", "retry": ["1s"]}
WINDOWS = ((100, 1.0), (6000, 60.0))
ACCOUNT = "/api/destinations/ocamba"
EPHEMERAL = {"RELAY_ALLOW_EPHEMERAL": "1"}
MEBIBYTE = 1024 * 1024
UNUSABLE, UNFIT = 2, 3
NOBODY = 65534


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as server:
        yield server


def refused(relay: RelayProcess) -> tuple[int, str]:
    """Starts it, which must come to nothing; returns the exit status and the one line that says why."""
    said = len(relay.output())
    relay.start(wait_ready=False)
    status = relay.wait(30)
    output = relay.output()[said:]
    assert "Traceback" not in output, output
    (line,) = [line for line in output.splitlines() if not line.startswith("{")]
    return status, line


# --- no memory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spare", [0, 2])
def test_without_memory_nobody_who_was_told_yes_is_lost(upstream: ScriptedUpstream, spare: int) -> None:
    """For a while the worker gets no memory, or hardly any; if that ends it, another is started."""
    with RelayProcess(config(upstream.url, **WIDE)) as relay:
        with Submitters(relay.port, threads=12, seconds=4, resend=True, pause=0.02, make=heavy()) as crowd:
            time.sleep(0.5)
            starved = relay.worker_pids()[0]
            limit_memory(starved, spare * MEBIBYTE)
            time.sleep(2)
            limit_memory(starved, None)
            eventually(
                lambda: is_back(relay), 120, "the relay, which its own minute of silence ends at the latest"
            )
        relay.wait_drained(60)
        assert judge(crowd.ledger, upstream.arrivals, relay.rows(), limits=WINDOWS, finished=True) == []
        assert len(crowd.acknowledged) > 20


def is_back(relay: RelayProcess) -> bool:
    """Whether it is ready; one that has ended is started, as its supervisor would."""
    if not relay.alive():
        relay.start(wait_ready=False)
    return relay.readyz() == 200


def heavy() -> Callable[[int], Made]:
    """People whose forms are large."""
    run = uuid.uuid4().hex[:8]

    def make(number: int) -> Made:
        fields, profile = numbered(number, run)
        return fields | {f"answer{n}": "x" * 15_000 for n in range(12)}, profile

    return make


def limit_memory(pid: int, spare: int | None) -> None:
    """Let a process have this much more memory than it has; None: as much as it wants."""
    most = resource.RLIM_INFINITY
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        if spare is not None:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
            most = pages * os.sysconf("SC_PAGE_SIZE") + spare
        resource.prlimit(pid, resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


# --- little space ------------------------------------------------------------------------------------


def test_before_the_disk_is_full_nothing_more_is_taken_and_what_is_there_is_sent(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    with small_disk("64m") as disk:
        relay = RelayProcess(config(upstream.url, **WIDE), folder=disk, env=EPHEMERAL, start=False)
        relay.output_path = tmp_path / "output.log"
        ballast = disk / "relay.db.ballast"
        with relay:
            relay.start()
            assert ballast.stat().st_blocks * 512 >= 3 * MEBIBYTE, "space is really kept"
            relay.api("POST", f"{ACCOUNT}/pause")
            receipts = [str(relay.form({"email": f"n{number}@example.com"}).receipt) for number in range(5)]

            filler = leave(disk, 5 * MEBIBYTE)  # less than a tenth
            eventually(lambda: relay.readyz() == 503, 5, "/readyz saying so")
            answer = relay.form({"email": "late@example.com"})
            assert (answer.status, bool(answer.header("Retry-After"))) == (503, True)
            assert "disk" in relay.readiness().text
            eventually(lambda: '"alert": "disk"' in relay.output(), 15, "the alert")
            assert ballast.exists(), "it is not needed yet"
            relay.api("POST", f"{ACCOUNT}/resume")
            for receipt in receipts[:4]:
                relay.wait_state(receipt, "delivered")

            fill(disk)
            with contextlib.suppress(AssertionError):
                eventually(lambda: not ballast.exists(), 5, "the ballast being given up")
            for name in ("filler", filler.name):
                (disk / name).unlink(missing_ok=True)
            eventually(lambda: relay.readyz() == 200, 10, "taking submissions again")
            eventually(ballast.exists, 5, "the ballast being there again")
            assert relay.form({"email": "late@example.com"}).status == 202
            relay.wait_drained()
            assert relay.counts() == {"delivered": 6}


def leave(disk: Path, size: int) -> Path:
    """Fill a disk but for so many bytes."""
    found = os.statvfs(disk)
    path = disk / "others"
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize - size)
    return path


def test_a_disk_with_space_that_takes_no_more_files_is_watched_without_a_ballast() -> None:
    with small_disk("64m,nr_inodes=8") as folder:
        with contextlib.suppress(OSError):
            for number in range(10):
                (folder / str(number)).touch()
        assert Disk(folder / "relay.db").look() is False
        assert not (folder / "relay.db.ballast").exists()


def test_on_a_full_disk_the_ballast_makes_room_to_record_what_was_sent(tmp_path: Path) -> None:
    """The disk fills up while a call is under way: that it was delivered is recorded all the same."""
    with small_disk("64m") as disk, ScriptedUpstream(lambda _: delay(2)) as upstream:
        relay = RelayProcess(config(upstream.url, **WIDE), folder=disk, env=EPHEMERAL, start=False)
        relay.output_path = tmp_path / "output.log"
        with relay:
            relay.start()
            receipt = str(relay.form({"email": "ada@example.com"}).receipt)
            upstream.wait_for(1)
            fill(disk)
            fill(disk)
            row = relay.wait_state(receipt, "delivered", timeout=10)
            assert not row["may_be_duplicate"]
            assert not (disk / "relay.db.ballast").exists()


# --- files of others ---------------------------------------------------------------------------------


def without_powers() -> list[str]:
    """Words before a command that make files' modes count for root too."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        raise Lacking("apt-get install -y util-linux")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner,-chown"]


def _read_only(path: Path) -> None:
    path.chmod(0o400)


def _anothers(path: Path) -> None:
    if os.geteuid() != 0:
        raise Lacking("a file of somebody else's needs root")
    os.chown(path, NOBODY, NOBODY)
    path.chmod(0o600)


SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "a read-only file": (_read_only, "relay.db"),
    "somebody else's file": (_anothers, "relay.db"),
    "somebody else's keys": (_anothers, "relay.db.keys"),
    "somebody else's WAL": (_anothers, "relay.db-wal"),
    "a read-only folder": (lambda path: path.chmod(0o500), ""),
}


QUICK = ("a read-only file", "somebody else's keys", "somebody else's WAL")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SPOILT]
)
def test_what_may_not_be_written_is_named_and_left_as_it_is(
    upstream: ScriptedUpstream, tmp_path: Path, name: str
) -> None:
    spoil, which = SPOILT[name]
    folder = tmp_path / "state"
    folder.mkdir()
    relay = RelayProcess(config(upstream.url), folder=folder, wrap=without_powers(), start=False)
    relay.output_path = tmp_path / "output.log"
    with relay:
        relay.start()
        relay.api("POST", f"{ACCOUNT}/pause")
        receipt = str(relay.form({"email": "ada@example.com"}).receipt)
        assert relay.term(30) == 0
        path = folder / which
        path.touch()
        mode, owner = path.stat().st_mode, path.stat().st_uid
        held = {file.name: file.read_bytes() for file in folder.iterdir()}
        spoil(path)

        status, line = refused(relay)

        assert (status, f"{path}" in line.replace(": ", " ").split()) == (UNFIT, True), line
        os.chown(path, owner, -1)
        path.chmod(mode)
        assert {file: (folder / file).read_bytes() for file in held} == held
        relay.start()
        assert relay.state(receipt) == "queued"


# --- disks that do not last --------------------------------------------------------------------------


def on(kind: str, folder: Path, scratch: Path) -> list[str]:
    """Words before a command that let it see this folder on a file system of another kind."""
    device = os.stat(folder).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    lines = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if left.split()[2] == number:
            right = f"{kind} server:/export rw"
        lines.append(f"{left} - {right}\n")
    seen = scratch / "mountinfo"
    seen.write_text("".join(lines))
    return in_own_mounts(f"mount --bind {seen} /proc/$$/mountinfo")


def in_own_mounts(prepare: str) -> list[str]:
    words = ["unshare", "--mount", "sh", "-c", f'{prepare} && exec "$@"', "sh"]
    tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise Lacking(f"mounts of its own need root: {tried.stderr.strip()}")
    return words


NETWORK = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "9p",
    "ceph",
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse.glusterfs",
    "virtiofs",
]


@pytest.mark.parametrize("kind", NETWORK)
def test_on_a_network_file_system_it_is_not_started(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    wrap = on(kind, folder, tmp_path)
    with RelayProcess(config("http://127.0.0.1:9/"), folder=folder, wrap=wrap, start=False) as relay:
        status, line = refused(relay)
        assert status == UNUSABLE
        assert f"({kind})" in line and "PostgreSQL" in line
        assert not relay.database_path.exists()


def test_a_network_file_system_can_be_insisted_on(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    wrap = on("nfs4", folder, tmp_path)
    with RelayProcess(config("http://127.0.0.1:9/"), folder=folder, wrap=wrap, env=EPHEMERAL) as relay:
        assert "nfs4" in relay.readiness().text
        assert "nfs4" in relay.output()


@pytest.mark.parametrize("kind", ["overlay", "tmpfs"])
def test_on_a_disk_that_a_container_loses_it_warns(tmp_path: Path, kind: str) -> None:
    with small_disk("64m") as disk:
        wrap: list[str] = []
        folder = disk
        if kind == "overlay":
            for name in ("lower", "upper", "work", "merged"):
                (disk / name).mkdir()
            folder = disk / "merged"
            layers = f"lowerdir={disk}/lower,upperdir={disk}/upper,workdir={disk}/work"
            wrap = in_own_mounts(f"mount -t overlay overlay -o {layers} {folder}")
        relay = RelayProcess(config("http://127.0.0.1:9/"), folder=tmp_path, wrap=wrap, start=False)
        relay.env["RELAY_DATABASE_URL"] = f"sqlite:///{folder}/relay.db"
        with relay:
            relay.start()
            assert f"is on {kind}" in relay.readiness().text
            assert f"is on {kind}" in relay.output()


# --- long readers ------------------------------------------------------------------------------------


@pytest.mark.timed
def test_long_reads_beside_a_load_grow_the_wal_evenly_and_do_not_delay_the_door(
    upstream: ScriptedUpstream,
) -> None:
    with RelayProcess(config(upstream.url, **WIDE)) as relay:
        with Submitters(relay.port, threads=8, count=1500) as before:
            pass
        assert len(before.acknowledged) == 1500
        done, sizes, seconds = threading.Event(), [0], list[float]()
        readers = [
            threading.Thread(target=work, args=(relay, done))
            for work in (lists_all, holds_a_snapshot, exports)
        ]
        for reader in readers:
            reader.start()
        wal = relay.folder / "relay.db-wal"
        sent_before = len(upstream.arrivals)
        with Submitters(relay.port, threads=4, seconds=8, rate=30) as beside:
            until = time.monotonic() + 8
            while time.monotonic() < until:
                began = time.monotonic()
                assert relay.form({"email": f"{uuid.uuid4().hex}@example.com"}).status == 202
                seconds.append(time.monotonic() - began)
                sizes.append(wal.stat().st_size if wal.exists() else 0)
                time.sleep(0.03)
        written = len(seconds) + len(beside.acknowledged) + len(upstream.arrivals) - sent_before
        done.set()
        for reader in readers:
            reader.join()
        eventually(lambda: wal.stat().st_size < MEBIBYTE, 10, "the WAL being emptied once nobody reads")
    assert max(sizes) < 3 * sizes[len(sizes) // 2], "it grows by what is written, and no faster"
    assert max(sizes) / written < 96 * 1024, "a submission, or its delivery, takes some pages"
    assert max(seconds) < 8 / 4, "nobody waits for a reader, one of whom reads for all of the 8 seconds"


def lists_all(relay: RelayProcess, done: threading.Event) -> None:
    while not done.is_set():
        assert len(relay.rows(history=False)) >= 1500
        done.wait(0.2)


def exports(relay: RelayProcess, done: threading.Event) -> None:
    while not done.is_set():
        assert relay.cli("submissions", "list", "--state", "delivered").returncode == 0
        done.wait(0.5)


def holds_a_snapshot(relay: RelayProcess, done: threading.Event) -> None:
    """Another program's report: one transaction for all of the time."""
    link = sqlite3.connect(f"file:{relay.database_path}?mode=ro", uri=True)
    link.execute("BEGIN")
    first = link.execute("SELECT count(*) FROM deliveries").fetchone()
    while not done.wait(0.2):
        assert link.execute("SELECT count(*) FROM deliveries").fetchone() == first
    link.close()


# --- an old SQLite -----------------------------------------------------------------------------------


def test_an_old_sqlite_is_named_and_one_process_writes(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """Without pysqlite3 it is Python's own. That a second server is refused: test_shutdown.py."""
    (tmp_path / "pysqlite3.py").write_text("raise ImportError")
    own = {"PYTHONPATH": str(tmp_path)}
    with RelayProcess(config(upstream.url, **WIDE), env=own) as relay:
        version = f'"version": "SQLite {sqlite3.sqlite_version}"'
        eventually(lambda: version in relay.output(), 5, "its version in the log")
        is_old = sqlite3.sqlite_version_info < (3, 51, 3)
        assert ("3.51.3" in relay.readiness().text) is is_old
        with Submitters(relay.port, threads=8, count=200) as crowd:
            pass
        assert len(relay.worker_pids()) == 1
        relay.wait_drained()
        assert judge(crowd.ledger, upstream.arrivals, relay.rows(), limits=WINDOWS, finished=True) == []


def test_a_new_sqlite_is_not_named(upstream: ScriptedUpstream) -> None:
    with RelayProcess(config(upstream.url)) as relay:
        assert "3.51.3" not in relay.readiness().text


# --- much data ---------------------------------------------------------------------------------------

MILLION = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000000)
INSERT INTO deliveries (receipt, source, destination, state, received_at, due_at, changed_at, delivered_at,
                        repeat_key, email_hash, profile_id)
SELECT printf('%032x', n), 'newsletter', 'ocamba', 'delivered', n, n, n, n,
       CAST(printf('r%015d', n) AS BLOB), CAST(printf('e%015d', n) AS BLOB), '17430755068336100383'
FROM numbers
"""
UNMAPPABLE = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20000)
INSERT INTO deliveries (receipt, source, destination, state, received_at, due_at, changed_at)
SELECT printf('old%d', n), 'newsletter', 'ocamba', 'refused', n, n, n FROM numbers
"""


@pytest.mark.slow
def test_a_million_delivered_ones_cost_those_who_come_nothing(upstream: ScriptedUpstream) -> None:
    """While many whose time is over are deleted besides."""
    with RelayProcess(config(upstream.url, **WIDE)) as relay:
        without = sorted(timed(relay)[0] for _ in range(300))
        relay.wait_drained()
        relay.term(30)
        link = sqlite3.connect(relay.database_path)
        link.execute(MILLION)
        link.execute(UNMAPPABLE)
        link.commit()
        link.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        link.close()
        relay.start()
        answers = [timed(relay) for _ in range(300)]
        relay.wait_drained()
        seconds = sorted(seconds for seconds, _ in answers)
        assert seconds[150] < 2 * without[150], (seconds[150], without[150])
        assert seconds[270] < 5 * without[270], (seconds[-30:], without[-30:])
        rows = [relay.submission(receipt) for _, receipt in answers]
        assert {row["state"] for row in rows} == {"delivered"}
        eventually(lambda: left(relay) < 20_000, 15, "some whose time is over being deleted", 1)
        assert left(relay) >= 19_000, "a batch at a time"


def timed(relay: RelayProcess) -> tuple[float, str]:
    began = time.monotonic()
    answer = relay.form({"email": f"{uuid.uuid4().hex}@example.com"})
    assert answer.status == 202
    return time.monotonic() - began, str(answer.receipt)


def left(relay: RelayProcess) -> int:
    link = sqlite3.connect(f"file:{relay.database_path}?mode=ro", uri=True)
    try:
        found = link.execute("SELECT count(*) FROM deliveries WHERE state = 'refused'").fetchone()[0]
        return int(found)
    finally:
        link.close()

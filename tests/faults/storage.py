"""Storage: the disk is full, fails, lies or is locked; files are damaged, foreign, or gone."""

import contextlib
import hashlib
import re
import shutil
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.faults.crashes import ACCOUNT
from tests.faults.tools import Spoiler, Tracer, fill, locked, remount, small_disk
from tests.faults.trial import Fault, Trial
from tests.kit.client import Sent
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess
from tests.kit.upstream import ScriptedUpstream, created, delay

DAMAGED = 65
FAILED = 74
UNFIT = 3
BUSY_SECONDS = 5.0
"""relay/outbox/database.py: how long a commit waits for another program's lock."""


# --- no space -------------------------------------------------------------------------------------------


def full_disk(trial: Trial) -> None:
    """A small disk is filled to the last byte while people sign up and profiles are sent, then freed."""
    for number in range(1 if trial.quick else 3):
        _fills_up(trial, slow=number == 1)


def _fills_up(trial: Trial, slow: bool) -> None:
    folder = trial.keep(small_disk("6m"))
    upstream = trial.upstream(lambda arrival: delay(0.3, created()))
    relay = trial.relay(upstream.url, start=False, folder=folder, env={"RELAY_ALLOW_EPHEMERAL": "1"})
    if not slow:  # else what it logs is lost too, which is no reason to stop
        relay.output_path = trial.folder() / "output.log"
    relay.start()
    if slow:
        relay.api("POST", f"{ACCOUNT}/pause")
    crowd = trial.crowds(relay, threads=4, seconds=6, rate=8, patience=0.5).start()
    time.sleep(1.5)
    filler = fill(folder)
    trial.tried()
    _refuses(trial, relay)
    trial.say("refuses")
    fill(folder)
    time.sleep(2)
    fill(folder)
    crowd.join()
    trial.say("crowd gone")
    trial.expect(relay.alive(), "S108 the server ended when the disk was full")
    filler.unlink()
    _recovers(trial, relay)
    relay.api("POST", f"{ACCOUNT}/resume")
    trial.crowds(relay, threads=2, count=5).start().join()
    trial.drain(relay)
    trial.reconcile(relay, upstream.arrivals)
    relay.close()


def _refuses(trial: Trial, relay: RelayProcess) -> None:
    """On a full disk: soon a 503 with Retry-After, /readyz says so, and no answer but 503 or a true 2xx."""
    refused: list[Sent] = []

    def said_no() -> bool:
        refused[:] = trial.sign_up(relay)
        return refused[0].status == 503

    eventually(said_no, 10, "503 on a full disk", 0.2)
    answer = relay.form({"email": "late@example.com"})
    trial.expect(answer.status == 503, f"S108 full disk: answered {answer.status}")
    trial.expect(answer.header("Retry-After"), "S108 503 without Retry-After")
    eventually(lambda: relay.readyz() == 503, 5, "/readyz saying that the disk is full")


def _recovers(trial: Trial, relay: RelayProcess) -> None:
    began = time.monotonic()
    eventually(lambda: relay.readyz() == 200, 30, "recovery once there is space")
    trial.say(f"takes submissions again {time.monotonic() - began:.1f} s after there was space")


def no_space_at_every_write(trial: Trial) -> None:
    """ENOSPC at the n-th write, once: 503 or a true 2xx, and the server goes on."""
    upstream = trial.upstream()
    relay = trial.relay(upstream.url)
    hits = 0
    for when in range(1, 60, 12 if trial.quick else 3):
        with Spoiler(relay.worker_pids()[0], "pwrite64", "error=ENOSPC", when) as spoiler:
            trial.crowds(relay, threads=2, count=3, patience=15).start().join()
            relay.wait_drained(20)
            time.sleep(0.5)
            hit = spoiler.hit
        if not hit:
            break
        hits += 1
        trial.tried()
        trial.expect(relay.alive(), f"S108 pwrite64 {when}: the server ended")
        relay.wait_ready(10)
    trial.say(f"no space at {hits} points")
    trial.drain(relay)
    trial.reconcile(relay, upstream.arrivals)


def no_space_for_long(trial: Trial) -> None:
    """ENOSPC at every write for some seconds: nothing is acknowledged, nothing is sent unrecorded."""
    upstream = trial.upstream()
    relay = trial.relay(upstream.url)
    relay.api("POST", f"{ACCOUNT}/pause")
    trial.crowds(relay, threads=2, count=10).start().join()
    with Spoiler(relay.worker_pids()[0], "pwrite64", "error=ENOSPC", "1+"):
        refused = trial.sign_up(relay, 5)
        trial.expect(all(sent.status == 503 for sent in refused), f"S108 {[s.status for s in refused]}")
        resumed = relay.api("POST", f"{ACCOUNT}/resume")
        trial.expect(resumed.status == 503, f"S108 the operator's resume answered {resumed.status}")
        trial.expect(not upstream.arrivals, "S108 sent what could not be recorded as started")
        trial.tried(6)
    _recovers(trial, relay)
    relay.api("POST", f"{ACCOUNT}/resume")
    trial.drain(relay)
    trial.reconcile(relay, upstream.arrivals)


def full_before_start(trial: Trial) -> None:
    """Killed, and started on a disk that is full: 503 until there is space, then everything goes on."""
    folder = trial.keep(small_disk("6m"))
    upstream = trial.upstream()
    relay = trial.relay(upstream.url, start=False, folder=folder, env={"RELAY_ALLOW_EPHEMERAL": "1"})
    relay.output_path = trial.folder() / "output.log"
    relay.start()
    relay.api("POST", f"{ACCOUNT}/pause")
    trial.crowds(relay, threads=2, count=6).start().join()
    relay.kill9()
    filler = fill(folder)
    trial.tried()
    relay.start(wait_ready=False)
    eventually(lambda: relay.readyz() == 503 or not relay.alive(), 20, "an answer from /readyz")
    if relay.alive():
        _refuses(trial, relay)
    else:
        trial.say(f"does not start on a full disk: exit {relay.wait()}")
    filler.unlink()
    if relay.alive():
        _recovers(trial, relay)
    _goes_on(trial, relay, upstream)
    relay.close()


# --- failing disks --------------------------------------------------------------------------------------


def failing_sync(trial: Trial) -> None:
    """EIO at the n-th fsync: that commit is not acknowledged, and the server ends with status 74."""
    _fails_at(trial, "fsync,fdatasync", range(1, 9, 3 if trial.quick else 1))


def failing_write(trial: Trial) -> None:
    """EIO at the n-th write to the disk."""
    _fails_at(trial, "pwrite64", range(1, 60, 20 if trial.quick else 6))


def failing_read(trial: Trial) -> None:
    """EIO at the n-th read from the disk: 503, or the end with status 74; nothing is lost."""
    _fails_at(trial, "pread64", range(1, 6, 2))


def _fails_at(trial: Trial, calls: str, points: Sequence[int]) -> None:
    upstream = trial.upstream()
    relay = trial.relay(upstream.url)
    ended = survived = 0
    for when in points:
        with Spoiler(relay.worker_pids()[0], calls, "error=EIO", when) as spoiler:
            trial.crowds(relay, threads=2, count=4, patience=1, timeout=8).start().join()
            with contextlib.suppress(AssertionError):
                eventually(lambda: spoiler.hit or not relay.alive(), 2)
            hit = spoiler.hit
        if not hit:
            break
        trial.tried()
        if _has_ended(relay):
            ended += 1
            status = relay.wait()
            trial.expect(status == FAILED, f"S110 {calls} {when}: exit status {status}, not {FAILED}")
            relay.start()
        else:
            survived += 1
            relay.wait_ready(15)
        relay.api("POST", f"{ACCOUNT}/resume")
        trial.drain(relay)
    trial.say(f"{calls}: ended {ended} times, went on {survived} times")
    trial.expect(survived == 0 or "sync" not in calls, f"S110 went on {survived} times after a failed fsync")
    trial.reconcile(relay, upstream.arrivals)


def _has_ended(relay: RelayProcess) -> bool:
    """Whether the server ended, or does so in a moment."""
    with contextlib.suppress(AssertionError):
        eventually(lambda: not relay.alive(), 4)
    return not relay.alive()


# --- files ----------------------------------------------------------------------------------------------


def damaged_file(trial: Trial) -> None:
    """Bytes of the database are flipped while the server is down: refused with status 65, left as it is."""
    upstream, relay = _stopped_with_some(trial)
    sound = relay.database_path.read_bytes()
    for number in range(2 if trial.quick else 6):
        torn = bytearray(sound)
        if number == 0:
            torn[:16] = b"not a database!!"
        else:
            page = trial.random.randrange(1, len(torn) // 4096)
            for at in range(page * 4096, page * 4096 + 512):
                torn[at] ^= 0xFF
        relay.database_path.write_bytes(bytes(torn))
        _refused(trial, relay, DAMAGED, f"S111 damage {number}")
    relay.database_path.write_bytes(sound)
    _goes_on(trial, relay, upstream)


def foreign_file(trial: Trial) -> None:
    """A file that is no database, and a database of another program: refused and left alone."""
    upstream, relay = _stopped_with_some(trial)
    sound = relay.database_path.read_bytes()
    relay.database_path.write_bytes(b"Dear diary,\n" * 1000)
    _refused(trial, relay, DAMAGED, "S111 a text file")
    relay.database_path.unlink()
    link = sqlite3.connect(relay.database_path)
    link.executescript("CREATE TABLE songs (title TEXT); INSERT INTO songs VALUES ('Yesterday');")
    link.close()
    _refused(trial, relay, UNFIT, "S111 another program's database")
    for name in ("-wal", "-shm"):
        (relay.folder / (relay.database_path.name + name)).unlink(missing_ok=True)
    relay.database_path.write_bytes(sound)
    _goes_on(trial, relay, upstream)


def newer_file(trial: Trial) -> None:
    """A database with a newer schema: refused and left alone."""
    upstream, relay = _stopped_with_some(trial)
    _set_version(relay.database_path, "version + 1000")
    _refused(trial, relay, UNFIT, "S120 a newer schema")
    _set_version(relay.database_path, "version - 1000")
    _goes_on(trial, relay, upstream)


def _set_version(database: Path, value: str) -> None:
    link = sqlite3.connect(database)
    link.execute(f"UPDATE schema_version SET version = {value}")
    link.commit()
    link.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    link.close()


def missing_keys(trial: Trial) -> None:
    """The key file is gone: refused, rather than a new one made that opens nothing."""
    upstream, relay = _stopped_with_some(trial)
    keys = relay.folder / (relay.database_path.name + ".keys")
    kept = keys.read_bytes()
    keys.unlink()
    _refused(trial, relay, UNFIT, "S112 the keys are gone")
    trial.expect(not keys.exists(), "S112 new keys were made for a database that needs the old ones")
    keys.write_bytes(kept)
    _goes_on(trial, relay, upstream)


def read_only(trial: Trial) -> None:
    """A folder that became read-only: one clear line, and everything is there when it is writable again."""
    folder = trial.keep(small_disk("8m"))
    upstream, relay = _stopped_with_some(trial, folder)
    output = trial.folder() / "output.log"
    shutil.copy(relay.output_path, output)
    relay.output_path = output
    remount(folder, "ro")
    _refused(trial, relay, UNFIT, "S112 a read-only folder")
    remount(folder, "rw")
    _goes_on(trial, relay, upstream)


def torn_shm(trial: Trial) -> None:
    """After kill -9 the -shm holds garbage: it is made again from the WAL."""
    upstream = trial.upstream()
    relay = trial.relay(upstream.url)
    relay.api("POST", f"{ACCOUNT}/pause")
    for number in range(2 if trial.quick else 5):
        trial.crowds(relay, threads=2, count=6).start().join()
        relay.kill9()
        shm = relay.folder / (relay.database_path.name + "-shm")
        size = shm.stat().st_size if shm.exists() else 32768
        shm.write_bytes(trial.random.randbytes(size) if number else b"")
        trial.tried()
        relay.start()
    _goes_on(trial, relay, upstream)


def removed_wal(trial: Trial) -> None:
    """After a clean stop nothing is in the WAL any more: removing it loses nothing."""
    upstream = trial.upstream()
    relay = trial.relay(upstream.url)
    relay.api("POST", f"{ACCOUNT}/pause")
    for _ in range(1 if trial.quick else 3):
        trial.crowds(relay, threads=2, count=6).start().join()
        trial.expect(relay.term(40) == 0, "X135 SIGTERM: exit status is not 0")
        for name in ("-wal", "-shm"):
            (relay.folder / (relay.database_path.name + name)).unlink(missing_ok=True)
        trial.tried()
        relay.start()
    _goes_on(trial, relay, upstream)


def _stopped_with_some(trial: Trial, folder: Path | None = None) -> tuple[ScriptedUpstream, RelayProcess]:
    """A relay that stopped cleanly with a dozen submissions, half of them still to be sent."""
    upstream = trial.upstream()
    ephemeral = {"RELAY_ALLOW_EPHEMERAL": "1"}
    relay = trial.relay(upstream.url, folder=folder, env=ephemeral)
    trial.crowds(relay, threads=2, count=6).start().join()
    trial.drain(relay)
    relay.api("POST", f"{ACCOUNT}/pause")
    trial.crowds(relay, threads=2, count=6).start().join()
    trial.expect(relay.term(40) == 0, "X135 SIGTERM: exit status is not 0")
    return upstream, relay


def _refused(trial: Trial, relay: RelayProcess, status: int, what: str) -> None:
    """The start ends with this status and one line that says why, and the files are as before."""
    before, said = _digest(relay.folder), len(relay.output())
    relay.start(wait_ready=False)
    trial.tried()
    try:
        found = relay.wait(40)
    except subprocess.TimeoutExpired:
        trial.violated([f"{what}: still runs, /readyz says {relay.readyz()}"])
        relay.kill9()
        return
    trial.expect(found == status, f"{what}: exit status {found}, not {status}")
    lines = [line for line in relay.output()[said:].splitlines() if line.startswith("relay:")]
    trial.expect(len(lines) == 1, f"{what}: {len(lines)} lines say why")
    trial.expect("Traceback" not in relay.output()[said:], f"{what}: a traceback instead of a reason")
    changed = [name for name, digest in _digest(relay.folder).items() if before.get(name) != digest]
    trial.expect(not changed, f"{what}: changed {', '.join(changed)}")


def _digest(folder: Path) -> dict[str, str]:
    """What the files of a database are, by name; not those that are made anew at each start."""
    passing = (".log", ".lock", ".ballast", "-shm")
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.endswith(passing)]
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files if p.stat().st_size}


def _goes_on(trial: Trial, relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    if not relay.alive():
        relay.start()
    relay.api("POST", f"{ACCOUNT}/resume")
    trial.sign_up(relay, 2)
    trial.drain(relay)
    trial.reconcile(relay, upstream.arrivals)


# --- other programs -------------------------------------------------------------------------------------


def foreign_lock(trial: Trial) -> None:
    """Another program holds the write lock: for 3 s everybody waits, after longer they hear 503."""
    upstream = trial.upstream(lambda arrival: delay(1, created()))  # so that answers come while it is locked
    relay = trial.relay(upstream.url)
    for seconds in (3, 15):
        crowd = trial.crowds(relay, threads=6, seconds=seconds + 1, rate=8, timeout=60, patience=60).start()
        upstream.wait_for(len(upstream.arrivals) + 5)
        holder = threading.Thread(target=_hold_lock, args=(relay.database_path, seconds))
        holder.start()
        time.sleep(0.2)
        began = time.monotonic()
        sent = trial.sign_up(relay, timeout=120)[0]
        took = time.monotonic() - began
        holder.join()
        crowd.join()
        trial.tried()
        trial.drain(relay)
        statuses = sorted({status or 0 for sent in crowd.ledger for status in sent.outcomes})
        trial.say(f"locked for {seconds} s: {sent.status} after {took:.1f} s; the others heard {statuses}")
        most = seconds + 2 if seconds < BUSY_SECONDS else 2 * BUSY_SECONDS + 2
        trial.expect(took <= most, f"S113 locked for {seconds} s: waited {took:.1f} s for {sent.status}")
        if seconds < BUSY_SECONDS:
            trial.expect(503 not in statuses, f"S113 503 although the lock lasted only {seconds} s")
        trial.expect(set(statuses) <= {200, 201, 202, 503}, f"S113 statuses {statuses}")
    rows = trial.reconcile(relay, upstream.arrivals)
    states = {row["state"] for row in rows}
    trial.expect(states == {"delivered"}, f"S113 upstream took everybody, but here is {states}")


def _hold_lock(database: Path, seconds: float) -> None:
    with locked(database):
        time.sleep(seconds)


def copied_under_load(trial: Trial) -> None:
    """A backup while people sign up: it opens, holds what was committed, and sends nothing by itself."""
    upstream = trial.upstream()
    relay = trial.relay(upstream.url)
    crowd = trial.crowds(relay, threads=4, seconds=6, rate=40).start()
    time.sleep(3)
    before = {sent.receipt for sent in crowd.acknowledged}
    copy = relay.folder / "copy.db"
    done = relay.cli("backup", str(copy))
    trial.expect(done.returncode == 0, f"S115 backup: {done.stderr}")
    crowd.join()
    trial.drain(relay)
    trial.reconcile(relay, upstream.arrivals)
    arrived = len(upstream.arrivals)
    shutil.copy(relay.folder / (relay.database_path.name + ".keys"), relay.folder / "copy.db.keys")
    restored = trial.relay(upstream.url, database_url=f"sqlite:///{copy}")
    trial.tried()
    there = {row["receipt"] for row in restored.rows(history=False)}
    trial.expect(before <= there, f"S115 {len(before - there)} committed ones are not in the backup")
    time.sleep(2)
    trial.expect(len(upstream.arrivals) == arrived, "S115 a restored backup sent by itself")


def locked_before_start(trial: Trial) -> None:
    """Started while another program holds the write lock: it waits, or ends with one clear line."""
    upstream, relay = _stopped_with_some(trial)
    for seconds in (3, 10):
        holder = threading.Thread(target=_hold_lock, args=(relay.database_path, seconds))
        holder.start()
        time.sleep(0.2)
        said = len(relay.output())
        relay.start(wait_ready=False)
        eventually(lambda: relay.readyz() == 200 or not relay.alive(), 30, "a start, or its end")
        trial.tried()
        holder.join()
        trial.expect("Traceback" not in relay.output()[said:], f"S113 {seconds} s: a traceback")
        if relay.alive():
            trial.expect(relay.term(40) == 0, "X135 SIGTERM: exit status is not 0")
            continue
        trial.say(f"locked for {seconds} s: exit {relay.wait()}")
        trial.expect(relay.wait() == UNFIT, f"S113 {seconds} s: exit {relay.wait()}, not {UNFIT}")
        trial.expect(seconds > BUSY_SECONDS, f"S113 did not start although locked for {seconds} s only")
    _goes_on(trial, relay, upstream)


# --- power ----------------------------------------------------------------------------------------------


def power_loss(trial: Trial) -> None:
    """The database and its WAL as a power cut may leave them, cut at points of the last transaction."""
    upstream = trial.upstream()
    relay = trial.relay(upstream.url)
    relay.api("POST", f"{ACCOUNT}/pause")
    wal = relay.folder / (relay.database_path.name + "-wal")
    copies = trial.folder()
    for number in range(1 if trial.quick else 4):
        base = _settled(relay, wal)
        relay.stop()
        try:
            early = _snapshot(relay, copies / f"{number}-early")
        finally:
            relay.cont()
        earlier = trial.ledger(relay)
        last = trial.sign_up(relay)[0]
        late = _snapshot(relay, copies / f"{number}-late")
        _cut_everywhere(trial, early, late, wal.name, earlier, last)
        trial.say(f"cut {number + 1}: {base} bytes of WAL before, {(late / wal.name).stat().st_size} after")
    _goes_on(trial, relay, upstream)


def _settled(relay: RelayProcess, wal: Path) -> int:
    """Wait until the WAL stays as it is; return its size."""
    size = -1
    for _ in range(20):
        now = wal.stat().st_size if wal.exists() else 0
        if now == size:
            break
        size = now
        time.sleep(0.6)
    return size


def _snapshot(relay: RelayProcess, folder: Path) -> Path:
    folder.mkdir()
    for name in ("", "-wal", ".keys"):
        path = relay.folder / (relay.database_path.name + name)
        if path.exists():
            shutil.copy(path, folder / path.name)
    return folder


def _cut_everywhere(trial: Trial, early: Path, late: Path, wal: str, earlier: list[Sent], last: Sent) -> None:
    """Cut the WAL at every 512 bytes of what the last transaction wrote: only that one may be missing."""
    before = (early / wal).stat().st_size if (early / wal).exists() else 0
    whole = (late / wal).read_bytes()
    database = next(path for path in late.iterdir() if path.suffix == ".db")
    must = {sent.receipt for sent in earlier if sent.acknowledged and sent.receipt}
    seen_last = set()
    for size in [*range(before, len(whole), 512), len(whole)]:
        for tail in (b"", b"\0" * 4096):  # cut off, or allocated and never written
            there = _receipts(late, database, wal, whole[:size] + tail)
            trial.tried()
            trial.expect(must <= there, f"E77 cut at {size}: {len(must - there)} earlier ones are gone")
            trial.expect(there <= must | {last.receipt}, f"E77 cut at {size}: rows that nobody sent")
            seen_last.add((size == len(whole), last.receipt in there))
    trial.expect((True, True) in seen_last, "E77 the last one is missing although all of the WAL was there")


def _receipts(folder: Path, database: Path, wal: str, data: bytes) -> set[str | None]:
    with contextlib.ExitStack() as stack:
        place = folder.with_name("cut")
        place.mkdir()
        stack.callback(shutil.rmtree, place)
        shutil.copy(database, place / database.name)
        (place / wal).write_bytes(data)
        link = sqlite3.connect(place / database.name)
        stack.callback(link.close)
        verdict = link.execute("PRAGMA integrity_check").fetchone()[0]
        assert verdict == "ok", f"E77 integrity: {verdict}"
        return {row[0] for row in link.execute("SELECT receipt FROM deliveries")}


def order_of_calls(trial: Trial) -> None:
    """Nobody is answered, and nothing sent, before what it rests on has been synced to the disk."""
    upstream = trial.upstream()
    relay = trial.relay(upstream.url)
    trace = trial.folder() / "trace"
    with Tracer(relay.worker_pids()[0], trace):
        for _ in range(12 if trial.quick else 40):
            trial.sign_up(relay)
            time.sleep(0.25)
        trial.drain(relay)
        time.sleep(0.5)
    seen = Counter[str]()
    for kind, dirty in _unsynced(_whole(trace.read_text("utf-8", "replace").splitlines())):
        seen[kind] += 1
        trial.expect(not dirty, f"E77 {kind} before {dirty} bytes that it rests on were synced")
    trial.tried(sum(seen.values()))
    trial.say(", ".join(f"{count} times {kind}" for kind, count in seen.items()))
    trial.expect(min(seen[kind] for kind in KINDS) >= 2, f"E77 saw only {dict(seen)}")
    trial.reconcile(relay, upstream.arrivals)


KINDS = ("an answer", "a call", "the WAL emptied")
_WRITE = re.compile(r"pwrite64\(\d+<[^>]*/relay\.db(-wal)?>.* = (\d+)$")
_SYNC = re.compile(r"(?:fsync|fdatasync)\(\d+<[^>]*/relay\.db(-wal)?>\)? .*= 0$")
_ASKED = re.compile(r'recvfrom\(\d+<[^>]*>, "POST /submit/')
_SENT = {
    "an answer": re.compile(r'sendto\(\d+<[^>]*>, "HTTP/1\.1 202'),
    "a call": re.compile(r'sendto\(\d+<[^>]*>, "POST /v1/hood'),
    "the WAL emptied": re.compile(r"ftruncate\(\d+<[^>]*/relay\.db-wal>, 0"),
}


def _whole(lines: Sequence[str]) -> Iterator[str]:
    """Put together the calls that strace tells in two lines, as another thread's came in between.

    A call counts when it is over, what is sent when it begins.
    """
    begun = {}
    for line in lines:
        thread, _, said = line.partition(" ")
        if "<unfinished ...>" in line:
            begun[thread] = line.partition("<unfinished ...>")[0]
            if "sendto(" in line:
                yield begun[thread]
        elif "resumed>" in said and thread in begun:
            start = begun.pop(thread)
            if "sendto(" not in start:
                yield start.rstrip() + said.partition("resumed>")[2]
        else:
            yield line


def _unsynced(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    """For each answer, call, and emptying of the WAL: how many bytes it rests on were written, not synced.

    People come one after the other, so what was written since one asked is what the answer rests on; when
    that was synced, the next thing may be being written already.
    """
    dirty = {"-wal": 0, None: 0}
    is_stored = True
    for line in lines:
        if found := _WRITE.search(line):
            dirty[found[1]] += int(found[2])
        elif found := _SYNC.search(line):
            dirty[found[1]] = 0
            is_stored = is_stored or found[1] == "-wal"
        elif _ASKED.search(line):
            is_stored = False
        for kind, pattern in _SENT.items():
            if pattern.search(line):
                rests_on = dirty[None if kind == "the WAL emptied" else "-wal"]
                if kind == "an answer":
                    rests_on = 0 if is_stored else max(1, rests_on)
                yield kind, rests_on


FAULTS = (
    Fault("disk-full", "disk full (small tmpfs), then freed", full_disk),
    Fault("disk-enospc", "ENOSPC at the n-th write", no_space_at_every_write),
    Fault("disk-enospc-long", "ENOSPC at every write for a while", no_space_for_long),
    Fault("disk-full-start", "started on a full disk", full_before_start, quick=False),
    Fault("disk-eio-sync", "EIO at the n-th fsync", failing_sync),
    Fault("disk-eio-write", "EIO at the n-th write", failing_write),
    Fault("disk-eio-read", "EIO at the n-th read", failing_read, quick=False),
    Fault("file-damaged", "database damaged while down", damaged_file),
    Fault("file-foreign", "another file in its place", foreign_file),
    Fault("file-newer", "a newer relay's database", newer_file, quick=False),
    Fault("file-keys", "its keys are gone", missing_keys, quick=False),
    Fault("file-read-only", "its folder is read-only", read_only),
    Fault("file-shm", "garbage in -shm after kill -9", torn_shm),
    Fault("file-wal", "-wal removed after a clean stop", removed_wal),
    Fault("lock", "write lock held by another program, 3 s and 15 s", foreign_lock),
    Fault("lock-start", "started while locked, 3 s and 10 s", locked_before_start, quick=False),
    Fault("backup", "copied under load, then restored", copied_under_load, quick=False),
    Fault("power", "power cut: WAL cut at every 512 bytes", power_loss),
    Fault("power-order", "power cut: nothing goes out before its sync", order_of_calls),
)

"""A scripted stand-in for Create Profile whose ledger is the truth about what upstream received.

    with ScriptedUpstream([silent(), status(429, {"Retry-After": "7"})]) as upstream:
        ... upstream.url, upstream.wait_for(2), upstream.arrivals, upstream.worst(1.0)

After the list is used up, and without one, every request is `created()`. A script may also be a
function of the `Arrival`. The reactions of tests/kit/reactions.py can be imported from here.
"""

import itertools
import json
import math
import select
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from tests.kit.reactions import (
    Reaction,
    big_body,
    create_then_close,
    create_then_reset,
    created,
    delay,
    drip,
    drop,
    endless_chunks,
    endless_interim,
    garbage,
    gzip_bomb,
    hold,
    phrase,
    problem_json,
    profile_json,
    raw,
    redirect,
    silent,
    status,
    truncated,
    wrong_length,
)
from tests.kit.tls import Certificate, certificate

__all__ = [
    "PATH",
    "Arrival",
    "Reaction",
    "ScriptedUpstream",
    "big_body",
    "create_then_close",
    "create_then_reset",
    "created",
    "delay",
    "drip",
    "drop",
    "endless_chunks",
    "endless_interim",
    "garbage",
    "gzip_bomb",
    "hold",
    "problem_json",
    "profile_json",
    "raw",
    "read_ledger",
    "redirect",
    "silent",
    "status",
    "truncated",
    "worst",
    "wrong_length",
]

PATH = "/v1/hood/profiles"
FIRST_ID = 17430755068336100000  # beyond signed 64 bits, like the real ones

Script = Callable[["Arrival"], Reaction]


@dataclass(frozen=True)
class Arrival:
    """One request as upstream saw it. `at` (monotonic) and `wall` are of the end of its head."""

    index: int
    at: float
    wall: float
    method: str
    path: str
    headers: dict[str, str] = field(repr=False)  # names in lower case
    body: bytes
    connection_id: int
    complete: bool = True  # False: the body never arrived whole, and nothing was created
    created: bool = False
    profile_id: str | None = None
    status: int | None = None  # the status sent, if any was

    @property
    def is_look(self) -> bool:
        """Whether nothing was sent: somebody only looked whether upstream answers."""
        return self.method == "HEAD"

    @property
    def json(self) -> Any:
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Over(Exception):
    """The conversation is at its end: the peer is gone, or the upstream is closing."""


class ScriptedUpstream:
    """An HTTP/1.1 server on 127.0.0.1, one thread per connection.

    `windows`: strict fixed windows [(count, seconds), …] as the real one has them, shifted by
    `phase` seconds; what is too much is answered 429 and counted in `violations`. `parallel`: more
    at once is answered 429 with Retry-After -1. `token`: anything else is answered 401. `tls`: a
    kind of certificate (see tests/kit/tls.py). `ledger`: a file that gets one JSON line per change.
    """

    def __init__(
        self,
        script: Script | Iterable[Reaction] | None = None,
        *,
        port: int = 0,
        ledger: Path | str | None = None,
        tls: str | None = None,
        token: str | None = None,
        windows: Sequence[tuple[int, float]] = (),
        phase: float = 0.0,
        parallel: int | None = None,
    ) -> None:
        self.look: Reaction = status(405)  # what `HEAD` is answered with, which no script sees
        self.token = token
        self.windows = tuple(windows)
        self.phase = phase
        self.parallel = parallel
        self.violations = 0
        self.connections = 0
        self.failed_handshakes = 0
        self.peak = 0  # most requests in flight at once
        self.closing = threading.Event()
        self.certificate: Certificate | None = certificate(tls) if tls else None
        self._tls = self.certificate.server_context() if self.certificate else None
        self._changed = threading.Condition()
        self._arrivals: dict[int, Arrival] = {}
        self._count = itertools.count()
        self._in_flight = 0
        self._used: dict[tuple[float, int], int] = {}
        self._errors: list[Exception] = []
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._acceptor: threading.Thread | None = None
        self._file: IO[str] | None = open(ledger, "a", encoding="utf-8") if ledger else None  # noqa: SIM115
        self._listener: socket.socket | None = None
        self.script = script
        self.port = self._listen(port)

    # --- what a test uses -------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The address of Create Profile here; the relay's `url`."""
        host = self.certificate.host if self.certificate else "127.0.0.1"
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{PATH}"

    @property
    def script(self) -> Script | None:
        return self._script

    @script.setter
    def script(self, script: Script | Iterable[Reaction] | None) -> None:
        with self._changed:
            if script is None or callable(script):
                self._script: Script | None = script
                return
            waiting = deque(script)
            self._script = lambda _: waiting.popleft() if waiting else created()

    @property
    def arrivals(self) -> list[Arrival]:
        with self._changed:
            return list(self._arrivals.values())

    @property
    def creates(self) -> list[Arrival]:
        """The arrivals that made a profile."""
        return [arrival for arrival in self.arrivals if arrival.created]

    def worst(self, window_seconds: float) -> int:
        """The most arrivals in any half-open window of this length, whatever its phase."""
        return worst([arrival.at for arrival in self.arrivals], window_seconds)

    def wait_for(self, count: int, timeout: float = 10.0, *, creates: bool = False) -> list[Arrival]:
        """Waits until `count` arrivals (or creations) are there; else AssertionError."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                seen = [a for a in self._arrivals.values() if a.created or not (creates or a.is_look)]
                left = deadline - time.monotonic()
                if len(seen) >= count:
                    return seen
                if left <= 0:
                    raise AssertionError(f"{len(seen)} of {count} reached upstream in {timeout} s")
                self._changed.wait(left)

    def wait_answered(self, count: int, timeout: float = 10.0) -> list[Arrival]:
        """Waits until `count` arrivals have been answered with some status."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                seen = [a for a in self._arrivals.values() if a.status is not None and not a.is_look]
                left = deadline - time.monotonic()
                if len(seen) >= count:
                    return seen
                if left <= 0:
                    raise AssertionError(f"{len(seen)} of {count} were answered in {timeout} s")
                self._changed.wait(left)

    def refuse(self, cut: bool = True) -> None:
        """Stops listening (new connections are refused) and, with `cut`, ends the open ones."""
        listener, self._listener = self._listener, None
        if listener and self._acceptor:
            _wake(listener)
            self._acceptor.join()
        if cut:
            self._cut_all()

    def listen_again(self) -> None:
        """Listens again, on the same port."""
        if not self._listener:
            self._listen(self.port)

    def forget(self) -> None:
        """Empties the ledger in memory (the file keeps everything)."""
        with self._changed:
            self._arrivals.clear()

    def close(self) -> None:
        """Ends everything, also reactions that never end; raises what the script raised."""
        self.closing.set()
        self.refuse()
        for thread in self._threads:
            thread.join(10)
        if self._file:
            self._file.close()
        if self._errors:
            raise self._errors[0]

    def __enter__(self) -> "ScriptedUpstream":
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            self.close()
        except Exception:
            if kind is None:  # else the test's own failure says more
                raise

    # --- connections ------------------------------------------------------------------------

    def _listen(self, port: int) -> int:
        listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self._listener = listener
        self._acceptor = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        self._acceptor.start()
        return int(listener.getsockname()[1])

    def _accept(self, listener: socket.socket) -> None:
        with listener:
            while listener is self._listener:
                try:
                    peer, _ = listener.accept()
                except OSError:  # refuse() woke us
                    return
                if listener is not self._listener:
                    peer.close()
                    return
                self.connections += 1
                args = (peer, self.connections)
                thread = threading.Thread(target=self._serve, args=args, daemon=True)
                self._threads = [t for t in self._threads if t.is_alive()] + [thread]
                thread.start()

    def _serve(self, peer: socket.socket, connection_id: int) -> None:
        try:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                peer = self._tls.wrap_socket(peer, server_side=True, do_handshake_on_connect=False)
            self._sockets.add(peer)
            self._shake_hands(peer)
            reader = _Reader(peer)
            while not self.closing.is_set() and self._converse(peer, reader, connection_id):
                pass
        except (Over, OSError, ValueError):  # the peer went away, or spoke no HTTP
            pass
        finally:
            self._sockets.discard(peer)
            peer.close()

    def _shake_hands(self, peer: socket.socket) -> None:
        if not isinstance(peer, ssl.SSLSocket) or self.closing.is_set():
            return
        try:
            peer.do_handshake()
        except OSError:
            self.failed_handshakes += 1
            raise

    def _cut_all(self) -> None:
        for peer in list(self._sockets):
            _wake(peer)

    # --- one request ------------------------------------------------------------------------

    def _converse(self, peer: socket.socket, reader: "_Reader", connection_id: int) -> bool:
        """Reads and answers one request; returns whether the connection goes on."""
        head = reader.head()
        if head is None:
            return False
        at, wall = time.monotonic(), time.time()
        method, path, headers = _parsed(head)
        try:
            body, complete = reader.body(headers), True
        except (Over, OSError):
            body, complete = bytes(reader.waiting), False
        talk = _Talk(self, peer, Arrival(-1, at, wall, method, path, headers, body, connection_id))
        if not complete:
            talk.change(complete=False)
        with self._changed:
            self._in_flight += 1
            self.peak = max(self.peak, self._in_flight)
        try:
            talk.record()
            if complete:
                self._reaction(talk).play(talk)
        finally:
            with self._changed:
                self._in_flight -= 1
        return complete and not talk.hung_up and headers.get("connection", "").lower() != "close"

    def _reaction(self, talk: "_Talk") -> Reaction:
        refused = self._refusal(talk)
        if not refused and talk.arrival.method == "HEAD":
            return self.look
        if refused or self._script is None:
            return refused or _default(talk.arrival)
        try:
            return self._script(talk.arrival)
        except Exception as error:  # a mistake of the test: reported by close()
            self._errors.append(error)
            return status(500)

    def _refusal(self, talk: "_Talk") -> Reaction | None:
        if self.token and talk.arrival.headers.get("authorization") != f"Bearer {self.token}":
            return status(401)
        if self.parallel and self._in_flight > self.parallel:
            return status(429, {"Retry-After": "-1"})
        return self._counted(talk)

    def _counted(self, talk: "_Talk") -> Reaction | None:
        """Counts this arrival in the fixed windows; 429 when one is full."""
        now = talk.arrival.at + self.phase
        with self._changed:
            cells = [(limit, span, (span, int(now // span))) for limit, span in self.windows]
            full = [(s, key) for limit, s, key in cells if self._used.get(key, 0) >= limit]
            if full:
                self.violations += 1
                left = max((key[1] + 1) * span - now for span, key in full)
                return status(429, {"Retry-After": str(max(1, math.ceil(left)))})
            for limit, span, key in cells:
                self._used[key] = self._used.get(key, 0) + 1
                talk.standing = (limit, limit - self._used[key], (key[1] + 1) * span - now)
        return None

    def _write(self, arrival: Arrival) -> Arrival:
        """Puts the arrival into the ledger, or its new state over the old one."""
        with self._changed:
            if arrival.index < 0:
                arrival = replace(arrival, index=next(self._count))
            self._arrivals[arrival.index] = arrival
            if self._file and not self._file.closed:
                line = asdict(arrival) | {"body": arrival.body.decode("latin-1")}
                self._file.write(json.dumps(line) + "\n")
                self._file.flush()
            self._changed.notify_all()
        return arrival


class _Talk:
    """The server's end of one request, as the reactions know it."""

    def __init__(self, upstream: ScriptedUpstream, peer: socket.socket, arrival: Arrival) -> None:
        self.upstream = upstream
        self.peer = peer
        self.arrival = arrival
        self.hung_up = False
        self.standing: tuple[int, int, float] | None = None

    def record(self) -> None:
        self.arrival = self.upstream._write(self.arrival)

    def change(self, **changes: Any) -> None:
        self.arrival = replace(self.arrival, **changes)

    def create(self, profile_id: str | None = None) -> str:
        if not self.arrival.created:
            made = profile_id or str(FIRST_ID + self.arrival.index)
            self.change(created=True, profile_id=made)
            self.record()
        return self.arrival.profile_id or ""

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        said = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        if status == 204:
            said = {}
        if self.standing and status != 429:
            limit, left, seconds = self.standing
            said |= {
                "X-RateLimit-Limit": str(limit),
                "X-RateLimit-Remaining": str(left),
                "X-RateLimit-Reset": str(math.ceil(seconds)),
            }
        lines = [f"HTTP/1.1 {status} {phrase(status)}"] + [f"{k}: {v}" for k, v in (said | headers).items()]
        self.raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body, status)

    def raw(self, data: bytes, status: int | None = None) -> None:
        if status is not None:
            self.change(status=status)
            self.record()
        if self.upstream.closing.is_set():
            raise Over
        try:
            self.peer.sendall(data)
        except OSError as gone:
            raise Over from gone

    def pause(self, seconds: float) -> None:
        if self.upstream.closing.wait(seconds):
            raise Over

    def until(self, event: threading.Event) -> None:
        while not event.wait(0.02):
            self.pause(0)

    def until_hung_up(self) -> None:
        while not self.upstream.closing.is_set():
            if select.select([self.peer], [], [], 0.05)[0] and not self.peer.recv(65536):
                break
        raise Over

    def hang_up(self, reset: bool = False) -> None:
        if reset:
            self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hung_up = True


class _Reader:
    """Reads requests from a socket, head by head and body by body."""

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer
        self.waiting = b""

    def head(self) -> bytes | None:
        """The next head; None when the peer is done."""
        while b"\r\n\r\n" not in self.waiting:
            more = self.peer.recv(65536)
            if not more or len(self.waiting) > 1_000_000:
                return None
            self.waiting += more
        head, _, self.waiting = self.waiting.partition(b"\r\n\r\n")
        return head

    def body(self, headers: dict[str, str]) -> bytes:
        if headers.get("expect", "").lower() == "100-continue":
            self.peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" not in headers.get("transfer-encoding", "").lower():
            return self._take(int(headers.get("content-length", "0")))
        pieces = []
        while size := int(self._line().split(b";")[0], 16):
            pieces.append(self._take(size))
            self._line()
        while self._line():
            pass
        return b"".join(pieces)

    def _take(self, size: int) -> bytes:
        while len(self.waiting) < size:
            self._more()
        taken, self.waiting = self.waiting[:size], self.waiting[size:]
        return taken

    def _line(self) -> bytes:
        while b"\r\n" not in self.waiting:
            self._more()
        line, _, self.waiting = self.waiting.partition(b"\r\n")
        return line

    def _more(self) -> None:
        more = self.peer.recv(65536)
        if not more:
            raise Over
        self.waiting += more


def worst(times: Iterable[float], window_seconds: float) -> int:
    """The most of `times` (seconds) in any half-open window of this length."""
    ordered = sorted(times)
    most = first = 0
    for last, moment in enumerate(ordered):
        while moment - ordered[first] >= window_seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def read_ledger(path: Path | str) -> list[Arrival]:
    """The arrivals written to a ledger file, each in its last state."""
    found: dict[int, Arrival] = {}
    for line in Path(path).read_text("utf-8").splitlines():
        entry = json.loads(line)
        found[entry["index"]] = Arrival(**entry | {"body": entry["body"].encode("latin-1")})
    return list(found.values())


def _default(arrival: Arrival) -> Reaction:
    return status(204) if arrival.method == "PATCH" else created()


def _parsed(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name = name.strip().lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return method, path, headers


def _wake(peer: socket.socket) -> None:
    """Ends every call blocked on this socket (also under TLS, whose own shutdown would not do)."""
    try:
        socket.socket.shutdown(peer, socket.SHUT_RDWR)
    except (OSError, ssl.SSLError):
        pass  # already gone

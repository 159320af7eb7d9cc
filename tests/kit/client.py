"""Talking to the relay from outside: single requests, raw bytes, crowds of people signing up."""

import http.client
import json
import random
import socket
import struct
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

HOST = "127.0.0.1"
Fields = Mapping[str, Any] | Iterable[tuple[str, str]]
Headers = Mapping[str, str] | None


class NoAnswer(Exception):
    """The connection ended, or the deadline passed, before a whole answer was there."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    reason: str = ""

    def header(self, name: str) -> str | None:
        """The first header of that name (any case)."""
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def receipt(self) -> str | None:
        """The receipt in the JSON body, or in a redirect to the relay's own page."""
        try:
            found = self.json
        except ValueError:
            found = None
        if isinstance(found, dict) and found.get("receipt"):
            return str(found["receipt"])
        _, mark, rest = (self.header("Location") or "").partition("/receipts/")
        return rest.split("?")[0] if mark else None


# --- single requests ------------------------------------------------------------------------


def request(
    port: int,
    method: str,
    path: str,
    body: bytes | str | None = None,
    headers: Headers = None,
    *,
    timeout: float = 30.0,
    source_address: str | None = None,
) -> Answer:
    """One request on a connection of its own, redirects not followed.

    Raises OSError and http.client.HTTPException.
    `source_address`: another address of the loopback net, to be another client.
    """
    own = (source_address, 0) if source_address else None
    link = http.client.HTTPConnection(HOST, port, timeout=timeout, source_address=own)
    try:
        link.request(method, path, body, dict(headers or {}))
        got = link.getresponse()
        return Answer(got.status, got.getheaders(), got.read(), got.reason)
    finally:
        link.close()


def get(port: int, path: str, headers: Headers = None, **more: Any) -> Answer:
    return request(port, "GET", path, None, headers, **more)


def post_form(port: int, source: str, fields: Fields, headers: Headers = None, **more: Any) -> Answer:
    """Posts `fields` URL-encoded; the answer is JSON unless `headers` ask otherwise."""
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    return request(port, "POST", f"/submit/{source}", encoded(fields), _over(kind, headers), **more)


def post_json(port: int, source: str, value: Any, headers: Headers = None, **more: Any) -> Answer:
    """Posts `value` as JSON; bytes are sent as they are."""
    kind = {"Content-Type": "application/json", "Accept": "application/json"}
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return request(port, "POST", f"/submit/{source}", body, _over(kind, headers), **more)


def encoded(fields: Fields) -> bytes:
    """A URL-encoded body; lists become repeated keys."""
    pairs = list(fields.items()) if isinstance(fields, Mapping) else list(fields)
    return urllib.parse.urlencode(pairs, doseq=True).encode()


def multipart(fields: Fields, boundary: str = "kit-boundary") -> tuple[bytes, dict[str, str]]:
    """A multipart body of text parts, and the headers that go with it."""
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in pairs
    ]
    body = "".join(parts) + f"--{boundary}--\r\n"
    return body.encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def head(method: str, path: str, headers: Headers = None, host: str | None = HOST) -> bytes:
    """A request's head, blank line included, for `Raw`."""
    lines = [f"{method} {path} HTTP/1.1"] + ([f"Host: {host}"] if host else [])
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _over(defaults: Mapping[str, str], headers: Headers) -> dict[str, str]:
    given = dict(headers or {})
    names = {name.lower() for name in given}
    return {k: v for k, v in defaults.items() if k.lower() not in names} | given


# --- raw bytes ------------------------------------------------------------------------------


class Raw:
    """A TCP connection that sends exactly what it is told to and reads answers with a deadline."""

    def __init__(
        self, port: int, host: str = HOST, timeout: float = 10.0, source_address: str | None = None
    ) -> None:
        own = (source_address, 0) if source_address else None
        self.sock = socket.create_connection((host, port), timeout, own)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._waiting = b""

    def send(self, data: bytes) -> Self:
        self.sock.sendall(data)
        return self

    def send_slowly(self, data: bytes, every: float, size: int = 1) -> Self:
        """Sends `size` bytes each `every` seconds; stops quietly when the peer has hung up."""
        for start in range(0, len(data), size):
            try:
                self.sock.sendall(data[start : start + size])
            except OSError:
                break
            time.sleep(every)
        return self

    def chunk(self, data: bytes) -> Self:
        return self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def last_chunk(self) -> Self:
        return self.send(b"0\r\n\r\n")

    def half_close(self) -> Self:
        """Says that nothing more will be sent; answers can still be read."""
        self.sock.shutdown(socket.SHUT_WR)
        return self

    def reset(self) -> None:
        """Closes with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def read(self, deadline: float = 10.0, *, method: str = "POST") -> Answer:
        """The next final answer (interim ones are skipped); NoAnswer when there is none in time."""
        ends = time.monotonic() + deadline
        while True:
            first, *lines = self._until(b"\r\n\r\n", ends).decode("latin-1").split("\r\n")
            parts = [*first.split(" ", 2), ""]
            if len(parts) < 3 or not parts[1].isdigit():
                raise NoAnswer(f"no status line: {first[:80]!r}")
            status = int(parts[1])
            if status >= 200:
                break
        headers = [(n.strip(), v.strip()) for n, _, v in (line.partition(":") for line in lines)]
        body = b"" if method == "HEAD" or status in (204, 304) else self._body(headers, ends)
        return Answer(status, headers, body, parts[2])

    def read_all(self, deadline: float = 10.0) -> bytes:
        """Everything up to the peer's end, its reset, or the deadline."""
        ends = time.monotonic() + deadline
        try:
            while True:
                self._more(ends)
        except NoAnswer:
            everything, self._waiting = self._waiting, b""
            return everything

    def closed(self, within: float = 10.0) -> bool:
        """Whether the peer hangs up within that time (what it still sends is thrown away)."""
        ends = time.monotonic() + within
        while (left := ends - time.monotonic()) > 0:
            try:
                self.sock.settimeout(left)
                if not self.sock.recv(65536):
                    return True
            except TimeoutError:
                return False
            except OSError:
                return True
        return False

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _body(self, headers: list[tuple[str, str]], ends: float) -> bytes:
        found = {name.lower(): value for name, value in headers}
        if "chunked" in found.get("transfer-encoding", ""):
            return self._chunks(ends)
        if "content-length" in found:
            return self._take(int(found["content-length"]), ends)
        return self.read_all(ends - time.monotonic())

    def _chunks(self, ends: float) -> bytes:
        pieces = []
        while size := int(self._until(b"\r\n", ends).split(b";")[0], 16):
            pieces.append(self._take(size, ends))
            self._until(b"\r\n", ends)
        while self._until(b"\r\n", ends):
            pass
        return b"".join(pieces)

    def _until(self, mark: bytes, ends: float) -> bytes:
        while mark not in self._waiting:
            self._more(ends)
        found, _, self._waiting = self._waiting.partition(mark)
        return found

    def _take(self, size: int, ends: float) -> bytes:
        while len(self._waiting) < size:
            self._more(ends)
        taken, self._waiting = self._waiting[:size], self._waiting[size:]
        return taken

    def _more(self, ends: float) -> None:
        left = ends - time.monotonic()
        if left <= 0:
            raise NoAnswer("the deadline passed")
        self.sock.settimeout(left)
        try:
            more = self.sock.recv(65536)
        except TimeoutError:
            raise NoAnswer("the deadline passed") from None
        except OSError as gone:
            raise NoAnswer(f"{type(gone).__name__}: {gone}") from gone
        if not more:
            raise NoAnswer("the peer closed the connection")
        self._waiting += more


# --- crowds ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sent:
    """One sign-up as its sender knows it. `outcomes`: the status of every try, None = no answer."""

    number: int
    source: str
    fields: dict[str, Any] = field(repr=False)
    profile: dict[str, str]  # what upstream must get
    key: str | None = None  # its Idempotency-Key
    outcomes: tuple[int | None, ...] = ()
    receipt: str | None = None
    state: str | None = None  # as the last answer said
    at: float = 0.0  # monotonic, of the last answer

    @property
    def status(self) -> int | None:
        return self.outcomes[-1] if self.outcomes else None

    @property
    def acknowledged(self) -> bool:
        return any(accepted(status) for status in self.outcomes)


Made = tuple[dict[str, Any], dict[str, str]]


def numbered(number: int, run: str = "") -> Made:
    """Sign-up `number`: the fields of the shipped newsletter form, and the profile they mean."""
    email = f"person-{number}{'-' + run if run else ''}@example.com"
    fields = {"email": email, "first_name": "Ada", "last_name": f"Number {number}"}
    return fields, {"email": email, "full_name": f"Ada Number {number}"}


class Submitters:
    """`threads` people signing up, each time with another number, for `count` and/or `seconds`.

        with Submitters(relay.port, "newsletter", threads=4, seconds=10, resend=True) as crowd:
            relay.kill9()
            relay.start()
        crowd.ledger

    Refused connections, cut answers, 429 and 5xx are part of the game; with `resend` the same
    sign-up goes out again with the same Idempotency-Key until it is acknowledged or `patience`
    is over.
    `rate`: sign-ups per second of all threads together. `each_address`: every thread comes from a
    loopback address of its own. The names in `make` must make every number another person.
    """

    def __init__(
        self,
        port: int,
        source: str = "newsletter",
        *,
        threads: int = 4,
        count: int | None = None,
        seconds: float | None = None,
        rate: float | None = None,
        resend: bool = False,
        patience: float = 30.0,
        pause: float = 0.1,
        timeout: float = 20.0,
        make: Callable[[int], Made] | None = None,
        kind: str = "form",
        headers: Headers = None,
        each_address: bool = False,
    ) -> None:
        if count is None and seconds is None:
            raise ValueError("Submitters: give count or seconds")
        run = uuid.uuid4().hex[:8]
        self.port, self.source, self.count, self.seconds = port, source, count, seconds
        self.rate, self.resend, self.patience, self.pause = rate, resend, patience, pause
        self.timeout, self.make, self.kind = timeout, make or (lambda n: numbered(n, run)), kind
        self.headers, self.each_address = dict(headers or {}), each_address
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._next = 0
        self._ledger: dict[int, Sent] = {}
        self._errors: list[Exception] = []
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(threads)]

    @property
    def ledger(self) -> list[Sent]:
        """All that was sent so far, by number."""
        with self._lock:
            return [self._ledger[number] for number in sorted(self._ledger)]

    @property
    def acknowledged(self) -> list[Sent]:
        return [sent for sent in self.ledger if sent.acknowledged]

    def start(self) -> Self:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> Self:
        """Ends early; tries under way are finished."""
        self._stop.set()
        return self.join()

    def join(self, timeout: float = 120.0) -> Self:
        ends = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            self._stop.set()
            raise AssertionError("the submitters did not come to an end")
        if self._errors:
            raise self._errors[0]
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            self.join()
        else:
            self.stop()

    def _work(self, thread: int) -> None:
        address = f"127.0.1.{thread % 250 + 1}" if self.each_address else None
        try:
            while (number := self._take()) is not None:
                self._sign_up(number, address)
        except Exception as error:  # a mistake of the test: reported by join()
            self._errors.append(error)

    def _take(self) -> int | None:
        with self._lock:
            number = self._next
            if self.count is not None and number >= self.count:
                return None
            self._next += 1
        due = self._began + number / self.rate if self.rate else time.monotonic()
        over = self._began + self.seconds if self.seconds is not None else float("inf")
        if due >= over or self._stop.wait(max(0.0, due - time.monotonic())):
            return None
        return number

    def _sign_up(self, number: int, address: str | None) -> None:
        fields, profile = self.make(number)
        key = f"kit-{number}-{uuid.uuid4().hex}" if self.resend else None
        sent = Sent(number, self.source, fields, profile, key)
        ends = time.monotonic() + (self.patience if self.resend else 0.0)
        while True:
            self._note(replace(sent, outcomes=(*sent.outcomes, None)))  # on its way: anything may be
            sent = self._note(self._try(sent, address))
            if sent.acknowledged or time.monotonic() >= ends or self._stop.is_set():
                return
            if sent.status is not None and 400 <= sent.status < 500 and sent.status != 429:
                return  # sending it again cannot help
            time.sleep(self.pause * random.uniform(0.5, 1.5))

    def _try(self, sent: Sent, address: str | None) -> Sent:
        post = post_json if self.kind == "json" else post_form
        headers = self.headers | ({"Idempotency-Key": sent.key} if sent.key else {})
        try:
            answer = post(
                self.port,
                self.source,
                sent.fields,
                headers,
                timeout=self.timeout,
                source_address=address,
            )
        except (OSError, http.client.HTTPException):
            return replace(sent, outcomes=(*sent.outcomes, None), at=time.monotonic())
        return heard(sent, answer)

    def _note(self, sent: Sent) -> Sent:
        with self._lock:
            self._ledger[sent.number] = sent
        return sent


def heard(sent: Sent, answer: Answer) -> Sent:
    """`sent` after this answer: for tests that keep their own ledger."""
    try:
        said = answer.json
    except ValueError:
        said = None
    return replace(
        sent,
        outcomes=(*sent.outcomes, answer.status),
        receipt=answer.receipt or sent.receipt,
        state=said.get("state") if isinstance(said, dict) else None,
        at=time.monotonic(),
    )


def accepted(status: int | None) -> bool:
    """Whether an answer with this status is the relay's word that it has the submission."""
    return status is not None and (200 <= status < 300 or status == 303)

"""What a scripted upstream can do with one request: from a plain 201 to bytes that are no HTTP.

A `Reaction` is a name and a function that plays it on a `Conversation` (see tests/kit/upstream.py).
"""

import gzip
import itertools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol


class Conversation(Protocol):
    """The server's end of one request; its methods raise `Over` when there is nobody to talk to."""

    def create(self, profile_id: str | None = None) -> str:
        """Writes the creation into the ledger (once) and returns the profile's id."""

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None: ...
    def raw(self, data: bytes, status: int | None = None) -> None: ...
    def pause(self, seconds: float) -> None: ...
    def until(self, event: threading.Event) -> None: ...
    def until_hung_up(self) -> None: ...
    def hang_up(self, reset: bool = False) -> None: ...


@dataclass(frozen=True)
class Reaction:
    name: str
    play: Callable[[Any], None]

    def __repr__(self) -> str:
        return self.name


def profile_json(profile_id: str) -> dict[str, Any]:
    """The documented object of a 201: every value a string, contacts masked."""
    return {
        "id": profile_id,
        "company_id": "1234567",
        "status": "1",
        "country_code": "DE",
        "metadata": {"encrypted": ["email", "mobile_phone_number"]},
        "mobile_phone_number": "* * * * * * * * * *",
        "email": "* * * * * * * * * *",
        "engagement_score": 0,
        "create_time": "2025-03-27 11:38:26",
    }


def problem_json(code: int) -> dict[str, Any]:
    """The documented error object; a 500 comes without `message`."""
    body: dict[str, Any] = {"code": code, "title": phrase(code) + "."}
    if code != 500:
        body["message"] = "The request is not valid."
    return body | {"trace_id": "99a84211-f73d-4ff8-acdf-eb3e06bb9d62"}


def created(
    id: str | None = None, body: Any = None, headers: dict[str, str] | None = None, code: int = 201
) -> Reaction:
    """Creates and says so. `body`: None = as documented, bytes = exactly these, else JSON."""

    def play(talk: Conversation) -> None:
        profile_id = talk.create(id)
        said = profile_json(profile_id) if body is None else body
        talk.answer(code, headers or {}, _encoded(said))

    return Reaction(f"created({code})", play)


def status(
    code: int,
    headers: dict[str, str] | None = None,
    json: Any = None,
    *,
    body: bytes | None = None,
    creates: bool = False,
) -> Reaction:
    """Answers `code`; creates only if told to (an upstream that stored it and then failed)."""

    def play(talk: Conversation) -> None:
        if creates:
            talk.create()
        said = body if body is not None else _encoded(problem_json(code) if json is None else json)
        talk.answer(code, headers or {}, b"" if code in (204, 304) else said)

    return Reaction(f"status({code})", play)


def silent(creates: bool = True) -> Reaction:
    """Never answers; ends when the caller hangs up or the upstream closes."""

    def play(talk: Conversation) -> None:
        if creates:
            talk.create()
        talk.until_hung_up()

    return Reaction("silent", play)


def create_then_reset() -> Reaction:
    return _cut("create_then_reset", creates=True, reset=True)


def create_then_close() -> Reaction:
    return _cut("create_then_close", creates=True, reset=False)


def drop(reset: bool = False) -> Reaction:
    """Hangs up after reading the request, without having created anything."""
    return _cut("drop", creates=False, reset=reset)


def truncated(data: bytes = b"HTTP/1.1 20", creates: bool = True) -> Reaction:
    """Sends the first bytes of an answer (by default not even a whole status line), then closes."""
    return _cut("truncated", creates=creates, reset=False, first=data)


def garbage(data: bytes = b"<html>HTTP/0.9 says hello\r\n", creates: bool = False) -> Reaction:
    """Sends something that is not HTTP/1, then closes."""
    return _cut("garbage", creates=creates, reset=False, first=data)


def wrong_length(extra: int = 10, code: int = 201, creates: bool = True) -> Reaction:
    """Announces `extra` bytes more than it sends (fewer if negative), then closes."""

    def play(talk: Conversation) -> None:
        said = _encoded(profile_json(talk.create())) if creates else b"{}"
        head = _head(code, [("Content-Length", str(len(said) + extra))])
        talk.raw(head + said, status=code)
        talk.hang_up()

    return Reaction(f"wrong_length({extra:+})", play)


def drip(every: float = 0.4, where: str = "body", code: int = 201, count: int = 100_000) -> Reaction:
    """Creates, then sends its answer one byte per `every` seconds: an endless header, or a body."""
    if where not in ("head", "body"):
        raise ValueError("drip: where is 'head' or 'body'")
    if where == "head":
        first, byte = f"HTTP/1.1 {code} {phrase(code)}\r\nX-Slow: ".encode(), b"a"
    else:
        first, byte = _head(code, [("Content-Length", str(count))]), b" "

    def play(talk: Conversation) -> None:
        talk.create()
        talk.raw(first, status=code)
        for _ in range(count):
            talk.pause(every)
            talk.raw(byte)
        talk.hang_up()

    return Reaction(f"drip({where})", play)


def endless_interim(code: int = 100, every: float = 0.02) -> Reaction:
    """Creates, then sends interim answers (100 Continue, 103 Early Hints) for ever."""
    line = f"HTTP/1.1 {code} {phrase(code)}\r\n\r\n".encode()

    def play(talk: Conversation) -> None:
        talk.create()
        while True:
            talk.raw(line)
            talk.pause(every)

    return Reaction(f"endless_interim({code})", play)


def big_body(size: int = 200_000_000, code: int = 201) -> Reaction:
    """Creates and answers with `size` bytes."""
    block = b" " * 65536

    def play(talk: Conversation) -> None:
        talk.create()
        talk.raw(_head(code, [("Content-Length", str(size))]), status=code)
        for _ in range(size // len(block)):
            talk.raw(block)
        talk.raw(block[: size % len(block)])

    return Reaction(f"big_body({size})", play)


def gzip_bomb(size: int = 50_000_000, code: int = 201) -> Reaction:
    """Creates and answers with a few kilobytes that unpack to `size` bytes."""
    packed = gzip.compress(b"0" * size)

    def play(talk: Conversation) -> None:
        talk.create()
        talk.answer(code, {"Content-Encoding": "gzip"}, packed)

    return Reaction(f"gzip_bomb({size})", play)


def endless_chunks(chunk: bytes = b" " * 4096, every: float = 0.0, code: int = 201) -> Reaction:
    """Creates and answers with a chunked body that never ends."""
    piece = b"%x\r\n%s\r\n" % (len(chunk), chunk)

    def play(talk: Conversation) -> None:
        talk.create()
        talk.raw(_head(code, [("Transfer-Encoding", "chunked")]), status=code)
        for _ in itertools.count():
            talk.raw(piece)
            if every:
                talk.pause(every)

    return Reaction("endless_chunks", play)


def redirect(to: str, code: int = 302) -> Reaction:
    return Reaction(f"redirect({code})", status(code, {"Location": to}, body=b"").play)


def delay(seconds: float, then: Reaction | None = None, create_first: bool = False) -> Reaction:
    """Waits, then goes on with `then` (created() unless told otherwise)."""

    def play(talk: Conversation) -> None:
        if create_first:
            talk.create()
        talk.pause(seconds)
        (then or created()).play(talk)

    return Reaction(f"delay({seconds})", play)


def hold(event: threading.Event, then: Reaction | None = None, create_first: bool = False) -> Reaction:
    """Waits for `event`, then goes on; with `create_first` it is the answer that is held back."""

    def play(talk: Conversation) -> None:
        if create_first:
            talk.create()
        talk.until(event)
        (then or created()).play(talk)

    return Reaction("hold", play)


def raw(data: bytes, creates: bool = False, code: int | None = None) -> Reaction:
    """Sends exactly these bytes and keeps the connection open."""

    def play(talk: Conversation) -> None:
        if creates:
            talk.create()
        talk.raw(data, status=code)

    return Reaction("raw", play)


def _cut(name: str, creates: bool, reset: bool, first: bytes = b"") -> Reaction:
    def play(talk: Conversation) -> None:
        if creates:
            talk.create()
        if first:
            talk.raw(first)
        talk.hang_up(reset)

    return Reaction(name, play)


def _head(code: int, headers: list[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {code} {phrase(code)}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "Odd"

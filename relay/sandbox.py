"""A pretend Create Profile (and Update Profile) of Ocamba Hood, for trying out and for tests.

It behaves as https://docs.ocamba.com documents the real one: the answers' shape, the rate limits'
two fixed windows and their headers, the parallel limit. What the documentation leaves open is
decided here and said in a comment. It never keeps a person, only the ids it has given out; with
`--log` it writes down everything it received, so that file holds what was posted.
"""

import argparse
import json
import math
import os
import re
import secrets
import signal
import socket
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Any

import phonenumbers
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

PROFILES = "/v1/hood/profiles"
DEFAULT_PORT = 8900
MASK = "* * * * * * * * * *"
MAX_BODY = 1024 * 1024
MAX_DELAY = 60.0
REMEMBERED = 100_000

CREATABLE = ("full_name", "email", "mobile_phone_number")
UPDATABLE: dict[str, tuple[type, ...]] = {
    "email": (str,),
    "mobile_phone_number": (str,),
    "full_name": (str,),
    "organization_id": (str, int),
    "lists": (list,),
    "comment": (str,),
    "custom_properties": (dict, str),
}

# --- Moods: how the posted full_name chooses the answer ---------------------------------------

MOODS = {
    "status 500": "answer with this status, 400 to 599; nothing is created",
    "limit -1": "answer 429 with this Retry-After (-1: too many at once); nothing is created",
    "unsubscribed": "answer 400, as for a person who once unsubscribed; nothing is created",
    "redirect": "answer 307 to another path; nothing is created",
    "drop": "close the connection without an answer; nothing is created",
    "create drop": "create the profile, then close the connection without an answer",
    "empty": "create the profile, answer 201 without a body",
    "garbage": "create the profile, answer 201 with a body that is not JSON",
    "delay 3": "think for so many seconds (at most 60) before answering",
}
_TAKES_NUMBER = {re.sub(r" -?\d+$", "", words): words[-1].isdigit() for words in MOODS}
_MOOD_WORDS = re.compile(r"(?P<kind>[a-z ]+?)(?: (?P<number>-?\d{1,6}(?:\.\d{1,3})?))?")


@dataclass(frozen=True)
class Mood:
    """How to treat one call: `kind` is a key of MOODS without its number, "" for the usual way."""

    kind: str = ""
    number: int = 0
    delay: float = 0.0


def mood_of(full_name: str) -> Mood:
    """The mood asked for by a name such as "Jane Doe, delay 1, status 500"; the last one wins."""
    mood = Mood()
    for part in full_name.split(","):
        words = _understood(part)
        if words and words[0] == "delay":
            mood = replace(mood, delay=min(words[1], MAX_DELAY))
        elif words:
            mood = replace(mood, kind=words[0], number=int(words[1]))
    return mood


def _understood(part: str) -> tuple[str, float] | None:
    match = _MOOD_WORDS.fullmatch(" ".join(part.lower().split()))
    if not match or _TAKES_NUMBER.get(match["kind"]) is not bool(match["number"]):
        return None
    kind, number = match["kind"], float(match["number"] or 0)
    sensible = {
        "status": number in range(400, 600),
        "limit": number.is_integer(),
        "delay": number >= 0,
    }
    return (kind, number) if sensible.get(kind, True) else None


# --- Limits -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """Where a token stands after one call: the fuller window, or the one that refused the call."""

    allowed: bool
    limit: int
    remaining: int
    reset: int
    """Whole seconds until that window ends, at least 1."""


@dataclass(frozen=True)
class _Window:
    limit: int
    period: int
    used: int
    left: float


class FixedWindows:
    """Counts calls per token in fixed windows aligned to the wall clock, e.g. 10 per second.

    A refused call is counted in no window (not documented).
    """

    def __init__(self, windows: tuple[tuple[int, int], ...], clock: Callable[[], float]) -> None:
        self._limits = windows
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[int, tuple[float, Counter[str]]] = {}

    def take(self, token: str) -> Standing:
        """Count one call of this token if every window has room for it."""
        now = self._clock()
        with self._lock:
            windows = [self._window(limit, period, token, now) for limit, period in self._limits]
            full = [window for window in windows if window.used >= window.limit]
            if full:
                last = max(full, key=lambda window: window.left)
                return Standing(False, last.limit, 0, math.ceil(last.left))
            for window in windows:
                self._counts[window.period][1][token] += 1
        fuller = max(windows, key=lambda window: (window.used + 1) / window.limit)
        remaining = fuller.limit - fuller.used - 1
        return Standing(True, fuller.limit, remaining, math.ceil(fuller.left))

    def _window(self, limit: int, period: int, token: str, now: float) -> _Window:
        began = now - now % period
        if self._counts.get(period, (None,))[0] != began:
            self._counts[period] = (began, Counter())
        used = self._counts[period][1][token]
        return _Window(limit, period, used, period - now % period)


class Parallel:
    """Counts the calls each token has under way."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def slot(self, token: str) -> Iterator[bool]:
        """Take a place for the time of the block; False when there was none."""
        with self._lock:
            free = self._under_way[token] < self._limit
            self._under_way[token] += free
        try:
            yield free
        finally:
            with self._lock:
                self._under_way[token] -= free
                if not self._under_way[token]:
                    del self._under_way[token]


class Profiles:
    """The ids of the profiles created last; nothing else about them is remembered."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._lock = threading.Lock()
        self._ids: dict[str, None] = {}

    def add(self) -> str:
        """A new id of 20 digits: too large for a signed 64-bit number, not for an unsigned one."""
        with self._lock:
            id = str(10**19 + secrets.randbelow(2**64 - 10**19))
            self._ids[id] = None
            if len(self._ids) > self._remembered:
                del self._ids[next(iter(self._ids))]
            return id

    def __contains__(self, id: str) -> bool:
        return id in self._ids


# --- Answers ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """One call as it was received."""

    method: str
    path: str
    authorization: str = ""
    mimetype: str = ""
    body: bytes = b""
    problem: int = 0
    """The status to answer with when the body could not be read, else 0."""

    @property
    def token(self) -> str:
        """The bearer token, "" if there is none."""
        scheme, _, token = self.authorization.strip().partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    @cached_property
    def data(self) -> Any:
        """The JSON body, or the text where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return self.body.decode("utf-8", "replace")


@dataclass(frozen=True)
class Reply:
    """What to answer, and what to write down about it."""

    status: int | None
    """None: close the connection without an answer."""
    word: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    created: bool = False
    id: str | None = None
    delay: float = 0.0


def problem(status: int, word: str = "refused", message: str = "The request is not valid.") -> Reply:
    """An error in the documented shape; a 5xx has no `message`."""
    try:
        title = HTTPStatus(status).phrase.capitalize() + "."
    except ValueError:
        title = "Error."
    body = {"code": status, "title": title, "message": message, "trace_id": str(uuid.uuid4())}
    if status >= 500:
        del body["message"]
    return Reply(status, word, json.dumps(body).encode())


def limited(retry_after: int) -> Reply:
    """A 429; -1 says that too many calls were under way at once."""
    reply = problem(429, "limited", "Too many requests.")
    return replace(reply, headers=(("Retry-After", str(retry_after)),))


def answer(call: Call, windows: FixedWindows, profiles: Profiles) -> Reply:
    """The reply to one call that found a free slot. Every call is counted, also one refused later
    (not documented)."""
    standing = windows.take(call.token)
    if not standing.allowed:
        return limited(standing.reset)
    reply = _authorized(call, profiles)
    if reply.status == 429:
        return reply
    headers = {"Limit": standing.limit, "Remaining": standing.remaining, "Reset": standing.reset}
    counts = tuple((f"X-RateLimit-{name}", str(value)) for name, value in headers.items())
    return replace(reply, headers=reply.headers + counts)


def _authorized(call: Call, profiles: Profiles) -> Reply:
    if not call.token or call.token == "wrong" or call.token.startswith("expired"):
        return problem(401, "unauthorized", "The token is not valid.")
    if call.path == PROFILES:
        allowed, act = "POST", _create
    elif call.path.startswith(f"{PROFILES}/"):
        allowed, act = "PATCH", _update
    else:
        return problem(404, "unknown")
    if call.method != allowed:
        return replace(problem(405), headers=(("Allow", allowed),))
    if call.problem:
        return problem(call.problem, "unreadable")
    if call.mimetype != "application/json" or not isinstance(call.data, dict):
        return problem(400)
    return act(call, profiles)


def _create(call: Call, profiles: Profiles) -> Reply:
    known = {key: call.data[key] for key in CREATABLE if key in call.data}
    if not all(isinstance(value, str) for value in known.values()):
        return problem(400)
    if not any(known.get(key, "").strip() for key in ("email", "mobile_phone_number")):
        return problem(400)

    def create() -> Reply:
        id = profiles.add()
        body = json.dumps(profile(id, known, datetime.now(UTC))).encode()
        return Reply(201, "created", body, created=True, id=id)

    return _in_mood(mood_of(known.get("full_name", "")), create)


def _update(call: Call, profiles: Profiles) -> Reply:
    id = call.path.removeprefix(f"{PROFILES}/")
    known = {key: call.data[key] for key in UPDATABLE if key in call.data}
    if not all(_fits(key, value) for key, value in known.items()):
        return problem(400)
    if all(value == "" for value in known.values()):
        return problem(400)
    if id not in profiles:
        return problem(404, "unknown")
    mood = mood_of(known.get("full_name", ""))
    return _in_mood(mood, lambda: Reply(204, "updated", id=id))


def _fits(key: str, value: Any) -> bool:
    if key == "lists" and isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, UPDATABLE[key]) and not isinstance(value, bool)


def _in_mood(mood: Mood, act: Callable[[], Reply]) -> Reply:
    match mood.kind:
        case "status":
            reply = problem(mood.number)
        case "limit":
            reply = limited(mood.number)
        case "unsubscribed":
            # With which status and words is not documented; 400 is the one for "never will".
            reply = problem(400)
        case "redirect":
            reply = Reply(307, "redirected", headers=(("Location", "/v1/hood/elsewhere"),))
        case "drop":
            reply = Reply(None, "dropped")
        case "create drop":
            done = act()
            reply = replace(done, status=None, word=f"{done.word}, dropped", body=b"")
        case "empty":
            reply = replace(act(), body=b"")
        case "garbage":
            reply = replace(act(), body=b"<html>It works!</html>")
        case _:
            reply = act()
    return replace(reply, delay=mood.delay)


def profile(id: str, known: dict[str, str], now: datetime) -> dict[str, Any]:
    """The documented 201 object, key by key in its order; contacts come back masked.

    How an absent contact looks is not documented: "" here.
    """
    email, phone = (known.get(key, "").strip() for key in ("email", "mobile_phone_number"))
    at = now.strftime("%Y-%m-%d %H:%M:%S")
    active = {"status": "active", "create_time": at}
    contacts = {"email": email, "mobile_phone_number": phone}
    channels = {"sms": phone, "email": email}
    return {
        "id": id,
        "company_id": "1234567",
        "status": "1",
        "container_id": "0",
        "app_type": "web",
        "app_name": "",
        "country_code": country_of(phone),
        "region": "0",
        "city": "0",
        "asn": "0",
        "os_id": "0",
        "browser_id": "0",
        "device_id": "0",
        "user_lang": "en",
        "timezone": "",
        "total_pageviews": "0",
        "total_goals": "0",
        "push_wokenup": "0",
        "push_clicks": "0",
        "ad_served": "0",
        "ad_impressions": "0",
        "ad_spam_impressions": "0",
        "ad_clicks": "0",
        "ad_spam_clicks": "0",
        "ad_conversions": "0",
        "metadata": {"encrypted": [key for key, value in contacts.items() if value]},
        "mobile_phone_number": MASK if phone else "",
        "email": MASK if email else "",
        "subscription": {key: dict(active) for key, value in channels.items() if value},
        "engagement_score": 0,
        "conversion_score": "0",
        "first_session_date": at[:10],
        "income": "0",
        "cost": "0",
        "full_name": known.get("full_name", ""),
        "create_time": at,
        "update_time": at,
        "total_engagements": "0",
    }


def country_of(phone: str) -> str:
    """The region of an international number such as "+49234432234", "" where it has none."""
    try:
        number = phonenumbers.parse(phone, None)
    except phonenumbers.NumberParseException:
        return ""
    return phonenumbers.region_code_for_number(number) or ""


# --- What is written down ---------------------------------------------------------------------


def log_line(call: Call, reply: Reply, at: datetime, t: float) -> bytes:
    """One line of the log: what was received, when, and what became of it."""
    entry = {
        "at": at.isoformat(),
        "t": t,
        "method": call.method,
        "path": call.path,
        "status": reply.status,
        "created": reply.created,
        "id": reply.id,
        "body": call.data,
        "authorization": masked_authorization(call.authorization),
    }
    return json.dumps(entry).encode() + b"\n"


def masked_authorization(header: str) -> str:
    """The scheme and the last two characters: enough to tell two tokens apart."""
    scheme, _, token = header.strip().rpartition(" ")
    return f"{scheme} ***{token[-2:] if len(token) > 4 else ''}".strip() if token else ""


def console_line(call: Call, reply: Reply) -> str:
    """A short line for a person to watch, e.g. "201 created 1743…  Jane D.  j***@example.com"."""
    data = call.data if isinstance(call.data, dict) else {}
    name, email, phone = (str(data.get(key) or "") for key in CREATABLE)
    head = f"{reply.status or '---'} {reply.word} {reply.id or ''}".rstrip()
    line = "  ".join(filter(None, (head, _masked_names(name), _masked(email), _masked(phone))))
    return "".join(character for character in line if character.isprintable())


def _masked_names(full_name: str) -> str:
    parts = [" ".join(part.split()) for part in full_name.split(",")]
    return ", ".join(part if _understood(part) else _masked_name(part) for part in parts)[:80]


def _masked_name(name: str) -> str:
    first, *others = name.split() or [""]
    initials = [f"{word[0]}." for word in others]
    return " ".join([first, *initials] if initials else [f"{first[:1]}."] if first else [])


def _masked(contact: str) -> str:
    start, at, domain = contact.rpartition("@")
    if at:
        return f"{start[:1]}***@{domain}"
    return f"{contact[:3]}***{contact[-2:]}" if len(contact) > 7 else "***" if contact else ""


# --- Serving ----------------------------------------------------------------------------------


def create_sandbox(
    log: Path | None = None,
    *,
    windows: tuple[tuple[int, int], ...] = ((10, 1), (150, 60)),
    parallel: int = 8,
    clock: Callable[[], float] = time.time,
    tell: Callable[[str], None] | None = None,
) -> Flask:
    """The pretend API as a WSGI application, to be served by `listen` (a mood closes its socket).

    `windows` are (calls, seconds) per token, counted by `clock`; `log` gets a line and `tell` a
    short text for each call, before it is answered and before any delay. Raises OSError when
    `log` cannot be written.
    """
    app = Flask("relay-sandbox", static_folder=None)
    counted, slots, profiles = FixedWindows(windows, clock), Parallel(parallel), Profiles()
    if log:
        _append(log, b"")

    # In place of routes: unknown paths and methods are counted and logged as well.
    @app.before_request
    def serve() -> Response:
        at, t = datetime.now(UTC), time.monotonic()
        with slots.slot(Call("", "", request.headers.get("Authorization", "")).token) as free:
            call = _received()
            reply = answer(call, counted, profiles) if free else limited(-1)
            if log:
                _append(log, log_line(call, reply, at, t))
            if tell:
                tell(console_line(call, reply))
            time.sleep(reply.delay)
        return _response(reply)

    return app


def _append(log: Path, line: bytes) -> None:
    # Unbuffered and in one write, so that lines of parallel calls never mix. Others may not read
    # it: people try a sandbox with their own address.
    with open(log, "ab", buffering=0, opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
        f.write(line)


def _received() -> Call:
    request.max_content_length = MAX_BODY
    call = Call(request.method, request.path, request.headers.get("Authorization", ""), request.mimetype)
    try:
        return replace(call, body=request.get_data())
    except HTTPException as error:
        # Cut short by the caller, or too large.
        return replace(call, problem=error.code or 400)


def _response(reply: Reply) -> Response:
    if reply.status is None:
        # Only shut down, not closed: the server then fails quietly when it writes this answer,
        # and closes the socket itself.
        with suppress(OSError):  # the caller was quicker
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return Response()
    response = Response(reply.body, reply.status, list(reply.headers))
    response.content_type = "application/json"
    return response


class _QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: the console has a line for each call already."""


def listen(app: Flask, port: int = 0) -> BaseWSGIServer:
    """A threaded server for `app`, listening on loopback only; 0 takes any free port.

    The caller runs `serve_forever`. Raises OSError when the port cannot be had.
    """
    # Bound here because the server's own way ends the process when the port is taken.
    with socket.create_server(("127.0.0.1", port), backlog=128) as listener:
        number = listener.getsockname()[1]
        return make_server(
            "127.0.0.1",
            number,
            app,
            threaded=True,
            request_handler=_QuietHandler,
            fd=listener.fileno(),
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m relay sandbox`, and its help with the table of moods."""
    width = max(map(len, MOODS)) + 2
    table = "\n".join(f"  {words:<{width}}{meaning}" for words, meaning in MOODS.items())
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "full_name chooses the mood of the answer; numbers are examples, commas combine\n"
        f'("Jane Doe, delay 1, status 503"):\n{table}\n\n'
        'Any bearer token will do, except "wrong" and those beginning with "expired": 401.\n'
        "Limits, per token: 10 calls a second, 150 a minute, 8 at once."
    )
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="0: any free one (default: %(default)s)"
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="append a JSON line per request")
    parser.add_argument("--watch-stdin", action="store_true", help=argparse.SUPPRESS)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT (or, with --watch-stdin, the end of stdin); the exit code."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        server = listen(create_sandbox(arguments.log, tell=_tell), arguments.port)
    except OSError as error:
        print(f"sandbox: cannot start: {error}", file=sys.stderr)
        return 1
    if arguments.watch_stdin:
        threading.Thread(target=_wait_for_end_of_stdin, args=(stop,), daemon=True).start()
    serving = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    serving.start()
    _tell(f"sandbox upstream on http://127.0.0.1:{server.port}{PROFILES}")
    stop.wait()
    server.shutdown()
    serving.join()
    return 0


def _wait_for_end_of_stdin(stop: threading.Event) -> None:
    # Read below sys.stdin, whose lock would be in the way when the process ends.
    with suppress(OSError):  # no stdin, or a terminal that went away: ended too
        while os.read(0, 4096):
            continue
    stop.set()


def _tell(line: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    # Nobody reading any more must not spoil the answer to the call.
    with suppress(BrokenPipeError):
        sys.stdout.write(line.encode(encoding, "replace").decode(encoding) + "\n")
        sys.stdout.flush()

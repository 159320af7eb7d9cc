"""Around Flask: headers of every answer, and answers where Flask has none."""

import json
import re
import secrets
from collections.abc import Callable, Iterable
from typing import Any

from relay.vault import RandomBytes
from relay.web import pages

Environ = dict[str, Any]


_HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
]


_UNLESS_SET = [
    ("Cache-Control", "no-store, no-transform"),
    ("Content-Security-Policy", pages.policy()),
]


_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


_NO_HOST = b'{"type": "about:blank", "title": "The request names no usable Host", "status": 400}'


Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def _with_headers(inner: Wsgi) -> Wsgi:
    """Give every answer its headers and an id of ours; below Flask, whatever it does."""
    random = RandomBytes()

    def outer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request_id = environ["relay.request_id"] = random.take(8).hex()

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            known = {name for name, _ in headers}
            if "Connection" in known:
                _hang_up(start_response)
            headers += [header for header in _UNLESS_SET if header[0] not in known]
            headers += [*_HEADERS, ("X-Request-ID", request_id)]
            return start_response(status, headers, *rest)

        if not _HOST.fullmatch(environ.get("HTTP_HOST", "")):
            kind = ("Content-Type", "application/problem+json")
            start("400 Bad Request", [kind, ("Connection", "close")])
            return [_NO_HOST]
        return inner(environ, start)

    return outer


def bare_problem(status: int, title: str) -> tuple[str, bytes]:
    """Return a request id, and a whole answer for what came no further than the server."""
    request_id = secrets.token_hex(8)
    body = json.dumps({"type": "about:blank", "title": title, "status": status})
    headers = [
        ("Connection", "close"),
        ("Content-Type", "application/problem+json"),
        ("Content-Length", str(len(body))),
        *_UNLESS_SET,
        *_HEADERS,
        ("X-Request-ID", request_id),
    ]
    lines = [f"HTTP/1.1 {status} {title}", *(f"{name}: {value}" for name, value in headers)]
    return request_id, ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def _hang_up(start_response: Callable[..., Any]) -> None:
    """Have the connection closed: gunicorn ignores an application's own ``Connection: close``."""
    close = getattr(getattr(start_response, "__self__", None), "force_close", None)
    if close is not None:
        close()

"""Around Flask: headers of every answer, and answers where Flask has none."""

import re
import secrets
from collections.abc import Callable, Container, Iterable
from typing import Any

from relay.web import pages
from relay.web.problems import PROBLEM, RETRY_SECONDS, document

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Headers = list[tuple[str, str]]

_ALWAYS: Headers = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
]
_UNFRAMED: Headers = [("X-Frame-Options", "DENY")]
"""For browsers that do not know ``frame-ancestors``; it cannot name the sites that may."""
_UNLESS_SET: Headers = [
    ("Cache-Control", "no-store, no-transform"),
    ("Content-Security-Policy", pages.policy()),
]
_PROBLEM = ("Content-Type", PROBLEM)
_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def with_headers(inner: Wsgi) -> Wsgi:
    """Give every answer its headers and an id of ours; below Flask, whatever it does."""

    def outer(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        request_id = environ["relay.request_id"] = secrets.token_hex(8)

        def start(status: str, headers: Headers, *rest: Any) -> Any:
            known = {name for name, _ in headers}
            if "Connection" in known:
                _hang_up(start_response)
            unframed = [] if _may_be_framed(headers) else _UNFRAMED
            return start_response(status, headers + unframed + _headers(request_id, known), *rest)

        if environ["SERVER_PROTOCOL"] == "HTTP/1.0":  # which needs none, and HAProxy's checks name none
            environ.setdefault("HTTP_HOST", "localhost")
        if not _HOST.fullmatch(environ.get("HTTP_HOST", "")):
            start("400 Bad Request", [_PROBLEM, ("Connection", "close")])
            return [document(400, "The request names no usable Host.")]
        # An address made of a base that ends with a slash; a signature may cover it as it was.
        path = environ["relay.path"] = environ["PATH_INFO"]
        environ["PATH_INFO"] = "/" + path.lstrip("/")
        if environ.get("CONTENT_LENGTH"):
            # Told that the server ends it, Flask takes a body that was cut for whole.
            environ.pop("wsgi.input_terminated", None)
        return inner(environ, start)

    return outer


def _may_be_framed(headers: Headers) -> bool:
    """Whether a page's own policy names sites that may frame it."""
    policies = [value for name, value in headers if name == "Content-Security-Policy"]
    return any("frame-ancestors 'none'" not in policy for policy in policies)


def _headers(request_id: str, known: Container[str] = ()) -> Headers:
    unless_set = [header for header in _UNLESS_SET if header[0] not in known]
    return [*unless_set, *_ALWAYS, ("X-Request-ID", request_id)]


def answer_without_request(status: int, detail: str) -> tuple[str, bytes]:
    """Return a request id, and a whole answer to what came no further than the server."""
    request_id = secrets.token_hex(8)
    body = document(status, detail)
    headers = [
        ("Connection", "close"),
        _PROBLEM,
        ("Content-Length", str(len(body))),
        *_UNFRAMED,
        *_headers(request_id),
    ]
    if status == 503:
        headers.append(("Retry-After", str(RETRY_SECONDS)))
    lines = [f"HTTP/1.1 {status} Refused", *(f"{name}: {value}" for name, value in headers)]
    return request_id, ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def _hang_up(start_response: Callable[..., Any]) -> None:
    """Have the connection closed: gunicorn ignores an application's own ``Connection: close``."""
    close = getattr(getattr(start_response, "__self__", None), "force_close", None)
    if close is not None:
        close()

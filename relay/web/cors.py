"""Which pages elsewhere may post here and read the answer."""

import logging
import re
from urllib.parse import urlsplit

from flask import Response, request

from relay import events
from relay.process.relay import Relay
from relay.sources.origin import ANY
from relay.sources.source import Source
from relay.web.problems import shown
from relay.web.wsgi import Environ

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]{0,20}://[A-Za-z0-9.:\[\]-]{1,253}")
_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?: *, *[A-Za-z0-9!#$%&'*+.^_`|~-]+)*")
_USUAL_NAMES = "Content-Type, Idempotency-Key, Accept"
_REMEMBERED_SECONDS = 600


def own_origins(relay: Relay, environ: Environ) -> tuple[str, ...]:
    """Return the origins of the relay's own pages: the public address's where one is configured."""
    if relay.settings.public_url:
        public = urlsplit(relay.settings.public_url)
        return (f"{public.scheme}://{public.netloc}",)
    host = environ.get("HTTP_HOST", "")
    # A proxy may speak TLS where we do not, and nobody may have told us that there is one.
    return f"{environ['wsgi.url_scheme']}://{host}", f"https://{host}"


def is_own_page(environ: Environ) -> bool:
    """Whether the browser says that a page of the same site posts, by whatever name the world calls us.

    A proxy that puts its own name for us in the place of that one leaves nothing else to know it by.
    """
    return bool(environ.get("HTTP_SEC_FETCH_SITE") == "same-origin")


def shown_origin(environ: Environ) -> str | None:
    """Return the origin of a page for the log; never more of what was sent in its place."""
    origin = environ.get("HTTP_ORIGIN")
    if not origin:
        return None
    return origin if origin == "null" or _ORIGIN.fullmatch(origin) else "(unusual)"


def unknown_origin(environ: Environ) -> str:
    """Return the cause of a refusal for who looks after the source: which page it was."""
    return f"unknown origin {shown_origin(environ)}"


def let_read(relay: Relay, source: Source, response: Response) -> Response:
    """Let pages of allowed sites read an answer; never with credentials."""
    if not source.is_form:
        return response
    response.headers["Vary"] = "Origin, Accept"
    origin = request.environ.get("HTTP_ORIGIN")
    if _may_read(relay, source, origin):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = "X-Request-ID, Retry-After"
    return response


def _may_read(relay: Relay, source: Source, origin: str | None) -> bool:
    """Whether a page may read answers. ``null``, as in a frame with ``sandbox``, may be any page."""
    if not origin or origin == "null":
        return origin == "null" and ANY in source.origins
    return source.allows_origin(origin, own_origins(relay, request.environ))


def let_ask(relay: Relay, source: Source) -> Response:
    """Answer a browser that asks whether a page may post: with whatever headers it names, if it may."""
    origin = request.environ.get("HTTP_ORIGIN")
    if not source.is_form or not origin:
        return shown(403, "Only pages of allowed sites may ask.")
    if not _may_read(relay, source, origin):
        # What the page would have posted never comes: this is all that is heard of it.
        relay.refusals.note(source.name, unknown_origin(request.environ))
        events.note(
            "origin.refused",
            level=logging.WARNING,
            source=source.name,
            origin=shown_origin(request.environ),
            request_id=request.environ["relay.request_id"],
        )
        return shown(403, "Pages of this site may not post here.")
    names = request.environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = "POST"
    response.headers["Access-Control-Allow-Headers"] = names if _NAMES.fullmatch(names) else _USUAL_NAMES
    response.headers["Access-Control-Max-Age"] = str(_REMEMBERED_SECONDS)
    return response

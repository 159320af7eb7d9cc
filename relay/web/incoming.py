"""A request becomes an incoming submission: exactly its announced bytes."""

from functools import partial

from werkzeug.wrappers import Request

from relay.intake.incoming import Incoming
from relay.network import is_near
from relay.process.relay import Relay
from relay.sources import body as submission
from relay.sources.body import BadBody
from relay.sources.coding import GZIP, PLAIN
from relay.sources.source import Source
from relay.web.clients import client_key, is_proxied, look_for_name
from relay.web.cors import is_own_page, own_origins
from relay.web.texts import wording
from relay.web.wsgi import Environ


class Refused(Exception):
    """The request is refused before its body was looked at."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def read(relay: Relay, source: Source, environ: Environ) -> Incoming:
    """Return the request, its body as long as announced. Raises Refused."""
    if relay.settings.role == "dispatcher":
        raise Refused(503, "This process only sends; submissions are taken by another.")
    if not source.enabled:
        raise Refused(503, "This source is switched off.")
    if not is_own_page(environ) and not source.allows_origin(
        environ.get("HTTP_ORIGIN"), own_origins(relay, environ)
    ):
        raise Refused(403, "Pages of this site may not post here; see origins in the configuration.")
    length = _announced(environ)
    if length is not None and length > source.limits.body:
        raise Refused(413, f"The body is longer than {source.limits.body} bytes.")
    content_type, coding = environ.get("CONTENT_TYPE", ""), _coding(environ)
    if not source.keeps_unreadable:
        _refuse_unreadable(source, content_type, coding, is_empty=length == 0)
    raw, flaw = _body(environ, length, source.limits.body)
    client = client_key(relay, environ)
    if source.is_form:
        look_for_name(relay, environ)
    return Incoming(
        raw=raw,
        flaw=flaw,
        content_type=content_type,
        coding=coding,
        headers=source.as_named(_headers(environ)),
        query=_query(environ),
        url=_url(relay, environ),
        client=client,
        is_proxied=is_proxied(relay, environ),
        is_near=not relay.settings.trusted_proxies and is_near(client or ""),
        request_id=environ["relay.request_id"],
        wording=partial(wording, source) if source.is_form else None,
    )


def _announced(environ: Environ) -> int | None:
    """Return the announced length, None for a chunked body. Raises Refused."""
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return None
    if not environ.get("CONTENT_LENGTH"):
        raise Refused(411, "Send a Content-Length, or a chunked body.")
    return int(environ["CONTENT_LENGTH"])  # gunicorn lets digits only through


def _coding(environ: Environ) -> str:
    coding: str = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    return "" if coding in PLAIN else coding


def _refuse_unreadable(source: Source, content_type: str, coding: str, *, is_empty: bool) -> None:
    """Refuse what nobody could read before it is read. Raises Refused."""
    if coding and not (source.keeps_invalid and coding in GZIP):
        raise Refused(415, "Send the body without a Content-Encoding.")
    if not content_type and is_empty:
        return
    try:
        submission.media_type(content_type)
    except BadBody as refused:
        raise Refused(refused.status, str(refused)) from None


def _body(environ: Environ, length: int | None, cap: int) -> tuple[bytes, str]:
    """Read the body to its end, at most one byte over the cap; return it, and what is wrong with it.

    gunicorn hands a body that was cut off in flight over as if it were whole, and our worker cuts one that is
    too long, so its length is compared.
    """
    try:
        raw: bytes = environ["wsgi.input"].read(cap + 1 if length is None else length)
    except OSError:
        return b"", "The body did not arrive."
    except Exception:  # noqa: BLE001 - gunicorn has a class of its own for every way a chunk can be wrong
        return b"", "The chunked body is malformed or unfinished."
    if length is None and len(raw) > cap:
        raise Refused(413, f"The body is longer than {cap} bytes.")
    if length is not None and len(raw) != length:
        return raw, "The body is not as long as announced."
    return raw, ""


def _headers(environ: Environ) -> dict[str, str]:
    return {
        name[5:].replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }


def _query(environ: Environ) -> dict[str, str]:
    return Request(environ).args.to_dict() if environ.get("QUERY_STRING") else {}


def _url(relay: Relay, environ: Environ) -> str:
    """Return the address the sender used, as far as it may be covered by its signature."""
    base = relay.settings.public_url
    if not base:
        base = f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '')}"
    query = environ.get("QUERY_STRING", "")
    return f"{base}{environ['relay.path']}" + (f"?{query}" if query else "")

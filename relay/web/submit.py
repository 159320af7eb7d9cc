"""``/submit/<source>``: exactly the announced bytes in, a sanitized result out."""

import ipaddress
import json
import logging
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from flask import Blueprint, Flask, Response, current_app, redirect, request
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import Rule
from werkzeug.wrappers import Request

from relay import events, metrics
from relay.intake.incoming import Incoming, Refusal, Taken
from relay.process.relay import Relay
from relay.sources import body as submission
from relay.sources.body import BadBody
from relay.sources.source import Source
from relay.web import pages
from relay.web.problems import may_want_page, problem, shown, wants_page

blueprint = Blueprint("submit", __name__)
_PATH = "/submit/"
_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
_PROXY_WARNING = (
    "requests come through a proxy that is not trusted: set RELAY_TRUSTED_PROXIES to the number of proxies, "
    "or no visitor is limited"
)

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class _Refused(Exception):
    """The request is refused before its body was looked at."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def straight(app: Flask, inner: Wsgi, relay: Relay) -> Wsgi:
    """Take submissions in without the framework around them; it answers all that is not plain success.

    Making Flask's contexts costs as much as storing a submission does, and this is the one path that
    many people use at once.
    """

    def outer(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = "/" + environ["PATH_INFO"].lstrip("/")  # an address made of a base that ends with a slash
        if environ["REQUEST_METHOD"] != "POST" or not path.startswith(_PATH):
            return inner(environ, start_response)
        intake = relay.intake  # once: a reload must not change it half-way
        source = intake.settings.sources.get(path[len(_PATH) :].removesuffix("/"))
        if source is None:
            return inner(environ, start_response)
        try:
            incoming = _read(relay, source, environ)
            result = intake.receive(source, incoming)
        except Exception as problem:  # noqa: BLE001 - answered where every error of the application is
            with app.request_context(environ):
                return _failed(app, relay, source, problem)(environ, start_response)
        if isinstance(result, Refusal) or may_want_page(environ) or result.status == 204:
            with app.request_context(environ):
                return _answered(relay, source, result, bool(incoming.flaw))(environ, start_response)
        body = json.dumps(result.body).encode()
        start_response(
            f"{result.status} {HTTP_STATUS_CODES.get(result.status, 'Success')}",
            [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                *cors(relay, source, environ).items(),
            ],
        )
        return [body]

    return outer


def _failed(app: Flask, relay: Relay, source: Source, problem: Exception) -> Response:
    if not isinstance(problem, _Refused):
        return with_cors(relay, source, app.make_response(app.handle_user_exception(problem)))
    response = shown(problem.status, str(problem))
    _note(relay, source, response)
    return with_cors(relay, source, _closing(response))


def _answered(relay: Relay, source: Source, result: Taken | Refusal, is_flawed: bool) -> Response:
    response = with_cors(relay, source, _answer(source, result))
    return _closing(response) if is_flawed else response


# A rule without methods takes every one, so that an unknown source is told before a wrong method.
blueprint.record(lambda setup: setup.app.url_map.add(Rule("/submit/<name>", endpoint="submit.submit")))


@blueprint.endpoint("submit.submit")
def submit(name: str) -> Response:
    """Answer what browsers and senders ask before they send a submission; see ``straight``."""
    relay: Relay = current_app.relay  # type: ignore[attr-defined]
    source = relay.intake.settings.sources.get(name)
    if source is None:
        return _closing(shown(404, "There is no such source."))
    return _preflight(relay, source) if request.method == "OPTIONS" else _handshake(source)


def _note(relay: Relay, source: Source, response: Response) -> None:
    """Note a refusal that was given before the body was looked at."""
    metrics.count_submission(source.name, "rejected")
    events.note(
        "submission.rejected",
        level=logging.WARNING,
        source=source.name,
        status=response.status_code,
        request_id=request.environ["relay.request_id"],
        client=client_key(relay, request.environ),
    )


# --- reading ------------------------------------------------------------------------------------------


def _read(relay: Relay, source: Source, environ: Environ) -> Incoming:
    """Return the request, its body as long as announced. Raises _Refused."""
    if relay.settings.role == "dispatcher":
        raise _Refused(503, "This process only sends; submissions are taken by another.")
    if not source.enabled:
        raise _Refused(503, "This source is switched off.")
    if not source.allows_origin(environ.get("HTTP_ORIGIN"), _own_origins(relay, environ)):
        raise _Refused(403, "Pages of this site may not post here; see origins in the configuration.")
    length = _announced(environ)
    if length is not None and length > source.limits.body:
        raise _Refused(413, f"The body is longer than {source.limits.body} bytes.")
    content_type = _content_type(environ, length)
    raw, flaw = _body(environ, length, source.limits.body)
    return Incoming(
        raw=raw,
        flaw=flaw,
        content_type=content_type,
        headers=_headers(environ),
        query=_query(environ),
        url=_url(relay, environ),
        client=client_key(relay, environ),
        request_id=environ["relay.request_id"],
    )


def _announced(environ: Environ) -> int | None:
    """Return the announced length, None for a chunked body. Raises _Refused."""
    if environ.get("HTTP_TRANSFER_ENCODING"):
        return None
    if not environ.get("CONTENT_LENGTH"):
        raise _Refused(411, "Send a Content-Length, or a chunked body.")
    return int(environ["CONTENT_LENGTH"])  # gunicorn lets digits only through


def _content_type(environ: Environ, length: int | None) -> str:
    if environ.get("HTTP_CONTENT_ENCODING", "identity").lower() != "identity":
        raise _Refused(415, "Send the body without a Content-Encoding.")
    content_type: str = environ.get("CONTENT_TYPE", "")
    if not content_type and length == 0:
        return ""
    try:
        submission.media_type(content_type)
    except BadBody as refused:
        raise _Refused(refused.status, str(refused)) from None
    return content_type


def _body(environ: Environ, length: int | None, cap: int) -> tuple[bytes, str]:
    """Read the body to its end, at most one byte over the cap; return it, and what is wrong with it.

    gunicorn hands a body that was cut off in flight over as if it were whole, so its length is compared.
    """
    try:
        raw: bytes = environ["wsgi.input"].read(cap + 1 if length is None else length)
    except OSError:
        return b"", "The body did not arrive."
    except Exception:  # noqa: BLE001 - gunicorn has a class of its own for every way a chunk can be wrong
        return b"", "The chunked body is malformed or unfinished."
    if length is None and len(raw) > cap:
        raise _Refused(413, f"The body is longer than {cap} bytes.")
    if length is not None and len(raw) != length:
        return raw, "The body was cut short."
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
    return f"{base}{environ['PATH_INFO']}" + (f"?{query}" if query else "")


def client_key(relay: Relay, environ: Environ) -> str | None:
    """Return what a client is counted by: its address, IPv6 by /64; None if a proxy hides it.

    Only the configured number of proxies is believed, counted from our end: what stands further left
    in the header is the client's own claim.
    """
    peer = environ.get("REMOTE_ADDR", "")
    proxies = relay.settings.trusted_proxies
    if proxies:
        hops = [hop.strip() for hop in environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        claimed = hops[-proxies] if len(hops) >= proxies else ""
        return _bucket(claimed) or _bucket(peer)
    if any(name in environ for name in _FORWARDED) and _is_near(peer):
        if _PROXY_WARNING not in relay.warned:
            relay.warned.add(_PROXY_WARNING)
            events.note("proxy.untrusted", level=logging.WARNING, warning=_PROXY_WARNING)
        return None
    return _bucket(peer)


@lru_cache(4096)
def _bucket(address: str) -> str | None:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return str(found)


def _is_near(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return found.is_loopback or found.is_private


# --- answering ----------------------------------------------------------------------------------------


def _answer(source: Source, result: Taken | Refusal) -> Response:
    if isinstance(result, Refusal):
        return _refused(source, result)
    if source.is_form and result.receipt and wants_page():
        return redirect(source.thanks or f"/receipts/{result.receipt}", 303)  # type: ignore[return-value]
    if source.is_form and wants_page():  # excluded: a success that leaves nothing to look at
        return redirect(source.thanks, 303) if source.thanks else pages.thanks(source)  # type: ignore[return-value]
    return current_app.response_class(
        current_app.json.dumps(result.body), result.status, mimetype="application/json"
    )


def _refused(source: Source, refusal: Refusal) -> Response:
    if source.is_form and wants_page():
        if refusal.status in (422, 429) and refusal.state is None:
            response = pages.form_again(source, refusal)
        else:
            response = shown(refusal.status, refusal.detail)
    else:
        response = problem(
            refusal.status,
            refusal.detail,
            errors=refusal.errors or None,
            receipt=refusal.receipt,
            state=refusal.state,
            trace_id=refusal.trace_id,
            repeat=refusal.repeat or None,
        )
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(refusal.retry_after + 0.5)))
    return response


def _closing(response: Response) -> Response:
    """The body was not read: end the connection, so that it need not be."""
    response.headers["Connection"] = "close"
    return response


# --- what comes before a submission -------------------------------------------------------------------


def _own_origins(relay: Relay, environ: Environ) -> tuple[str, ...]:
    host = environ.get("HTTP_HOST", "")
    own = [f"{environ['wsgi.url_scheme']}://{host}"]
    if relay.settings.trusted_proxies:
        own.append(f"https://{host}")  # the proxy speaks TLS, we do not
    if relay.settings.public_url:
        own.append(relay.settings.public_url)
    return tuple(own)


def cors(relay: Relay, source: Source, environ: Environ) -> dict[str, str]:
    """Return the headers that let pages of allowed sites read the answer; never with credentials."""
    if not source.is_form:
        return {}
    headers = {"Vary": "Origin, Accept"}
    origin = environ.get("HTTP_ORIGIN")
    if origin and origin != "null" and source.allows_origin(origin, _own_origins(relay, environ)):
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = "X-Request-ID, Retry-After"
    return headers


def with_cors(relay: Relay, source: Source, response: Response) -> Response:
    """Let pages of allowed sites read a response."""
    response.headers.update(cors(relay, source, request.environ))
    return response


def _preflight(relay: Relay, source: Source) -> Response:
    environ = request.environ
    origin = environ.get("HTTP_ORIGIN")
    if not source.is_form or not origin or origin == "null":
        return with_cors(relay, source, shown(403, "Only pages of allowed sites may ask."))
    if not source.allows_origin(origin, _own_origins(relay, environ)):
        return with_cors(relay, source, shown(403, "Pages of this site may not post here."))
    response = with_cors(relay, source, Response(status=204))
    response.headers["Access-Control-Allow-Methods"] = "POST"
    response.headers["Access-Control-Allow-Headers"] = "Content-Type, Idempotency-Key, Accept"
    response.headers["Access-Control-Max-Age"] = "600"
    return response


def _handshake(source: Source) -> Response:
    """Answer a sender that tries the address out before it uses it."""
    shake = source.handshake
    if request.method not in ("GET", "HEAD") or shake is None:
        response = shown(405, "Submissions are posted here.")
        response.headers["Allow"] = "GET, OPTIONS, POST" if shake else "OPTIONS, POST"
        return _closing(response)
    return pages.handshake(source, shake)

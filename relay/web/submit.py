"""``/submit/<source>``: exactly the announced bytes in, a sanitized result out."""

import json
import logging
from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Flask, Response, current_app, redirect, request
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import Rule

from relay import events, metrics
from relay.intake.incoming import Refusal, Taken
from relay.process.relay import Relay
from relay.sources.source import Source
from relay.web import pages
from relay.web.clients import client_key
from relay.web.cors import _own_origins, cors, with_cors
from relay.web.incoming import _read, _Refused
from relay.web.problems import may_want_page, problem, shown, wants_page
from relay.web.wsgi import Environ

blueprint = Blueprint("submit", __name__)
_PATH = "/submit/"

Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


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

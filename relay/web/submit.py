"""``/submit/<source>``: exactly the announced bytes in, a sanitized result out."""

import logging

from flask import Blueprint, Response, g, request
from werkzeug.routing import Rule

from relay import events, metrics
from relay.intake.incoming import Refusal, Taken
from relay.intake.intake import Intake
from relay.process.relay import Relay
from relay.sources.source import Source
from relay.web import pages, proving
from relay.web.application import as_json, see, the_relay
from relay.web.clients import client_key
from relay.web.cors import let_ask, let_read, shown_origin, unknown_origin
from relay.web.incoming import Refused, read
from relay.web.problems import problem, shown, wants_page

blueprint = Blueprint("submit", __name__)

WITHOUT_POST = 'the form has no method="post"'
"""The cause where somebody sent such a form: nothing is taken from an address, they see the relay's own."""

# A rule without methods takes every one, so that an unknown source is told before a wrong method.
blueprint.record(lambda setup: setup.app.url_map.add(Rule("/submit/<name>", endpoint="submit.submit")))


@blueprint.endpoint("submit.submit")
def submit(name: str) -> Response:
    """Take a submission in, or answer what browsers and senders ask before they send one."""
    relay = the_relay()
    intake = relay.intake  # once: a reload must not change it half-way
    source = g.source = intake.settings.sources.get(name)
    if source is None:
        return _closing(shown(404, "There is no such source."))
    if request.method == "POST":
        return _take_in(relay, intake, source)
    if request.method == "OPTIONS":
        return let_ask(relay, source)
    return _greet(relay, source)


@blueprint.after_request
def _let_pages_read(response: Response) -> Response:
    """Let pages of allowed sites read every answer, errors too."""
    if g.get("source") is not None:
        let_read(the_relay(), g.source, response)
    return response


def _take_in(relay: Relay, intake: Intake, source: Source) -> Response:
    try:
        incoming = read(relay, source, request.environ)
    except Refused as refused:
        _note(relay, source, refused)
        return _closing(shown(refused.status, str(refused)))
    response = _answer(source, intake.receive(source, incoming))
    return _closing(response) if incoming.flaw else response


def _note(relay: Relay, source: Source, refused: Refused) -> None:
    """Note a refusal that was given before the body was looked at."""
    metrics.count_submission(source.name, "rejected")
    status, origin = refused.status, shown_origin(request.environ)
    cause = unknown_origin(request.environ) if status == 403 else str(refused)
    relay.refusals.note(source.name, cause)
    events.note(
        "submission.rejected",
        level=logging.WARNING,
        source=source.name,
        status=status,
        request_id=request.environ["relay.request_id"],
        client=client_key(relay, request.environ),
        origin=origin if status == 403 else None,
        reason=str(refused),
    )


# --- answering ----------------------------------------------------------------------------------------


def _answer(source: Source, result: Taken | Refusal) -> Response:
    if isinstance(result, Refusal):
        return _refused(source, result)
    if source.is_form and wants_page() and not _is_script():
        if result.next_page:
            return see(result.next_page)
        if result.receipt:
            return see(source.thanks or f"/receipts/{result.receipt}")
        return see(source.thanks) if source.thanks else pages.thanks(source)  # nothing to look at
    return as_json(result.body, result.status)


def _is_script() -> bool:
    """Whether a script of another site asks, whatever it would rather read: browsers do not let it follow to
    a page, so that it would take what was kept for a failure."""
    asked = request.environ
    return asked.get("HTTP_SEC_FETCH_MODE") == "cors" and asked.get("HTTP_SEC_FETCH_SITE") != "same-origin"


def _refused(source: Source, refusal: Refusal) -> Response:
    if source.is_form and wants_page():
        if refusal.status in (422, 429):
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
            suggestion=dict(refusal.suggestion) or None,
        )
    if refusal.retry_after is not None:
        response.headers["Retry-After"] = str(max(1, round(refusal.retry_after + 0.5)))
    if refusal.status == 401 and (asked := proving.challenge(source)):
        response.headers["WWW-Authenticate"] = asked
    return response


def _closing(response: Response) -> Response:
    """The body was not read: end the connection, so that it need not be."""
    response.headers["Connection"] = "close"
    return response


# --- what comes before a submission -------------------------------------------------------------------


def _greet(relay: Relay, source: Source) -> Response:
    """Answer a sender that tries the address out, and show a person who opened it the form."""
    is_read = request.method in ("GET", "HEAD")
    if is_read and source.handshake is not None:
        return pages.handshake(source, source.handshake)
    if is_read and source.is_form and wants_page():
        if source.mapping.has_contact_fields(request.args.to_dict()):
            _note(relay, source, Refused(303, WITHOUT_POST))
        return see(f"/forms/{source.name}")
    response = shown(405, "Submissions are posted here.")
    response.headers["Allow"] = "GET, OPTIONS, POST" if source.handshake else "OPTIONS, POST"
    return _closing(response)

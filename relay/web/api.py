"""The operator's API, behind a bearer token: each address asks one verb of ``operator``."""

from typing import Any

from flask import Blueprint, Response, abort, current_app, g, request

from relay.operator import actor
from relay.operator.errors import CannotDo, Changed, Missing, Nonsense, NotAllowed, Unfitting
from relay.operator.operator import Operator
from relay.process.relay import Relay
from relay.web import asked, guesses
from relay.web.problems import problem

blueprint = Blueprint("api", __name__, url_prefix="/api")
_STATUS: dict[type[CannotDo], int] = {
    CannotDo: 409,
    Changed: 409,
    Missing: 404,
    Nonsense: 400,
    NotAllowed: 403,
    Unfitting: 422,
}


def _relay() -> Relay:
    relay: Relay = current_app.relay  # type: ignore[attr-defined]
    return relay


def _operator() -> Operator:
    return Operator(_relay().settings, _relay().outbox, g.actor)


@blueprint.before_request
def authorize() -> Response | None:
    """Let operators through; without any there is no API."""
    settings = _relay().settings
    if not actor.known(settings):
        abort(404)
    shown = request.environ.get("HTTP_AUTHORIZATION", "")
    if shown and request.environ.get("HTTP_COOKIE"):
        return problem(400, "Send a token or a cookie, not both.")
    if guesses.are_too_many(_relay(), "api"):
        response = problem(429, "Too many wrong tokens.")
        response.headers["Retry-After"] = str(guesses.RETRY_SECONDS)
        return response
    scheme, _, token = shown.partition(" ")
    found = actor.recognise(settings, token) if scheme == "Bearer" else None
    if found is not None:
        g.actor = found
        return None
    if shown:
        guesses.note_wrong(_relay(), "api")
    response = problem(401, "Send Authorization: Bearer with an operator's token.")
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


@blueprint.errorhandler(CannotDo)
def cannot(error: CannotDo) -> Response:
    """Say why nothing was done."""
    members = dict(error.row) if isinstance(error, Changed) else {}
    if isinstance(error, Unfitting):
        members["errors"] = error.errors
    return problem(_STATUS[type(error)], str(error), **members)


# --- submissions ------------------------------------------------------------------------------------


@blueprint.get("/submissions")
def list_submissions() -> Response:
    """Submissions, newest first, a page at a time."""
    return _json(_operator().page(asked.listed(*asked.LISTED)))


@blueprint.post("/find")
def find() -> Response:
    """The submissions of a person, who is named in the body and in no address."""
    contact = asked.text(asked.body("contact"), "contact")
    if contact is None:
        raise Unfitting("contact is needed: an e-mail address or a phone number")
    return _json(_operator().find(contact))


@blueprint.get("/submissions/<receipt>")
def show_submission(receipt: str) -> Response:
    """One submission and every send of it."""
    return _json(_operator().submission(receipt))


@blueprint.post("/submissions/<receipt>/replay")
def replay(receipt: str) -> Response:
    """Queue it again, if it is still as it was seen."""
    seen = asked.seen(asked.body("expect"))
    shown = _operator().replay(receipt, seen)
    _wake()
    return _json(shown)


@blueprint.post("/submissions/<receipt>/discard")
def discard(receipt: str) -> Response:
    """Give it up, if it is still as it was seen."""
    return _json(_operator().discard(receipt, asked.seen(asked.body("expect"))))


# --- many at once -----------------------------------------------------------------------------------


@blueprint.post("/replay")
def replay_all() -> Response:
    """Replay all of a state and source."""
    sent = asked.body("state", "source", "dry_run")
    state, source, dry_run = (
        asked.text(sent, "state"),
        asked.text(sent, "source"),
        asked.flag(sent, "dry_run"),
    )
    if state is None:
        raise Unfitting("state is needed: else suspects would be sent too")
    count = _operator().replay_all(state=state, source=source, dry_run=dry_run)
    _wake()
    return _json({"count": count})


@blueprint.get("/audit")
def audit() -> Response:
    """Who did what, newest first, a page at a time."""
    return _json(_operator().audit(asked.listed("receipt", "before", "limit")))


# --- destinations -----------------------------------------------------------------------------------


@blueprint.get("/status")
def status() -> Response:
    """Every destination: its hold, backlog and quota."""
    return _json(_operator().status())


@blueprint.post("/destinations/<name>/<any(pause,resume):verb>")
def hold(name: str, verb: str) -> Response:
    """Stop or go on sending to a destination."""
    operator = _operator()
    operator.hold(name, verb)
    if verb == "resume":
        _wake()
    _relay().intake.forget_forecasts()
    return _json(operator.status()[name])


def _wake() -> None:
    relay = _relay()
    if relay.dispatcher is not None:
        for name in relay.settings.destinations:
            relay.dispatcher.wake(name)


def _json(body: Any, status: int = 200) -> Response:
    return Response(current_app.json.dumps(body), status, mimetype="application/json")

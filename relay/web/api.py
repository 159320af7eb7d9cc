"""The operator's API, behind a bearer token."""

import hmac
from typing import Any

from flask import Blueprint, Response, abort, current_app, request

from relay.operator.operator import Filter, Operator
from relay.operator.remap import CannotDo
from relay.process.relay import Relay
from relay.web.clients import client_key
from relay.web.problems import problem

blueprint = Blueprint("api", __name__, url_prefix="/api")
_WRONG_TOKENS = "10/minute"


def _relay() -> Relay:
    relay: Relay = current_app.relay  # type: ignore[attr-defined]
    return relay


def _operator() -> Operator:
    return Operator(_relay().settings, _relay().outbox)


@blueprint.before_request
def authorize() -> Response | None:
    """Let the admin token through; without one configured there is no API."""
    token = _relay().settings.admin_token
    if not token:
        abort(404)
    shown = request.environ.get("HTTP_AUTHORIZATION", "").encode("latin-1", "replace")
    if hmac.compare_digest(shown, f"Bearer {token}".encode()):
        return None
    client = client_key(_relay(), request.environ) or "?"
    wait = _relay().doorkeeper.retry_after(_WRONG_TOKENS, "admin", client)
    if wait is not None:
        response = problem(429, "Too many wrong tokens.")
        response.headers["Retry-After"] = str(round(wait + 0.5))
        return response
    response = problem(401, "Send Authorization: Bearer with the admin token.")
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


@blueprint.errorhandler(CannotDo)
def cannot(error: CannotDo) -> Response:
    """Say what is wrong with a request."""
    if error.missing:
        return problem(404, str(error))
    return problem(409 if request.view_args else 400, str(error))


@blueprint.get("/submissions")
def list_submissions() -> Response:
    """Submissions, newest first, a page at a time."""
    known = {"state", "source", "contact", "before", "limit"}
    for name in request.args:
        if name not in known:
            return problem(400, f"knows no parameter {name[:40]!r}; one of {', '.join(sorted(known))}")
    text = request.args.get("limit", "100")
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        return problem(400, "limit must be a number")
    wanted = Filter(
        state=request.args.get("state") or None,
        source=request.args.get("source") or None,
        contact=request.args.get("contact") or None,
        before=request.args.get("before") or None,
        limit=int(text),
    )
    found = _operator().submissions(wanted)
    last = found[-1]["receipt"] if len(found) == wanted.limit else None
    return _json({"submissions": found, "next": last})


@blueprint.get("/submissions/<receipt>")
def show_submission(receipt: str) -> Response:
    """One submission and every send of it."""
    return _json(_operator().submission(receipt))


@blueprint.post("/submissions/<receipt>/replay")
def replay(receipt: str) -> Response:
    """Queue it again."""
    shown = _operator().replay(receipt)
    _wake()
    return _json(shown)


@blueprint.post("/submissions/<receipt>/discard")
def discard(receipt: str) -> Response:
    """Give it up."""
    return _json(_operator().discard(receipt))


@blueprint.post("/replay")
def replay_all() -> Response:
    """Replay all of a state and source."""
    body = request.get_json(silent=True)
    if not isinstance(body, dict) or not set(body) <= {"state", "source", "dry_run"}:
        return problem(400, 'Send a JSON object like {"state": "dead", "source": "crm", "dry_run": true}.')
    state, source, dry_run = body.get("state"), body.get("source"), body.get("dry_run", False)
    if not all(value is None or isinstance(value, str) for value in (state, source)):
        return problem(400, "state and source must be texts")
    if not isinstance(dry_run, bool):
        return problem(400, "dry_run must be true or false")
    count = _operator().replay_all(state=state, source=source, dry_run=dry_run)
    _wake()
    return _json({"count": count})


@blueprint.get("/status")
def status() -> Response:
    """Every destination: its hold, backlog and quota."""
    return _json(_operator().status())


@blueprint.post("/destinations/<name>/<any(pause,resume):verb>")
def hold(name: str, verb: str) -> Response:
    """Stop or go on sending to a destination."""
    relay = _relay()
    if name not in relay.settings.destinations:
        return problem(404, "There is no such destination.")
    if verb == "pause":
        relay.outbox.pause(name)
    else:
        relay.outbox.resume(name)
        _wake()
    relay.intake.forget_forecasts()
    return _json(_operator().status()[name])


def _wake() -> None:
    relay = _relay()
    if relay.dispatcher is not None:
        for name in relay.settings.destinations:
            relay.dispatcher.wake(name)


def _json(body: Any) -> Response:
    return Response(current_app.json.dumps(body), mimetype="application/json")

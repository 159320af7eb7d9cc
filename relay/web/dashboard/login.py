"""Logging in with a token, and out."""

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    session,
    url_for,
)

from relay.config.operators import digest
from relay.operator.actor import known, recognise
from relay.outbox.sessions import Sessions
from relay.process.relay import Relay
from relay.web import guesses
from relay.web.dashboard import guard

blueprint = Blueprint("login", __name__, url_prefix=guard.PREFIX)
_LONGEST_TOKEN = 500


@blueprint.before_request
def exists() -> None:
    """Without operators there is no dashboard."""
    if not known(_relay().settings):
        abort(404)


@blueprint.get("/login")
def form() -> Response:
    """Ask for a token."""
    if "actor" in session:
        return redirect(url_for("dashboard.overview"), 303)  # type: ignore[return-value]
    return _form(200)


@blueprint.post("/login")
def enter() -> Response:
    """Begin a session for whoever has shown an operator's token."""
    if (refused := guard.check_origin()) is not None:
        return refused
    relay = _relay()
    if guesses.are_too_many(relay, "login"):
        return _form(429, "Too many wrong tokens from your address. Wait a minute, then try again.")
    token = request.form.get("token", "").strip()[:_LONGEST_TOKEN]
    actor = recognise(relay.settings, token)
    if actor is None:
        guesses.note_wrong(relay, "login")
        return _form(401, "That is no operator's token.")
    sessions = Sessions(relay.outbox)
    if earlier := request.cookies.get(guard.cookie_name(relay, request)):
        sessions.end(earlier)  # a session of before never becomes one of now
    response = redirect(url_for("dashboard.overview"), 303)
    word = sessions.begin(actor.name, guard.fingerprint(digest(token)))
    guard.set_cookie(relay, response, word)  # type: ignore[arg-type]
    return response  # type: ignore[return-value]


@blueprint.post("/logout")
def leave() -> Response:
    """End the session, here and in the database."""
    if (refused := guard.require_session()) is not None:
        return refused
    relay = _relay()
    Sessions(relay.outbox).end(request.cookies.get(guard.cookie_name(relay, request), ""))
    response = redirect(url_for("login.form"), 303)
    guard.set_cookie(relay, response, "")  # type: ignore[arg-type]
    response.headers["Clear-Site-Data"] = '"cache"'
    return response  # type: ignore[return-value]


def _form(status: int, problem: str = "") -> Response:
    page = render_template("dashboard/login.html", problem=problem)
    response = Response(page, status, mimetype="text/html")
    if status == 429:
        response.headers["Retry-After"] = str(guesses.RETRY_SECONDS)
    return response


def _relay() -> Relay:
    relay: Relay = current_app.relay  # type: ignore[attr-defined]
    return relay

"""Logging in with a token, and out."""

from flask import Blueprint, Response, render_template, request, session, url_for
from flask_wtf.csrf import CSRFError

from relay.config.operators import digest
from relay.operator.actor import recognise
from relay.outbox.sessions import Sessions
from relay.web import guesses
from relay.web.application import see, the_relay
from relay.web.dashboard import guard
from relay.web.dashboard.returning import PREFIX, page_of
from relay.web.problems import shown

blueprint = Blueprint("login", __name__, url_prefix=PREFIX)
_LONGEST_TOKEN = 500
_UNDONE = "Your session was over, and nothing was done. Log in, look at it again, then do it."


@blueprint.get("/login")
def form() -> Response:
    """Ask for a token."""
    if "actor" in session:
        return see(_following())
    return _form(200, _UNDONE if request.args.get("undone") else "")


@blueprint.post("/login")
def enter() -> Response:
    """Begin a session for whoever has shown an operator's token."""
    if (refused := guard.check_origin()) is not None:
        return refused
    relay = the_relay()
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
    response = see(_following())
    word = sessions.begin(actor.name, guard.fingerprint(digest(token)))
    guard.set_cookie(relay, response, word)
    return response


@blueprint.post("/logout")
def leave() -> Response:
    """End the session, here and in the database."""
    if "actor" not in session:  # it is over already
        return see(url_for("login.form"))
    if (refused := guard.require_session()) is not None:
        return refused
    relay = the_relay()
    Sessions(relay.outbox).end(request.cookies.get(guard.cookie_name(relay, request), ""))
    response = see(url_for("login.form"))
    guard.set_cookie(relay, response, "")
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


@blueprint.errorhandler(CSRFError)
def stale_form(_: CSRFError) -> Response:
    """Who logs out by a form of an earlier session is still in this one."""
    return shown(403, "This form is not of your present session; nothing was done. Load the page again.")


def _form(status: int, problem: str = "") -> Response:
    page = render_template("dashboard/login.html", problem=problem, following=_following())
    response = Response(page, status, mimetype="text/html")
    if status == 429:
        response.headers["Retry-After"] = str(guesses.RETRY_SECONDS)
    return response


def _following() -> str:
    """Return the page to go on with: the one that asked for the login."""
    return page_of(request.values.get("next", ""))

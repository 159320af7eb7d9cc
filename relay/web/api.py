"""The operator's API, behind a bearer token: each address asks one verb of ``operator``."""

from typing import Any

from flask import Blueprint, Response, g, request

from relay.operator import actor, finding
from relay.operator.actions import REPLAY
from relay.operator.errors import CannotDo, Changed, Missing, Nonsense, NotAllowed, Unfitting
from relay.operator.filter import MAX_ROWS, Filter
from relay.web import asked, guesses, looking
from relay.web.application import as_json, the_operator, the_relay
from relay.web.clients import shown_token
from relay.web.problems import problem, status_of, unproven
from relay.web.saved import saved

blueprint = Blueprint("api", __name__, url_prefix="/api")
looking.bound(blueprint)


@blueprint.before_request
def authorize() -> Response | None:
    """Let operators through."""
    settings = the_relay().settings
    shown = request.environ.get("HTTP_AUTHORIZATION", "")
    if shown and request.environ.get("HTTP_COOKIE"):
        return problem(400, "Send a token or a cookie, not both.")
    if guesses.are_too_many(the_relay(), "api"):
        response = problem(429, "Too many wrong tokens.")
        response.headers["Retry-After"] = str(guesses.RETRY_SECONDS)
        return response
    token = shown_token(request.environ)
    found = actor.recognise(settings, token) if token is not None else None
    if found is not None:
        g.actor = found
        return None
    if shown:
        guesses.note_wrong(the_relay(), "api")
    return unproven("Send Authorization: Bearer with an operator's token.")


@blueprint.errorhandler(CannotDo)
def cannot(error: CannotDo) -> Response:
    """Say why nothing was done."""
    return problem(
        status_of(error),
        str(error),
        _as_it_is(error.row) if isinstance(error, Changed) else None,
        errors=error.errors if isinstance(error, Unfitting) else None,
        title="Not allowed" if isinstance(error, NotAllowed) else None,
    )


def _as_it_is(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row that has changed, with all that its own address tells of it, if that can be read."""
    try:
        return the_operator().submission(row["receipt"])
    except CannotDo:
        return row


# --- submissions ------------------------------------------------------------------------------------


@blueprint.get("/submissions")
def list_submissions() -> Response:
    """Submissions, newest first, a page at a time."""
    return as_json(the_operator().page(asked.listed(*asked.LISTED)))


@blueprint.post("/find")
def find() -> Response:
    """The submissions of a person, or of an id, a page at a time; who is meant stands in no address."""
    sent = asked.body(*finding.WAYS, "before", "limit")
    named = {way: text for way in finding.WAYS if (text := asked.text(sent, way))}
    if len(named) != 1:
        raise Unfitting(
            f"one of {', '.join(finding.WAYS)} is needed; contact: an e-mail address or a phone number"
        )
    ((way, text),) = named.items()
    limit = asked.number(sent, "limit", MAX_ROWS)
    return as_json(the_operator().find(text, way, before=asked.text(sent, "before"), limit=limit))


@blueprint.get("/submissions/<receipt>")
def show_submission(receipt: str) -> Response:
    """One submission and every send of it."""
    return as_json(the_operator().submission(receipt))


@blueprint.post("/submissions/<receipt>/replay")
def replay(receipt: str) -> Response:
    """Queue it again, if it is still as it was seen."""
    seen = asked.seen(asked.body("expect"))
    shown = the_operator().replay(receipt, seen)
    the_relay().wake()
    return as_json(shown)


@blueprint.post("/submissions/<receipt>/discard")
def discard(receipt: str) -> Response:
    """Give it up, if it is still as it was seen."""
    return as_json(the_operator().discard(receipt, asked.seen(asked.body("expect"))))


@blueprint.patch("/submissions/<receipt>")
def edit(receipt: str) -> Response:
    """Correct values, and queue it."""
    sent = asked.body("values", "expect")
    shown = the_operator().edit(receipt, asked.values(sent), asked.seen(sent))
    the_relay().wake()
    return as_json(shown)


@blueprint.post("/submissions/<receipt>/reveal")
def reveal(receipt: str) -> Response:
    """What is personal in it; who asked is written down."""
    asked.body()
    return as_json(the_operator().reveal(receipt))


# --- many at once -----------------------------------------------------------------------------------


@blueprint.post("/replay")
def replay_all() -> Response:
    """Replay all of a state and source, as a job."""
    sent = asked.body("state", "source", "dry_run")
    dry_run = asked.flag(sent, "dry_run")
    filter_ = Filter(state=asked.text(sent, "state"), source=asked.text(sent, "source"))
    operator = the_operator()
    count = operator.would_replay(filter_)
    if dry_run:
        return as_json({"count": count})
    job = operator.make_job(REPLAY, filter_)["job"]
    the_relay().call_clerk()
    return as_json({"count": count, "job": job})


@blueprint.post("/jobs")
def make_job() -> Response:
    """Have something done to all that a filter means."""
    sent = asked.body("action", "filter", "dry_run", "counted")
    action, counted = asked.text(sent, "action") or "", asked.text(sent, "counted")
    filter_ = asked.filter_of(sent.get("filter")) if counted is None else Filter()
    made = the_operator().make_job(action, filter_, dry_run=asked.flag(sent, "dry_run"), counted=counted)
    the_relay().call_clerk()
    return as_json(made, 202)


@blueprint.get("/jobs")
def list_jobs() -> Response:
    """Jobs, newest first, a page at a time."""
    return as_json(the_operator().jobs(asked.listed("before", "limit")))


@blueprint.get("/jobs/<name>")
def show_job(name: str) -> Response:
    """One job: how far it has come, and what became of the rows."""
    return as_json(the_operator().job(name))


@blueprint.post("/jobs/<name>/cancel")
def cancel_job(name: str) -> Response:
    """End a job where it is."""
    return as_json(the_operator().cancel(name))


@blueprint.get("/jobs/<name>/file")
def job_file(name: str) -> Response:
    """Jobs make no file: what a filter shows is streamed by ``/api/export``."""
    the_operator().job(name)
    raise Missing("this job made no file; GET /api/export streams what a filter shows")


@blueprint.get("/export")
def export() -> Response:
    """What a filter shows, as a file."""
    format_, people = request.args.get("format", "jsonl"), request.args.get("people", "false")
    if people not in ("true", "false"):
        raise Nonsense("people must be true or false")
    filter_ = asked.listed(*asked.FILTERS, "duplicate", ignored=("format", "people"))
    is_read = request.method != "HEAD"
    pieces = the_operator().export(filter_, format_, people=people == "true", is_read=is_read)
    return saved(pieces, format_)


@blueprint.get("/audit")
def audit() -> Response:
    """Who did what, newest first, a page at a time."""
    return as_json(the_operator().audit(asked.listed("receipt", "before", "limit")))


# --- sources ----------------------------------------------------------------------------------------


@blueprint.get("/sources")
def sources() -> Response:
    """Every source: what came, what needs somebody, what was refused."""
    return as_json({one["source"]: one for one in the_operator().sources()})


@blueprint.post("/sources/<name>/test")
def test(name: str) -> Response:
    """Have somebody made up sign up; sent to the operator's own address, and only when told to."""
    sent = asked.body("send", "email", "mobile_phone_number")
    named = {field: asked.text(sent, field) for field in ("email", "mobile_phone_number")}
    contact = {field: value for field, value in named.items() if value}
    found = the_operator().test(name, contact, send=asked.flag(sent, "send"))
    the_relay().wake()
    return as_json(found)


# --- destinations -----------------------------------------------------------------------------------


@blueprint.get("/status")
def status() -> Response:
    """Every destination: its hold, backlog and quota."""
    return as_json(the_operator().status())


@blueprint.post("/destinations/<name>/<any(pause,resume):verb>")
def hold(name: str, verb: str) -> Response:
    """Stop or go on sending to a destination."""
    operator = the_operator()
    operator.hold(name, verb)
    if verb == "resume":
        the_relay().wake()
    return as_json(operator.status()[name])

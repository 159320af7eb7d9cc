"""What every page of the dashboard has: the blueprint, the operator who asks, times in one zone."""

import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, g, render_template, request, session, url_for
from flask_wtf.csrf import CSRFError

from relay.operator import progress, wording
from relay.operator.errors import CannotDo, Missing, Unfitting
from relay.outbox import figures, listing
from relay.outbox.holds import health_of
from relay.web import looking
from relay.web.application import see, the_relay
from relay.web.dashboard import guard, returning, words
from relay.web.problems import status_of

blueprint = Blueprint("dashboard", __name__, url_prefix=returning.PREFIX)
blueprint.before_request(guard.require_session)
looking.bound(blueprint)

NAVIGATION = (
    ("overview", "Overview"),
    ("needs_you", "Needs you"),
    ("submissions", "Submissions"),
    ("sources", "Sources"),
    ("destinations", "Destinations"),
    ("jobs", "Jobs"),
    ("audit", "Audit"),
)

DONE = {
    "replayed": "It is queued, and is sent when its turn comes.",
    "discarded": "It is discarded; what it held is gone.",
    "corrected": "It is corrected and queued.",
    "paused": "The destination is paused: nothing is sent until you resume it. Sign-ups are still taken.",
    "resumed": "The destination goes on.",
    "waits": "Nothing is sent yet: upstream asked us to wait, and that is kept.",
    "ticked": "It is ticked off, for everybody who looks after this relay.",
    "alerted": "A test alert is on its way through every channel; it should arrive within a minute.",
    "cancelled": "The job stops; what it has done stays done.",
}
"""What a page says after an act; the address carries the key, and what proves that it is ours."""


def trouble() -> int:
    """Return how much needs somebody, for the title and the icon of every page."""
    if "trouble" not in g:
        g.trouble = _trouble()
    found: int = g.trouble
    return found


def _trouble() -> int:
    relay, configured = the_relay(), the_relay().settings.destinations
    outbox, now = relay.outbox, relay.outbox.time()
    needs = outbox.read(figures.needing)
    held = sum(outbox.read(health_of, name).is_held(now) for name in configured)
    removed = outbox.read(listing.destinations_waited_for) - configured.keys()
    return needs + held + len(removed) + len(relay.failing_checks())


def page(template: str, name: str, status: int = 200, **values: Any) -> Response:
    """Return a page. ``name``: which entry of the navigation it belongs to."""
    instead = returning.page_of(request.path) if request.method == "POST" else None
    text = render_template(f"dashboard/{template}", page=name, notice=_notice(), instead=instead, **values)
    return Response(text, status, mimetype="text/html")


def after(endpoint: str, done: str, **values: Any) -> Response:
    """Lead to a page that says what was done, so that reloading it does nothing again."""
    name = f"dashboard.{endpoint}"
    said = f"{done}.{_proof(done, name, values)}"
    return see(url_for(name, done=said, **values))


def _notice() -> str | None:
    """Return what was done, if we said so to this session: anybody can make an address and send it."""
    done, _, proof = request.args.get("done", "").partition(".")
    own = _proof(done, request.endpoint or "", request.view_args or {})
    return DONE.get(done) if hmac.compare_digest(proof.encode("utf-8", "replace"), own.encode()) else None


def _proof(done: str, endpoint: str, values: Mapping[str, Any]) -> str:
    own = session["csrf_token"]  # known to nobody else
    said = "done", own, done, endpoint, *(f"{name} {value}" for name, value in sorted(values.items()))
    return the_relay().outbox.vault.hash(*said).hex()


def reasons(problem: Unfitting) -> str:
    """Return why values do not fit, each by the name of its field."""
    told = [f"{name}: {' '.join(said)}" for name, said in (problem.errors or {}).items()]
    why = str(problem).rstrip(".").removesuffix("; see errors")  # which here are told
    return " ".join([f"{why}.", *told])


def sentence(problem: CannotDo) -> str:
    """Return why something is not possible as a sentence that may stand alone."""
    text = str(problem)
    return f"{text[:1].upper()}{text[1:]}."


@blueprint.app_template_filter("moment")
def moment(text: str | None) -> str:
    """Return a time of the API in the operators' zone, to the second."""
    return wording.moment(text, the_relay().settings.time_zone) if text else "–"


@blueprint.app_template_filter("age")
def age(text: str | None) -> str:
    """Return how long ago a time of the API is."""
    if text is None:
        return "never"
    return words.ago((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds())


@blueprint.context_processor
def surroundings() -> dict[str, Any]:
    """What every template knows."""
    settings = the_relay().settings
    return {
        "actor": g.get("actor"),  # nobody where an answer was found before it was asked who it is
        "nav": NAVIGATION,
        "zone": str(settings.time_zone),
        "trouble": trouble,
        "words": words,
        "progress": progress,
    }


@blueprint.errorhandler(CSRFError)
def stale_form(_: CSRFError) -> Response:
    """A form of an earlier session, which is no other site's: its page has one of this session."""
    why = "This form is not of your present session, and nothing was done."
    return page("refused.html", "", 403, why=why, receipt=None, again=returning.page_of(request.path))


@blueprint.errorhandler(CannotDo)
def refused(problem: CannotDo) -> Response:
    """Say why nothing was done."""
    return page("refused.html", "", status_of(problem), why=sentence(problem), receipt=_seen(problem))


def _seen(problem: CannotDo) -> str | None:
    """Return which submission was meant, if there is one."""
    return None if isinstance(problem, Missing) else (request.view_args or {}).get("receipt")

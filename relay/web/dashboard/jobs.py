"""Jobs: what is done to many at once, counted first, then begun."""

from typing import Any

from flask import Response, request, url_for

from relay.operator.actor import ACT
from relay.operator.errors import Nonsense
from relay.operator.filter import Filter, typed_flag
from relay.web.application import see, the_actor, the_operator, the_relay
from relay.web.asked import FILTERS
from relay.web.dashboard.frame import after, blueprint, page

_ROWS = 100
_LISTED = frozenset([*FILTERS, "duplicate", "action", "csrf_token"])


@blueprint.get("/jobs")
def jobs() -> Response:
    """Jobs, the newest first."""
    found = the_operator().jobs(Filter(before=request.args.get("before") or None, limit=_ROWS))
    following = url_for("dashboard.jobs", before=found["next"]) if found["next"] else None
    return page("jobs.html", "jobs", jobs=found["jobs"], following=following)


@blueprint.get("/jobs/<name>")
def job(name: str) -> Response:
    """One job and how far it is."""
    return page("job.html", "jobs", job=the_operator().job(name))


@blueprint.get("/live/jobs/<name>")
def live_job(name: str) -> Response:
    """How far a job is, alone."""
    return page("job_part.html", "jobs", job=the_operator().job(name))


@blueprint.post("/jobs")
def job_begin() -> Response:
    """Count what would be done; with ``sure``, the name of that count, do it to what was counted."""
    action, counted, operator = request.form.get("action", ""), request.form.get("sure"), the_operator()
    if not counted:
        made = operator.make_job(action, _asked(), dry_run=True)
        the_relay().call_clerk()
        return see(url_for("dashboard.job_ask", name=made["job"]))
    begun = operator.make_job(action, Filter(), counted=counted)
    the_relay().call_clerk()
    return see(url_for("dashboard.job", name=begun["job"]))


@blueprint.get("/jobs/<name>/ask")
def job_ask(name: str) -> Response:
    """Ask whether what was counted shall be done."""
    counted = the_operator().job(name)
    if not counted["dry_run"]:
        return see(url_for("dashboard.job", name=name))
    said = counted["filter"]
    shown = {name: "1" if value is True else value for name, value in said.items()}
    may_act = the_actor().may(ACT)
    return page("job_ask.html", "jobs", said=said, shown=shown, counted=counted, may_act=may_act)


def _asked() -> Filter:
    """Return the filter that a form shows. Raises Nonsense for a part of one that is not known here."""
    if unknown := sorted(set(request.form) - _LISTED):
        raise Nonsense(f"knows no {unknown[0][:40]!r}")
    said: dict[str, Any] = {name: request.form.get(name, "").strip() or None for name in FILTERS}
    return Filter(**said, duplicate=typed_flag(request.form.get("duplicate")))


@blueprint.post("/jobs/<name>/cancel")
def job_cancel(name: str) -> Response:
    """Stop a job; what it has done stays done."""
    the_operator().cancel(name)
    return after("job", "cancelled", name=name)

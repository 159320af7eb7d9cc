"""Jobs: what is done to many at once, counted first, then begun."""

from typing import Any

from flask import Response, redirect, request, url_for

from relay.operator.filter import Filter
from relay.web.dashboard.frame import after, blueprint, page, the_operator, wake

_ROWS = 100
_NAMED = ("state", "source", "reason", "since", "until")


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
    """Count what would be done; with ``sure``, do it."""
    action, asked = request.form.get("action", ""), _asked()
    operator = the_operator()
    if not request.form.get("sure"):
        counted = operator.make_job(action, asked, dry_run=True)
        return page("job_ask.html", "jobs", action=action, said=asked.said(), counted=counted)
    begun = operator.make_job(action, asked)
    wake()
    return redirect(url_for("dashboard.job", name=begun["job"]), 303)  # type: ignore[return-value]


def _asked() -> Filter:
    said: dict[str, Any] = {name: request.form.get(name, "").strip() or None for name in _NAMED}
    return Filter(**said)


@blueprint.post("/jobs/<name>/cancel")
def job_cancel(name: str) -> Response:
    """Stop a job; what it has done stays done."""
    the_operator().cancel(name)
    return after("job", "cancelled", name=name)

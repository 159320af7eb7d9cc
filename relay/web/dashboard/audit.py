"""The audit log: who did what, when, and to how many."""

from flask import Response, request, url_for

from relay.operator.filter import Filter
from relay.web.application import the_operator
from relay.web.dashboard.frame import blueprint, page

_ROWS = 100


@blueprint.get("/audit")
def audit() -> Response:
    """Acts, newest first."""
    found = the_operator().audit(Filter(before=request.args.get("before") or None, limit=_ROWS))
    following = url_for("dashboard.audit", before=found["next"]) if found["next"] else None
    return page("audit.html", "audit", acts=found["audit"], following=following)

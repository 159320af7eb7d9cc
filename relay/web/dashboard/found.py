"""Somebody is looked for. The list is a page of its own, so that going back to it asks for nothing again.

What was typed stands in no address: its keyed hash does, sealed for the session that asked.
"""

import base64
import re

from flask import Response, request, session, url_for

from relay.operator.desk import RECEIPT
from relay.operator.errors import Nonsense
from relay.operator.filter import Filter
from relay.operator.finding import Sought
from relay.web.application import see, the_operator, the_relay
from relay.web.dashboard.frame import blueprint, page, sentence

_BEGINNING = re.compile(r"([0-9a-f]{10,31})…?")
"""Of a receipt: as much of it as lists show, or more."""


@blueprint.post("/find")
def find() -> Response:
    """Lead to a person's submissions, or to the one of a receipt."""
    asked = request.form.get("contact", "").strip()
    if receipt := _receipt(asked.lower()):
        return see(url_for("dashboard.submission", receipt=receipt))
    try:
        place = _sealed(the_operator().sought(asked))
    except Nonsense as problem:
        return page("found.html", "submissions", 400, found=None, alert=sentence(problem), typed=asked)
    return see(url_for("dashboard.found", place=place))


@blueprint.get("/found/<place>")
def found(place: str) -> Response:
    """What a search found, as it is now."""
    sought = _opened(place)
    if sought is None:
        return page("found.html", "submissions", 404, found=None)
    return page("found.html", "submissions", found=the_operator().found(sought)["submissions"])


def _receipt(asked: str) -> str | None:
    """Return the receipt that was typed, or the one that begins so, if it is one."""
    if RECEIPT.fullmatch(asked):
        return asked
    if (beginning := _BEGINNING.fullmatch(asked)) is None:
        return None
    rows = the_operator().submissions(Filter(receipt=beginning[1], limit=2))
    return str(rows[0]["receipt"]) if len(rows) == 1 else None


def _sealed(sought: Sought) -> str:
    said = {"hashes": [one.hex() for one in sought.hashes], "named": dict(sought.named)}
    return base64.urlsafe_b64encode(the_relay().outbox.vault.seal(said, _whose())).decode().rstrip("=")


def _opened(place: str) -> Sought | None:
    """Return what was looked for, None if that was not in this session."""
    try:
        box = base64.b64decode(place + "=" * (-len(place) % 4), b"-_", validate=True)
        said = the_relay().outbox.vault.open(box, _whose())
    except ValueError:  # it is no box, or one that does not open here
        return None
    return Sought(tuple(bytes.fromhex(one) for one in said["hashes"]), said["named"])


def _whose() -> str:
    return f"found {session['csrf_token']}"

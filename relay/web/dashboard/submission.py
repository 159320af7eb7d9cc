"""One submission: what happened to it, and what may be done."""

from typing import Any

from flask import Response, request, url_for

from relay.delivery import KEPT
from relay.operator import actor
from relay.operator.actions import DISCARD, EDIT, REPLAY, REVEAL
from relay.operator.actor import ACT
from relay.operator.errors import Nonsense, Unfitting
from relay.operator.filter import Filter
from relay.outbox.moves import Expected
from relay.sources.mapping import PROFILE_FIELDS
from relay.web.application import see, the_actor, the_operator, the_relay
from relay.web.dashboard.frame import after, blueprint, page, reasons

_LABELS = {REPLAY: "Send it", DISCARD: "Discard it", REVEAL: "Show who it is", EDIT: "Correct it"}
_ROLES = {REPLAY: ACT, DISCARD: ACT, EDIT: ACT, REVEAL: actor.REVEAL}
_DONE = {REPLAY: "replayed", DISCARD: "discarded", EDIT: "corrected"}


@blueprint.get("/submissions/<receipt>")
def submission(receipt: str) -> Response:
    """One submission with its timeline and acts; the receipt of a repeat leads to the row it repeats."""
    own = the_operator().submission(receipt)["receipt"]
    if own != receipt:
        return see(url_for("dashboard.submission", receipt=own))
    return _shown(receipt)


@blueprint.post("/submissions/<receipt>/<any(replay,discard,edit,reveal):action>")
def act(receipt: str, action: str) -> Response:
    """Do something to it, if it is still as it was shown."""
    operator, seen = the_operator(), _seen()
    if action == REVEAL:
        return _shown(receipt, revealed=_fields(operator.reveal(receipt)))
    if action == EDIT:
        try:
            operator.edit(receipt, _corrected(), seen)
        except Unfitting as problem:
            wrong = problem.errors or {}
            return _shown(receipt, status=422, alert=reasons(problem), typed=_typed(), wrong=wrong)
    elif action == REPLAY:
        operator.replay(receipt, seen)
    else:
        operator.discard(receipt, seen)
    the_relay().wake()
    return after("submission", _DONE[action], receipt=receipt)


def _shown(receipt: str, status: int = 200, **values: object) -> Response:
    operator = the_operator()
    row = operator.submission(receipt)
    destination, hold_reason = operator.way(receipt)
    actions = operator.actions(receipt)
    may = {action: the_actor().may(role) for action, role in _ROLES.items()}
    return page(
        "submission.html",
        "submissions",
        status,
        row=row,
        destination=destination,
        hold_reason=hold_reason,
        stuck=actions[REPLAY] if row["state"] in KEPT else None,
        actions=actions,
        told=_told(row.get("history") or [], operator.audit(Filter(receipt=receipt))["audit"]),
        labels=_LABELS,
        may=may,
        others=[(_LABELS[one], _ROLES[one]) for one, why in actions.items() if not (why or may[one])],
        editable=PROFILE_FIELDS,
        **values,
    )


def _seen() -> Expected:
    """Return the row as it was on the page that the form stood on. Raises Nonsense."""
    state, fence = request.form.get("state", ""), request.form.get("fence", "")
    if not (fence.isascii() and fence.isdigit() and len(fence) < 18):
        raise Nonsense("the form does not say what it was shown for")
    return Expected(state, int(fence))


def _fields(revealed: dict[str, Any]) -> dict[str, Any]:
    """Return what is personal field by field: of the profile and its update, and of what was sent."""
    known = {**revealed.get("profile", {}), **revealed.get("update", {})}
    sent = revealed.get("body", {})
    named = sent if isinstance(sent, dict) else {"what was sent": sent}
    return known | {f"{name}, as sent" if known else name: value for name, value in named.items()}


def _typed() -> dict[str, str]:
    return {name: request.form.get(f"value-{name}", "").strip() for name in PROFILE_FIELDS}


def _corrected() -> dict[str, str]:
    """Return what was typed. Raises Unfitting if that is nothing."""
    if given := {name: value for name, value in _typed().items() if value}:
        return given
    raise Unfitting("Nothing was filled in; write what is right into a field.")


def _told(history: list[dict[str, Any]], acts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return sends and acts in the order in which they happened."""
    sends = [{**one, "at": one["started_at"]} for one in history]
    return sorted([*sends, *acts], key=lambda one: str(one["at"]))

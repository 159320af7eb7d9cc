"""Lists of submissions: all that a filter shows, and those that need somebody."""

from collections.abc import Mapping
from typing import Any

from flask import Response, request, url_for

from relay.delivery import KEPT, STATES
from relay.operator.actions import DISCARD, POSSIBLE, REPLAY, is_sourceless
from relay.operator.actor import ACT, REVEAL
from relay.operator.errors import Nonsense
from relay.operator.exports import FORMATS
from relay.operator.filter import Filter, typed_flag, typed_time
from relay.web.application import the_actor, the_operator, the_relay
from relay.web.dashboard import words
from relay.web.dashboard.frame import blueprint, page, sentence
from relay.web.saved import saved

ROWS = 50
_MANY = {REPLAY: "Send all that match …", DISCARD: "Discard all that match …"}


@blueprint.get("/submissions")
def submissions() -> Response:
    """Submissions by a filter that stands in the address, newest first."""
    asked = _asked(request.args)
    try:
        return _shown(asked, the_operator().page(asked))
    except Nonsense as problem:  # what else was asked for stays to be asked again
        return _shown(asked, {"submissions": [], "next": None}, 400, alert=sentence(problem))


def _shown(asked: Filter, found: Mapping[str, Any], status: int = 200, **values: Any) -> Response:
    following = None
    if found["next"]:
        following = url_for("dashboard.submissions", **asked.said(), before=found["next"])
    return page(
        "submissions.html",
        "submissions",
        status,
        asked=asked,
        said=asked.said(),
        is_filtered=bool(asked.said()),
        found=found["submissions"],
        following=following,
        many=_many(asked),
        told=words.told(asked.state, asked.reason) if asked.state in KEPT else "",
        formats=FORMATS,
        may_name_people=the_actor().may(REVEAL),
        states=STATES,
        # Also one that is configured no more, which pressing Show must not forget.
        sources=sorted({*the_relay().settings.sources, *filter(None, [asked.source])}),
        **values,
    )


def _asked(given: Mapping[str, str]) -> Filter:
    said: dict[str, Any] = {name: given.get(name, "").strip() or None for name in _TEXTS}
    zone = the_relay().settings.time_zone
    said |= {name: typed_time(said[name], zone) for name in ("since", "until")}
    return Filter(**said, duplicate=typed_flag(given.get("duplicate")), limit=ROWS)


_TEXTS = ("state", "source", "reason", "since", "until", "before")


def _many(asked: Filter) -> list[tuple[str, str]]:
    """Return what may be done to all that a filter shows: only where one state is meant."""
    if asked.state is None or not the_actor().may(ACT):
        return []
    return [(action, label) for action, label in _MANY.items() if asked.state in POSSIBLE[action]]


@blueprint.post("/export")
def export() -> Response:
    """All that a filter shows, as a file. A POST, as it is written down, and may name people."""
    format_, people = request.form.get("format", ""), bool(request.form.get("people"))
    return saved(the_operator().export(_asked(request.form), format_, people=people), format_)


@blueprint.get("/needs-you")
def needs_you() -> Response:
    """What waits for a person, by source and reason, with what fits each."""
    return page("needs_you.html", "needs_you", groups=groups())


@blueprint.get("/live/needs-you")
def live_needs_you() -> Response:
    """The groups alone."""
    return page("needs_you_part.html", "needs_you", groups=groups())


def groups() -> list[dict[str, Any]]:
    """Return what needs somebody, the most urgent state first, the largest group first."""
    found = [
        {**group, "acts": _acts(group), "is_sourceless": _is_sourceless(group)}
        for group in the_operator().needs_you()
    ]
    order = {state: place for place, state in enumerate(("parked", "dead", "invalid", "refused", "held"))}
    return sorted(found, key=lambda group: (order[group["state"]], -group["count"]))


def _acts(group: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the actions that fit a group, each with the words that fit the state.

    None without a reason: all of that state and source would be meant, whatever theirs.
    """
    state = group["state"]
    if not the_actor().may(ACT) or state not in KEPT or not group["reason"]:
        return []
    discard = (DISCARD, _DISCARD_WORDS.get(state, "Discard all …"))
    return [discard] if _is_sourceless(group) else [(REPLAY, _REPLAY_WORDS[state]), discard]


def _is_sourceless(group: Mapping[str, Any]) -> bool:
    return is_sourceless(REPLAY, group, the_relay().settings)


_REPLAY_WORDS = {
    "held": "Not spam: send all …",
    "invalid": "Map again and send …",
    "refused": "Send all again …",
    "parked": "They are not upstream: send all …",
    "dead": "Send all …",
}

_DISCARD_WORDS = {
    "held": "Spam: discard all …",
    "parked": "They are upstream: discard all …",
}

"""Destinations: what holds them, how much of the quota is used, pause and resume."""

from typing import Any

from flask import Response

from relay.operator.actor import ACT
from relay.web.application import the_actor, the_operator, the_relay
from relay.web.dashboard.frame import after, blueprint, page


@blueprint.get("/destinations")
def destinations() -> Response:
    """Every destination."""
    return page("destinations.html", "destinations", **_values())


@blueprint.get("/live/destinations")
def live_destinations() -> Response:
    """The destinations alone."""
    return page("destinations_part.html", "destinations", **_values())


def _values() -> dict[str, Any]:
    operator, configured = the_operator(), the_relay().settings.destinations
    found = operator.status()
    return {
        "destinations": found,
        "configured": configured,
        "queued_from": {name: operator.sources_queued_for(name) for name in found.keys() - configured.keys()},
        "may_act": the_actor().may(ACT),
    }


@blueprint.post("/destinations/<name>/<any(pause,resume):verb>")
def hold(name: str, verb: str) -> Response:
    """Stop sending there, or go on."""
    waits = the_operator().hold(name, verb)
    the_relay().wake()
    return after("destinations", "waits" if waits else f"{verb}d")

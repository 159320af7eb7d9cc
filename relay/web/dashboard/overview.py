"""The overview: does it arrive, does any wait for a person, when is the backlog gone."""

from dataclasses import dataclass
from typing import Any

from flask import Response

from relay.operator.ticked import ALERTED, KEYS, PROXIES
from relay.outbox.holds import health_of
from relay.web.application import the_operator, the_relay
from relay.web.dashboard.frame import after, blueprint, page


@blueprint.get("")
def overview() -> Response:
    """The page to look at in the morning."""
    values = _values()
    return page("overview.html", "overview", **values, checklist=_checklist(values["sources"]))


@blueprint.get("/live/overview")
def live_overview() -> Response:
    """Its moving parts alone."""
    return page("overview_part.html", "overview", **_values())


def _values() -> dict[str, Any]:
    operator, relay = the_operator(), the_relay()
    sources = operator.sources()
    needs = sum(sum(reasons.values()) for one in sources for reasons in one["needs_you"].values())
    failing = [f"{name} {what}" for name, what in relay.failing_checks().items()]
    return {
        "destinations": operator.status(),
        "sources": sources,
        "needs": needs,
        "failing": failing,
        "warnings": relay.warnings(),
    }


@dataclass(frozen=True)
class ToDo:
    """Something that a fresh installation is given once; ``tick``: what a person says about it.

    ``can_test``: whether a test alert can be sent.
    """

    done: bool
    text: str
    tick: str | None = None
    can_test: bool = False


_PROXIES = "Set RELAY_TRUSTED_PROXIES to the number of proxies in front; without any, leave it."


def _checklist(sources: list[dict[str, Any]]) -> list[ToDo]:
    """Return what is to be done once; nothing when all is done."""
    relay, ticked = the_relay(), the_operator().ticked()
    settings = relay.settings
    is_real = not settings.is_sandbox  # what the pretend upstream took says nothing about a token
    healths = (relay.outbox.read(health_of, name) for name in settings.destinations)
    works = is_real and any(health.delivered_at is not None for health in healths)
    posted = any(source["last"] for source in sources)
    told = bool(settings.alert_url or settings.alert_mail)
    proxies_fit = not any("proxy" in text for text in relay.warnings())
    # That no proxy was seen yet does not mean that there is none: without a number a person must say so.
    proxies_known = bool(settings.trusted_proxies) or PROXIES in ticked
    may_tick = None if settings.trusted_proxies or not proxies_fit else PROXIES
    found = [
        ToDo(is_real, "Set OCAMBA_TOKEN, so that sign-ups go to the real upstream."),
        ToDo(posted, "Post the first form; what to paste stands with each source."),
        ToDo(works, "See it delivered: the token works."),
        ToDo(KEYS in ticked, "Copy the keys to another place: without them no backup can be read.", KEYS),
        ToDo(told, "Set RELAY_ALERT_URL or RELAY_ALERT_MAIL, so that trouble finds you."),
        ToDo(ALERTED in ticked, "Receive an alert: see that it reaches you.", ALERTED, can_test=told),
        ToDo(proxies_known and proxies_fit, _PROXIES, may_tick),
    ]
    return [] if all(one.done for one in found) else found


@blueprint.post("/checklist/<name>")
def tick(name: str) -> Response:
    """Tick off what only a person can know is done."""
    the_operator().tick(name)
    return after("overview", "ticked")


@blueprint.post("/alerts/test")
def test_alert() -> Response:
    """Send an alert about nothing, to see that it arrives."""
    the_operator().test_alert()
    return after("overview", "alerted")

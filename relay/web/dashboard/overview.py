"""The overview: does it arrive, does any wait for a person, when is the backlog gone."""

from typing import Any

from flask import Response

from relay.web.dashboard.frame import blueprint, page, the_operator, the_relay


@blueprint.get("")
def overview() -> Response:
    """The page to look at in the morning."""
    return page("overview.html", "overview", **_values(), checklist=_checklist())


@blueprint.get("/live/overview")
def live_overview() -> Response:
    """Its moving parts alone."""
    return page("overview_part.html", "overview", **_values())


def _values() -> dict[str, Any]:
    operator, relay = the_operator(), the_relay()
    destinations = operator.status()
    needs = sum(group["count"] for group in operator.needs_you())
    failing = [f"{name} {what}" for name, what in relay.failing_checks().items()]
    held = sum(1 for one in destinations.values() if one["hold_reason"])
    return {
        "destinations": destinations,
        "sources": operator.sources(),
        "needs": needs,
        "failing": failing,
        "warnings": relay.warnings(),
        "trouble": needs + len(failing) + held,
    }


def _checklist() -> list[tuple[bool, str]]:
    """Return what a fresh installation has to be given once; nothing when all is done."""
    relay = the_relay()
    settings = relay.settings
    delivered = any(relay.outbox.health(name).delivered_at for name in settings.destinations)
    told = bool(settings.alert_url or settings.alert_mail)
    proxies_fit = not any("proxy" in text for text in relay.warnings())
    found = [
        (not settings.is_sandbox, "Set OCAMBA_TOKEN, so that sign-ups go to the real upstream."),
        (delivered, "Post the first sign-up, and see it delivered."),
        (told, "Set RELAY_ALERT_URL or RELAY_ALERT_MAIL, so that trouble finds you."),
        (proxies_fit, "Set RELAY_TRUSTED_PROXIES to the number of proxies in front."),
    ]
    return [] if all(done for done, _ in found) else found

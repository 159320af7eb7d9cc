"""Through what alerts are told, and one that is about nothing, to try them out."""

from typing import Any

from relay.clock import iso
from relay.config.settings import Settings

URL, MAIL = "url", "mail"


def channels_of(settings: Settings) -> list[str]:
    """Return the channels that are configured."""
    configured = ((URL, settings.alert_url), (MAIL, settings.alert_mail))
    return [channel for channel, address in configured if address]


def trial(now: float) -> dict[str, Any]:
    """Return an alert that shows whether alerts arrive."""
    said = "nothing is the matter: somebody asked for this, to see whether alerts arrive"
    return {"alert": "test", "state": "firing", "detail": said, "at": iso(now)}

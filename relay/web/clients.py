"""Who is asking: the address behind the proxies that are trusted, and the token that is shown."""

import logging

from relay import events
from relay.network import is_near, network_of, visitor_of
from relay.process.relay import Relay
from relay.web.wsgi import Environ

_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
_PROXY_WARNING = (
    "requests come through a proxy that is not trusted, so that all visitors share one limit: "
    "set RELAY_TRUSTED_PROXIES to the number of proxies"
)
_NAMELESS_WARNING = (
    "a form came without its visitor's address, and all such visitors share the limits of one: have proxies "
    "pass it on in X-Forwarded-For, and set RELAY_TRUSTED_PROXIES to as many as add to that"
)


def client_key(relay: Relay, environ: Environ) -> str | None:
    """Return what a client is counted by: its address, IPv6 by /64; None if that is no address.

    Only the configured number of proxies is believed, counted from our end: what stands further left
    in the header is the client's own claim.
    """
    peer = environ.get("REMOTE_ADDR", "")
    proxies = relay.settings.trusted_proxies
    if proxies:
        return visitor_of(environ.get("HTTP_X_FORWARDED_FOR", ""), proxies, peer)
    return network_of(peer)


def is_proxied(relay: Relay, environ: Environ) -> bool:
    """Whether a request seems to come through a proxy that is not trusted; the owner is told once."""
    if relay.settings.trusted_proxies or not any(name in environ for name in _FORWARDED):
        return False
    if not is_near(environ.get("REMOTE_ADDR", "")):
        return False
    if _is_new(relay, _PROXY_WARNING):
        events.note("proxy.untrusted", level=logging.WARNING, warning=_PROXY_WARNING)
    return True


def look_for_name(relay: Relay, environ: Environ) -> None:
    """Tell the owner, once, where trusted proxies name no visitor: then all are counted as one.

    What a proxy far away does not name may as well have come past it.
    """
    proxies = relay.settings.trusted_proxies
    if not proxies or not is_near(environ.get("REMOTE_ADDR", "")):
        return
    is_named = visitor_of(environ.get("HTTP_X_FORWARDED_FOR", ""), proxies, "") is not None
    if not is_named and _is_new(relay, _NAMELESS_WARNING):
        events.note("proxy.nameless", level=logging.WARNING, warning=_NAMELESS_WARNING)


def _is_new(relay: Relay, warning: str) -> bool:
    """Whether a warning was not given yet; from now on it is."""
    is_new = warning not in relay.warned
    relay.warned.add(warning)
    return is_new


def shown_token(environ: Environ) -> str | None:
    """Return the bearer token of a request, as its owner has it; None if none is shown.

    The word before it may be written in any case, as names of schemes may.
    """
    scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    if scheme.lower() != "bearer":
        return None
    # WSGI hands the bytes of a header over as if they were Latin-1.
    return token.strip().encode("latin-1", "replace").decode("utf-8", "surrogateescape")

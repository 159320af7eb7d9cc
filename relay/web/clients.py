"""Who is asking: the address behind the proxies that are trusted."""

import ipaddress
import logging
import re
from functools import lru_cache

from relay import events
from relay.process.relay import Relay
from relay.web.wsgi import Environ

_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")
_PROXY_WARNING = (
    "requests come through a proxy that is not trusted, so that all visitors share one limit: "
    "set RELAY_TRUSTED_PROXIES to the number of proxies"
)


def client_key(relay: Relay, environ: Environ) -> str | None:
    """Return what a client is counted by: its address, IPv6 by /64; None if that is no address.

    Only the configured number of proxies is believed, counted from our end: what stands further left
    in the header is the client's own claim.
    """
    peer = environ.get("REMOTE_ADDR", "")
    proxies = relay.settings.trusted_proxies
    if proxies:
        hops = [hop.strip() for hop in environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        claimed = hops[-proxies] if len(hops) >= proxies else ""
        return network_of(claimed) or network_of(peer)
    return network_of(peer)


def is_proxied(relay: Relay, environ: Environ) -> bool:
    """Whether a request seems to come through a proxy that is not trusted; the owner is told once."""
    if relay.settings.trusted_proxies or not any(name in environ for name in _FORWARDED):
        return False
    if not is_near(environ.get("REMOTE_ADDR", "")):
        return False
    if _PROXY_WARNING not in relay.warned:
        relay.warned.add(_PROXY_WARNING)
        events.note("proxy.untrusted", level=logging.WARNING, warning=_PROXY_WARNING)
    return True


@lru_cache(4096)
def network_of(address: str) -> str | None:
    """Return an address as one client has it: without brackets and port, IPv6 by /64."""
    if found := _WITH_PORT.fullmatch(address):
        address = found[1] or found[2] or ""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((int(known) >> 64 << 64, 64)))
    return str(known)


def is_near(address: str) -> bool:
    """Whether an address is of this machine or of a private network."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    return known.is_loopback or known.is_private

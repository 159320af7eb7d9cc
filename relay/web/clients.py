"""Who is asking: the address behind the proxies that are trusted."""

import ipaddress
import logging
from functools import lru_cache

from relay import events
from relay.process.relay import Relay
from relay.web.wsgi import Environ

_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP")


_PROXY_WARNING = (
    "requests come through a proxy that is not trusted: set RELAY_TRUSTED_PROXIES to the number of proxies, "
    "or no visitor is limited"
)


def client_key(relay: Relay, environ: Environ) -> str | None:
    """Return what a client is counted by: its address, IPv6 by /64; None if a proxy hides it.

    Only the configured number of proxies is believed, counted from our end: what stands further left
    in the header is the client's own claim.
    """
    peer = environ.get("REMOTE_ADDR", "")
    proxies = relay.settings.trusted_proxies
    if proxies:
        hops = [hop.strip() for hop in environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        claimed = hops[-proxies] if len(hops) >= proxies else ""
        return network_of(claimed) or network_of(peer)
    if any(name in environ for name in _FORWARDED) and _is_near(peer):
        if _PROXY_WARNING not in relay.warned:
            relay.warned.add(_PROXY_WARNING)
            events.note("proxy.untrusted", level=logging.WARNING, warning=_PROXY_WARNING)
        return None
    return network_of(peer)


@lru_cache(4096)
def network_of(address: str) -> str | None:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
    return str(found)


def _is_near(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return found.is_loopback or found.is_private

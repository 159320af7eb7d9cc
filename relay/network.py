"""Addresses on the network: as what one client is known, and whether it is near."""

import ipaddress
import re
from functools import lru_cache

_WITH_PORT = re.compile(r"\[([^\]]*)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")


def visitor_of(forwarded: str, proxies: int, peer: str) -> str | None:
    """Return the client that trusted proxies name in ``X-Forwarded-For``, or else their own address.

    Only that many proxies are believed, counted from our end: what stands further left is the client's claim.
    """
    hops = [hop.strip() for hop in forwarded.split(",")]
    claimed = hops[-proxies] if len(hops) >= proxies else ""
    return network_of(claimed) or network_of(peer)


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


def is_loopback(host: str) -> bool:
    """Whether a name or address is of this machine itself, without asking anybody."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

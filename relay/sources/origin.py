"""Origin: the site a page belongs to, written in one way so that two can be compared."""

from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

import idna

ANY = "*"
_LABEL = "*."
_LONG = 300
_IN_ADDRESSES = "%/:=&?~#+!$,;'@()*[]"
_PORTS = {"http": 80, "https": 443}


def canonical(origin: str) -> str:
    """Return an origin in lower case, its host in ASCII, without the port that goes without saying and
    without the dot that ends a whole name.

    What is no origin comes back as it is: it equals none.
    """
    if len(origin) > _LONG:
        return origin
    try:
        parts = urlsplit(origin.strip())
        host, port = ascii_host(parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        return origin
    if not host or not parts.scheme or parts.path or _has_more(parts):
        return origin
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + ("" if port in (None, _PORTS.get(parts.scheme)) else f":{port}")


def ascii_host(host: str) -> str:
    """Return a host as browsers send it. Raises ValueError."""
    if host.isascii():
        return host.lower()
    return idna.encode(host, uts46=True, transitional=False).decode()  # raises a kind of ValueError


def ascii_address(url: str) -> str:
    """Return an address as browsers ask for it: its host in ASCII, and what else is not in it escaped.
    Raises ValueError."""
    parts = urlsplit(url)
    host, _, port = parts.netloc.partition(":") if "[" not in parts.netloc else (parts.netloc, "", "")
    netloc = ascii_host(host) + (f":{port}" if port else "")
    return quote(urlunsplit(parts._replace(netloc=netloc)), safe=_IN_ADDRESSES)


def covers(pattern: str, origin: str) -> bool:
    """Whether a canonical origin is the site, or one label below ``https://*.example.com``."""
    if _LABEL not in pattern:
        return origin == pattern
    scheme, _, parent = pattern.partition(f"://{_LABEL}")
    label, _, rest = origin.removeprefix(f"{scheme}://").partition(".")
    return origin.startswith(f"{scheme}://") and bool(label) and rest == parent


def problem(text: str) -> str | None:
    """Return why a text cannot stand in ``origins``."""
    if text == ANY:
        return None
    said = "is no origin; write https://www.example.com, without a path"
    try:
        parts = urlsplit(text.strip())
        host, _ = ascii_host(parts.hostname or ""), parts.port
    except ValueError:
        return said
    if parts.scheme not in _PORTS or not host or _has_more(parts):
        return said
    if ANY in host.removeprefix(_LABEL) or (host.startswith(_LABEL) and host.count(".") < 2):
        return "has a * that can stand only for the first part, like https://*.example.com"
    return None


def _has_more(parts: SplitResult) -> bool:
    """Whether there is anything besides scheme, host and port."""
    return parts.path not in ("", "/") or bool(parts.query or parts.fragment or parts.username)


def lonely_www(origins: tuple[str, ...]) -> list[str]:
    """Return the bare domains that are missing beside their ``www.``: many people come by them."""
    bare = [origin.replace("://www.", "://") for origin in origins if "://www." in origin]
    return [one for one in bare if not any(other == ANY or covers(other, one) for other in origins)]

"""Timestamp: when a form was handed out, signed, so that one that comes back at once is noticed.

``<milliseconds since 1970>.<signature>``, bound to its source. It proves nothing about a person; it is
one sign among others, and a form without it is as good as before.
"""

import hashlib
import hmac
import re
from typing import Any

FIELD = "relay_ts"
"""The hidden field a form carries it in."""
KEY = "form-timestamp-key"
"""What the vault's keyed hash is asked for to get the signing key."""
DEFAULT_SECONDS = 2.0
MAX_AGE_SECONDS = 24 * 3600.0
TOO_FAST = "too fast"
STALE = "stale form"
_FIELD = re.compile(rb"(^|&)relay_ts=[^&]*")
_SIGNED = re.compile(r"([0-9]{1,15})\.([0-9a-f]{32})", re.ASCII)


def sign(key: bytes, source: str, now: float) -> str:
    """Return a timestamp for the form of a source. ``now``: seconds since 1970."""
    at = str(int(now * 1000))
    return f"{at}.{_signature(key, source, at)}"


def age(key: bytes, source: str, shown: Any, now: float) -> float | None:
    """Return how many seconds ago this was signed for this source; None if it never was."""
    match = _SIGNED.fullmatch(shown) if isinstance(shown, str) else None
    if match is None or not hmac.compare_digest(_signature(key, source, match[1]), match[2]):
        return None
    return now - int(match[1]) / 1000


def suspicion(key: bytes, source: str, shown: Any, min_seconds: float | None, now: float) -> str | None:
    """Return what is odd about the timestamp that came back with a form, or None.

    None or an empty text is not odd: a page that is not ours, or whose script did not run, has none.
    ``min_seconds``: what a person needs at least; None is the usual two seconds.
    """
    if shown is None or shown == "":
        return None
    seconds = age(key, source, shown, now)
    if seconds is None or seconds > MAX_AGE_SECONDS:
        return STALE
    # Signed by us and ahead of us: by a process whose clock is, which says nothing of the visitor.
    return TOO_FAST if 0 <= seconds < least_seconds(min_seconds) else None


def without(raw: bytes) -> bytes:
    """Return an URL-encoded form without its timestamp: with another one it is the same form."""
    return _FIELD.sub(b"", raw)


def least_seconds(configured: float | None) -> float:
    """Return how many seconds a person needs at least for a form."""
    return DEFAULT_SECONDS if configured is None else configured


def _signature(key: bytes, source: str, at: str) -> str:
    return hmac.new(key, f"{source}\0{at}".encode(), hashlib.sha256).hexdigest()[:32]

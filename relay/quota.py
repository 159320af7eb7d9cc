"""Quota: the windows of a destination as numbers, and the per-client limits at the door.

Upstream counts fixed windows on its own clock, and sees a call somewhere between our first byte and
its answer. So a slot is held from the recorded start until the answer *plus* the window: then no
window of upstream, whatever its phase, sees more than its limit.
"""

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import limits as limits_library

_SIMULATED = 2000
_EVEN_SECONDS = 60
# Clocks tick and upstream's may be a little fast; a slot comes back this much after its window.
_MARGIN_SECONDS = 0.005


@dataclass(frozen=True)
class Window:
    """At most ``limit`` calls in any ``seconds``."""

    limit: int
    seconds: int
    name: str


def parse_windows(text: str) -> tuple[Window, ...]:
    """Read the notation of the ``limits`` library: ``10/second; 150/minute``.

    Raises ValueError for what is no such notation, and for windows that make no sense together.
    """
    windows = []
    for item in parse_limits(text):
        every = f"{item.multiples} " if item.multiples != 1 else ""
        windows.append(
            Window(item.amount, item.get_expiry(), f"{item.amount}/{every}{item.GRANULARITY.name}")
        )
    windows.sort(key=lambda window: window.seconds)
    for shorter, longer in pairwise(windows):
        if longer.limit < shorter.limit:
            raise ValueError(f"{longer.name} makes {shorter.name} impossible")
    return tuple(windows)


def parse_limits(text: str) -> list[Any]:
    """Return the limits of a notation, each above zero. Raises ValueError."""
    try:
        items = limits_library.parse_many(text)
    except ValueError:
        raise ValueError('must be like "10/second; 150/minute"') from None
    if any(item.amount < 1 or item.multiples < 1 for item in items):
        raise ValueError("must allow at least 1")
    return items


# --- upstream's windows ---------------------------------------------------------------------------


def next_free(windows: Sequence[Window], held: Sequence[float], now: float) -> float:
    """Return when the next call may start: ``now`` or later.

    ``held`` lists, sorted, for each call in the ledger when its answer came, or, while that is
    unknown, when its lease ends.
    """
    free = now
    for window in windows:
        if len(held) >= window.limit:
            free = max(free, held[-window.limit] + window.seconds + _MARGIN_SECONDS)
    return free


def used(window: Window, held: Sequence[float], now: float) -> int:
    """Return how many slots of a window are taken at ``now``."""
    return len(held) - bisect_right(held, now - window.seconds - _MARGIN_SECONDS)


def even_pace(windows: Sequence[Window]) -> float:
    """Return the seconds between two calls at which windows of up to a minute are used up evenly."""
    return max((w.seconds / w.limit for w in windows if w.seconds <= _EVEN_SECONDS), default=0.0)


def is_half_used(windows: Sequence[Window], held: Sequence[float], now: float) -> bool:
    """Whether half the slots of any window are taken."""
    return any(2 * used(window, held, now) >= window.limit for window in windows)


def eta(
    windows: Sequence[Window], held: Sequence[float], ahead: int, latency: float, parallel: int, now: float
) -> float:
    """Return in how many seconds a call will start that has ``ahead`` calls before it.

    Plays the first calls through and goes on at the steady rate of what is slowest. ``latency`` is the usual
    seconds of one call, ``parallel`` how many may be under way at once.
    """
    slots, ends = list(held), [now] * parallel
    start = now
    for _ in range(min(ahead, _SIMULATED) + 1):
        start = max(start, next_free(windows, slots, start), ends[-parallel])
        ends.append(start + latency)
        insort(slots, start + latency)
    beyond = max(0, ahead - _SIMULATED)
    slowest = max(((window.seconds + latency) / window.limit for window in windows), default=0.0)
    return start - now + beyond * max(slowest, latency / parallel)


# --- limits at the door ---------------------------------------------------------------------------

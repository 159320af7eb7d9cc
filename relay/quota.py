"""Quota: the windows of a destination as numbers, and the notation in which all limits are written.

Upstream counts fixed windows on its own clock, and sees a call somewhere between our first byte and
its answer. So a slot is held from the recorded start until the answer *plus* the window: then no
window of upstream, whatever its phase, sees more than its limit.
"""

import threading
from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import limits as limits_library

USUAL_SECONDS = 0.3
"""What a call takes, where nobody has timed one."""
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


class Timetable:
    """When the calls that wait will start, played through as far as somebody asked.

    Each call is played once, whoever asks how often: so that a long queue makes no answer slow.
    """

    def __init__(
        self, windows: Sequence[Window], held: Sequence[float], latency: float, parallel: int, now: float
    ) -> None:
        """``latency`` is the usual seconds of one call, ``parallel`` how many may be under way at once."""
        self._windows, self._latency, self._parallel, self._now = windows, latency, parallel, now
        self._slots, self._ends = list(held), [now] * parallel
        self._starts: list[float] = []
        self._playing = threading.Lock()

    def eta(self, ahead: int) -> float:
        """Return in how many seconds a call will start that has ``ahead`` calls before it.

        Beyond the first ones it goes on at the steady rate of what is slowest.
        """
        played = min(ahead, _SIMULATED)
        with self._playing:
            while len(self._starts) <= played:
                self._play()
        slowest = max(((w.seconds + self._latency) / w.limit for w in self._windows), default=0.0)
        beyond = (ahead - played) * max(slowest, self._latency / self._parallel)
        return self._starts[played] - self._now + beyond

    def _play(self) -> None:
        start = self._starts[-1] if self._starts else self._now
        start = max(start, next_free(self._windows, self._slots, start), self._ends[-self._parallel])
        self._ends.append(start + self._latency)
        insort(self._slots, start + self._latency)
        self._starts.append(start)

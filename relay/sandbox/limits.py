"""The sandbox's own count of upstream's windows and parallel calls."""

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """Where a token stands after one call: the fuller window, or the one that refused the call."""

    allowed: bool
    limit: int
    remaining: int
    reset: int
    """Whole seconds until that window ends, at least 1."""


@dataclass(frozen=True)
class _Window:
    limit: int
    period: int
    used: int
    left: float


class FixedWindows:
    """Counts calls per token in fixed windows aligned to the wall clock, e.g. 10 per second.

    A refused call is counted in no window (not documented).
    """

    def __init__(self, windows: tuple[tuple[int, int], ...], clock: Callable[[], float]) -> None:
        self._limits = windows
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[int, tuple[float, Counter[str]]] = {}

    def take(self, token: str) -> Standing:
        """Count one call of this token if every window has room for it."""
        now = self._clock()
        with self._lock:
            windows = [self._window(limit, period, token, now) for limit, period in self._limits]
            full = [window for window in windows if window.used >= window.limit]
            if full:
                last = max(full, key=lambda window: window.left)
                return Standing(False, last.limit, 0, math.ceil(last.left))
            for window in windows:
                self._counts[window.period][1][token] += 1
        fuller = max(windows, key=lambda window: (window.used + 1) / window.limit)
        remaining = fuller.limit - fuller.used - 1
        return Standing(True, fuller.limit, remaining, math.ceil(fuller.left))

    def _window(self, limit: int, period: int, token: str, now: float) -> _Window:
        began = now - now % period
        if self._counts.get(period, (None,))[0] != began:
            self._counts[period] = (began, Counter())
        used = self._counts[period][1][token]
        return _Window(limit, period, used, period - now % period)


class Parallel:
    """Counts the calls each token has under way."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def slot(self, token: str) -> Iterator[bool]:
        """Take a place for the time of the block; False when there was none."""
        with self._lock:
            free = self._under_way[token] < self._limit
            self._under_way[token] += free
        try:
            yield free
        finally:
            with self._lock:
                self._under_way[token] -= free
                if not self._under_way[token]:
                    del self._under_way[token]

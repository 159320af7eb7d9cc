"""Quota: the windows of a destination as numbers, and the per-client limits at the door.

Upstream counts fixed windows on its own clock, and sees a call somewhere between our first byte and
its answer. So a slot is held from the recorded start until the answer *plus* the window: then no
window of upstream, whatever its phase, sees more than its limit.
"""

import threading
import time
from bisect import bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import limits as limits_library
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

MAX_KEYS = 100_000
"""How many clients × windows are counted in memory: about 35 MB."""
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


class _Memory(MemoryStorage):
    """The library's storage in memory, made fit for a door at which anybody may knock.

    Its own (limits 5.8.0) keeps every key for ever, walks through all of them a hundred times a second,
    and starts its timer without a lock. This one forgets the keys used longest ago, and needs the
    caller's lock. Its times are monotonic: a step of the wall clock shuts nobody out.
    """

    def __init__(self, max_keys: int) -> None:
        super().__init__()
        self._max_keys = max_keys
        self._hits: OrderedDict[str, list[float]] = OrderedDict()

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        hits = self._current(key, expiry)
        if len(hits) + amount > limit:
            return False
        hits.extend([time.monotonic()] * amount)
        return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        hits = self._current(key, expiry)
        return (hits[0] if hits else time.monotonic()), len(hits)

    def _current(self, key: str, expiry: int) -> list[float]:
        hits = self._hits.setdefault(key, [])
        self._hits.move_to_end(key)
        if len(self._hits) > self._max_keys:
            self._hits.popitem(last=False)
        del hits[: bisect_right(hits, time.monotonic() - expiry)]
        return hits


class Doorkeeper:
    """Counts clients, sources and recipients with the ``limits`` library.

    Shared through Redis where that is configured. When Redis is away or hangs, this process counts
    for itself and says so through ``degraded``; Redis is asked again after a pause.
    """

    def __init__(self, url: str, *, pause: float = 5.0, max_keys: int = MAX_KEYS) -> None:
        self._lock = threading.Lock()
        self._local = MovingWindowRateLimiter(_Memory(max_keys))
        self._pause = pause
        self._parsed: dict[str, list[Any]] = {}
        self._shared: MovingWindowRateLimiter | None = None
        self._away_until = 0.0
        if not url.startswith("memory://"):
            options: Any = {"socket_timeout": 0.25, "socket_connect_timeout": 0.25}
            storage = storage_from_string(url, wrap_exceptions=True, **options)
            self._shared = MovingWindowRateLimiter(storage)

    @property
    def degraded(self) -> bool:
        """Whether limits are configured to be shared and are not at the moment."""
        return self._away_until > 0

    def retry_after(self, rule: str | None, *key: str) -> float | None:
        """Count one hit. None if it is within the limits, else after how many seconds to try again."""
        if rule is None:
            return None
        items = self._parsed.get(rule) or self._parsed.setdefault(rule, parse_limits(rule))
        now = time.monotonic()
        if self._shared is not None and now >= self._away_until:
            try:
                waits = self._hit(self._shared, items, key, time.time)
                self._away_until = 0.0
                return waits
            except limits_library.errors.StorageError:
                self._away_until = now + self._pause
        with self._lock:
            return self._hit(self._local, items, key, time.monotonic)

    @staticmethod
    def _hit(
        limiter: MovingWindowRateLimiter, items: list[Any], key: tuple[str, ...], clock: Callable[[], float]
    ) -> float | None:
        for item in items:
            if not limiter.hit(item, *key):
                return max(1.0, limiter.get_window_stats(item, *key).reset_time - clock())
        return None

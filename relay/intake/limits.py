"""The limits at the door: how often one client, source or recipient may come."""

import logging
import math
import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

from relay import events
from relay.quota import parse_limits

WHOLE = Fraction(1)
MAX_KEYS = 100_000
"""How many clients × windows are counted in memory: about 35 MB."""


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
        self._connecting = threading.Lock()
        self._local = MovingWindowRateLimiter(_Memory(max_keys))
        self._pause = pause
        self._parsed: dict[tuple[str, Fraction], list[Any]] = {}
        self._shared: MovingWindowRateLimiter | None = None
        self._away_until = 0.0
        self._url = None if url.startswith("memory://") else url

    @property
    def degraded(self) -> bool:
        """Whether limits are configured to be shared and are not at the moment."""
        return self._away_until > 0

    def retry_after(
        self, rule: str | None, *key: str, times: Fraction = WHOLE, cost: int = 1
    ) -> float | None:
        """Count one hit. None if it is within the limits, else after how many seconds to try again.

        ``times``: the part, or the multiple, of the limits that counts; ``cost``: as how many it counts.
        """
        return self._ask(rule, key, times, cost, counts=True)

    def is_over(self, rule: str | None, *key: str, times: Fraction = WHOLE, cost: int = 1) -> bool:
        """Whether one more hit would be too many. Counts nothing."""
        return self._ask(rule, key, times, cost, counts=False) is not None

    def _ask(
        self, rule: str | None, key: tuple[str, ...], times: Fraction, cost: int, *, counts: bool
    ) -> float | None:
        if rule is None:
            return None
        items = self._parsed.get((rule, times))
        if items is None:
            items = self._parsed[rule, times] = scaled(parse_limits(rule), times)
        if self._url is not None and self._may_ask():
            try:
                shared = self._shared or self._connected(self._url)
                waits = _wait(shared, items, key, cost, time.time, counts=counts)
                self._away_until = 0.0
                return waits
            except Exception as problem:  # noqa: BLE001 - of the library, the driver, its words: nobody is kept out
                if not self.degraded:
                    events.note("limits.away", level=logging.WARNING, error=events.where_from(problem))
                # From now on: it may have taken longer than the pause.
                self._away_until = time.monotonic() + self._pause
        with self._lock:
            return _wait(self._local, items, key, cost, time.monotonic, counts=counts)

    def _may_ask(self) -> bool:
        """Whether Redis is not away; after the pause one request finds out, and no other waits with it."""
        with self._lock:
            if time.monotonic() < self._away_until:
                return False
            if self._away_until:
                self._away_until = math.inf
            return True

    def _connected(self, url: str) -> MovingWindowRateLimiter:
        """Return what counts in Redis. A cluster is asked for its nodes at once.

        Made by one: to who comes while another still imports the driver, the library says that there is none.
        """
        with self._connecting:
            if self._shared is None:
                options: Any = {"socket_timeout": 0.25, "socket_connect_timeout": 0.25, "retry": None}
                if url.startswith("redis+sentinel:"):  # they are asked first, with limits of their own
                    options |= {"sentinel_kwargs": dict(options)}
                self._shared = MovingWindowRateLimiter(storage_from_string(url, **options))
            return self._shared


def scaled(items: list[Any], times: Fraction) -> list[Any]:
    """Return limits so many times as large; where that is less than one, there is no limit."""
    return [
        type(item)(int(item.amount * times), item.multiples, item.namespace)
        for item in items
        if item.amount * times >= 1
    ]


def _wait(
    limiter: MovingWindowRateLimiter,
    items: list[Any],
    key: tuple[str, ...],
    cost: int,
    clock: Callable[[], float],
    *,
    counts: bool,
) -> float | None:
    """Return after how many seconds there is room again; None if there is now."""
    fits = limiter.hit if counts else limiter.test
    for item in items:
        if not fits(item, *key, cost=cost):
            return max(1.0, limiter.get_window_stats(item, *key).reset_time - clock())
    return None

"""When a submission that waits will have been sent."""

import time
from collections.abc import Callable

_FORECAST_SECONDS = 0.5


class _Forecast:
    """When a source's newest submission will be sent, as far as could be told a moment ago."""

    def __init__(self, waiting: dict[str, int], is_held: bool, eta_of: Callable[[int], float]) -> None:
        self.made_at = time.monotonic()
        self._waiting = waiting
        self._is_held = is_held
        self._eta_of = eta_of

    def arrived(self, source: str) -> int:
        ahead = self._waiting.get(source, 0)
        self._waiting[source] = ahead + 1
        return ahead

    def eta(self, source: str, ahead_of_it: int | None) -> float | None:
        if self._is_held:
            return None
        own = max(0, self._waiting.get(source, 0) - 1)
        if ahead_of_it is not None:  # others may have come since it was counted
            own = min(own, ahead_of_it)
        others = sum(min(count, own + 1) for name, count in self._waiting.items() if name not in ("", source))
        ahead = own + others
        ahead += min(self._waiting.get("", 0), ahead // 9)
        return max(0.0, self._eta_of(ahead) - (time.monotonic() - self.made_at))

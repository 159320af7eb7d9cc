"""A configuration in force is kept where a new one cannot be used; what the log and `/readyz` say of that."""

import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from relay import events
from relay.config.environment import Unusable


def configuration_kept(problems: Iterable[object]) -> None:
    """Say what is wrong with a new configuration, and that the old one stays in force."""
    for problem in problems:
        events.note("config.problem", level=logging.ERROR, problem=str(problem))
    events.note("config.kept", level=logging.ERROR, problem="the old configuration stays in force")


_REST = 20
"""So many times as long as reading took nothing is read again: with hundreds of sources it takes a second."""


class NextStart:
    """Whether a relay could be started with the configuration file as it lies there now.

    What a reload does not take is forgotten until the machine is started again, at night, and nothing is.
    """

    def __init__(self, file: str, load: Callable[[], object]) -> None:
        self._file = Path(file)
        self._load = load
        self._seen = self._state()
        self._again_at = 0.0
        self.warning: str | None = None

    def look(self) -> None:
        """Try the file if it is another than it was, and while it cannot be used: what it names may come."""
        state, begun = self._state(), time.monotonic()
        if state == self._seen and (self.warning is None or begun < self._again_at):
            return
        warning = None
        try:
            self._load()
        except Unusable as unusable:
            warning = f"no start would succeed with the configuration as it is now: {unusable.problems[0]}"
        self._seen, self.warning = state, warning
        self._again_at = time.monotonic() + _REST * (time.monotonic() - begun)

    def _state(self) -> tuple[int, ...] | None:
        try:
            found = os.stat(self._file)
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

"""One core for one process: its threads take turns anyway, and what moves between cores is slower."""

import contextlib
import os
import random
from collections import Counter
from pathlib import Path


def stay_on_one() -> None:
    """Keep this thread, and those it will start, on the core that the fewest processes are kept on.

    It is one of those that this process may use. Only one thread of the interpreter runs at a time, and one
    that is woken on another core finds nothing of what it needs in that core's caches: a submission took
    2.4 ms of computing so, and takes 1.6 ms on one core. A system that does not allow it goes without.
    """
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):  # a filter of system calls, as containers and systemd have
            os.sched_setaffinity(0, {least_taken(os.sched_getaffinity(0), kept())})


def least_taken(cores: set[int], taken: Counter[int]) -> int:
    """Return the core that the fewest are kept on, so that several relays on one machine spread."""
    return min(random.sample(sorted(cores), len(cores)), key=taken.__getitem__)


def kept() -> Counter[int]:
    """Return how many processes are kept on each core, of those that can be seen.

    The kernel's own, which have no command line, are not counted: some are kept on every core, more on one
    than on another, and idle. Several relays would all be sent to where they are fewer.
    """
    found = Counter[int]()
    for name in os.listdir("/proc"):
        with contextlib.suppress(ValueError, OSError):  # no process, or one that has just ended
            allowed = os.sched_getaffinity(int(name))
            if len(allowed) == 1 and Path(f"/proc/{name}/cmdline").read_bytes():
                found.update(allowed)
    return found

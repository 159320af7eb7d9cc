"""Growth: the time that one text takes, and one four times as long, in the same run."""

import time
from collections.abc import Callable
from typing import Any

from marshmallow import ValidationError

from relay.operator.errors import Nonsense
from relay.sources import contact
from relay.sources.bounds import BadBody

TIMES = 4
MOST = 2.5 * TIMES
"""Four times as much may take ten times as long; the square of it would be sixteen."""


def seconds(see: Callable[[Any], Any], text: str | bytes) -> float:
    """The processor's time of the quickest of three tries."""
    tries = []
    for _ in range(3):
        started = time.thread_time()
        try:
            see(text)
        except (ValidationError, contact.NotAContact, BadBody, Nonsense, ValueError):
            pass
        tries.append(time.thread_time() - started)
    return min(tries)


def yardstick(text: str | bytes) -> float:
    """What it takes to look at each letter some times: less is no growth worth a look."""
    letters = text.decode("latin-1") if isinstance(text, bytes) else text
    return seconds(lambda text: [sum(map(ord, text)) for _ in range(5)], letters)

"""How a process that cannot go on ends, and with which status."""

import os

from relay import events

EXIT_FAULT = 1
"""Exit status when a part of the relay has died that only a restart brings back."""
EXIT_UNFIT = 3
"""Exit status when the database cannot be used; gunicorn's own for a worker that cannot boot."""
EXIT_DAMAGED = 65
"""Exit status for a database that is damaged or none (EX_DATAERR)."""
EXIT_STORAGE = 74
"""Exit status when the storage failed in a way that only a restart can clear (EX_IOERR)."""


def leave(status: int) -> None:
    """End the process at once; what was noted is written before."""
    events.flush()
    os._exit(status)

"""The outbox is opened, and its file locked against a second server."""

import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from relay.config.settings import Settings
from relay.outbox.errors import Unfit
from relay.outbox.outbox import Outbox
from relay.outbox.sqlite import check_is_ours
from relay.private import make_private_folder
from relay.vault import Vault, keys_beside, parse_key

LOCK_SECONDS = 20.0
"""How long a second server on one SQLite file waits for the first to go, as on a restart."""


def open_outbox(settings: Settings, clock: Callable[[], float]) -> Outbox:
    """Return the outbox that the settings name, with its keys. Raises Unfit, Damaged, KeyMissing."""
    path = settings.database_path
    # Before its mode or its journal are changed, or a key of it is missed. Where it cannot be written, the
    # look would leave a WAL behind.
    if settings.is_sqlite and os.access(path, os.R_OK | os.W_OK):
        check_is_ours(path)
    keys = settings.secret_keys
    if not keys:
        try:
            keys = keys_beside(path)
        except OSError as problem:
            raise Unfit(f"{path}.keys: {problem.strerror}") from None
    return Outbox(settings.database_url, Vault([parse_key(key) for key in keys]), clock)


def lock(file: Path, seconds: float) -> int:
    """Make this the one server of an SQLite file: wait for another to go, at most so long. Raises Unfit."""
    path = file.with_name(file.name + ".lock")
    try:
        make_private_folder(path.parent)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as problem:
        raise Unfit(f"{path} cannot be written: {problem.strerror}") from None
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except OSError as problem:
            if problem.errno not in (errno.EWOULDBLOCK, errno.EACCES) or time.monotonic() > until:
                os.close(handle)
                raise Unfit(
                    f"another server uses {file}; SQLite serves one, several need PostgreSQL: "
                    "set RELAY_DATABASE_URL=postgresql+psycopg://…"
                ) from None
        time.sleep(0.1)

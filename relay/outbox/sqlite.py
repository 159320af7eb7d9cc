"""What is particular to SQLite: the module, private files, the WAL."""

import os
from pathlib import Path
from typing import Any

from sqlalchemy.engine import Connection

from relay.outbox.errors import Damaged, Unfit
from relay.private import keep_folder_private, keep_private, make_private_folder

BUSY_SECONDS = 5


def sqlite_module() -> Any:
    """Return the SQLite to use: pysqlite3's, without the WAL-reset bug, where it is installed."""
    try:
        from pysqlite3 import dbapi2
    except ImportError:
        import sqlite3 as dbapi2
    return dbapi2


def is_old_sqlite() -> bool:
    """Whether the SQLite in use has the WAL-reset corruption bug, fixed in 3.51.3."""
    version = tuple(int(part) for part in sqlite_module().sqlite_version.split("."))
    return version < (3, 51, 3)


def create_private(path: Path) -> None:
    """Make the database file, or tighten the one that is there: its owner only reads it and its WAL."""
    try:
        make_private_folder(path.parent)
        keep_folder_private(path)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o600))
        files = [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]
        for file in files:
            keep_private(file)
    except FileExistsError:
        raise Unfit(f"{path} is a link to nowhere") from None
    except OSError as problem:
        raise Unfit(f"{path} cannot be written: {problem.strerror}") from None
    # Before SQLite makes a WAL that may not be written either, and would stay so; of one it names no file.
    for file in (path.parent, *files):
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            raise Unfit(f"{file} cannot be written: look at its owner and mode")


def check_is_ours(path: Path) -> None:
    """Refuse another program's SQLite file, before it is opened for writing. Raises Unfit, Damaged."""
    if path.is_dir():
        raise Unfit(f"{path} is a folder; RELAY_DATABASE_URL names a file, like {path / 'relay.db'}")
    if not path.stat().st_size:
        return
    sqlite = sqlite_module()
    try:
        link = sqlite.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        try:
            names = {row[0] for row in link.execute("SELECT name FROM sqlite_master")}
        finally:
            link.close()
    except sqlite.OperationalError:
        return  # what is in the way is told where the file is opened for good
    except sqlite.DatabaseError:
        raise Damaged(f"{path} is damaged or no SQLite database; it was left as it is") from None
    if names and "schema_version" not in names:
        raise Unfit(f"{path} is another program's database; it was left as it is")


def truncate_wal(conn: Connection) -> bool:
    """Copy the WAL into the database and empty it. False if a reader or a full disk was in the way."""
    connection: Any = conn.connection.driver_connection
    try:
        busy, length, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if busy or copied < length:  # somebody reads for long; waiting would hold up those who write
            return False
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite_module().OperationalError as problem:
        if "full" not in str(problem):
            raise
        return False
    return not busy

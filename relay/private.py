"""Private files and folders: what is stored, and the keys to it, is for the owner of the process only."""

import os
import stat
import tempfile
from pathlib import Path

_USUAL_NAMES = ("relay.db", "sandbox.db")


def write_first(path: Path, text: str) -> None:
    """Create a file that nobody else can read; if another process was first, leave that one."""
    handle, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # 0600, new, and no link
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for the owner only; one that is there stays."""
    if not folder.exists():
        make_private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def keep_folder_private(database: Path) -> None:
    """Take a database's folder from everybody but its owner, if it is ours and for databases alone."""
    folder = database.parent
    if stat.S_IMODE(folder.stat().st_mode) & 0o077 and not _is_shared(database):
        folder.chmod(0o700)


def is_open(database: Path) -> bool:
    """Whether everybody may put files into a database's folder, and that is not ours to change."""
    try:
        return bool(database.parent.stat().st_mode & stat.S_IWOTH) and _is_shared(database)
    except OSError:
        return False  # what is in the way is told where it is opened


def _is_shared(database: Path) -> bool:
    ours = database.name, *_USUAL_NAMES
    return database.parent.stat().st_uid != os.geteuid() or not all(
        name.startswith(ours) for name in os.listdir(database.parent)
    )


def keep_private(path: Path) -> None:
    """Take a file from everybody but its owner, as somebody may have made it. Raises PermissionError."""
    if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o600)

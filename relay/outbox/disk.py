"""The disk beneath an SQLite outbox: how much is free, and a ballast for when it is full."""

import os
from pathlib import Path

LOW_BYTES = 64 * 1024 * 1024
"""Below this much free space (or a tenth of a small disk) nothing more is accepted."""
BALLAST_BYTES = 4 * 1024 * 1024


class Disk:
    """Watches the free space around a database file, and keeps a ballast beside it.

    The ballast is let go when even "it is delivered" can no longer be written, and comes back when there
    is room again.
    """

    def __init__(self, database: Path) -> None:
        self._folder = database.absolute().parent
        self._ballast = database.with_name(database.name + ".ballast")
        self.is_low = False

    def look(self) -> bool:
        """Look at the free space, and return whether it is low."""
        free, total = self._space()
        mark = self._mark(total)
        # Not back at the first byte above the mark, or it would flap.
        self.is_low = free < (mark * 3 // 2 if self.is_low else mark)
        if not self.is_low and not self._ballast.exists() and free > 2 * mark + self._size(total):
            self._fill(self._size(total))
        return self.is_low

    def has_little(self) -> bool:
        """Whether a relay that starts now would accept nothing; changes nothing."""
        free, total = self._space()
        return free < self._mark(total)

    def release(self) -> bool:
        """Let the ballast go. Returns whether there was one."""
        self.is_low = True
        try:
            self._ballast.unlink()
        except OSError:  # there was none, or it cannot be had: the writer must not die of that
            return False
        return True

    def _space(self) -> tuple[int, int]:
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize

    @staticmethod
    def _mark(total: int) -> int:
        return min(LOW_BYTES, total // 10)

    @staticmethod
    def _size(total: int) -> int:
        return min(BALLAST_BYTES, total // 20)

    def _fill(self, size: int) -> None:
        try:
            handle = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError:  # a link that leads nowhere is not ours; and a disk with space may take no more files
            return
        try:
            os.posix_fallocate(handle, 0, size)
        except OSError:
            os.unlink(self._ballast)
        finally:
            os.close(handle)

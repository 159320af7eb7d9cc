"""What kind of file system a folder is on, and whether it keeps or shares files."""

import os
import sys
from pathlib import Path

NETWORK = frozenset(
    [
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "ocfs2"),
        *("gfs2", "davfs", "virtiofs", "beegfs", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone"),
        *("fuse.glusterfs", "fuse.ceph", "fuse.davfs2"),
    ]
)
"""File systems whose locks SQLite cannot rely on."""


PASSING = frozenset({"overlay", "tmpfs", "ramfs", "aufs"})
"""File systems that are gone after a restart of the machine or container."""


def kind(path: Path) -> str | None:
    """Return the type of the file system that holds a path, or None where that cannot be told."""
    if sys.platform != "linux":
        return None
    target = path.absolute()
    while not target.exists() and target != target.parent:
        target = target.parent
    try:
        device = os.stat(target).st_dev
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = None
    for line in mounts:
        left, _, right = line.partition(" - ")
        if left.split()[2] == f"{os.major(device)}:{os.minor(device)}":
            found = right.split()[0]
    return found

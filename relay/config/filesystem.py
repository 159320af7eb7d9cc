"""What kind of file system a folder is on, and whether it keeps or shares files."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from relay.config.environment import Problem, Remark
from relay.private import is_open

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

_WIPED = ("DYNO", "K_SERVICE", "FUNCTION_TARGET", "AWS_LAMBDA_FUNCTION_NAME", "VERCEL")
"""Variables of platforms whose disk is gone after a restart: Heroku, Cloud Run and their kin."""

_INSTEAD = "use PostgreSQL: set RELAY_DATABASE_URL=postgresql+psycopg://…, or RELAY_ALLOW_EPHEMERAL=1"


def problems(path: Path, environ: Mapping[str, str], is_sandbox: bool, may_lose: bool) -> list[Problem]:
    """Return why a disk may lose what was promised to be kept: remarks where it may."""
    platform = next((name for name in _WIPED if environ.get(name)), None)
    on = kind(path)
    said = []
    if platform is not None:
        said.append(f"{path} is on a disk that this platform ({platform}) wipes")
    if on in NETWORK:
        said.append(f"{path} is on a network file system ({on}), whose locks SQLite cannot rely on")
    where = "RELAY_DATABASE_URL"
    found: list[Problem] = [
        Remark(where, one) if may_lose else Problem(where, f"{one}; {_INSTEAD}") for one in said
    ]
    if on in PASSING and not is_sandbox:
        found.append(Remark(where, f"{path} is on {on}: what is kept there may be gone with the container"))
    if is_open(path):
        found.append(
            Remark(where, f"everybody may write in {path.parent}: give the database a folder of its own")
        )
    return found


def kind(path: Path) -> str | None:
    """Return the type of the file system that holds a path, or None where that cannot be told."""
    if sys.platform != "linux":
        return None
    target = path.absolute()
    try:
        while not target.exists() and target != target.parent:
            target = target.parent
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

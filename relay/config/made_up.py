"""Secrets made up for the sandbox: the same for the server, and for the commands beside it."""

import hashlib
import hmac
import secrets
from pathlib import Path

from relay.private import keep_private, make_private_folder, write_first
from relay.sources.proof import Verifier

_FOR_THIS_PROCESS = secrets.token_hex(32)


def secret_of(name: str, verifier: Verifier, database: Path | None) -> str:
    """Return the secret of a source that has none, as its sender would be given it.

    It stays what it is as long as the sandbox's file does; with no such file, as long as the process.
    """
    seed = _seed_beside(database) if database else _FOR_THIS_PROCESS
    text = hmac.new(seed.encode(), name.encode(), hashlib.sha256).hexdigest()[:32]  # good base64 too
    if verifier.scheme == "basic":
        return f"relay:{text}"  # user and password, as a sender has a box for each
    return "whsec_" + text if verifier.secret_encoding == "whsec" else text


def _seed_beside(database: Path) -> str:
    path = database.with_name(database.name + ".secrets")
    try:
        if not path.exists():
            make_private_folder(path.parent)
            write_first(path, secrets.token_hex(32))
        keep_private(path)
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):  # the sandbox's file cannot be written either, which will be said
        return _FOR_THIS_PROCESS

"""The proof that a source asks for, and its secrets."""

import secrets as random

from relay.sources.proof import Verifier


def _made_up_secret(name: str, verifier: Verifier) -> str:
    """Return a secret for the sandbox that stays the same while the process lives, also over reloads."""
    text = _MADE_UP.setdefault(name, random.token_hex(16))  # 32 digits that are good base64 too
    if verifier.secret_encoding == "utf8":
        return text
    return "whsec_" + text if verifier.secret_encoding == "whsec" else text


_MADE_UP: dict[str, str] = {}

"""How a sender is asked for its proof: in the description, and by an answer to who showed none."""

from typing import Any

from relay.sources.proof import Verifier
from relay.sources.source import Source

_CHALLENGES = {"basic": 'Basic realm="relay", charset="UTF-8"', "bearer": "Bearer"}


def schemes(source: Source) -> dict[str, dict[str, Any]]:
    """Return OpenAPI's security schemes of a source by name: each of them alone will do.

    Of a proof that stands in the body OpenAPI has none.
    """
    verifier = source.verifier
    if verifier is None:
        return {}
    found = {f"submit-{source.name}": _in_header(verifier)} if verifier.header else {}
    if verifier.query:
        found[f"submit-{source.name}.query"] = {"type": "apiKey", "in": "query", "name": verifier.query}
    return found


def challenge(source: Source) -> str | None:
    """Return what ``WWW-Authenticate`` says to who is not proven, where there is a word for it.

    Some HTTP clients show a password only when they are asked for it, like Python's ``urllib``.
    """
    asked = [_CHALLENGES[one["scheme"]] for one in schemes(source).values() if one["type"] == "http"]
    return asked[0] if asked else None


def _in_header(verifier: Verifier) -> dict[str, Any]:
    is_usual = (verifier.header or "").lower() == "authorization"
    if is_usual and verifier.scheme == "basic":
        return {"type": "http", "scheme": "basic"}
    if is_usual and verifier.prefix.strip().lower() == "bearer":
        return {"type": "http", "scheme": "bearer"}
    about = {"description": "the sender signs what it sends"} if verifier.signs else {}
    return {"type": "apiKey", "in": "header", "name": verifier.header, **about}

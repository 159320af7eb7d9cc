"""Tables of sources become sources."""

from typing import Any

import jmespath

from relay.config.schemas import pattern
from relay.sources.source import HeaderIs, Ping


def _over(base: Any, own: Any) -> Any:
    """Return a preset's table under the site's own, key by key; another scheme shares nothing with it."""
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    scheme = base.get("scheme")
    return {**base, **own} if own.get("scheme", scheme) == scheme else own


def _compiled(expression: str | None) -> Any:
    return None if expression is None else jmespath.compile(expression)


def _header(table: dict[str, Any] | None) -> HeaderIs | None:
    if table is None:
        return None
    return HeaderIs(table["name"], tuple(value.lower() for value in table["values"]))


def _ping(table: dict[str, Any] | None) -> Ping | None:
    if table is None:
        return None
    body = pattern(table["body"]) if "body" in table else None
    return Ping(body, _header(table.get("header")))

"""The presets: what is known of a sender, one TOML file each."""

import tomllib
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from relay.config.environment import suggest

FOLDER = Path(__file__).parents[1] / "presets"


def shared_labels(name: str) -> list[str]:
    """Return what people call a field. Raises ValueError."""
    table = _read("_labels")
    if name not in table:
        raise ValueError(f'knows no labels "{name}"')
    return list(table[name])


def preset_names() -> list[str]:
    """Return the names of the known senders."""
    return sorted(path.stem for path in FOLDER.glob("*.toml") if not path.stem.startswith("_"))


def refused() -> dict[str, dict[str, str]]:
    """Return the senders that cannot have a preset: why, and what to do instead."""
    return deepcopy(_read("_refused"))


def preset(name: str) -> dict[str, Any]:
    """Return what is known of a sender. Raises KeyError, its text saying what would do."""
    if name in preset_names():
        return deepcopy(_read(name))  # what one source makes of it is no other's
    known = refused().get(name)
    if known is not None:
        raise KeyError(f'"{name}" cannot work: {known["why"]}. {known["instead"]}'.strip())
    raise KeyError(
        suggest(name, preset_names(), f'knows no preset "{name}"', "`python -m relay presets` lists them")
    )


def sample(name: str) -> tuple[bytes, str]:
    """Return a small message of a known sender, made up, and its content type. Raises KeyError."""
    known = preset(name)["sample"]
    if "form" in known:
        return urlencode(known["form"]).encode(), "application/x-www-form-urlencoded"
    return known["json"].strip().encode(), "application/json"


_ANY_SENDER = {
    "kind": "webhook",
    "verify": {"scheme": "token", "query": "token"},
    "fields": {"email": "email"},
}
"""Stands in for a sender that nobody knows, so that what its source says itself is checked."""


def with_preset(table: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return a source's table over that of its preset, key by key, and what is wrong with the preset."""
    if "preset" not in table:
        return table, None
    try:
        base, problem = preset(str(table["preset"]))["source"], None
    except KeyError as unknown:
        base, problem = _ANY_SENDER, str(unknown.args[0])
    merged = {**base, **table}
    for key in ("fields", "verify"):
        if key in table:
            merged[key] = _over(base.get(key), table[key])
    return merged, problem


def _over(base: Any, own: Any) -> Any:
    """Return a preset's table under the site's own, key by key; another scheme shares nothing with it."""
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    scheme = base.get("scheme")
    if own.get("scheme", scheme) != scheme:
        return own
    header = str(own.get("header", "Authorization")).lower()
    if base.get("header") == "Authorization" and header != "authorization":
        base = {**base, "prefix": ""}  # "Bearer" is a word of that header
    return {**base, **own}


@cache
def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))

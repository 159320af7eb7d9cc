"""The presets: what is known of a sender, one TOML file each."""

import tomllib
from pathlib import Path
from typing import Any

from relay.config.environment import suggest

_PRESETS = Path(__file__).parents[1] / "presets"


def _shared_labels(name: str) -> list[str]:
    table = tomllib.loads((_PRESETS / "_labels.toml").read_text(encoding="utf-8"))
    if name not in table:
        raise ValueError(f'knows no labels "{name}"')
    return list(table[name])


def preset_names() -> list[str]:
    """Return the names of the known senders."""
    return sorted(path.stem for path in _PRESETS.glob("*.toml") if not path.stem.startswith("_"))


def preset(name: str) -> dict[str, Any]:
    """Return what is known of a sender. Raises KeyError, its text saying what would do."""
    if name in preset_names():
        return tomllib.loads((_PRESETS / f"{name}.toml").read_text(encoding="utf-8"))
    refused = _PRESETS / "_refused.toml"
    if refused.exists():
        reasons = tomllib.loads(refused.read_text(encoding="utf-8"))
        if isinstance(reasons.get(name), dict):
            why, instead = (reasons[name].get(key, "") for key in ("why", "instead"))
            raise KeyError(f'"{name}" cannot work: {why}. {instead}'.strip())
    known = "`python -m relay presets` lists them"
    raise KeyError(suggest(name, preset_names(), f'knows no preset "{name}"', known))

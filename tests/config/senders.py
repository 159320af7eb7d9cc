"""A source of each preset, and what it makes of a message."""

import json
from pathlib import Path
from typing import Any

from relay.config import presets, settings
from relay.sources.source import Source
from tests.kit.relay import config, toml

JSON = "application/json"
OWN, OWN_PHONE = "ilse@example.org", "+4915112345678"


def every_preset(folder: Path, **keys: str) -> dict[str, Source]:
    """Return a source of each preset, with these keys of its own."""
    file = folder / "relay.toml"
    names = presets.preset_names()
    every = {name: {"kind": "webhook", "preset": name, "secret": "env:S", **keys} for name in names}
    file.write_text(toml(config("http://127.0.0.1:1/", every)), encoding="utf-8")
    variables = {
        "OCAMBA_TOKEN": "token",
        "S": "whsec_" + "QUJD" * 8,
        "RELAY_PUBLIC_URL": "https://r.example.com",
    }
    return dict(settings.load({"RELAY_CONFIG": str(file), **variables}).sources)


def profile(source: Source, body: dict[str, Any]) -> dict[str, Any]:
    """Return what would be sent of a message in JSON, empty if it would not be."""
    return dict(source.mapping.apply(source.read(json.dumps(body).encode(), JSON).fields).profile)

"""A relay inside the process of the test, where its parts can be reached and made to fail."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from relay.config import settings as configuration
from relay.config.settings import Settings
from relay.process.relay import Relay
from tests.kit.relay import config, toml
from tests.kit.upstream import ScriptedUpstream

ADMIN_TOKEN = "an-operator-s-token-" * 2


def offline(folder: Path, sources: Mapping[str, Any]) -> Settings:
    """Settings of these sources as commands read them, without secrets, with their files in a folder."""
    file = folder / "relay.toml"
    file.write_text(toml(config("http://127.0.0.1:9/", sources)), encoding="utf-8")
    database = f"sqlite:///{folder / 'relay.db'}"
    return configuration.load({"RELAY_CONFIG": str(file), "RELAY_DATABASE_URL": database}, offline=True)


@contextmanager
def relay_inside(folder: Path) -> Iterator[Relay]:
    """A whole relay with an upstream of its own, and its files in a folder."""
    with ScriptedUpstream() as upstream:
        file = folder / "relay.toml"
        file.write_text(toml(config(upstream.url)), encoding="utf-8")
        environment = {
            "RELAY_CONFIG": str(file),
            "RELAY_DATABASE_URL": f"sqlite:///{folder}/relay.db",
            "RELAY_SECRET_KEYS": "ab" * 32,
            "RELAY_ADMIN_TOKEN": ADMIN_TOKEN,
            "OCAMBA_TOKEN": "of-upstream",
            "HOOK_SECRET": "of-a-sender",
        }
        settings = configuration.load(environment)
        relay = Relay(settings, lambda: settings)
        relay.start()
        try:
            yield relay
        finally:
            relay.stop()

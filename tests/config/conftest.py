"""A configuration, loaded as the relay loads it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relay.config import settings
from relay.config.environment import Unusable
from relay.config.settings import Settings
from relay.sources.source import Source
from tests.config.given import DESTINATION, FORM, HOOK, SECRET, TOKEN, Read, check_wording
from tests.config.senders import every_preset


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "RELAY_CONFIG": str(tmp_path / "relay.toml"),
        "RELAY_DATABASE_URL": f"sqlite:///{tmp_path}/relay.db",
        "OCAMBA_TOKEN": TOKEN,
        "CRM_SECRET": SECRET,
    }


@pytest.fixture
def read(environ: dict[str, str]) -> Read:
    """Load a configuration: its text and what is different in the environment."""

    def load(*parts: str, _options: dict[str, Any] | None = None, **changed: str | None) -> Settings:
        Path(environ["RELAY_CONFIG"]).write_text("\n".join(parts or (DESTINATION, FORM, HOOK)))
        merged = {**environ, **changed}
        known = {name: value for name, value in merged.items() if value is not None}
        return settings.load(known, **(_options or {}))

    return load


@pytest.fixture
def problems(read: Read, environ: dict[str, str]) -> Callable[..., dict[str, str]]:
    """What is wrong, by key; the file's name is left out."""

    def found(*parts: str, **changed: Any) -> dict[str, str]:
        with pytest.raises(Unusable) as unusable:
            read(*parts, **changed)
        for problem in unusable.value.problems:
            check_wording(problem)
        said: dict[str, str] = {}
        for one in unusable.value.problems:
            key = one.where.removeprefix(environ["RELAY_CONFIG"] + ": ")
            said[key] = f"{said[key]}; {one.what}" if key in said else one.what
        return said

    return found


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    return every_preset(tmp_path_factory.mktemp("whose"))

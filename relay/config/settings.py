"""Settings: the environment and relay.toml, checked, frozen; all problems reported at once."""

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any

from relay.config import filesystem
from relay.config.destinations import read_destinations, token_in
from relay.config.environment import (
    Advice,
    Problem,
    Unusable,
    is_set,
    is_sqlite,
    read_environment,
    sqlite_path,
    suggest,
    variable_of,
)
from relay.config.files import read_text
from relay.config.operators import OperatorAccount, read_operators
from relay.config.reading import Surroundings
from relay.config.sources import read_sources
from relay.destination import Destination
from relay.network import is_loopback
from relay.sources.source import Source

SANDBOX_DATABASE = "sqlite:///var/sandbox.db"
_TABLES = ("destinations", "sources", "operators")


@dataclass(frozen=True)
class Settings:
    """Everything that was configured, checked and ready to use."""

    destinations: Mapping[str, Destination]
    sources: Mapping[str, Source]
    database_url: str = dataclasses.field(repr=False)
    limits_url: str = dataclasses.field(repr=False)
    secret_keys: tuple[str, ...] = dataclasses.field(repr=False)
    metrics_token: str = dataclasses.field(repr=False)
    operators: tuple[OperatorAccount, ...] = ()
    alert_url: str = dataclasses.field(default="", repr=False)
    alert_mail: tuple[str, ...] = ()
    smtp_url: str = dataclasses.field(default="", repr=False)
    mail_from: str = ""
    config_file: str = "relay.toml"
    time_zone: tzinfo = UTC
    public_url: str = ""
    role: str = "all"
    trusted_proxies: int = 0
    log_level: str = "INFO"
    host: str = "127.0.0.1"
    port: int = 8000
    threads: int = 16
    sandbox_url: str | None = None
    """Where the pretend upstream listens; None with a real one."""
    made_up: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    """Secrets invented for the sandbox, by source."""
    has_file: bool = True
    """False while relay.toml cannot be used: then nothing is known of sources and destinations."""
    warnings: tuple[str, ...] = ()
    """What its owner is told at every start."""
    advice: tuple[str, ...] = ()
    """What ``check`` says besides."""

    @property
    def is_sandbox(self) -> bool:
        return self.sandbox_url is not None

    @property
    def sent_really(self) -> str:
        """The names of destinations that the sandbox does not stand in for, as they have a token."""
        return ", ".join(
            name for name, one in self.destinations.items() if self.is_sandbox and not one.sandbox
        )

    @property
    def is_sqlite(self) -> bool:
        return is_sqlite(self.database_url)

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        return sqlite_path(self.database_url)


def load(
    environ: Mapping[str, str] | None = None,
    *,
    sandbox_url: str | None = None,
    offline: bool = False,
) -> Settings:
    """Read and check everything. Raises Unusable with every problem found.

    ``sandbox_url``: the pretend upstream that takes the place of destinations without a token.
    ``offline``: for commands that send nothing; tokens and secrets need not be there.
    """
    environ = os.environ if environ is None else environ
    values, problems = read_environment(environ)
    tables, said = _read_toml(Path(values["RELAY_CONFIG"]))
    problems += said
    is_sandbox = (offline or sandbox_url is not None) and _lacks_token(tables, environ)
    if is_sandbox and not is_set(environ, "RELAY_DATABASE_URL"):
        values["RELAY_DATABASE_URL"] = SANDBOX_DATABASE
    folder = Path(values["RELAY_CONFIG"]).absolute().parent
    url = values["RELAY_DATABASE_URL"]
    database = sqlite_path(url) if is_sqlite(url) else None
    around = Surroundings(
        environ, values["RELAY_PUBLIC_URL"], sandbox_url, offline, folder, is_sandbox, database
    )
    parts, said = _read_tables(tables, around, values)
    problems += said
    problems += _check_together(values, around)
    if any(problem.is_fatal for problem in problems):
        raise Unusable(problem for problem in problems if problem.is_fatal)
    return Settings(
        **parts,
        **{name: values[variable] for name, variable in _VALUES.items()},
        sandbox_url=(sandbox_url or "offline") if is_sandbox else None,
        warnings=tuple(str(one) for one in problems if not isinstance(one, Advice)),
        advice=tuple(str(one) for one in problems if isinstance(one, Advice)),
    )


_VALUES = {
    "config_file": "RELAY_CONFIG",
    "database_url": "RELAY_DATABASE_URL",
    "limits_url": "RELAY_LIMITS_URL",
    "secret_keys": "RELAY_SECRET_KEYS",
    "metrics_token": "RELAY_METRICS_TOKEN",
    "alert_url": "RELAY_ALERT_URL",
    "alert_mail": "RELAY_ALERT_MAIL",
    "smtp_url": "RELAY_SMTP_URL",
    "mail_from": "RELAY_MAIL_FROM",
    "time_zone": "RELAY_TIME_ZONE",
    "public_url": "RELAY_PUBLIC_URL",
    "role": "RELAY_ROLE",
    "trusted_proxies": "RELAY_TRUSTED_PROXIES",
    "log_level": "RELAY_LOG_LEVEL",
    "host": "HOST",
    "port": "PORT",
    "threads": "WEB_THREADS",
}
"""Which setting is which variable, as it was read."""


_FOR_GOOD = (
    *("database_url", "limits_url", "secret_keys", "role"),
    *("log_level", "host", "port", "threads"),
)


def reloaded(before: Settings, now: Settings) -> tuple[Settings, list[str]]:
    """Return new settings with what a process began with, and the variables that need a restart to change.

    They change meanwhile where they are read from files (``NAME_FILE``).
    """
    changed = [name for name in _FOR_GOOD if getattr(now, name) != getattr(before, name)]
    kept: dict[str, Any] = {name: getattr(before, name) for name in changed}
    return dataclasses.replace(now, **kept), [_VALUES[name] for name in changed]


def without_file(environ: Mapping[str, str] | None = None) -> Settings:
    """Return what the environment alone says, for looking at what is stored while relay.toml is broken.

    Raises Unusable where the variables are wrong themselves.
    """
    environ = os.environ if environ is None else environ
    values, problems = read_environment(environ)
    has_token = is_set(environ, "OCAMBA_TOKEN") and not lacks_token(environ)
    if not has_token and not is_set(environ, "RELAY_DATABASE_URL"):
        values["RELAY_DATABASE_URL"] = SANDBOX_DATABASE
    problems += _lacking_keys(values)
    if any(problem.is_fatal for problem in problems):
        raise Unusable(problem for problem in problems if problem.is_fatal)
    said = {name: values[variable] for name, variable in _VALUES.items()}
    sandbox_url = None if has_token else "offline"
    return Settings(destinations={}, sources={}, sandbox_url=sandbox_url, **said, has_file=False)


def lacks_token(environ: Mapping[str, str] | None = None) -> bool:
    """Whether a destination names a token variable that is not set: the sandbox's cue."""
    environ = os.environ if environ is None else environ
    values, _ = read_environment(environ)
    return _lacks_token(_read_toml(Path(values["RELAY_CONFIG"]))[0], environ)


def _lacks_token(config: dict[str, Any] | None, environ: Mapping[str, str]) -> bool:
    tables = (config or {}).get("destinations")
    tables = tables.values() if isinstance(tables, dict) else ()
    tokens = [str(table.get("token", "")) for table in tables if isinstance(table, dict)]
    names = [token.removeprefix("env:") for token in tokens if token.startswith("env:")]
    return any(not is_set(environ, name) for name in names if name)


def _read_toml(path: Path) -> tuple[dict[str, Any] | None, list[Problem]]:
    """Return what a file says; None if it cannot be read."""
    try:
        return tomllib.loads(read_text(path).removeprefix("\ufeff")), []  # editors of Windows begin so
    except OSError as problem:
        what = f"cannot be read: {problem.strerror}; set RELAY_CONFIG, or let `relay init` write one"
    except UnicodeDecodeError:
        what = "is not UTF-8; save it as that"
    except (ValueError, RecursionError) as problem:  # ValueError also of a number of thousands of digits
        what = f"is not TOML: {problem}"
    return None, [Problem(str(path), what)]


def _read_tables(
    config: dict[str, Any] | None, around: Surroundings, values: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Problem]]:
    """Return the parts of the settings that relay.toml describes, and what is wrong in it."""
    if config is None:
        return {}, []
    problems = [Problem(key, _unknown(key)) for key in config if key not in _TABLES]
    tables = {key: config.get(key, {}) for key in _TABLES}
    for key, table in tables.items():
        if not isinstance(table, dict):
            problems.append(Problem(key, "must be a table"))
            tables[key] = {}
    destinations, said = read_destinations(tables["destinations"], around)
    problems += said
    sources, made_up, said = read_sources(tables["sources"], tuple(tables["destinations"]), around)
    problems += said
    operators, said = read_operators(tables["operators"], values["RELAY_ADMIN_TOKEN"], around)
    problems += said
    parts = {
        "destinations": destinations,
        "sources": sources,
        "made_up": made_up,
        "operators": operators,
    }
    file = values["RELAY_CONFIG"]
    placed = [
        dataclasses.replace(one, where=f"{file}: {one.where}") if one.is_fatal else one for one in problems
    ]
    return parts, placed


def _unknown(key: str) -> str:
    if variable := variable_of(key):
        return f"is a variable of the environment: {variable}"
    return suggest(key, _TABLES, "unknown key")


def _check_together(values: Mapping[str, Any], around: Surroundings) -> list[Problem]:
    """Return what is wrong between settings that are right by themselves."""
    found = []
    url = values["RELAY_DATABASE_URL"]
    if values["RELAY_ROLE"] != "all" and is_sqlite(url):
        what = "other than all needs PostgreSQL: set RELAY_DATABASE_URL=postgresql+psycopg://…"
        found.append(Problem("RELAY_ROLE", what))
    found += _lacking_keys(values)
    if values["RELAY_ALERT_MAIL"]:
        needed = [name for name in ("RELAY_SMTP_URL", "RELAY_MAIL_FROM") if not values[name]]
        found += [Problem(name, "is needed where RELAY_ALERT_MAIL is set") for name in needed]
    if around.environ.get("FLASK_DEBUG", "0") not in ("", "0") and not around.is_sandbox:
        found.append(Problem("FLASK_DEBUG", "must not be set with a real token"))
    if around.offline:
        return found
    if around.is_sandbox and not is_loopback(values["HOST"]):
        what = "sandbox mode listens on 127.0.0.1 only; set OCAMBA_TOKEN for real use"
        found.append(Problem("HOST", what))
    if is_sqlite(url):
        may_lose = around.is_sandbox or values["RELAY_ALLOW_EPHEMERAL"] == "1"
        found += filesystem.problems(sqlite_path(url), around.environ, around.is_sandbox, may_lose)
    return found


def _lacking_keys(values: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong where keys are neither named nor made: they are made beside a file only."""
    if is_sqlite(values["RELAY_DATABASE_URL"]) or values["RELAY_SECRET_KEYS"]:
        return []
    what = "is needed with PostgreSQL; `python -m relay keys new` makes one"
    return [Problem("RELAY_SECRET_KEYS", what)]


def reread_token(destination: Destination) -> Destination:
    """Return the destination with the token its file holds now; unchanged if it cannot be used."""
    if destination.token_file is None:
        return destination
    try:
        return dataclasses.replace(destination, token=token_in(destination.token_file))
    except ValueError:
        return destination


def stale_token(destination: Destination) -> str | None:
    """Return what to say of a token that goes on being sent because its file cannot be used now."""
    if destination.token_file is None:
        return None
    try:
        token_in(destination.token_file)
    except ValueError as problem:
        return f"the token of {destination.name} stays the one from before: {problem}"
    return None

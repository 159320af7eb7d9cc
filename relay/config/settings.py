"""Settings: the environment and relay.toml, checked, frozen; all problems reported at once."""

import os
import re
import tomllib
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from dataclasses import field as factory
from pathlib import Path
from typing import Any

from relay.config import filesystem
from relay.config.environment import LOOPBACK, Problem, Unusable, is_set, read_environment, read_secret_file
from relay.config.reader import Reader
from relay.destination import Destination
from relay.sources.source import Source

SANDBOX_DATABASE = "sqlite:///var/sandbox.db"


@dataclass(frozen=True)
class Settings:
    """Everything that was configured, checked and ready to use."""

    destinations: Dict[str, Destination]
    sources: Dict[str, Source]
    database_url: str
    limits_url: str
    secret_keys: tuple[str, ...] = factory(repr=False)
    admin_token: str = factory(repr=False)
    metrics_token: str = factory(repr=False)
    alert_url: str = ""
    public_url: str = ""
    role: str = "all"
    trusted_proxies: int = 0
    log_level: str = "INFO"
    host: str = "127.0.0.1"
    port: int = 8000
    threads: int = 16
    sandbox_url: str | None = None
    """Where the pretend upstream listens; None with a real one."""
    made_up: Dict[str, str] = factory(default_factory=dict, repr=False)
    """Secrets invented for the sandbox, by source."""
    warnings: tuple[str, ...] = ()

    @property
    def is_sandbox(self) -> bool:
        return self.sandbox_url is not None

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        return Path(self.database_url.removeprefix("sqlite:///"))


def load(
    environ: Dict[str, str] | None = None,
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
    config = _read_toml(Path(values["RELAY_CONFIG"]), problems)
    reader = Reader(environ, values, problems, sandbox_url, offline)
    destinations, sources = reader.read(config)
    database_url = values["RELAY_DATABASE_URL"]
    if reader.uses_sandbox and not is_set(environ, "RELAY_DATABASE_URL"):
        database_url = SANDBOX_DATABASE
    _check_together(values, database_url, problems)
    warnings = list(reader.warnings)
    if database_url.startswith("sqlite") and not offline:
        is_real = not reader.uses_sandbox
        _check_disk(
            environ, values, Path(database_url.removeprefix("sqlite:///")), is_real, problems, warnings
        )
    if environ.get("FLASK_DEBUG", "0") not in ("", "0") and not reader.uses_sandbox:
        problems.append(Problem("FLASK_DEBUG", "must not be set with a real token"))
    if reader.uses_sandbox and values["HOST"] not in LOOPBACK and not offline:
        problems.append(
            Problem("HOST", "sandbox mode listens on 127.0.0.1 only; set OCAMBA_TOKEN for real use")
        )
    if problems:
        raise Unusable(problems)
    return Settings(
        destinations=destinations,
        sources=sources,
        database_url=database_url,
        limits_url=values["RELAY_LIMITS_URL"],
        secret_keys=values["RELAY_SECRET_KEYS"],
        admin_token=values["RELAY_ADMIN_TOKEN"],
        metrics_token=values["RELAY_METRICS_TOKEN"],
        alert_url=values["RELAY_ALERT_URL"],
        public_url=values["RELAY_PUBLIC_URL"],
        role=values["RELAY_ROLE"],
        trusted_proxies=values["RELAY_TRUSTED_PROXIES"],
        log_level=values["RELAY_LOG_LEVEL"],
        host=values["HOST"],
        port=values["PORT"],
        threads=values["WEB_THREADS"],
        sandbox_url=(sandbox_url or "offline") if reader.uses_sandbox else None,
        made_up=reader.made_up,
        warnings=tuple(warnings),
    )


def lacks_token(environ: Dict[str, str] | None = None) -> bool:
    """Whether a destination names a token variable that is not set: the sandbox's cue."""
    environ = os.environ if environ is None else environ
    values, _ = read_environment(environ)
    config = _read_toml(Path(values["RELAY_CONFIG"]), []) or {}
    tables = config.get("destinations")
    tables = tables.values() if isinstance(tables, dict) else ()
    tokens = [table.get("token", "") for table in tables if isinstance(table, dict)]
    names = [str(token).removeprefix("env:") for token in tokens if str(token).startswith("env:")]
    return any(not is_set(environ, name) for name in names)


def _read_toml(path: Path, problems: list[Problem]) -> dict[str, Any] | None:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        problems.append(Problem(str(path), f"cannot be read: {problem.strerror}; set RELAY_CONFIG"))
    except UnicodeDecodeError:
        problems.append(Problem(str(path), "is not UTF-8; save it as that"))
    except tomllib.TOMLDecodeError as problem:
        problems.append(Problem(str(path), f"is not TOML: {problem}"))
    return None


def _check_together(values: Dict[str, Any], database_url: str, problems: list[Problem]) -> None:
    is_sqlite = database_url.startswith("sqlite")
    if values["RELAY_ROLE"] != "all" and is_sqlite:
        problems.append(
            Problem(
                "RELAY_ROLE",
                "other than all needs PostgreSQL: set RELAY_DATABASE_URL=postgresql+psycopg://…",
            )
        )
    if not is_sqlite and not values["RELAY_SECRET_KEYS"]:
        problems.append(
            Problem(
                "RELAY_SECRET_KEYS",
                "is needed with PostgreSQL; `python -m relay keys new` makes one",
            )
        )


_WIPED = ("DYNO", "K_SERVICE", "FUNCTION_TARGET", "AWS_LAMBDA_FUNCTION_NAME", "VERCEL")
"""Variables of platforms whose disk is gone after a restart: Heroku, Cloud Run and their kin."""
_INSTEAD = "use PostgreSQL: set RELAY_DATABASE_URL=postgresql+psycopg://…, or RELAY_ALLOW_EPHEMERAL=1"


def _check_disk(
    environ: Dict[str, str],
    values: Dict[str, Any],
    path: Path,
    is_real: bool,
    problems: list[Problem],
    warnings: list[str],
) -> None:
    """Refuse, or warn of, disks that lose what was promised to be kept."""
    platform = next((name for name in _WIPED if environ.get(name)), None)
    kind = filesystem.kind(path)
    said = []
    if platform is not None:
        said.append(f"{path} is on a disk that this platform ({platform}) wipes")
    if kind in filesystem.NETWORK:
        said.append(f"{path} is on a network file system ({kind}), whose locks SQLite cannot rely on")
    if is_real and said and values["RELAY_ALLOW_EPHEMERAL"] != "1":
        problems += [Problem("RELAY_DATABASE_URL", f"{one}; {_INSTEAD}") for one in said]
    else:
        warnings += said
    if kind in filesystem.PASSING and is_real:
        warnings.append(f"{path} is on {kind}: what is kept there may be gone with the container")


def reread_token(destination: Destination) -> Destination:
    """Return the destination with the token its file holds now; unchanged if it cannot be read."""
    if destination.token_file is None:
        return destination
    try:
        token = read_secret_file(destination.token_file)
    except ValueError:
        return destination
    if not token or re.search(r"[^\x21-\x7e]", token):
        return destination
    return replace(destination, token=token)

"""The environment: its variables, read and checked, and problems as values.

The only place that reads it. Every variable NAME also exists as NAME_FILE.
"""

import difflib
import ipaddress
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from relay import vault
from relay.config.addresses import database_url, has_good_port, is_url, mail_address, mail_addresses, smtp_url
from relay.config.files import read_text

SEE = "see docs/configuration.md"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where it stands, and what would be right."""

    where: str
    what: str
    is_fatal: ClassVar[bool] = True

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class Remark(Problem):
    """What its owner is told at every start; nothing is refused for it."""

    is_fatal = False


class Advice(Remark):
    """What may well be meant as it is: only ``check`` says it."""


class Unusable(Exception):
    """The settings cannot be used. ``problems`` names everything that is wrong."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True)
class Variable:
    """One environment variable: how it is read, and what it means (shown in the documentation)."""

    name: str
    default: str
    meaning: str
    read: Callable[[str], Any] = str
    is_secret: bool = False


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError("must be " + " or ".join(filter(None, choices)))
        return text

    return read


def _time_zone(name: str) -> tzinfo:
    """Return an IANA time zone; UTC works without the machine's list of them."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be the name of a time zone, like Europe/Berlin or UTC") from None


def _number(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,6}", text) or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return read


def _host(text: str) -> str:
    bare = text.removeprefix("[").removesuffix("]")
    try:
        if not re.fullmatch(r"[0-9A-Za-z._-]+", bare):
            ipaddress.ip_address(bare)
    except ValueError:
        raise ValueError("must be a name or an address, like 127.0.0.1, 0.0.0.0 or ::1") from None
    return bare


def short_token_problem(text: str) -> str | None:
    """Return why a token is too easily guessed."""
    return None if len(text) >= 24 else "must have at least 24 characters"


def _admin_token(text: str) -> str:
    if text and (problem := short_token_problem(text)):
        raise ValueError(problem)
    return text


def _url(text: str) -> str:
    if text and (not is_url(text) or any(sign in text for sign in "@?#")):
        raise ValueError("must be an address like https://relay.example.com")
    return text.rstrip("/")


def _whole_url(text: str) -> str:
    if text and not is_url(text):
        raise ValueError("must be an address like https://alerts.example.com/relay?key=…")
    return text


def is_sqlite(url: str) -> bool:
    """Whether a database is a SQLite file."""
    return url.startswith("sqlite:")


def sqlite_path(url: str) -> Path:
    """Return the file of a SQLite database."""
    return Path(url.removeprefix("sqlite:///"))


def _limits_url(text: str) -> str:
    is_known = re.match(r"(memory|rediss?|redis\+unix)://|redis\+cluster://.|redis\+sentinel://.+/.", text)
    is_list = text.startswith(("redis+cluster:", "redis+sentinel:"))
    if not is_known or not (is_list or has_good_port(text)):
        raise ValueError(
            "must be memory://, redis://host:port/number, redis+cluster://host:port,host:port "
            "or redis+sentinel://host:port,host:port/service"
        )
    return text


def _keys(text: str) -> tuple[str, ...]:
    keys = tuple(part.strip() for part in text.split(",") if part.strip())
    for key in keys:
        vault.parse_key(key)
    if text and not keys:
        raise ValueError("holds no key; `python -m relay keys new` prints one")
    return keys


VARIABLES = (
    Variable("RELAY_CONFIG", "relay.toml", "the configuration file"),
    Variable(
        "RELAY_DATABASE_URL",
        "sqlite:///var/relay.db",
        "where submissions are kept: SQLite (one server process) or PostgreSQL (any number)",
        database_url,
    ),
    Variable("RELAY_LIMITS_URL", "memory://", "where per-client limits are counted", _limits_url),
    Variable(
        "RELAY_SECRET_KEYS",
        "",
        "keys that encrypt what is personal, newest first; made at the first start with SQLite",
        _keys,
    ),
    Variable("RELAY_ADMIN_TOKEN", "", "opens the operator API; at least 24 characters", _admin_token, True),
    Variable("RELAY_METRICS_TOKEN", "", "opens /metrics; `public` opens it to everybody", str, True),
    Variable("RELAY_ALERT_URL", "", "where alerts are posted as JSON", _whole_url),
    Variable("RELAY_ALERT_MAIL", "", "addresses that get alerts, separated by commas", mail_addresses),
    Variable("RELAY_SMTP_URL", "", "the server that takes mail: smtp://user:password@host:587", smtp_url),
    Variable("RELAY_MAIL_FROM", "", "the sender of mail", lambda text: text and mail_address(text)),
    Variable("RELAY_TIME_ZONE", "UTC", "of what is shown; times are stored and answered in UTC", _time_zone),
    Variable("RELAY_PUBLIC_URL", "", "the address the world uses", _url),
    Variable(
        "RELAY_ROLE",
        "all",
        "all, web (accept only) or dispatcher (send only)",
        _one_of("all", "web", "dispatcher"),
    ),
    Variable("RELAY_TRUSTED_PROXIES", "0", "how many reverse proxies are believed", _number(0, 10)),
    Variable(
        "RELAY_ALLOW_EPHEMERAL",
        "",
        "1 turns the refusal of a wiped disk into a warning",
        _one_of("", "0", "1"),
    ),
    Variable(
        "RELAY_LOG_LEVEL",
        "INFO",
        "DEBUG, INFO, WARNING or ERROR",
        lambda text: _one_of("DEBUG", "INFO", "WARNING", "ERROR")(text.upper()),
    ),
    Variable("HOST", "127.0.0.1", "listening address", _host),
    Variable("PORT", "8000", "listening port", _number(0, 65535)),
    Variable("WEB_THREADS", "16", "request threads", _number(2, 1000)),
)


def read_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    """Return every variable's value by name, and what is wrong with them."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for variable in VARIABLES:
        try:
            text = look_up(environ, variable.name) or ""
            if variable.is_secret and (pasted := paste_problem(text)):
                raise ValueError(pasted)
            values[variable.name] = variable.read(text.strip() or variable.default)
        except ValueError as problem:
            problems.append(Problem(variable.name, str(problem)))
            values[variable.name] = variable.read(variable.default)
    known = {name for variable in VARIABLES for name in (variable.name, variable.name + "_FILE")}
    for name in sorted(environ):
        if name.startswith("RELAY_") and name not in known:
            what, meant = "is not a variable of the relay", variable_of(name)
            said = f"{what}; did you mean {meant}?" if meant else suggest(name, known, what, "remove it")
            problems.append(Problem(name, said))
    return values, problems


def variable_of(name: str) -> str | None:
    """Return the variable that a name means, in capitals or not, with RELAY_ before it or not."""
    bare = name.upper().removeprefix("RELAY_")
    return next((one.name for one in VARIABLES if one.name.removeprefix("RELAY_") == bare), None)


def look_up(environ: Mapping[str, str], name: str) -> str | None:
    """Return a variable, or what its _FILE holds. Raises ValueError."""
    path = environ.get(name + "_FILE")
    if not path:
        return environ.get(name)
    if environ.get(name):
        raise ValueError(f"is given twice: {name} and {name}_FILE; keep one")
    return read_secret_file(path)


def is_set(environ: Mapping[str, str], name: str) -> bool:
    """Whether a variable is given, itself or as a file."""
    return bool(environ.get(name) or environ.get(name + "_FILE"))


def read_secret_file(path: str) -> str:
    """Return what a file holds, without the newline that ends it. Raises ValueError."""
    try:
        return read_text(path).removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "not UTF-8"
        raise ValueError(f"cannot read {path}: {reason}") from None


def paste_problem(text: str) -> str | None:
    """Return what pasting left around a secret, in words: hard to see, and the secret is wrong with it."""
    if not text:
        return None
    first, last = text[:1], text[-1:]
    if first in _MARKS or last in _MARKS:
        return "begins or ends with an invisible mark; type it anew"
    if first in "\r\n" or last in "\r\n":
        return "begins or ends with a newline; remove it"
    if first.isspace() or last.isspace():
        return "begins or ends with a blank; remove it"
    if len(text) > 1 and (first, last) in _QUOTES:
        return "stands in quotes; remove them"
    if _SCHEME.match(text):
        return "begins with the name of its scheme; leave that out"
    if _ASSIGNED.match(text):
        return "begins with the name of a variable; give what stands behind the ="
    return None


_SCHEME = re.compile(r"(?:bearer|basic|token|authorization:)\s", re.IGNORECASE)
_ASSIGNED = re.compile(r"(?:export\s+)?[A-Z][A-Z0-9]*_[A-Z0-9_]*=.")
_MARKS = ("\ufeff", "\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u2060")
_QUOTES = {*zip("\"'`“‘„‚«»", "\"'`”’“‘»«", strict=True), ("„", "”"), ("”", "”"), ("’", "’")}


def is_public(path: str) -> bool:
    """Whether everybody on the machine can read a file. What a container mounts is its own affair."""
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return bool(mode & stat.S_IROTH) and not path.startswith(("/run/secrets/", "/var/run/secrets/"))


def suggest(name: str, known: Iterable[str], what: str, else_: str = SEE) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"{what}; did you mean {close[0]}?" if close else f"{what}; {else_}"

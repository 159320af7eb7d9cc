"""The variables: their defaults, their files, and what is said of wrong ones."""

from datetime import UTC
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from relay.config import environment
from relay.config.environment import read_environment
from relay.config.operators import OperatorAccount
from tests.config.given import KEY, SANDBOX, TOKEN, Read
from tests.kit.relay import RelayProcess

# --- the environment ------------------------------------------------------------------------------------

WRONG: list[tuple[str, str, str]] = [
    ("RELAY_DATABASE_URL", "relay.db", "must be sqlite:///path/to/relay.db"),
    ("RELAY_DATABASE_URL", "sqlite://", "must be sqlite:///"),
    ("RELAY_DATABASE_URL", "sqlite:///", "must be sqlite:///"),
    ("RELAY_DATABASE_URL", "sqlite:///:memory:", "must be sqlite:///"),
    ("RELAY_DATABASE_URL", "postgresql://u:canary-token-of-upstream@h/d", "postgresql+psycopg://"),
    ("RELAY_DATABASE_URL", "mysql://h/d", "postgresql+psycopg://"),
    ("RELAY_DATABASE_URL", "postgresql+psycopg://u:p@h:54x2/d", "host:port/name"),
    ("RELAY_DATABASE_URL", "postgresql+psycopg://u@[::1/d", "host:port/name"),
    ("RELAY_DATABASE_URL", "postgresql+psycopg://u@h:/d", "host:port/name"),
    ("RELAY_DATABASE_URL", "postgresql+psycopg://u:p@canary-token-of-upstream@h/d", "is written %40"),
    ("RELAY_DATABASE_URL", "postgresql+psycopg://u:p@canary-token-of-upstream/x@h/d", "is written %40"),
    ("RELAY_DATABASE_URL", "postgresql+psycopg://u:p@canary-token-of-upstream?x@h/d", "is written %40"),
    ("RELAY_DATABASE_URL", "postgresql+psycopg://u:p@h:5432,i:5432/d", "?host=first:5432&host=second:5432"),
    ("RELAY_DATABASE_URL", "postgresql+psycopg://h:5432,i/d", "?host=first:5432&host=second:5432"),
    ("RELAY_DATABASE_URL", "postgresql+psycopg://u@h/d?prepare_threshold=off", "must be none or a number"),
    (
        "RELAY_DATABASE_URL",
        "postgresql+psycopg://u@h/d?a=b@c&prepare_threshold=x",
        "a number",
    ),
    ("RELAY_DATABASE_URL", "postgresql+psycopg://u@h/d?prepare_threshold=5&prepare_threshold=6", "a number"),
    ("RELAY_LIMITS_URL", "memcached://h", "must be memory://, redis://"),
    ("RELAY_LIMITS_URL", "redis://h:canary-token-of-upstream/0", "must be memory://, redis://"),
    ("RELAY_LIMITS_URL", "redis+sentinel://h:26379", "redis+sentinel://host:port,host:port/service"),
    ("RELAY_SECRET_KEYS", "canary-token-of-upstream", "is not 32 bytes"),
    ("RELAY_SECRET_KEYS", f"{KEY},00", "is not 32 bytes"),
    ("RELAY_SECRET_KEYS", ",", "holds no key"),
    ("RELAY_ADMIN_TOKEN", "x" * 23, "at least 24 characters"),
    ("RELAY_ALERT_URL", "alerts.example.com", "must be an address"),
    ("RELAY_ALERT_URL", "ftp://alerts.example.com", "must be an address"),
    ("RELAY_ALERT_MAIL", "ops", "must be an address like relay@example.com"),
    ("RELAY_SMTP_URL", "mail.example.com:587", "must be smtp://"),
    ("RELAY_SMTP_URL", "https://mail.example.com", "must be smtp://"),
    ("RELAY_SMTP_URL", "smtp://user@mail.example.com", "or neither"),
    ("RELAY_SMTP_URL", "smtp://user:p%C3%A9@mail.example.com", "of ASCII"),
    ("RELAY_ALERT_URL", "https://alerts.example.com/a\nRELAY_ROLE=web", "must be an address"),
    ("RELAY_PUBLIC_URL", "https://a.example\nRELAY_ROLE=web", "must be an address"),
    ("RELAY_MAIL_FROM", "a@example.com\nBcc: b@example.com", "on one line"),
    ("RELAY_TIME_ZONE", "Mars/Olympus", "like Europe/Berlin"),
    ("RELAY_TIME_ZONE", "../../etc/passwd", "like Europe/Berlin"),
    ("RELAY_ADMIN_TOKEN", '"' + "x" * 24 + '"', "stands in quotes"),
    ("RELAY_METRICS_TOKEN", "abc\n", "newline"),
    ("RELAY_PUBLIC_URL", "relay.example.com", "must be an address like https://"),
    ("RELAY_PUBLIC_URL", "https://relay.example.com/?a=b", "must be an address like https://"),
    ("RELAY_PUBLIC_URL", "https://ada@relay.example.com", "must be an address like https://"),
    ("RELAY_PUBLIC_URL", "https://relay.example.com:0/", "must be an address like https://"),
    ("RELAY_ROLE", "ALL", "must be all or web or dispatcher"),
    ("RELAY_ROLE", "web", "needs PostgreSQL: set RELAY_DATABASE_URL"),
    ("RELAY_ROLE", "dispatcher", "needs PostgreSQL: set RELAY_DATABASE_URL"),
    ("RELAY_TRUSTED_PROXIES", "yes", "must be a whole number from 0 to 10"),
    ("RELAY_TRUSTED_PROXIES", "-1", "must be a whole number from 0 to 10"),
    ("RELAY_TRUSTED_PROXIES", "11", "must be a whole number from 0 to 10"),
    ("RELAY_ALLOW_EPHEMERAL", "yes", "must be 0 or 1"),
    ("RELAY_LOG_LEVEL", "LOUD", "must be DEBUG or INFO"),
    ("HOST", "not a host", "must be a name or an address"),
    ("HOST", "127.0.0.1:8000", "must be a name or an address"),
    ("HOST", "http://localhost", "must be a name or an address"),
    ("PORT", "65536", "must be a whole number from 0 to 65535"),
    ("PORT", "８０００", "must be a whole number"),
    ("PORT", "1e3", "must be a whole number"),
    ("WEB_THREADS", "1", "must be a whole number from 2"),
    ("RELAY_CONFIGS", "x", "did you mean RELAY_CONFIG?"),
    ("RELAY_PORT", "80", "is not a variable of the relay; did you mean PORT?"),
    ("RELAY_XYZZY", "44", "is not a variable of the relay; remove it"),
    ("RELAY_CONFIG_FILE_FILE", "x", "is not a variable of the relay"),
]


@pytest.mark.parametrize(("name", "value", "says"), WRONG)
def test_a_wrong_variable_is_named_with_what_would_be_right(
    problems: Any, name: str, value: str, says: str
) -> None:
    found = problems(**{name: value})
    assert list(found) == [name]
    assert says in found[name]


@pytest.mark.parametrize(
    "rest", ["u:p?a/s#s:w@h/d", "u:p%40ss@h/d", "u@[::1]:5432/d", "h", "/d?host=/run/postgresql", "h/d?a=b@c"]
)
def test_an_address_of_postgresql_may_hold_whatever_one_may(read: Read, rest: str) -> None:
    url = f"postgresql+psycopg://{rest}"
    assert read(RELAY_DATABASE_URL=url, RELAY_SECRET_KEYS=KEY).database_url == url
    sa.make_url(url)


def test_postgresql_needs_keys_and_allows_every_role(read: Read, problems: Any) -> None:
    url = "postgresql+psycopg://relay@127.0.0.1/relay"
    assert "keys new" in problems(RELAY_DATABASE_URL=url)["RELAY_SECRET_KEYS"]
    for role in ("all", "web", "dispatcher"):
        found = read(RELAY_DATABASE_URL=url, RELAY_SECRET_KEYS=KEY, RELAY_ROLE=role)
        assert (found.role, found.secret_keys, found.is_sqlite) == (role, (KEY,), False)


def test_variables_are_read(read: Read) -> None:
    found = read(
        RELAY_SECRET_KEYS=f" {KEY} , {KEY[::-1]},",
        RELAY_ADMIN_TOKEN="a" * 24,
        RELAY_METRICS_TOKEN="public",
        RELAY_ALERT_URL="https://alerts.example.com/v1/?key=a&token=b",
        RELAY_ALERT_MAIL="ops@example.com, Jane <jane@example.com>,",
        RELAY_SMTP_URL="smtp://relay:p%40ss@mail.example.com:587",
        RELAY_MAIL_FROM="Relay <relay@example.com>",
        RELAY_TIME_ZONE="Europe/Berlin",
        RELAY_PUBLIC_URL="https://relay.example.com/",
        RELAY_TRUSTED_PROXIES="2",
        RELAY_LOG_LEVEL="debug",
        RELAY_LIMITS_URL="redis://127.0.0.1:6379/1",
        HOST="::1",
        PORT="0",
        WEB_THREADS="4",
    )
    assert found.secret_keys == (KEY, KEY[::-1])
    assert found.operators == (OperatorAccount("admin", "reveal", sha256(b"a" * 24).digest()),)
    assert found.metrics_token == "public"
    assert found.alert_url == "https://alerts.example.com/v1/?key=a&token=b"
    assert found.alert_mail == ("ops@example.com", "Jane <jane@example.com>")
    assert found.smtp_url == "smtp://relay:p%40ss@mail.example.com:587"
    assert (found.mail_from, str(found.time_zone)) == ("Relay <relay@example.com>", "Europe/Berlin")
    assert found.public_url == "https://relay.example.com"
    assert (found.trusted_proxies, found.log_level) == (2, "DEBUG")
    assert (found.host, found.port, found.threads) == ("::1", 0, 4)


def test_mail_needs_a_server_and_a_sender(problems: Any) -> None:
    assert problems(RELAY_ALERT_MAIL="ops@example.com").keys() == {"RELAY_SMTP_URL", "RELAY_MAIL_FROM"}


def test_without_variables_the_defaults_are_those_of_the_contract() -> None:
    values, problems = read_environment({})
    assert problems == []
    assert values == {
        "RELAY_CONFIG": "relay.toml",
        "RELAY_DATABASE_URL": "sqlite:///var/relay.db",
        "RELAY_LIMITS_URL": "memory://",
        "RELAY_SECRET_KEYS": (),
        "RELAY_ADMIN_TOKEN": "",
        "RELAY_METRICS_TOKEN": "",
        "RELAY_ALERT_URL": "",
        "RELAY_ALERT_MAIL": (),
        "RELAY_SMTP_URL": "",
        "RELAY_MAIL_FROM": "",
        "RELAY_TIME_ZONE": UTC,
        "RELAY_PUBLIC_URL": "",
        "RELAY_ROLE": "all",
        "RELAY_TRUSTED_PROXIES": 0,
        "RELAY_ALLOW_EPHEMERAL": "",
        "RELAY_LOG_LEVEL": "INFO",
        "HOST": "127.0.0.1",
        "PORT": 8000,
        "WEB_THREADS": 16,
    }


def test_an_empty_variable_is_like_none() -> None:
    values, problems = read_environment({"PORT": "", "RELAY_ROLE": "", "RELAY_ADMIN_TOKEN": ""})
    assert (problems, values["PORT"], values["RELAY_ROLE"]) == ([], 8000, "all")


@pytest.mark.parametrize("variable", environment.VARIABLES, ids=lambda variable: variable.name)
def test_every_variable_may_be_a_file(variable: environment.Variable, tmp_path: Path) -> None:
    good = {
        "RELAY_SECRET_KEYS": KEY,
        "RELAY_ADMIN_TOKEN": "a" * 24,
        "RELAY_ALERT_URL": "https://a.example",
        "RELAY_PUBLIC_URL": "https://a.example",
        "RELAY_METRICS_TOKEN": "m",
        "RELAY_ALERT_MAIL": "a@example.com",
        "RELAY_SMTP_URL": "smtps://mail.example.com",
        "RELAY_MAIL_FROM": "relay@example.com",
        "RELAY_ALLOW_EPHEMERAL": "1",
    }
    text = good.get(variable.name, variable.default)
    (tmp_path / "value").write_text(text + "\n")
    values, problems = read_environment({f"{variable.name}_FILE": str(tmp_path / "value")})
    assert problems == []
    assert values[variable.name] == variable.read(text)


def test_a_file_of_a_variable_must_be_there_and_be_the_only_one(problems: Any, tmp_path: Path) -> None:
    assert problems(PORT_FILE="/nowhere/port") == {
        "PORT": "cannot read /nowhere/port: No such file or directory"
    }
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in problems(PORT_FILE=str(tmp_path / "binary"))["PORT"]
    (tmp_path / "port").write_text("9000")
    assert "keep one" in problems(PORT="8000", PORT_FILE=str(tmp_path / "port"))["PORT"]
    twice = problems(
        RELAY_DATABASE_URL_FILE=str(tmp_path / "port"), OCAMBA_TOKEN=None, _options={"sandbox_url": SANDBOX}
    )
    assert "keep one" in twice["RELAY_DATABASE_URL"]


def test_secrets_may_come_from_files_by_their_variable(read: Read, problems: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    found = read(OCAMBA_TOKEN=None, OCAMBA_TOKEN_FILE=str(tmp_path / "token"))
    assert found.destinations["ocamba"].token == TOKEN
    said = problems(OCAMBA_TOKEN=None, OCAMBA_TOKEN_FILE="/nowhere", _options={"sandbox_url": SANDBOX})
    assert said == {"destinations.ocamba.token": "cannot read /nowhere: No such file or directory"}


def test_an_empty_token_file_is_no_sandbox(problems: Any, tmp_path: Path) -> None:
    """A mistake with the token must not swallow real people."""
    (tmp_path / "token").write_text("\n")
    said = problems(
        OCAMBA_TOKEN=None, OCAMBA_TOKEN_FILE=str(tmp_path / "token"), _options={"sandbox_url": SANDBOX}
    )
    assert list(said) == ["destinations.ocamba.token"]


@pytest.mark.parametrize("token", ["two words", "tab\tbed", "line\nbreak", "café", "nul\x00"])
def test_a_token_that_no_header_can_carry_is_refused(problems: Any, token: str) -> None:
    said = problems(OCAMBA_TOKEN=token)
    assert "visible ASCII" in said["destinations.ocamba.token"]
    assert token not in str(said)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "0.0.0.0", "localhost", "::", "::1", "[::1]", "fe80::1%eth0", "my-host.lan"]
)
def test_an_address_to_listen_at_is_taken(host: str) -> None:
    values, problems = read_environment({"HOST": host})
    assert (problems, values["HOST"]) == ([], host.strip("[]"))


def test_a_command_makes_no_keys_beside_postgresql(tmp_path: Path) -> None:
    url, none = "postgresql+psycopg://u:canary@127.0.0.1:1/d", {"RELAY_SECRET_KEYS": None}
    relay = RelayProcess("", folder=tmp_path, cwd=tmp_path, database_url=url, env=none, start=False)

    done = relay.command_line("status")

    assert (done.returncode, "RELAY_SECRET_KEYS: is needed with PostgreSQL" in done.stderr) == (2, True)
    assert [entry.name for entry in tmp_path.iterdir()] == [relay.config_path.name]

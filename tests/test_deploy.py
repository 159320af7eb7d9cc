"""What deploy/ holds: the Compose files as they are read, and Caddy in front of a real relay."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from relay.cli.main import commands
from relay.config.environment import VARIABLES
from relay.server.worker import READ_SECONDS
from tests.kit.processes import eventually, free_port
from tests.kit.relay import RelayProcess, config
from tests.kit.services import Missing, lacking
from tests.kit.upstream import ScriptedUpstream

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
FILES = ("compose.yaml", "compose.postgres.yaml")


def services(file: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / file).read_text(encoding="utf-8"))["services"]
    return found


OWN = [
    pytest.param(one, id=f"{file}-{name}")
    for file in FILES
    for name, one in services(file).items()
    if "image" in one
]


@pytest.mark.parametrize("service", OWN)
def test_every_container_is_fenced_in(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"] and service["pids_limit"]
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("service", OWN)
def test_images_are_named_by_a_minor_version(service: dict[str, Any]) -> None:
    name, _, tag = service["image"].partition(":")
    assert name == "signup-relay" or re.match(r"\d+\.\d+", tag), service["image"]


@pytest.mark.parametrize("service", OWN)
def test_no_health_check_starts_a_python(service: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    checks = [str(service.get("healthcheck", "")), re.findall(r"HEALTHCHECK.*\n.*", dockerfile)[0]]
    assert not any("python" in check for check in checks)


def test_a_command_beside_the_unit_has_the_servers_variables(tmp_path: Path) -> None:
    """As the unit says it is typed; a shell that read the file stopped at what it takes for its own."""
    for folder in ("opt", "etc"):
        (tmp_path / folder).mkdir()
    unit = (DEPLOY / "relay.service").read_text(encoding="utf-8")
    link, command = re.findall(r"^#   (ln -s .*|cd /opt/relay && runuser .*)$", unit, re.MULTILINE)
    variables = {
        "RELAY_CONFIG": ROOT / "relay.toml",
        "RELAY_DATABASE_URL": f"sqlite:///{tmp_path}/relay.db",
        "RELAY_MAIL_FROM": "Relay <relay@example.com>",
        "RELAY_ALERT_URL": "https://alerts.example.com/?a=1&format=slack",
        "OCAMBA_TOKEN": "to$ken&",
        "ZAPIER_SECRET": "a-secret",
    }
    text = "".join(f"{name}={value}\n" for name, value in variables.items())
    (tmp_path / "etc/environment").write_text(text, encoding="utf-8")
    typed = f"{link}\n{command} && {command.replace('status', 'check')}".replace("status", "migrate", 1)
    for what, here in {
        "/opt/relay": tmp_path / "opt",
        "/etc/relay": tmp_path / "etc",
        "runuser -u relay -- ": "",
        ".venv/bin/python": sys.executable,
    }.items():
        typed = typed.replace(what, str(here))
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-ec", typed], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("ok: 2 sources, 1 destination; ready to send\n")
    assert (tmp_path / "relay.db").exists()


def test_a_signal_leaves_the_relay_to_be_started_again_after_a_crash() -> None:
    """Docker takes its `kill` for a stop, unless another signal is said to be the one."""
    assert dockerfile("STOPSIGNAL") == "SIGTERM"
    for file in FILES:
        assert "kill --signal" not in (DEPLOY / file).read_text(encoding="utf-8")


def test_postgres_is_well_only_when_others_can_reach_it() -> None:
    """While it is set up for the first time it answers at its socket alone."""
    assert "--host" in services("compose.postgres.yaml")["postgres"]["healthcheck"]["test"]


def test_who_comes_by_ipv6_keeps_an_address_of_their_own() -> None:
    """Else Docker's bridge is the one client that Caddy sees."""
    networks = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["networks"]
    assert networks["default"]["enable_ipv6"] is True
    assert not any("networks" in service for file in FILES for service in services(file).values())


def test_what_init_writes_for_compose_is_read_without_being_named() -> None:
    """Else a later `docker compose up` would take the defaults: another host, or an empty SQLite."""
    for file in FILES:
        text = (DEPLOY / file).read_text(encoding="utf-8")
        assert "--env-file" not in text and " -f " not in text
    assert "ln -sf config/relay.env .env" in (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert "COMPOSE_FILE=" in (DEPLOY / "compose.postgres.yaml").read_text(encoding="utf-8")


def test_secrets_in_a_clone_are_not_committed() -> None:
    """Beside the Compose files, and where `relay init` or the systemd unit puts them."""
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert {"relay.env", "/deploy/.env", "/deploy/config/"} <= set(ignored)


def test_what_the_compose_files_mount_is_there() -> None:
    for file in FILES:
        volumes = yaml.safe_load((DEPLOY / file).read_text(encoding="utf-8"))["volumes"]
        for service in services(file).values():
            for mount in service.get("volumes", []):
                place = mount.split(":")[0]
                assert place in volumes or place == "./config" or (DEPLOY / place).exists(), mount


def test_the_postgres_file_changes_services_of_the_first() -> None:
    own = {name for name, one in services("compose.postgres.yaml").items() if "image" not in one}
    assert own == {"relay"} <= set(services("compose.yaml"))


def dockerfile(instruction: str) -> str:
    """What follows the instruction; the last one counts."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    return re.findall(rf"^{instruction} (.*)", text, re.MULTILINE)[-1]


RELAYS = [
    pytest.param(one, id=f"{file}-{name}")
    for file in FILES
    for name, one in services(file).items()
    if one.get("image", "signup-relay") == "signup-relay"
]


@pytest.mark.parametrize("service", RELAYS)
def test_the_compose_files_say_only_what_the_relay_knows(service: dict[str, Any]) -> None:
    assert set(service["environment"]) <= {variable.name for variable in VARIABLES}
    command = service.get("command", ["relay", "serve"])
    assert command[0] == "relay" and command[1] in commands.commands


@pytest.mark.parametrize("service", RELAYS)
def test_what_is_stored_is_in_a_volume(service: dict[str, Any]) -> None:
    url = service["environment"]["RELAY_DATABASE_URL"]
    if url.startswith("sqlite"):
        assert url.startswith(f"sqlite:///{dockerfile('VOLUME')}/")
        assert f"signups:{dockerfile('VOLUME')}" in service["volumes"]


def test_caddy_asks_the_relay_where_it_listens() -> None:
    caddy = services("compose.yaml")["caddy"]
    named = set(re.findall(r"\{\$([A-Z_]+)", (DEPLOY / "Caddyfile").read_text(encoding="utf-8")))
    assert named == {*caddy["environment"], "HTTP_PORT"}, "its port for plain HTTP stays 80"
    assert caddy["environment"]["RELAY_UPSTREAM"] == f"relay:{dockerfile('EXPOSE')}"


# --- Caddy ------------------------------------------------------------------------------------------------


@pytest.fixture
def caddy_is_here() -> None:
    if shutil.which("caddy") is None:
        lacking(Missing("apt-get install -y caddy"))


@contextmanager
def caddy(upstream: int, folder: Path, plain: int | None = None) -> Iterator[tuple[int, Path]]:
    """Caddy with the shipped file in front of a relay: its port, and what it wrote down.

    ``plain``: its port for plain HTTP, instead of 80.
    """
    port, log = free_port(), folder / "caddy.log"
    env = os.environ | {
        "RELAY_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "RELAY_UPSTREAM": f"127.0.0.1:{upstream}",
        "HTTP_PORT": str(plain or free_port()),
        "CADDY_ADMIN": f"127.0.0.1:{free_port()}",
        "HOME": str(folder),
    }
    command = ["caddy", "run", "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"]
    with log.open("w") as output, subprocess.Popen(command, env=env, stdout=output, stderr=output) as process:
        try:
            eventually(lambda: status(port, "GET", "/healthz") != 0, 20, "Caddy listens")
            yield port, log
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture
def behind_caddy(caddy_is_here: None, tmp_path: Path) -> Iterator[tuple[RelayProcess, int]]:
    """A relay, and the port of the Caddy before it."""
    with (
        ScriptedUpstream() as upstream,
        RelayProcess(config(upstream.url), env={"RELAY_TRUSTED_PROXIES": "1"}) as relay,
        caddy(relay.port, tmp_path) as (port, _),
    ):
        yield relay, port


def status(port: int, method: str, path: str, body: str | None = None, **headers: str) -> int:
    """The status that Caddy answered with; 0 if nobody did."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
    form = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    try:
        connection.request(method, path, body, {**form, **headers})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def test_behind_caddy_clients_are_told_apart_and_sign_up(behind_caddy: tuple[RelayProcess, int]) -> None:
    relay, port = behind_caddy
    forged = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    assert status(port, "POST", "/submit/newsletter", "email=ada%40example.com", **forged) == 202
    assert status(port, "GET", "/readyz") == 200
    assert "203.0.113.9" not in relay.output()


def test_behind_caddy_a_reload_refuses_nobody_and_a_restart_is_waited_for(
    behind_caddy: tuple[RelayProcess, int],
) -> None:
    """Who was told yes is stored; of those who come meanwhile only those of its last moment fail."""
    relay, port = behind_caddy
    answers: list[int] = []
    stop = threading.Event()

    def post() -> None:
        while not stop.is_set():
            body = f"email=p{len(answers)}%40example.com"
            answers.append(status(port, "POST", "/submit/newsletter", body))

    def twenty_more() -> None:
        before = len(answers)
        eventually(lambda: len(answers) > before + 20, 30, "sign-ups")

    posting = threading.Thread(target=post)
    posting.start()
    twenty_more()
    relay.hup()
    twenty_more()
    assert set(answers) == {202}
    relay.restart()
    twenty_more()
    stop.set()
    posting.join()
    assert len(answers) - answers.count(202) < 5, answers
    assert len(relay.rows(history=False)) == answers.count(202)


def test_behind_caddy_nobody_is_told_yes_whose_body_does_not_come_in_time(
    behind_caddy: tuple[RelayProcess, int],
) -> None:
    """To a body that Caddy itself gives up it answers an empty 200."""
    relay, port = behind_caddy
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        head = f"POST /submit/newsletter HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 21\r\n"
        form = "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        client.sendall(f"{head}{form}email=ada".encode())
        time.sleep(READ_SECONDS + 2)
        client.sendall(b"@example.com")
        assert client.recv(12) == b"HTTP/1.1 408"
        assert relay.rows(history=False) == []


def test_behind_caddy_the_relay_says_that_a_body_is_too_long(behind_caddy: tuple[RelayProcess, int]) -> None:
    """Where both cut it off at once the client is answered 502, and a machine tries again."""
    _, port = behind_caddy
    body = "email=ada%40example.com&photo=" + 1_500_000 * "a"
    answers = [status(port, "POST", "/submit/newsletter", body) for _ in range(6)]
    assert answers == 6 * [413]


@pytest.mark.usefixtures("caddy_is_here")
def test_plain_http_leads_to_the_configured_name_whatever_was_asked_for(tmp_path: Path) -> None:
    plain = free_port()
    with caddy(free_port(), tmp_path, plain) as (port, _):
        for host in (f"127.0.0.1:{plain}", "evil.example"):
            connection = http.client.HTTPConnection("127.0.0.1", plain, timeout=10)
            connection.request("POST", "/submit/newsletter?a=b", "email=x", {"Host": host})
            answer = connection.getresponse()
            named = f"http://127.0.0.1:{port}/submit/newsletter?a=b"
            assert (answer.status, answer.getheader("Location")) == (308, named)
            connection.close()


@pytest.mark.usefixtures("caddy_is_here")
def test_another_site_under_the_same_certificate_is_not_answered(tmp_path: Path) -> None:
    """It would be told 200, which nothing was stored for."""
    command = ["caddy", "adapt", "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"]
    told = subprocess.run(command, capture_output=True, check=True, env=os.environ | {"HOME": str(tmp_path)})
    (secure,) = [
        one
        for one in json.loads(told.stdout)["apps"]["http"]["servers"].values()
        if one["listen"] == [":443"]
    ]
    assert secure["strict_sni_host"]


@pytest.mark.usefixtures("caddy_is_here")
def test_caddy_offers_no_protocol_whose_port_is_closed() -> None:
    """HTTP/3 has a port by UDP, and its own times."""
    command = ["caddy", "adapt", "--config", str(DEPLOY / "Caddyfile"), "--adapter", "caddyfile"]
    adapted = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert all(one["protocols"] == ["h1", "h2"] for one in adapted["apps"]["http"]["servers"].values())
    assert not any("udp" in port for port in services("compose.yaml")["caddy"]["ports"])


@pytest.mark.usefixtures("caddy_is_here")
def test_caddys_log_holds_no_secret_of_a_query(tmp_path: Path) -> None:
    port_of_nobody = free_port()
    with caddy(port_of_nobody, tmp_path) as (port, log):
        headers = {"Authorization": "Bearer secret-in-a-header", "X-Signature": "secret-in-another"}
        assert status(port, "POST", "/submit/hook?token=secret-in-the-query", "a=b", **headers) == 502
        eventually(lambda: '"status":502' in log.read_text(), 10, "the log")
        text = log.read_text()
        assert "/submit/hook" in text and "secret-" not in text

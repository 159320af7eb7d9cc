"""Restarting while people sign up: who comes meanwhile is taken, or may go to another relay."""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit import services
from tests.kit.client import HOST, Raw, Submitters, head
from tests.kit.processes import eventually, free_port, send
from tests.kit.relay import RelayProcess
from tests.kit.upstream import ScriptedUpstream
from tests.process.ending import FORM, settings, settled


def test_who_comes_while_it_ends_is_answered_or_refused_never_cut_off(upstream: ScriptedUpstream) -> None:
    """What a proxy could not hand over goes to another relay; what was cut off it must not send again."""
    body = b"email=ada%40example.com"
    asking = head(
        "POST", "/submit/newsletter", FORM | {"Content-Length": str(len(body)), "Connection": "close"}
    )
    seen: list[str] = []
    with RelayProcess(settings(upstream)) as relay, Raw(relay.port) as slow:
        slow.send(head("POST", "/submit/newsletter", FORM | {"Content-Length": "100"}) + b"email=")
        relay.form({"email": "eve@example.com"})
        send(signal.SIGTERM, [relay.pid])
        while relay.process is not None and relay.process.poll() is None:
            try:
                with socket.create_connection((HOST, relay.port), 5) as client:
                    client.sendall(asking + body)
                    seen.append(client.recv(12).decode() or "cut off")
            except ConnectionRefusedError:
                seen.append("refused")
                time.sleep(0.02)
            except ConnectionError:
                seen.append("cut off")
    assert "refused" in seen and set(seen) <= {"refused", "HTTP/1.1 202"}


@pytest.mark.parametrize("later", [0.0, 0.05, 0.15, 0.3])
def test_asked_to_end_while_it_starts_it_ends_without_a_fault(
    upstream: ScriptedUpstream, later: float
) -> None:
    with RelayProcess(settings(upstream), start=False) as relay:
        relay.start(wait_ready=False)
        eventually(lambda: "Booting worker" in relay.output(), 20, "the worker")
        time.sleep(later)
        assert relay.term(30) == 0
        levels = {(line.data or {}).get("level") for line in relay.log_lines()}
        assert levels <= {"info", "warning"}, "and nothing but lines of the log"
        relay.start()
        assert relay.form({"email": "ada@example.com"}).status == 202


NGINX = """
daemon off; error_log {folder}/error.log info; pid {folder}/pid;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream relay {{ server 127.0.0.1:{ports[0]} max_fails=0; server 127.0.0.1:{ports[1]} max_fails=0; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://relay;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_connect_timeout 3s;
            proxy_next_upstream error;
        }}
    }}
}}
"""
"""As in deploy/nginx.conf, but for two relays. What could not be handed to the one goes to the other; what
was handed over is never sent again, as nginx does by itself with POST."""


@contextlib.contextmanager
def nginx(folder: Path, ports: list[int]) -> Iterator[int]:
    """A proxy before several relays; its port. Raises Missing."""
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(binary).exists():
        raise services.Missing("apt-get install -y nginx-light")
    port = free_port()
    settings = folder / "nginx.conf"
    settings.write_text(NGINX.format(folder=folder, ports=ports, port=port))
    command = [binary, "-p", str(folder), "-c", str(settings), "-e", str(folder / "error.log")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: answers(port), 10, "the proxy")
            yield port
        finally:
            process.terminate()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
        return True
    return False


@pytest.mark.postgres
@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_restarting_one_after_the_other_behind_a_proxy_fails_nobody(
    upstream: ScriptedUpstream, postgres_url: str, tmp_path: Path, rounds: int
) -> None:
    env = {"RELAY_SECRET_KEYS": "ab" * 32, "OCAMBA_TOKEN": "one-token-for-both", "RELAY_TRUSTED_PROXIES": "1"}
    with contextlib.ExitStack() as stack:
        relays = [
            stack.enter_context(RelayProcess(settings(upstream), database_url=postgres_url, env=env))
            for _ in range(2)
        ]
        port = stack.enter_context(nginx(tmp_path, [relay.port for relay in relays]))
        with Submitters(port, threads=6, rate=25, seconds=600) as crowd:
            for relay in relays * rounds:
                time.sleep(0.5)
                assert relay.restart() == 0
            time.sleep(1)
            crowd.stop()
        assert {status for sent in crowd.ledger for status in sent.outcomes} == {202}
        assert settled(relays[0], upstream, crowd, faults=False) == []
        assert len(crowd.ledger) > 50 * rounds

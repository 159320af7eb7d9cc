"""What docs/operations.md says of processes and of what machines read."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from relay import metrics
from tests.kit.client import Raw, head
from tests.kit.processes import eventually
from tests.kit.relay import NEWSLETTER, ROOT, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream


@pytest.mark.parametrize("name", ["SIGTTIN", "SIGTTOU", "SIGUSR2"])
def test_signals_that_would_change_the_number_of_processes_are_ignored(name: str) -> None:
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url)) as relay:
        workers = relay.worker_pids()
        os.kill(relay.pid, signal.Signals[name])
        eventually(lambda: f"signal: {name[3:].lower()}" in relay.output(), what="the signal noticed")
        time.sleep(0.5)  # time enough to fork
        assert relay.worker_pids() == workers
        assert relay.get("/readyz").status == 200


def test_strangers_learn_whether_it_is_ready_and_no_more() -> None:
    url = "http://127.0.0.1:9/"
    with RelayProcess(config(url), env={"RELAY_PUBLIC_URL": None}) as relay:
        for token in ("", "wrong", relay.hook_secret):
            answer = relay.get("/readyz", {"Authorization": f"Bearer {token}"} if token else None)
            assert (answer.status, answer.json) == (200, {"status": "ok"})
        for token in (relay.metrics_token, relay.admin_token):
            answer = relay.get("/readyz", {"Authorization": f"Bearer {token}"})
            assert set(answer.json) == {"status", "failing", "warnings", "sandbox"}
        for _ in range(12):
            relay.get("/readyz", {"Authorization": "Bearer guess"}, source_address="127.0.3.8")
        right = {"Authorization": f"Bearer {relay.admin_token}"}
        assert set(relay.get("/readyz", right, source_address="127.0.3.8").json) == {"status"}
        assert relay.output().count("operator.guessing") == 1
        eventually(lambda: '"guessing"' in relay.output(), 25, "the alert")


@pytest.mark.parametrize("path", ["/api/status", "/metrics", "/readyz"])
def test_a_token_may_be_written_in_any_letters(path: str) -> None:
    token = "ein-schlüssel-für-die-betreiber"
    tokens = {"RELAY_ADMIN_TOKEN": token, "RELAY_METRICS_TOKEN": f"{token}-2"}
    with RelayProcess(config("http://127.0.0.1:9/"), env=tokens) as relay:
        shown = tokens["RELAY_METRICS_TOKEN" if path == "/metrics" else "RELAY_ADMIN_TOKEN"]
        asked = head("GET", path).removesuffix(b"\r\n") + f"Authorization: Bearer {shown}\r\n\r\n".encode()
        with Raw(relay.port) as link:
            answer = link.send(asked).read(method="GET")
        assert answer.status == 200
        assert path != "/readyz" or "warnings" in answer.json


def test_who_guesses_at_the_metrics_is_refused_before_a_token_is_looked_at() -> None:
    with RelayProcess(config("http://127.0.0.1:9/")) as relay:
        guess, right = ({"Authorization": f"Bearer {token}"} for token in ("wrong", relay.metrics_token))
        asked = [relay.get("/metrics", guess, source_address="127.0.3.9").status for _ in range(14)]
        assert asked[0] == 401 and asked[-1] == 429
        assert relay.get("/metrics", right, source_address="127.0.3.9").status == 429
        assert relay.get("/metrics", right).status == 200, "the owner is elsewhere"
        assert relay.output().count("operator.guessing") == 1
        eventually(lambda: "tries tokens out" in relay.output(), 25, "the alert, which knows not whose")


def test_metrics_have_the_documented_names_and_labels() -> None:
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url)) as relay:
        answer = relay.form({"email": "ada@example.com"})
        relay.wait_drained()
        assert answer.status == 202
        found = set(re.findall(r"^(relay_\w+(?:\{[^}]*\})?) ", relay.metrics(), re.M))
    assert 'relay_submissions_total{result="accepted",source="newsletter"}' in found
    assert 'relay_deliveries_total{destination="ocamba",outcome="delivered"}' in found
    assert 'relay_backlog{destination="ocamba",state="queued"}' in found
    assert 'relay_oldest_queued_seconds{destination="ocamba"}' in found
    assert 'relay_quota_used{destination="ocamba",window="150/minute"}' in found
    assert 'relay_destination_held{destination="ocamba"}' in found
    assert {"relay_upstream_seconds_count", "relay_request_seconds_count"} <= found


def test_metrics_count_from_nothing_so_that_the_first_of_a_kind_is_seen_as_an_increase() -> None:
    """Of a series that begins at 1 Prometheus knows no increase."""

    def nothing(source: str, destination: str) -> set[str]:
        counts = {f'submissions_total{{result="{word}",source="{source}"}}' for word in metrics.RESULTS}
        counts |= {
            f'deliveries_total{{destination="{destination}",outcome="{word}"}}' for word in metrics.OUTCOMES
        }
        return {f"relay_{count} 0.0" for count in counts}

    before = config("http://127.0.0.1:9/", {"first": NEWSLETTER})
    after = {"destinations": {"spare": before["destinations"]["ocamba"]}, "sources": {"second": NEWSLETTER}}
    with RelayProcess(before) as relay:
        assert nothing("first", "ocamba") <= set(relay.metrics().splitlines())
        relay.configure(after)
        relay.hup()
        eventually(lambda: 'destination="spare"' in relay.metrics(), what="the reload")
        assert nothing("second", "spare") <= set(relay.metrics().splitlines())


def test_metrics_show_what_waits_for_a_destination_that_was_removed() -> None:
    with ScriptedUpstream() as upstream:
        before = config(upstream.url)
        after = config(upstream.url) | {"destinations": {"second": before["destinations"]["ocamba"]}}
        with RelayProcess(before) as relay:
            relay.api("POST", "/api/destinations/ocamba/pause")
            relay.form({"email": "ada@example.com"})
            relay.configure(after)
            relay.hup()
            eventually(lambda: 'destination="second"' in relay.metrics(), what="the reload")
            found = relay.metrics()
    assert 'relay_backlog{destination="ocamba",state="queued"} 1.0' in found
    assert 'relay_destination_held{destination="ocamba"} 1.0' in found
    assert re.search(r'relay_oldest_queued_seconds\{destination="ocamba"\} [0-9.]+', found)
    assert 'relay_backlog{destination="second",state="queued"} 0.0' in found


START = """
import os, shutil
from relay.server import hooks
for _ in range(100):
    hooks.share_counts()
    folder = os.environ["PROMETHEUS_MULTIPROC_DIR"]
    open(os.path.join(folder, "counts"), "w").close()
    shutil.rmtree(folder)
"""


def test_servers_that_start_at_once_take_no_folder_from_each_other() -> None:
    started = [subprocess.Popen([sys.executable, "-c", START], cwd=ROOT) for _ in range(6)]
    assert [one.wait(60) for one in started] == [0] * 6


def test_the_folder_of_a_server_of_0_1_0_which_locks_none_is_left_to_it() -> None:
    """Without it such a server answers everybody with 503."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="relay-metrics-", dir=memory) as theirs:
        assert subprocess.run([sys.executable, "-c", START], cwd=ROOT, check=False).returncode == 0
        assert Path(theirs).is_dir()


def test_what_killed_processes_counted_in_is_removed_by_the_next() -> None:
    def folders(relay: RelayProcess) -> set[str]:
        found = set()
        for pid in relay.pids():
            environ = Path(f"/proc/{pid}/environ").read_bytes()
            assert b"PROMETHEUS_MULTIPROC_DIR" not in environ, "it is made by the server itself"
            for file in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    found |= {str(file.readlink())} if "relay-counts-" in str(file.readlink()) else set()
        return {path for path in found if Path(path).is_dir()}

    url = "http://127.0.0.1:9/"
    with RelayProcess(config(url)) as other, RelayProcess(config(url)) as relay:
        (theirs,), (ours,) = folders(other), folders(relay)
        relay.kill9()
        Path(ours).mkdir(exist_ok=True)  # a relay of another test may have started meanwhile
        relay.start()
        assert not Path(ours).exists() and Path(theirs).is_dir()
        assert other.get("/metrics", {"Authorization": f"Bearer {other.metrics_token}"}).status == 200

"""A part that has died: the process says so, and leaves."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.kit.processes import eventually
from tests.kit.relay import ROOT, RelayProcess, config, toml

_LOSES_ITS_CLERK = """
import time
from relay.config import settings
from relay.process.relay import Relay
loaded = settings.load()
relay = Relay(loaded, lambda: loaded)
relay.start()
relay.clerk.stop()
time.sleep(20)
"""


def test_a_process_that_loses_a_part_says_so_before_it_leaves(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text(toml(config("http://127.0.0.1:9/")), encoding="utf-8")
    environment = {
        "RELAY_CONFIG": str(tmp_path / "relay.toml"),
        "RELAY_DATABASE_URL": f"sqlite:///{tmp_path / 'relay.db'}",
        "OCAMBA_TOKEN": "of-upstream",
        "HOOK_SECRET": "of-a-sender",
    }
    command = [sys.executable, "-c", _LOSES_ITS_CLERK]
    ended = subprocess.run(
        command, check=False, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert '"event": "relay.died"' in ended.stderr, ended.stderr


def test_the_log_names_the_signal_that_ended_a_worker() -> None:
    with RelayProcess(config("http://127.0.0.1:9/")) as relay:
        os.kill(relay.worker_pids()[0], signal.SIGKILL)
        eventually(lambda: "was sent SIGKILL!" in relay.output(), 10, "the master's word about its worker")

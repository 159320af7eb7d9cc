"""That what measures still runs: each in small, so that its figures mean nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALONE = {
    "run": ("--only", "commits", "idle", "wait"),
    "soak": ("--minutes", "0.2", "--seed", "7"),
}
WITH_SERVERS = {
    "pages": ("--rows", "300", "--waiting", "60", "--rounds", "1", "--seconds", "0.2"),
    "scale": ("--rows", "300", "--backlog", "400", "--seconds", "1", "--phases", "1"),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_benchmark_ends_with_its_figures(name: str) -> None:
    ends_with_figures(name, ALONE[name])


@pytest.mark.usefixtures("postgres_cluster", "redis_server")
@pytest.mark.parametrize("name", WITH_SERVERS)
def test_a_benchmark_of_servers_ends_with_its_figures(name: str) -> None:
    ends_with_figures(name, WITH_SERVERS[name])


def ends_with_figures(name: str, options: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", *options]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=300)

    # 1: a figure misses its target, as it may in so small a run
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    assert "≤" in done.stdout, "the figures are printed beside their targets"

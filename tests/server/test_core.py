"""Each process stays on one core, and several spread."""

import os
import subprocess
import sys
from collections import Counter

import pytest

from relay.server import core
from tests.kit.relay import RelayProcess, config

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system keeps nobody on a core"
)
_SLEEP = (
    "import os, sys, time; os.sched_setaffinity(0, {int(sys.argv[1])}); print(flush=True); time.sleep(60)"
)


def test_all_threads_of_a_relay_stay_on_one_core() -> None:
    with RelayProcess(config("http://127.0.0.1:9/")) as relay:
        (worker,) = relay.worker_pids()
        threads = [int(name) for name in os.listdir(f"/proc/{worker}/task")]
        cores = {frozenset(os.sched_getaffinity(thread)) for thread in threads}
    assert len(threads) > 5
    assert [len(kept) for kept in cores] == [1]


@pytest.mark.parametrize(
    ("taken", "least"), [({}, {0, 2}), ({0: 1}, {2}), ({0: 3, 2: 2}, {2}), ({0: 1, 2: 1, 1: 0}, {0, 2})]
)
def test_a_core_that_may_be_used_and_that_the_fewest_are_kept_on_is_taken(
    taken: dict[int, int], least: set[int]
) -> None:
    assert {core.least_taken({0, 2}, Counter(taken)) for _ in range(100)} == least


def test_a_system_that_does_not_let_it_is_no_reason_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getaffinity(0)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    core.stay_on_one()
    assert os.sched_getaffinity(0) == before


def test_processes_that_are_kept_on_a_core_are_counted() -> None:
    mine = min(os.sched_getaffinity(0))
    before = core.kept()[mine]
    command = [sys.executable, "-c", _SLEEP, str(mine)]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(20)]
    try:
        for other in others:
            assert other.stdout is not None
            other.stdout.readline()
        assert core.kept()[mine] >= before + 10  # other tests' processes come and go
    finally:
        for other in others:
            other.kill()
            other.communicate()


def test_who_has_no_command_line_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel's own threads, of which there are more on one core than on another; here one that has
    ended and that nobody has waited for."""
    mine = min(os.sched_getaffinity(0))
    ended = subprocess.Popen([sys.executable, "-c", _SLEEP, str(mine)], stdout=subprocess.PIPE)
    try:
        assert ended.stdout is not None
        ended.stdout.readline()
        monkeypatch.setattr(os, "listdir", lambda _: [str(ended.pid)])
        assert core.kept() == {mine: 1}
        ended.kill()
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert os.sched_getaffinity(ended.pid) == {mine}
        assert not core.kept()
    finally:
        ended.kill()
        ended.communicate()

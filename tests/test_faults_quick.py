"""The quick run of the faults; `make faults` is the whole one."""

import os
import subprocess
import sys

import pytest

from tests.kit.relay import ROOT


@pytest.mark.slow
def test_the_quick_run_of_the_faults_breaks_no_promise(seed: int) -> None:
    command = [sys.executable, "-m", "tests.faults.run", "--quick", "--seed", str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    summary = done.stdout[done.stdout.find("\n\n") :]
    print(summary)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    if os.environ.get("TESTS_REQUIRE_ALL") == "1":
        assert "\nskipped " not in summary

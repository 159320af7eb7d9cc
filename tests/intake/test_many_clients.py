"""What many clients cost the door: nothing that grows with them."""

import subprocess
import sys

import pytest

from tests.kit.relay import ROOT

KNOCKS = """
import resource, sys, time
from relay.intake.limits import Doorkeeper
count = int(sys.argv[1])
door = Doorkeeper("memory://")
for number in range(1000):
    door.retry_after("5/second; 60/minute", "client", "warm", str(number))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
times = []
for tenth in range(10):
    started = time.process_time()
    for number in range(count // 10):
        one = tenth * (count // 10) + number
        address = f"10.{one >> 16}.{one >> 8 & 255}.{one & 255}"
        door.retry_after("5/second; 60/minute", "client", "newsletter", address)
    times.append(time.process_time() - started)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(grown / 1024, times[1], min(times[-2:]))
"""


def knocked(count: int) -> tuple[float, float, float]:
    done = subprocess.run(
        [sys.executable, "-c", KNOCKS, str(count)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    grown, early, late = map(float, done.stdout.split())
    print(
        f"{count} clients: {grown:.1f} MB more, {early:.2f} s for an early tenth, {late:.2f} s for a late one"
    )
    return grown, early, late


def test_two_hundred_thousand_clients_cost_little() -> None:
    """Beyond a bound the clients seen longest ago are forgotten, so that a million cost no more."""
    grown, early, late = knocked(200_000)
    assert grown < 50 and late < 2 * early


@pytest.mark.slow
def test_a_million_clients_cost_no_more() -> None:
    grown, early, late = knocked(1_000_000)
    assert grown < 50 and late < 2 * early

"""When a submission that waits will have been sent, asked by many threads at once."""

import sys
import threading

from relay.intake.forecast import Forecast


def test_others_arrive_while_it_is_told() -> None:
    """Each first sign-up of a source adds it to those that wait."""
    forecast = Forecast({f"source-{number}": 1 for number in range(1000)}, float)
    failed: list[Exception] = []

    def ask() -> None:
        try:
            for _ in range(300):
                forecast.eta("source-1", None)
        except Exception as problem:
            failed.append(problem)

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        asking = threading.Thread(target=ask)
        asking.start()
        number = 0
        while asking.is_alive():
            forecast.arrived(f"new-{number % 20000}")
            number += 1
        asking.join()
    finally:
        sys.setswitchinterval(usual)
    assert failed == []

"""What is tried while a relay ends: its destination, and the judgement once every story has ended.

Destinations park what is unclear: then nothing waits for a minute, and the judge can look at the end.
"""

from typing import Any

from tests.kit.client import Submitters
from tests.kit.judge import judge
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

LIMITS = "50/second; 1000/minute"
WINDOWS = ((50, 1.0), (1000, 60.0))
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def settings(upstream: ScriptedUpstream, **options: Any) -> dict[str, Any]:
    return config(upstream.url, **{"limits": LIMITS, "ambiguous": "park", **options})


def settled(relay: RelayProcess, upstream: ScriptedUpstream, crowd: Submitters, **more: Any) -> list[str]:
    """Waits for the end of every story; returns what the judge finds."""
    relay.wait_drained(60)
    return judge(crowd.ledger, upstream.arrivals, relay.rows(), limits=WINDOWS, finished=True, **more)

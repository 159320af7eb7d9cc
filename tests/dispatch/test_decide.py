"""What an answer about one delivery says about its destination."""

import pytest

from relay.delivery import SENDING, Delivery
from relay.destination import Destination
from relay.dispatch.decide import decide
from relay.health import Health
from relay.outbox.records import Known
from relay.outcome import Answer, read

OCAMBA = Destination("ocamba", "https://api.example/profiles", "t", ())
UPDATE = Delivery("r", "form", "ocamba", SENDING, 0, 0, profile_id="7")
NOW = 1000.0


@pytest.mark.parametrize(
    ("reason", "ends"), [("misconfigured: 404", False), ("misconfigured: 401", True), ("failing", True)]
)
def test_a_profile_that_is_not_found_proves_no_address_that_is_wrong(reason: str, ends: bool) -> None:
    """Where the address is wrong nothing is found there: all that waits would be sent to it."""
    held = Health(NOW - 1, reason, 5, tried_at=NOW - 1 if reason == "failing" else None)
    outcome = read(Answer(404), NOW, is_update=True)
    made = decide(outcome, OCAMBA, probe=True, jitter=0.5, vault=None)
    health = made(UPDATE, Known(NOW, held, lambda: 0.0, lambda: True)).health
    assert health.is_held(NOW) != ends

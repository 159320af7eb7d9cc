"""Holds that servers of an earlier version begin and end, while those of this one run beside them."""

from typing import Any

import sqlalchemy as sa

from relay.health import REFUSALS, REFUSALS_IN_A_ROW
from relay.outbox.outbox import Outbox
from relay.outbox.schema import destinations
from relay.outcome import Misconfigured, Refused
from tests.outbox.outboxes import CREATED, claim, fill, health, record

WRONG = "misconfigured: 401"


def hold(outbox: Outbox, **values: Any) -> None:
    """Write the columns that an earlier version knows."""
    outbox.write(lambda conn: conn.execute(sa.update(destinations).values(values)))


def test_a_fault_whose_hold_an_earlier_version_ended_hides_no_later_one(outbox: Outbox) -> None:
    fill(outbox, *(f"n{number}" for number in range(REFUSALS_IN_A_ROW + 1)))
    record(outbox, claim(outbox), Misconfigured(401, "401"))
    hold(outbox, hold_until=None, hold_reason=None)

    for _ in range(REFUSALS_IN_A_ROW):
        record(outbox, claim(outbox), Refused(400))

    assert health(outbox).reason_kind == REFUSALS


def test_what_was_sent_before_ends_no_hold_that_an_earlier_version_began(outbox: Outbox) -> None:
    fill(outbox, "ada", "eve")
    before = claim(outbox)
    hold(outbox, hold_until=outbox.time() + 300, hold_reason=WRONG)

    record(outbox, before, CREATED)

    assert health(outbox).hold_reason == WRONG

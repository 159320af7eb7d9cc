"""The clerk, without a server: what it does when something is wrong that nobody foresaw."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from relay.config.settings import Settings
from relay.operator.clerk import Clerk
from relay.operator.filter import Filter
from relay.operator.operator import Operator
from relay.outbox.operating import jobs
from relay.outbox.outbox import Outbox
from tests.kit.inside import offline
from tests.kit.people import SOURCES
from tests.kit.processes import eventually


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return offline(tmp_path, SOURCES)


def test_a_job_that_cannot_be_read_ends_no_process_and_is_done_once_it_can(
    settings: Settings, operator: Operator, outbox: Outbox, capfd: pytest.CaptureFixture[str]
) -> None:
    """A process without its clerk leaves."""
    name = operator.make_job("discard", Filter(state="held"))["job"]
    outbox.write(lambda conn: conn.execute(sa.update(jobs).values(filter="damaged")))
    clerk = Clerk(outbox, lambda: settings)
    clerk.start()
    try:
        eventually(lambda: "clerk.fault" in capfd.readouterr().err, 15, "the fault")
        assert clerk.is_alive()
        outbox.write(lambda conn: conn.execute(sa.update(jobs).values(filter='{"state": "held"}')))
        eventually(lambda: operator.job(name)["state"] == "done", 15, "the job")
    finally:
        clerk.stop()

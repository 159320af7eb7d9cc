"""Jobs on both databases: who works on which, and in what order."""

from typing import Any

from relay.outbox import jobs
from relay.outbox.outbox import Outbox
from tests.outbox.outboxes import Store


def add(outbox: Outbox, *names: str, dry_run: bool = False) -> None:
    for name in names:
        numbers = dict.fromkeys(("after", "upto", "total", "done"), 0)
        made: Any = {"action": "replay", "filter": {}, "dry_run": dry_run, "by": "eve", "state": jobs.COUNTED}
        ends: Any = {"outcomes": {}, "problem": None, "made_at": 0.0, "ended_at": None}
        one = jobs.Job(name=name, **made, **numbers, **ends)
        outbox.write(jobs.add, one)


def take(outbox: Outbox, owner: str) -> jobs.Job | None:
    taken: jobs.Job | None = outbox.write(lambda conn: jobs.take(conn, owner, outbox.now(conn)))
    return taken


def name_of(job: jobs.Job | None) -> str | None:
    return job.name if job else None


def test_a_younger_job_waits_until_the_older_one_is_over(store: Store, outbox: Outbox) -> None:
    other = store.open()
    add(outbox, "older", "younger")

    mine = take(outbox, "one")
    assert name_of(mine) == "older" and take(other, "two") is None
    assert name_of(take(outbox, "one")) == "older"

    assert mine and outbox.write(lambda conn: jobs.end(conn, mine, jobs.DONE, outbox.now(conn)))
    assert name_of(take(other, "two")) == "younger" and take(outbox, "one") is None


def test_a_job_whose_owner_died_is_the_next_and_no_other(store: Store, outbox: Outbox) -> None:
    add(outbox, "older", "younger")
    take(outbox, "dead")
    assert take(outbox, "new") is None

    store.pass_time(jobs.LEASE_SECONDS + 1)

    assert name_of(take(outbox, "new")) == "older"


def test_what_an_owner_gave_back_another_goes_on_with_at_once(store: Store, outbox: Outbox) -> None:
    add(outbox, "older", "younger")
    take(outbox, "stopped")

    outbox.write(jobs.give_back, "somebody else")
    assert take(outbox, "new") is None
    outbox.write(jobs.give_back, "stopped")

    assert name_of(take(outbox, "new")) == "older"


def test_a_dry_run_waits_for_nobody(outbox: Outbox) -> None:
    add(outbox, "older")
    add(outbox, "count", dry_run=True)
    assert name_of(take(outbox, "one")) == "older"
    assert name_of(take(outbox, "two")) == "count"

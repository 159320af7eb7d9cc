"""The dispatcher's own duties, on a real outbox: no row is left behind, and who waited first goes first."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from relay.config import settings
from relay.delivery import DELIVERED
from relay.dispatch.dispatcher import Dispatcher
from relay.dispatch.lane import Lane
from relay.dispatch.line import Line
from relay.health import Health
from relay.outbox.outbox import Outbox
from relay.outbox.records import Decision
from relay.outbox.schema import deliveries
from relay.outcome import Delivered, Wait
from tests.kit.processes import eventually
from tests.kit.relay import NEWSLETTER, config, toml
from tests.kit.upstream import ScriptedUpstream
from tests.outbox.outboxes import LEASE, OCAMBA, Store, claim, fill, health, named, put, record, state


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'relay.db'}")
    yield made
    made.close()


@pytest.fixture
def loaded(tmp_path: Path) -> settings.Settings:
    file = tmp_path / "relay.toml"
    file.write_text(toml(config("http://127.0.0.1:9/", {"newsletter": NEWSLETTER})), encoding="utf-8")
    return settings.load({"RELAY_CONFIG": str(file), "OCAMBA_TOKEN": "a-token"})


def test_a_row_whose_sender_fell_over_is_settled_without_a_restart(
    store: Store, loaded: settings.Settings
) -> None:
    outbox = store.open()
    dispatcher = Dispatcher(outbox, loaded)
    dispatcher.start()
    try:
        # Of a destination that this dispatcher has no lane to, so that nobody but us claims it: what it
        # wanted done is not known, and so a person is asked.
        receipt = put(outbox, destination="other").delivery.receipt
        claim(outbox, replace(OCAMBA, name="other"))
        assert state(outbox, receipt) == "sending"
        store.pass_time(LEASE + 1)
        eventually(lambda: state(outbox, receipt) == "parked", 15, "the sweeper")
    finally:
        dispatcher.stop(5)


def test_what_cannot_be_read_is_not_upstreams_failure(store: Store, loaded: settings.Settings) -> None:
    """Else six damaged ones would hold everybody, as if upstream were down."""
    outbox = store.open()
    damaged = fill(outbox, "a", "b", "c", "d", "e", "f")
    outbox.write(lambda conn: conn.execute(sa.update(deliveries).values(payload=b"damaged")))
    dispatcher = Dispatcher(outbox, loaded)
    dispatcher.start()
    try:
        for receipt in damaged:
            eventually(lambda of=receipt: _attempts(outbox, of) == 1, 15, "a try to read it")
    finally:
        dispatcher.stop(5)
    assert health(outbox) == Health()


def test_a_reload_that_comes_with_the_end_opens_nothing_and_complains_of_nothing(
    store: Store, loaded: settings.Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    outbox = store.open()
    dispatcher = Dispatcher(outbox, loaded)
    dispatcher.start()
    dispatcher.stop(5)
    store.close()

    dispatcher.reload(replace(loaded, destinations={**loaded.destinations, "added": OCAMBA}))

    assert dispatcher.missing() == {"added"}
    assert "config.owed" not in capfd.readouterr().err


def test_who_waits_is_told_by_the_row_of_what_another_process_created(
    store: Store, loaded: settings.Settings
) -> None:
    """What is answered to the update says nothing of the profile."""
    outbox = store.open()
    dispatcher = Dispatcher(outbox, loaded)
    made = replace(put(outbox).delivery, profile_id="17430755068336100383")
    updated = Decision(replace(made, state=DELIVERED), Health(), Delivered(204))

    verdict = dispatcher.expect(made.receipt)
    dispatcher.told(updated)
    assert not verdict.wait(0)

    dispatcher.told(Decision(made, Health(), Delivered(201, {"country_code": "DE"})))
    dispatcher.told(updated)
    assert verdict.wait(0) and verdict.profile == {"country_code": "DE"}


def _attempts(outbox: Outbox, receipt: str) -> int | None:
    found = named(outbox, receipt)
    return found.attempts if found is not None else None


def test_after_a_429_the_oldest_in_flight_are_sent_first(store: Store) -> None:
    outbox = store.open()
    early = fill(outbox, "a", "b", "c")
    store.pass_time(10)
    fill(outbox, "d", "e")
    for claimed in [claim(outbox) for _ in early]:
        store.pass_time(0.1)
        record(outbox, claimed, Wait(429, 5))
    store.pass_time(6)
    assert [claim(outbox).delivery.receipt for _ in early] == early


def test_a_reload_while_the_tokens_file_is_read_is_not_forgotten(store: Store, tmp_path: Path) -> None:
    outbox, file = store.open(), tmp_path / "token"
    os.mkfifo(file)
    receipt = put(outbox).delivery.receipt
    until = store.clock.now + 300
    outbox.change_hold(
        "ocamba", lambda health, _: replace(health, hold_reason="misconfigured: 401", hold_until=until)
    )
    before = replace(OCAMBA, token_file=str(file))
    lane = Lane(outbox, Line(), before, told=lambda _: None, kept_fields=lambda _: ())
    with ScriptedUpstream() as upstream:
        lane.start()
        try:
            with file.open("w") as written:  # from now on until it is closed, the lane is reading it
                lane.change(replace(OCAMBA, url=upstream.url))
                written.write("another-token")
            eventually(lambda: state(outbox, receipt) == "delivered", 15, "a call to the new address")
        finally:
            lane.stop()
            lane.join(5)

"""What is told although nothing can be kept."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from relay.operator import watch
from relay.operator.alerts import unusable
from relay.operator.unkept import Unkept
from relay.outbox.errors import Full, Unavailable
from relay.process.opening import open_outbox
from tests.kit.inside import offline
from tests.kit.people import SOURCES
from tests.kit.processes import eventually
from tests.kit.upstream import ScriptedUpstream

AWAY = unusable(Unavailable("the database is away"))


def test_a_database_that_is_only_restarted_is_no_episode() -> None:
    unkept = Unkept()
    for _ in range(3):
        assert unkept.begun(AWAY, ["url"]) == []
        assert unkept.ended(["url"]) == []
    assert unkept.next("url") is None


def test_an_episode_is_told_once_through_each_channel_and_once_when_it_is_over() -> None:
    unkept = Unkept()
    firing = [one for _ in range(5) for one in unkept.begun(AWAY, ["url", "mail"])]
    assert [(one["alert"], one["state"]) for one in firing] == [("outbox", "firing")]
    assert firing[0]["detail"].endswith("the database is away")
    (over,) = unkept.ended(["url", "mail"])
    for channel in ("url", "mail"):  # also what could not be told while it lasted
        assert [unkept.next(channel), unkept.told(channel, firing[0]), unkept.next(channel)] == [
            firing[0],
            None,
            over,
        ]
        unkept.told(channel, over)
        assert unkept.next(channel) is None


def test_a_receiver_that_is_away_too_is_owed_no_more_than_a_few() -> None:
    unkept = Unkept()
    for _ in range(1000):
        unkept.begun(unusable(Full("the disk is full")), ["url"])
        unkept.begun(AWAY, ["url"])
        unkept.ended(["url"])
    left = 0
    while (content := unkept.next("url")) is not None:
        unkept.told("url", content)
        left += 1
    assert 2 <= left <= 100


def test_a_watch_whose_outbox_is_away_tells_until_it_is_heard(tmp_path: Path) -> None:
    with ScriptedUpstream() as receiver:
        settings = replace(offline(tmp_path, SOURCES), alert_url=receiver.url)
        outbox = open_outbox(settings, lambda: 1_800_000_000.0)
        outbox.prepare(settings.destinations)
        looking = watch.Watch(outbox, lambda: settings)
        receiver.refuse()

        def heard() -> list[Any]:
            looking.cannot_look(Unavailable("the database is away"))
            return receiver.arrivals

        def heard_again() -> bool:  # it looks every few seconds: who still tells begins nothing new
            looking.look([])
            return len(receiver.arrivals) > 1

        assert [heard(), heard(), heard()] == [[], [], []]
        receiver.listen_again()
        eventually(heard, 10, "the alert")
        eventually(heard_again, 10, "that it is over")
        looking.look([])
        assert [one.json["state"] for one in receiver.arrivals] == ["firing", "over"]
        looking.stop()


def test_an_alert_that_is_told_while_the_outbox_is_away_is_not_logged_as_unsent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise Unavailable("the database is away")

    with ScriptedUpstream() as receiver:
        settings = replace(offline(tmp_path, SOURCES), alert_url=receiver.url)
        outbox = open_outbox(settings, lambda: 1_800_000_000.0)
        outbox.prepare(settings.destinations)
        monkeypatch.setattr(outbox, "read", away)
        looking = watch.Watch(outbox, lambda: settings)
        for _ in range(2):
            looking.cannot_look(Unavailable("the database is away"))
            for teller in [thread for thread in threading.enumerate() if thread.name == "teller"]:
                teller.join(30)
        receiver.wait_for(1)

    said = capfd.readouterr().err
    assert "alert.unsent" not in said and "outbox.unavailable" in said

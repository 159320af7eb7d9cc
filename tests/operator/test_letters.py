"""Letters: a mail server that says no keeps no later one waiting for ever; many of one time are one."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email.message import Message
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from relay.config.settings import Settings
from relay.operator import mail as sending
from relay.operator import telling
from relay.operator.channels import MAIL, URL
from relay.operator.watch import Watch
from relay.outbox import notices
from relay.outbox.errors import Unavailable
from relay.outbox.outbox import Outbox
from relay.process.opening import open_outbox
from tests.kit.inside import offline
from tests.kit.people import SOURCES
from tests.kit.smtp import MailServer
from tests.kit.upstream import ScriptedUpstream, hold, status

Said = list[dict[str, Any]]


def tell(watch: Watch) -> None:
    """Have what waits told, and wait for that."""
    watch.look([])
    for teller in [thread for thread in threading.enumerate() if thread.name == "teller"]:
        teller.join(30)


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, mail: MailServer) -> Settings:
    found = offline(tmp_path, SOURCES)
    to = ("ada@example.com", "bob@example.com")
    return replace(found, smtp_url=mail.url, mail_from="relay@example.com", alert_mail=to)


@pytest.fixture
def look(settings: Settings, outbox: Outbox, capsys: pytest.CaptureFixture[str]) -> Callable[[], Said]:
    """Have what waits told once; returns what the log says of it."""
    watch = Watch(outbox, lambda: settings)

    def once() -> Said:
        tell(watch)
        lines = map(json.loads, capsys.readouterr().err.splitlines())
        return [line for line in lines if line["event"].startswith("alert.")]

    return once


def wait(outbox: Outbox, *keys: str, channel: str = MAIL) -> None:
    """Have these alerts wait to be told."""
    at = "2026-11-27T10:00:00.000Z"
    for key in keys:
        content = {"alert": key, "state": "firing", "detail": "so and so", "at": at}
        outbox.write(notices.add, channels=[channel], content=content)


def told(mail: MailServer) -> list[str]:
    return [str(letter["Subject"]).rpartition(" ")[2] for letter in mail.letters]


def refused(alert: str, codes: str, count: int) -> dict[str, Any]:
    said = f"mail: addresses were refused with {codes}"
    return {"event": "alert.refused", "level": "error", "alert": alert, "count": count, "problem": said}


def without_time(lines: Said) -> Said:
    return [{name: value for name, value in line.items() if name != "at"} for line in lines]


def test_domains_are_written_as_every_server_takes_them(
    mail: MailServer, settings: Settings, outbox: Outbox, capsys: pytest.CaptureFixture[str]
) -> None:
    to = ("Ops <ops@bücher.example>", "jörg@example.com")
    watch = Watch(outbox, lambda: replace(settings, alert_mail=to, mail_from="relay@bücher.example"))
    wait(outbox, "first")

    tell(watch)

    (letter,) = mail.letters
    assert letter["To"] == "Ops <ops@xn--bcher-kva.example>"
    assert letter["From"] == "relay@xn--bcher-kva.example"
    said = capsys.readouterr().err
    assert '"alert.refused"' in said and "553" in said and "alert.unsent" not in said


NO_ROOM = """CREATE TRIGGER no_room BEFORE INSERT ON notices
BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"""


def test_a_digest_that_could_not_be_kept_is_made_later(
    mail: MailServer, settings: Settings, tmp_path: Path
) -> None:
    at = [datetime(2026, 11, 26, 9, tzinfo=UTC).timestamp()]
    outbox = open_outbox(settings, lambda: at[0])
    outbox.prepare(settings.destinations)
    watch = Watch(outbox, lambda: settings)
    watch.look([])  # on the first day there is nothing to look back on
    at[0] += 86400
    outbox.write(lambda conn: conn.execute(sa.text(NO_ROOM)))
    with pytest.raises(Unavailable):
        watch.look([])
    outbox.write(lambda conn: conn.execute(sa.text("DROP TRIGGER no_room")))

    for _ in range(2):
        tell(watch)

    assert [str(letter["Subject"]) for letter in mail.letters] == ["[relay] nothing needs you"]
    outbox.stop()


def test_a_notice_that_cannot_be_worded_keeps_no_other_channel_from_being_told(
    mail: MailServer, settings: Settings, outbox: Outbox, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is a mistake of ours, or of an earlier version: it is noted like others."""
    watch = Watch(outbox, lambda: replace(settings, alert_url="http://127.0.0.1:9/?format=slack"))
    outbox.write(notices.add, channels=[URL], content={"alert": "odd"})
    wait(outbox, "sound")

    tell(watch)

    assert told(mail) == ["sound"]
    said = capfd.readouterr().err
    assert '"alert.fault"' in said and "KeyError" in said and "Traceback" not in said


RCPT = "RCPT TO"
ADA, BOB = f"{RCPT}:<ada", f"{RCPT}:<bob"


@pytest.mark.parametrize(
    ("refusals", "codes"),
    [
        ([(".", "554 5.7.1 looks like spam")], "554"),
        ([(".", "552 5.3.4 too large")], "552"),
        ([("DATA", "554 no valid recipients")], "554"),
        ([("MAIL FROM", "552 5.3.4 longer than SIZE")], "552"),
        ([(RCPT, "550 unknown"), (RCPT, "553 odd")], "550, 553"),
        ([(".", "554 spam"), ("QUIT", "421 and now go away")], "554"),
    ],
)
def test_a_letter_that_is_refused_for_good_is_given_up_and_the_next_is_sent(
    mail: MailServer,
    outbox: Outbox,
    look: Callable[[], Said],
    refusals: list[tuple[str, str]],
    codes: str,
) -> None:
    wait(outbox, "one", "two")
    mail.refusals = refusals

    assert without_time(look()) == [refused("one", codes, 2)]

    assert told(mail) == ["two"]
    assert look() == [] and told(mail) == ["two"]


@pytest.mark.parametrize(
    "refusals",
    [
        [(".", "451 4.7.1 come back in five minutes")],
        [("DATA", "451 not now")],
        [("DATA", "421 shutting down")],
        [(".", "421 shutting down")],
        [("DATA", "")],
        [(RCPT, "451 greylisted"), (RCPT, "451 greylisted")],
        [(RCPT, "452 too many"), (RCPT, "550 unknown")],
        [(ADA, "550 unknown"), (BOB, "421 shutting down")],
        [(BOB, "421 shutting down")],
        [(RCPT, "530 log in first"), (RCPT, "530 log in first")],
        [("DATA", "530 log in first")],
        [("MAIL FROM", "550 who are you?")],
        [("MAIL FROM", "452 no room")],
        [("EHLO", ""), ("EHLO", "")],
    ],
    ids=lambda refusals: "; ".join(f"{line}: {said or 'hangs up'}" for line, said in refusals),
)
def test_what_may_be_taken_another_time_is_tried_again_in_its_turn(
    mail: MailServer, outbox: Outbox, look: Callable[[], Said], refusals: list[tuple[str, str]]
) -> None:
    wait(outbox, "one", "two")
    mail.refusals = list(refusals)

    (line,) = look()
    assert line["event"] == "alert.unsent" and told(mail) == []

    mail.refusals = []
    assert look() == [] and told(mail) == ["one", "two"]


def test_a_server_that_goes_on_refusing_is_asked_less_and_less_until_more_is_to_be_told(
    mail: MailServer, settings: Settings, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks with a wrong password every few seconds is locked out."""
    now = [0.0]
    monkeypatch.setattr(telling, "monotonic", lambda: now[0])
    watch = Watch(outbox, lambda: settings)
    wait(outbox, "one")
    mail.refusals = [("MAIL FROM", "530 log in first")] * 1000
    asked = []
    for _ in range(360):  # an hour, as often as it is looked
        already = mail.talks
        tell(watch)
        asked += [now[0]] * (mail.talks - already)
        now[0] += 10
    assert asked[:9] == [0, 10, 20, 30, 40, 60, 90, 150, 270]
    assert [later - earlier for earlier, later in pairwise(asked[8:])] == [300] * (len(asked) - 9)

    mail.refusals = []
    wait(outbox, "two")
    tell(watch)
    assert told(mail) == ["one", "two"]
    wait(outbox, "three")
    mail.refusals = [("MAIL FROM", "530 log in first")]
    tell(watch)
    tell(watch)
    assert told(mail) == ["one", "two", "three"], "it begins anew"


# --- what nobody answers ----------------------------------------------------------------------------------


@pytest.fixture
def later(settings: Settings) -> Iterator[tuple[Outbox, Callable[[float], None]]]:
    """An outbox, and what lets its time pass."""
    at = [datetime(2026, 11, 26, 9, tzinfo=UTC).timestamp()]
    box = open_outbox(settings, lambda: at[0])
    box.prepare(settings.destinations)
    yield box, lambda seconds: at.__setitem__(0, at[0] + seconds)
    box.stop()


def test_copies_of_a_letter_that_nobody_answers_come_slowly_and_not_for_ever(
    mail: MailServer,
    settings: Settings,
    later: tuple[Outbox, Callable[[float], None]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The server has it each time, and hangs up: it may have arrived."""
    outbox, wait_for = later
    watch = Watch(outbox, lambda: settings)
    wait(outbox, "one", "two")
    mail.refusals = [(".", "")] * 10

    for number in range(1, 10):
        tell(watch)
        tell(watch)
        assert mail.talks == number
        wait_for(notices.LEASE_SECONDS + 1)
    assert '"alert.refused"' not in capsys.readouterr().err
    tell(watch)

    assert told(mail) == ["two"]
    assert '"event": "alert.refused", "alert": "one"' in capsys.readouterr().err


def test_a_letter_that_nobody_answered_is_sent_again(
    mail: MailServer, settings: Settings, later: tuple[Outbox, Callable[[float], None]]
) -> None:
    outbox, wait_for = later
    watch = Watch(outbox, lambda: settings)
    wait(outbox, "one", "two")
    mail.refusals = [(".", "")]
    tell(watch)
    assert told(mail) == []
    wait_for(notices.LEASE_SECONDS + 1)
    tell(watch)
    assert told(mail) == ["one", "two"]


def test_what_another_process_could_tell_is_no_warning_any_more(
    mail: MailServer, settings: Settings, outbox: Outbox
) -> None:
    """Whichever tells the next one, and also after a restart, each says how the last one went."""
    one, other = (Watch(outbox, lambda: settings) for _ in range(2))
    wait(outbox, "one")
    mail.refuses = True
    tell(one)
    tell(other)
    assert one.wrong() == other.wrong() == ["mail: the mail server answered 421"]
    mail.refuses = False
    tell(other)
    assert told(mail) == ["one"]
    tell(one)
    assert one.wrong() == other.wrong() == []


class Scanning(MailServer):
    """A mail server that looks a letter through before it says that it took it."""

    def take(self, raw: bytes) -> None:
        super().take(raw)
        time.sleep(1)


def test_a_letter_that_is_looked_through_for_long_is_sent_once(
    settings: Settings, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_STEP_SECONDS", 0.3)
    with Scanning() as server:
        watch = Watch(outbox, lambda: replace(settings, smtp_url=server.url))
        wait(outbox, "one", "two")

        tell(watch)

        assert told(server) == ["one", "two"]


@pytest.mark.parametrize("answer", ["nothing", "504"])
def test_what_is_posted_and_not_answered_is_posted_again_a_lease_later(
    settings: Settings,
    later: tuple[Outbox, Callable[[float], None]],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
) -> None:
    monkeypatch.setattr(telling, "_POST_SECONDS", 0.3)
    outbox, wait_for = later
    release = threading.Event()
    content = {"alert": "disk", "state": "firing", "detail": "full", "at": "2026-11-27T10:00:00.000Z"}
    outbox.write(notices.add, channels=[URL], content=content)
    first = hold(release) if answer == "nothing" else status(504)
    with ScriptedUpstream([first]) as receiver:
        watch = Watch(outbox, lambda: replace(settings, alert_mail=(), alert_url=receiver.url))
        tell(watch)
        tell(watch)
        assert len(receiver.arrivals) == 1
        wait_for(notices.LEASE_SECONDS + 1)
        tell(watch)
        assert len(receiver.arrivals) == 2
        release.set()


# --- an address that is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["550 5.1.1 unknown", "450 its box is full"])
def test_an_address_that_is_refused_is_counted_in_the_log_once_and_not_named(
    mail: MailServer, outbox: Outbox, look: Callable[[], Said], said: str
) -> None:
    wait(outbox, "one")
    mail.refusals = [(BOB, said)]

    lines = look()

    assert without_time(lines) == [refused("one", said[:3], 1)]
    assert "example.com" not in json.dumps(lines)
    assert told(mail) == ["one"] and look() == [] and told(mail) == ["one"]


@pytest.mark.parametrize("said", ["", "421 busy", "500 what?"])
def test_what_a_server_says_once_it_has_a_letter_sends_that_letter_to_nobody_again(
    mail: MailServer, outbox: Outbox, look: Callable[[], Said], said: str
) -> None:
    wait(outbox, "one", "two")
    mail.refusals = [("QUIT", said)]

    assert look() == [] and look() == []

    assert told(mail) == ["one", "two"]


# --- many at one time ---------------------------------------------------------------------------------

DIGEST = {"subject": "[relay] nothing needs you", "text": "As it was."}


def text_of(letter: Message) -> str:
    raw = letter.get_payload(decode=True)
    assert isinstance(raw, bytes)
    return raw.decode()


def subjects(mail: MailServer) -> list[str]:
    return [" ".join(str(letter["Subject"]).split()) for letter in mail.letters]


def test_a_few_things_are_a_letter_each(mail: MailServer, settings: Settings, outbox: Outbox) -> None:
    wait(outbox, *(f"silent:s{number}" for number in range(5)))
    tell(Watch(outbox, lambda: settings))

    assert subjects(mail) == [f"[relay] alert: silent:s{number}" for number in range(5)]


def test_forty_sources_in_trouble_are_one_letter_that_names_them_all(
    mail: MailServer, settings: Settings, outbox: Outbox
) -> None:
    wait(outbox, *(f"silent:s{number}" for number in range(40)))
    tell(Watch(outbox, lambda: settings))

    assert subjects(mail) == ["[relay] alert: silent:s0, alert: silent:s1, alert: silent:s2, and 37 more"]
    said = text_of(mail.letters[0])
    assert all(f"Signup relay, silent:s{number}: so and so" in said for number in range(40))
    assert outbox.read(notices.waiting, channel=MAIL) == 0


def test_a_digest_among_many_stands_in_the_letter(
    mail: MailServer, settings: Settings, outbox: Outbox
) -> None:
    outbox.write(notices.add, channels=[MAIL], content=DIGEST)
    wait(outbox, *(f"held:s{number}" for number in range(8)))
    tell(Watch(outbox, lambda: settings))

    assert subjects(mail) == ["[relay] nothing needs you, alert: held:s0, alert: held:s1, and 6 more"]
    assert "As it was." in text_of(mail.letters[0])


def test_what_many_say_together_is_tried_again_together(
    mail: MailServer, settings: Settings, outbox: Outbox, capfd: pytest.CaptureFixture[str]
) -> None:
    mail.refusals.append((".", "451 come back later"))
    wait(outbox, *(f"held:s{number}" for number in range(8)))
    tell(Watch(outbox, lambda: settings))
    assert mail.letters == [] and outbox.read(notices.waiting, channel=MAIL) == 8

    tell(Watch(outbox, lambda: settings))

    assert len(mail.letters) == 1 and outbox.read(notices.waiting, channel=MAIL) == 0
    assert "451" in capfd.readouterr().err


def test_a_letter_of_many_that_is_refused_for_good_is_named_in_the_log(
    mail: MailServer, settings: Settings, outbox: Outbox, capfd: pytest.CaptureFixture[str]
) -> None:
    mail.refusals.append((".", "554 too much of it"))
    wait(outbox, *(f"held:s{number}" for number in range(8)))
    tell(Watch(outbox, lambda: settings))

    assert mail.letters == [] and outbox.read(notices.waiting, channel=MAIL) == 0
    assert '"alert": "held:s0, held:s1, held:s2, and 5 more"' in capfd.readouterr().err


def test_who_is_posted_to_gets_each_alert_alone(settings: Settings, outbox: Outbox) -> None:
    with ScriptedUpstream() as receiver:
        posting = replace(settings, alert_url=receiver.url, alert_mail=())
        wait(outbox, *(f"silent:s{number}" for number in range(8)), channel=URL)
        tell(Watch(outbox, lambda: posting))

        assert [one.json["alert"] for one in receiver.arrivals] == [f"silent:s{n}" for n in range(8)]

"""More to tell at one time than anybody reads letter by letter is one letter."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from email.message import Message
from pathlib import Path

import pytest

from relay.config.settings import Settings
from relay.operator.channels import MAIL, URL
from relay.operator.watch import Watch
from relay.outbox import notices
from relay.outbox.outbox import Outbox
from tests.kit.inside import offline
from tests.kit.people import SOURCES
from tests.kit.smtp import MailServer
from tests.kit.upstream import ScriptedUpstream

AT = "2026-11-27T10:00:00.000Z"
DIGEST = {"subject": "[relay] nothing needs you", "text": "As it was."}


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, mail: MailServer) -> Settings:
    to = ("ada@example.com",)
    return replace(
        offline(tmp_path, SOURCES), smtp_url=mail.url, mail_from="relay@example.com", alert_mail=to
    )


@pytest.fixture
def watch(settings: Settings, outbox: Outbox) -> Watch:
    return Watch(outbox, lambda: settings)


def tell(watch: Watch) -> None:
    watch.look([])
    for teller in [thread for thread in threading.enumerate() if thread.name == "teller"]:
        teller.join(30)


def wait(outbox: Outbox, *keys: str, channel: str = MAIL) -> None:
    for key in keys:
        content = {"alert": key, "state": "firing", "detail": f"{key} and why", "at": AT}
        outbox.write(notices.add, channels=[channel], content=content)


def text_of(letter: Message) -> str:
    raw = letter.get_payload(decode=True)
    assert isinstance(raw, bytes)
    return raw.decode()


def subjects(mail: MailServer) -> list[str]:
    return [" ".join(str(letter["Subject"]).split()) for letter in mail.letters]


def test_a_few_things_are_a_letter_each(mail: MailServer, watch: Watch, outbox: Outbox) -> None:
    wait(outbox, *(f"silent:s{number}" for number in range(5)))
    tell(watch)

    assert subjects(mail) == [f"[relay] alert: silent:s{number}" for number in range(5)]


def test_forty_sources_in_trouble_are_one_letter_that_names_them_all(
    mail: MailServer, watch: Watch, outbox: Outbox
) -> None:
    wait(outbox, *(f"silent:s{number}" for number in range(40)))
    tell(watch)

    assert subjects(mail) == ["[relay] alert: silent:s0, alert: silent:s1, alert: silent:s2, and 37 more"]
    said = text_of(mail.letters[0])
    assert all(f"Signup relay, silent:s{number}: silent:s{number} and why" in said for number in range(40))
    assert outbox.read(notices.waiting, channel=MAIL) == 0


def test_a_digest_among_many_stands_in_the_letter(mail: MailServer, watch: Watch, outbox: Outbox) -> None:
    outbox.write(notices.add, channels=[MAIL], content=DIGEST)
    wait(outbox, *(f"held:s{number}" for number in range(8)))
    tell(watch)

    assert subjects(mail) == ["[relay] nothing needs you, alert: held:s0, alert: held:s1, and 6 more"]
    assert "As it was." in text_of(mail.letters[0])


def test_what_many_say_together_is_tried_again_together(
    mail: MailServer, watch: Watch, outbox: Outbox, capfd: pytest.CaptureFixture[str]
) -> None:
    mail.refusals.append((".", "451 come back later"))
    wait(outbox, *(f"held:s{number}" for number in range(8)))
    tell(watch)
    assert mail.letters == [] and outbox.read(notices.waiting, channel=MAIL) == 8

    tell(watch)

    assert len(mail.letters) == 1 and outbox.read(notices.waiting, channel=MAIL) == 0
    assert "451" in capfd.readouterr().err


def test_a_letter_of_many_that_is_refused_for_good_is_named_in_the_log(
    mail: MailServer, watch: Watch, outbox: Outbox, capfd: pytest.CaptureFixture[str]
) -> None:
    mail.refusals.append((".", "554 too much of it"))
    wait(outbox, *(f"held:s{number}" for number in range(8)))
    tell(watch)

    assert mail.letters == [] and outbox.read(notices.waiting, channel=MAIL) == 0
    assert '"alert": "held:s0, held:s1, held:s2, and 5 more"' in capfd.readouterr().err


def test_who_is_posted_to_gets_each_alert_alone(settings: Settings, outbox: Outbox) -> None:
    with ScriptedUpstream() as receiver:
        posting = replace(settings, alert_url=receiver.url, alert_mail=())
        wait(outbox, *(f"silent:s{number}" for number in range(8)), channel=URL)
        tell(Watch(outbox, lambda: posting))

        assert [one.json["alert"] for one in receiver.arrivals] == [f"silent:s{n}" for n in range(8)]

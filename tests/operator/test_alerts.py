"""What needs a person is told: by mail, to Slack, until it was told, in English, naming nobody."""

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest

from relay.config import settings as configuration
from relay.config.operators import OperatorAccount
from relay.config.settings import Settings
from relay.delivery import HELD, INVALID, QUEUED
from relay.health import Health
from relay.operator import alerts, digest, letters
from relay.operator import mail as sending
from relay.operator.mail import Unsent, send
from relay.operator.operator import Operator
from relay.outbox import notices, refusals
from relay.outbox.outbox import Outbox
from relay.process.opening import open_outbox
from tests.kit.canary import leaks
from tests.kit.inside import offline
from tests.kit.people import SETTINGS, SOURCES, TRAP, email
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config, toml
from tests.kit.smtp import Dripping, MailServer
from tests.kit.upstream import ScriptedUpstream, created, status
from tests.outbox.outboxes import erase, put, replay


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


def mailing(mail: MailServer) -> dict[str, str]:
    own = {"RELAY_MAIL_FROM": "relay@example.com", "RELAY_ALERT_MAIL": "ada@example.com,bob@example.com"}
    return own | {"RELAY_SMTP_URL": mail.url}


def subject(letter: Any) -> str:
    return str(make_header(decode_header(letter["Subject"])))


# --- through a real server --------------------------------------------------------------------------------


def test_an_alert_is_mailed_until_it_was_told_also_over_a_crash(mail: MailServer) -> None:
    mail.refuses = True
    address = email("canary")
    with ScriptedUpstream() as upstream:
        relay = RelayProcess(config(upstream.url, SOURCES, **SETTINGS), env=mailing(mail))
        with relay:
            relay.hook({"mail": address})
            eventually(lambda: "alert.unsent" in relay.output(), 30, "a try to tell")
            relay.kill9()
            mail.refuses = False
            relay.start()
            eventually(lambda: mail.letters, 30, "the letter")
            (letter,) = mail.letters
            assert subject(letter) == "[relay] alert: invalid:ocamba"
            assert (letter["To"], letter["From"]) == ("ada@example.com, bob@example.com", "relay@example.com")
            text = str(letter.get_payload(decode=True))
            assert "1 submission of hook is invalid; replay or discard it" in text
            assert leaks(relay.secrets | {"address": address}, [("mail", letter.as_bytes())]) == []
            assert "example.com" not in "".join(
                str(line.data) for line in relay.log_lines() if line.data and "alert" in str(line.data)
            )


def test_a_stop_in_the_middle_of_a_letter_keeps_nobody_waiting_after_it(mail: MailServer) -> None:
    mail.answers.clear()
    with (
        ScriptedUpstream() as upstream,
        RelayProcess(config(upstream.url, SOURCES, **SETTINGS), env=mailing(mail)) as relay,
    ):
        relay.hook({"mail": email("canary")})
        eventually(lambda: mail.talks, 30, "the letter being on its way")
        began = time.monotonic()
        assert relay.term(20) == 0
        assert time.monotonic() - began < 10
        mail.answers.set()
        relay.start()
        eventually(lambda: mail.letters, 30, "the letter")
        assert [subject(one) for one in mail.letters] == ["[relay] alert: invalid:ocamba"]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_mail_server_that_says_a_little_now_and_then_keeps_no_other_alert_waiting(
    settings: Settings, scheme: str
) -> None:
    with Dripping() as server:
        url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
        told = replace(settings, smtp_url=url, alert_mail=("a@example.com",), mail_from="r@example.com")
        began = time.monotonic()
        with pytest.raises(Unsent, match="took longer than 1 s"):
            send(told, {"subject": "s", "text": "t"}, within=1)
        assert time.monotonic() - began < 5


def test_a_mail_server_whose_name_is_looked_up_for_long_keeps_no_other_alert_waiting(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(5))
    url = "smtp://mail.example.com"
    told = replace(settings, smtp_url=url, alert_mail=("a@example.com",), mail_from="r@example.com")
    began = time.monotonic()
    with pytest.raises(Unsent):
        send(told, {"subject": "s", "text": "t"}, within=1)
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("begins", "answer", "said"),
    [
        ("AUTH", "535 5.7.8 ada@example.com is unknown", "does not take the name and password (535)"),
        ("RCPT", "451 4.7.1 greylisted ada@example.com", "answered 451"),
        ("MAIL", "", "smtps:// is for port 465"),
    ],
)
def test_why_there_is_no_mail_is_said_in_words_and_without_an_address(
    mail: MailServer, settings: Settings, begins: str, answer: str, said: str
) -> None:
    mail.offers = ("AUTH PLAIN",)
    mail.refusals = [(begins, answer), ("AUTH", "235 come in")]
    url = mail.url.replace("//", "//ada:pass@")
    told = replace(settings, smtp_url=url, alert_mail=("a@example.com",), mail_from="r@example.com")
    with pytest.raises(Unsent) as problem:
        send(told, {"subject": "s", "text": "t"})
    assert said in str(problem.value) and "@" not in str(problem.value)


@pytest.mark.parametrize(
    ("offers", "said"),
    [((), "SMTP AUTH extension not supported"), (("AUTH NTLM",), "No suitable authentication method")],
)
def test_a_mail_server_that_takes_no_password_is_told_of_as_that(
    mail: MailServer, settings: Settings, offers: tuple[str, ...], said: str
) -> None:
    mail.offers = offers
    url = mail.url.replace("//", "//ada:pass@")
    told = replace(settings, smtp_url=url, alert_mail=("a@example.com",), mail_from="r@example.com")
    with pytest.raises(Unsent, match=f"lacks what is needed: {said}"):
        send(told, {"subject": "s", "text": "t"})


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("smtp://nowhere.invalid", "name is not found"),
        ("smtp://127.0.0.1:1", "cannot be reached: Connection refused"),
    ],
)
def test_why_no_mail_server_is_reached_is_said_in_words(settings: Settings, url: str, said: str) -> None:
    told = replace(settings, smtp_url=url, alert_mail=("a@example.com",), mail_from="r@example.com")
    with pytest.raises(Unsent, match=said):
        send(told, {"subject": "s", "text": "t"})


def test_a_mail_server_whose_certificate_is_not_trusted_is_told_of_as_that(settings: Settings) -> None:
    with ScriptedUpstream(tls="self-signed") as server:
        url = f"smtps://localhost:{urlsplit(server.url).port}"
        told = replace(settings, smtp_url=url, alert_mail=("a@example.com",), mail_from="r@example.com")
        with pytest.raises(Unsent, match="certificate is not trusted: self-signed certificate"):
            send(told, {"subject": "s", "text": "t"})


def test_a_password_is_not_sent_in_clear_and_why_there_is_no_mail_is_said(
    mail: MailServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "is_loopback", lambda _: False)
    url = mail.url.replace("//", "//ada:pass@")
    told = replace(settings, smtp_url=url, alert_mail=("a@example.com",), mail_from="r@example.com")
    with pytest.raises(Unsent, match="offers no encryption, so that the password was not sent"):
        send(told, {"subject": "s", "text": "t"})
    assert mail.lines == []


def test_that_alerts_do_not_arrive_is_seen_by_whoever_looks(mail: MailServer) -> None:
    """Nothing can tell of it, and nobody reads a log in which all is well."""
    mail.refuses = True
    answers = {"then": status(404)}
    with ScriptedUpstream() as upstream, ScriptedUpstream(lambda _: answers["then"]) as receiver:
        told = mailing(mail) | {"RELAY_ALERT_URL": f"{receiver.url}/a-secret?format=slack"}
        with RelayProcess(config(upstream.url, SOURCES, **SETTINGS), env=told) as relay:

            def warnings() -> list[str]:
                found = relay.readiness().json["warnings"]
                return sorted(text for text in found if text.startswith("alerts"))

            relay.hook({"nothing": "mapped"})
            said = "alerts do not arrive: "
            both = [f"{said}mail: the mail server answered 421", f"{said}url: answered 404"]
            eventually(lambda: warnings() == both, 30, "the warnings")
            mail.refuses, answers["then"] = False, created()
            relay.hook({"nothing": "mapped"}, "other")
            eventually(lambda: not warnings(), 30, "their end")
            mail.refusals.append(("RCPT TO:<bob", "550 nobody"))
            relay.api("POST", "/api/destinations/ocamba/pause")
            eventually(warnings, 30, "one of one address")
            assert warnings() == [f"{said}mail: addresses were refused with 550"]


@pytest.mark.parametrize(
    ("code", "query", "said"),
    [
        (400, "", "answered 400: a chat takes alerts with format=slack in the query of RELAY_ALERT_URL"),
        (400, "?format=slack", "answered 400"),
        (308, "", "answered 308: it leads elsewhere, which is not followed; name the address it leads to"),
    ],
)
def test_an_address_that_takes_no_alert_is_told_of_with_what_helps(code: int, query: str, said: str) -> None:
    """Discord and Mattermost answer 400 to JSON that they do not know, a site that moved to https 308."""
    with ScriptedUpstream() as upstream, ScriptedUpstream(lambda _: status(code)) as receiver:
        told = {"RELAY_ALERT_URL": f"{receiver.url}/a-secret{query}"}
        with RelayProcess(config(upstream.url, SOURCES, **SETTINGS), env=told) as relay:
            relay.hook({"nothing": "mapped"})
            warning = f"alerts do not arrive: url: {said}"
            eventually(lambda: warning in relay.readiness().json["warnings"], 30, "the warning")
            logged = [line.data for line in relay.log_lines() if line.data]
            (refused,) = [one for one in logged if one["event"] == "alert.refused"]
            assert (refused["alert"], refused["problem"]) == ("invalid:ocamba", f"url: {said}")


def test_slack_is_told_in_its_own_words_and_nothing_is_told_twice() -> None:
    with ScriptedUpstream() as upstream, ScriptedUpstream() as receiver:
        told = {"RELAY_ALERT_URL": f"{receiver.url}?key=1&format=slack"}
        told |= {"RELAY_TIME_ZONE": "Asia/Kathmandu"}
        with RelayProcess(config(upstream.url, SOURCES, **SETTINGS), env=told) as relay:
            relay.hook({"nothing": "mapped"})
            receiver.wait_for(1, timeout=30)
            relay.restart()
            time.sleep(12)
            (arrival,) = receiver.arrivals
            assert set(arrival.json) == {"text"}
            assert arrival.json["text"].startswith(
                "Signup relay, invalid:ocamba: 1 submission of hook is invalid"
            )
            when = arrival.json["text"].splitlines()[-1]
            assert re.fullmatch(r"At \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(Asia/Kathmandu\)\.", when), (
                "it may come much later"
            )


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://a.example/x", ("https://a.example/x", False)),
        ("https://a.example/x?format=slack", ("https://a.example/x", True)),
        ("https://a.example/x?key=1&format=slack", ("https://a.example/x?key=1", True)),
        ("https://a.example/x?format=json", ("https://a.example/x?format=json", False)),
    ],
)
def test_our_own_part_of_an_address_goes_no_further(url: str, found: tuple[str, bool]) -> None:
    assert letters.address_of(url) == found


# --- what is the matter -----------------------------------------------------------------------------------


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    sources = {"newsletter": SOURCES["newsletter"] | {"expect_within": "2h"}, "hook": SOURCES["hook"]}
    return offline(tmp_path, sources)


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbox(settings: Settings, clock: Clock) -> Outbox:
    box = open_outbox(settings, clock)
    box.prepare(settings.destinations)
    return box


def matters(outbox: Outbox, settings: Settings) -> dict[str, str]:
    return {alert.key: alert.detail for alert in alerts.found(outbox, settings, disk_is_low=False)}


def silence(outbox: Outbox, settings: Settings) -> dict[str, str]:
    return {key: said for key, said in matters(outbox, settings).items() if key.startswith("silent:")}


def test_silence_is_told_where_somebody_expects_to_hear(
    outbox: Outbox, settings: Settings, clock: Clock
) -> None:
    assert silence(outbox, settings) == {}
    for source in ("newsletter", "hook"):
        put(outbox, source, source=source)
    clock.now += 2 * 3600 - 60
    assert silence(outbox, settings) == {}
    clock.now += 3600
    assert silence(outbox, settings) == {
        "silent:newsletter": "no sign-up from newsletter was accepted for 3 hours; "
        "post to it yourself and see"
    }
    Operator(settings, outbox).test("newsletter", {})
    assert "silent:newsletter" in silence(outbox, settings), "a test is nobody"
    put(outbox, "eve", source="newsletter")
    assert silence(outbox, settings) == {}


def test_a_source_that_was_never_wired_up_is_silent_too(
    outbox: Outbox, settings: Settings, clock: Clock
) -> None:
    assert silence(outbox, settings) == {}, "it is known from now on"
    clock.now += 3600
    again = open_outbox(settings, clock)  # as after a restart
    again.prepare(settings.destinations)
    assert silence(again, settings) == {}
    clock.now += 3600 + 60
    assert "accepted for 2 hours" in silence(again, settings)["silent:newsletter"]


def test_an_alert_names_the_sources_of_its_destination_alone(tmp_path: Path, clock: Clock) -> None:
    table = config("http://127.0.0.1:9/", {name: SOURCES["hook"] | {"destination": name} for name in "ab"})
    table["destinations"] = dict.fromkeys("ab", table["destinations"]["ocamba"])
    file = tmp_path / "two.toml"
    file.write_text(toml(table), encoding="utf-8")
    variables = {"RELAY_CONFIG": str(file), "RELAY_DATABASE_URL": f"sqlite:///{tmp_path}/two.db"}
    settings = configuration.load(variables, offline=True)
    outbox = open_outbox(settings, clock)
    outbox.prepare(settings.destinations)
    for source, name in (("a", "ada"), ("b", "bob"), ("b", "ben")):
        put(outbox, name, source=source, state=INVALID, destination=source)

    said = matters(outbox, settings)
    assert said["invalid:a"].startswith("1 submission of a is invalid")
    assert said["invalid:b"].startswith("2 submissions of b are invalid")


def test_bots_and_what_cannot_be_mapped_break_no_silence(
    outbox: Outbox, settings: Settings, clock: Clock
) -> None:
    assert silence(outbox, settings) == {}
    for hour in range(3):
        clock.now += 3600
        put(outbox, f"bot {hour}", source="newsletter", state=HELD)
        put(outbox, f"odd {hour}", source="newsletter", state=INVALID)
    assert "accepted for 3 hours" in silence(outbox, settings)["silent:newsletter"]


def test_what_retention_deleted_was_heard_all_the_same(
    outbox: Outbox, settings: Settings, clock: Clock
) -> None:
    silence(outbox, settings)
    clock.now += 5 * 3600
    receipt = put(outbox, "ada", source="newsletter").delivery.receipt
    assert silence(outbox, settings) == {}
    erase(outbox, [receipt])
    clock.now += 3600
    assert silence(outbox, settings) == {}, "an hour is less than two, though no row is left"
    clock.now += 3 * 3600
    assert "accepted for 4 hours" in silence(outbox, settings)["silent:newsletter"]


def test_a_source_that_is_off_is_not_silent_and_counts_anew_when_it_is_on(
    outbox: Outbox, settings: Settings, clock: Clock
) -> None:
    silence(outbox, settings)
    newsletter = settings.sources["newsletter"]
    off = replace(settings, sources={**settings.sources, "newsletter": replace(newsletter, enabled=False)})
    clock.now += 86400
    assert silence(outbox, off) == {}
    assert silence(outbox, settings) == {}
    clock.now += 86400
    assert list(silence(outbox, settings)) == ["silent:newsletter"]


@pytest.mark.parametrize(("seconds", "said"), [(29 * 60, "29 minutes"), (3 * 86400 + 9, "3 days")])
def test_how_long_something_lasts_is_said_in_a_unit_that_fits(
    outbox: Outbox, settings: Settings, clock: Clock, seconds: float, said: str
) -> None:
    quick = replace(settings.sources["newsletter"], expect_within=1200)
    quickly = replace(settings, sources={"newsletter": quick})
    silence(outbox, quickly)
    put(outbox, "waits", source="hook")
    clock.now += seconds
    assert f"accepted for {said}" in silence(outbox, quickly)["silent:newsletter"]
    if seconds > alerts.OLD_SECONDS:
        assert f"has waited for {said}" in matters(outbox, quickly)["old:ocamba"]


@pytest.mark.parametrize(
    ("reason", "looks"),
    [
        ("failing", True),
        ("unavailable", True),
        ("misconfigured: 401, and failing", True),
        ("misconfigured: 401", False),
        ("paused", False),
    ],
)
def test_only_where_it_is_done_an_alert_says_that_upstream_is_looked_at(
    outbox: Outbox, settings: Settings, clock: Clock, reason: str, looks: bool
) -> None:
    """An outage may end in a wrong token, or be paused: then nothing is sent when a look is answered."""
    fails = reason != "misconfigured: 401"
    outbox.change_hold("ocamba", lambda _, now: Health(now + 60, reason, tried_at=now if fails else None))
    said = matters(outbox, settings)["held:ocamba"]
    assert said.startswith(f"destination ocamba is held: {reason}")
    assert ("looked at" in said) == looks


@pytest.mark.parametrize(
    ("health", "cause"),
    [
        (Health(60, "rate limited"), None),
        (Health(60, "unavailable"), None),
        (Health(3600, "rate limited"), "rate limited"),
        (Health(60, "rate limited", misconfigured="misconfigured: 401"), "misconfigured"),
        (Health(60, "failing", tried_at=1.0), "failing"),
        (Health(60, "paused", misconfigured="misconfigured: 401"), "paused"),
        (Health(None, "paused"), "paused"),
    ],
)
def test_a_hold_is_told_by_what_is_wrong_and_not_where_it_is_over_soon(
    outbox: Outbox, settings: Settings, health: Health, cause: str | None
) -> None:
    """Where upstream is often asked for more than it takes, there would be a mail every few seconds."""
    until = health.hold_until
    outbox.change_hold("ocamba", lambda _, now: replace(health, hold_until=until and now + until))
    (alert,) = alerts.found(outbox, settings, disk_is_low=False)
    assert (alert.key, alert.causes) == ("held:ocamba", None if cause is None else {cause})


def test_what_was_replayed_waits_since_then_not_since_it_came(
    outbox: Outbox, settings: Settings, clock: Clock
) -> None:
    receipt = put(outbox, "old", source="hook", state=HELD).delivery.receipt
    clock.now += 20 * 86400
    replay(outbox, receipt)
    assert "old:ocamba" not in matters(outbox, settings)

    clock.now += alerts.OLD_SECONDS + 60
    assert "has waited for" in matters(outbox, settings)["old:ocamba"]


def test_a_source_of_which_everything_is_held_is_told() -> None:
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url, SOURCES, **SETTINGS)) as relay:
        for _ in range(10):
            relay.form({"email": email("held"), TRAP: "bot"})
        eventually(lambda: "all-held:newsletter" in relay.output(), 30, "the alert")
        assert "perhaps real people among them: python -m relay submissions list" in relay.output()


@pytest.mark.parametrize(
    ("source", "state", "key"),
    [("newsletter", HELD, "all-held:newsletter"), ("hook", INVALID, "unmappable:hook")],
)
def test_what_is_told_of_the_last_ten_goes_on_while_it_is_so_of_half_of_them(
    outbox: Outbox, settings: Settings, clock: Clock, source: str, state: str, key: str
) -> None:
    """Between bots a person comes now and then: there would be two mails for each."""

    def stands(number: int, state: str) -> str:
        """Let some come; returns how the alert stands then."""
        for one in range(number):
            clock.now += 1
            put(outbox, f"{state} {one} {clock.now}", source=source, state=state)
        causes = {alert.key: alert.causes for alert in alerts.found(outbox, settings, disk_is_low=False)}
        return "over" if key not in causes else "goes on" if causes[key] is None else "begins"

    assert stands(4, state) == "over"
    assert stands(5, state) == "goes on"
    assert stands(1, state) == "begins"
    assert stands(5, QUEUED) == "goes on"
    assert stands(1, QUEUED) == "over"


def test_a_source_that_refuses_everything_for_a_day_is_told(
    outbox: Outbox, settings: Settings, clock: Clock
) -> None:
    counts = {("hook", "no header X-Signature"): 19}
    outbox.write(refusals.add, counts, clock.now)
    assert matters(outbox, settings) == {}
    outbox.write(refusals.add, {("hook", "wrong"): 2}, clock.now)
    assert matters(outbox, settings) == {
        "all-refused:hook": "hook has taken nothing yet and refused 21, mostly: no header X-Signature"
    }


def test_a_source_that_took_some_before_is_told_of_after_a_day(
    outbox: Outbox, settings: Settings, clock: Clock
) -> None:
    put(outbox, source="hook")
    clock.now += 12 * 3600
    outbox.write(refusals.add, {("hook", "wrong"): 30}, clock.now)
    assert "all-refused:hook" not in matters(outbox, settings)
    clock.now += 13 * 3600
    outbox.write(refusals.add, {("hook", "wrong"): 30}, clock.now)
    assert "hook took nothing for a day and refused" in matters(outbox, settings)["all-refused:hook"]


# --- the digest -------------------------------------------------------------------------------------------


def test_the_digest_counts_and_names_nobody(outbox: Outbox, settings: Settings) -> None:
    letter = digest.made(settings, outbox)
    assert letter["subject"] == "[relay] nothing needs you"
    assert "newsletter: 0; the last one: never" in letter["text"]
    assert "ocamba: 0" in letter["text"]


def abroad(settings: Settings) -> Settings:
    """With a zone far from UTC, and a dashboard that can be reached."""
    ada = OperatorAccount("ada", "view", b"")
    there = {"public_url": "https://relay.example.com", "operators": (ada,)}
    return replace(settings, time_zone=ZoneInfo("Pacific/Kiritimati"), **there)


def test_times_in_letters_are_in_the_zone_of_the_operators(
    outbox: Outbox, settings: Settings, clock: Clock
) -> None:
    clock.now = 1_790_000_000.0  # 14:13:20 in UTC, the next day there
    put(outbox, "ada", source="newsletter")
    text = digest.made(abroad(settings), outbox)["text"]
    assert text.startswith("As it was at 2026-09-22 04:13:20 (Pacific/Kiritimati).")
    assert "What arrived in the 24 hours before:" in text
    assert "newsletter: 1; the last one: 2026-09-22 " in text and "Z" not in text
    content = {"alert": "disk", "state": "firing", "detail": "full", "at": "2026-09-21T14:13:20.000Z"}
    assert "At 2026-09-22 04:13:20 (Pacific/Kiritimati)." in letters.letter(abroad(settings), content)["text"]


@pytest.mark.parametrize(
    ("key", "page"),
    [
        ("held:ocamba", "/destinations"),
        ("old:ocamba", "/destinations"),
        ("parked:ocamba", "/submissions?state=parked"),
        ("suspects:ocamba", "/submissions?state=held"),
        ("silent:newsletter", "/sources/newsletter"),
        ("all-held:newsletter", "/submissions?state=held&source=newsletter"),
        ("disk", ""),
    ],
)
def test_the_link_of_a_letter_leads_to_what_it_is_about(settings: Settings, key: str, page: str) -> None:
    at = "2026-09-21T14:13:20.000Z"
    for state in ("firing", "over"):
        content = {"alert": key, "state": state, "detail": "so and so", "at": at}
        text = letters.letter(abroad(settings), content)["text"]
        assert text.endswith(f"\n\nOpen https://relay.example.com/dashboard{page}")
        assert letters.letter(settings, content)["text"].endswith("Run: python -m relay status")


def test_an_alert_names_a_page_where_there_is_one_and_a_command_elsewhere(
    outbox: Outbox, settings: Settings, clock: Clock
) -> None:
    for bot in range(10):
        put(outbox, f"bot {bot}", source="newsletter", state=HELD)
    put(outbox, "odd", source="hook", state=INVALID)
    put(outbox, "waits", source="hook")
    clock.now += 2 * 86400
    here, there = matters(outbox, settings), matters(outbox, abroad(settings))
    for key in ("invalid:ocamba", "suspects:ocamba", "old:ocamba", "all-held:newsletter"):
        assert ": python -m relay " in here[key] and "python" not in there[key]
        assert ": https://relay.example.com/dashboard/" in there[key]
    content = {"alert": "invalid:ocamba", "state": "firing", "detail": there["invalid:ocamba"]}
    text = letters.letter(abroad(settings), {**content, "at": "2026-09-21T14:13:20.000Z"})["text"]
    assert text.count("https://") == 1


def test_the_digest_is_due_once_a_day_from_its_hour_on(settings: Settings) -> None:
    midnight = 1_700_000_000 // 86400 * 86400
    assert digest.day(settings, midnight + 7 * 3600) is None
    assert digest.day(settings, midnight + 8 * 3600) == digest.day(settings, midnight + 86399) == "2023-11-14"


def test_of_several_processes_one_makes_the_digest_of_a_day(outbox: Outbox) -> None:
    begun = [
        outbox.write(notices.begin_day, day)
        for day in ("2026-01-01", "2026-01-01", "2026-01-02", "2026-01-02", "2026-01-01")
    ]
    assert begun == [False, False, True, False, False], "the first day has nothing to look back on"


def test_processes_in_several_zones_make_one_digest_a_day(outbox: Outbox, settings: Settings) -> None:
    """A zone was changed, and one of them was not started anew yet, or has another environment."""
    zones = [ZoneInfo(name) for name in ("Pacific/Kiritimati", "UTC", "Pacific/Pago_Pago")]
    began = 1_790_000_000
    made = 0
    for now in range(began, began + 10 * 86400, 1800):
        days = [digest.day(replace(settings, time_zone=zone), now) for zone in zones]
        for day in filter(None, days):
            if not outbox.read(notices.is_day, day):
                made += outbox.write(notices.begin_day, day)
    assert made in (9, 10)

"""Floods, bots and those who imitate others: what is limited, what is held, and how it is released.

A suspect is told what everybody is told; it is never sent, never lost, and a person can let it go.
"""

import re
import socket
import statistics
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.intake.verifying import CAPTCHA_SECRET, FORM, SiteVerify, captcha
from tests.kit.client import Answer, get
from tests.kit.processes import eventually, free_port
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
WIDE = {"limits": "500/second; 100000/minute", "parallel": 16}
DOMAINS = "# kept by hand\ntrash.example\n\nThrowaway.Example\n"
SHARED = FORM | {"recipient_limits": "20/day"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("spam")
    (made / "domains.txt").write_text(DOMAINS)
    (made / "secret").write_text(CAPTCHA_SECRET)
    return made


@pytest.fixture(scope="module")
def verify() -> Iterator[SiteVerify]:
    service = SiteVerify()
    yield service
    service.close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as server:
        yield server


class Outage:
    """A captcha service that is away when its first visitors come, and another that hangs."""

    def __init__(self, relay: RelayProcess, port: int, hanging: SiteVerify) -> None:
        self.relay, self.port, self.hanging = relay, port, hanging
        self.began = time.monotonic()
        self.hung = [solved(relay, "human", "hung").receipt or "" for _ in range(10)]
        self.people = [person("delayed") for _ in range(3)]
        answers = [
            relay.form({"email": email, "cf-turnstile-response": "ok"}, "away") for email in self.people
        ]
        assert [answer.status for answer in answers] == [202] * 3
        self.receipts = [answer.receipt or "" for answer in answers]


@pytest.fixture(scope="module")
def sources(folder: Path, verify: SiteVerify) -> dict[str, Any]:
    return {
        "plain": FORM,
        "pot": FORM | {"honeypot": "relay_leave_empty"},
        "quick": FORM | {"min_seconds": 0.2},
        "thanked": FORM | {"thanks": "https://www.example.com/thanks"},
        "checked": captcha(verify.url),
        "patient": captcha(verify.url) | {"wait": 8, "reply": ["id"]},
        "misset": captcha(verify.url, f"file:{folder}/secret"),
        "picky": FORM | {"disposable": f"{folder}/domains.txt"},
        "one": SHARED,
        "two": SHARED,
        "three": SHARED,
        "four": SHARED,
        "fewer": FORM | {"recipient_limits": "2/day"},
        "limited": FORM | {"client_limits": "2/minute"},
    }


@pytest.fixture(scope="module")
def outage(upstream: ScriptedUpstream) -> Iterator[Outage]:
    port, hanging = free_port(), SiteVerify()
    hanging.hanging.set()
    table = {"away": captcha(f"http://127.0.0.1:{port}/siteverify"), "hung": captcha(hanging.url)}
    environment = {"CAPTCHA_SECRET": CAPTCHA_SECRET}
    with RelayProcess(config(upstream.url, table, **WIDE), env=environment) as process:
        yield Outage(process, port, hanging)
    hanging.close()


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream, sources: dict[str, Any], outage: Outage) -> Iterator[RelayProcess]:
    environment = {"RELAY_TRUSTED_PROXIES": "1", "CAPTCHA_SECRET": CAPTCHA_SECRET}
    with RelayProcess(config(upstream.url, sources, **WIDE), env=environment) as process:
        yield process


def person(tag: str = "ada") -> str:
    return f"{tag}-{uuid.uuid4().hex[:12]}@example.com"


def calls_for(upstream: ScriptedUpstream, email: str) -> int:
    return sum((arrival.json or {}).get("email") == email for arrival in upstream.arrivals)


def is_held(relay: RelayProcess, upstream: ScriptedUpstream, answer: Answer, email: str) -> str:
    """The answer looks like everybody's, the row is held, nothing is sent; returns the reason."""
    assert answer.status == 202 and set(answer.json) == {"receipt", "state"}
    assert answer.json["state"] == "received"
    row = relay.submission(answer.receipt or "")
    assert row["state"] == "held" and row["history"] == [] and calls_for(upstream, email) == 0
    shown = relay.get(f"/receipts/{answer.receipt}").json
    assert set(shown) == {"receipt", "state", "received_at"} and shown["state"] == "received"
    return str(row["reason"])


# --- too fast -----------------------------------------------------------------------------------


def test_who_floods_is_limited_and_others_are_not(upstream: ScriptedUpstream) -> None:
    """Two hundred a second from one address for two seconds, and somebody else beside it."""
    table = {"form": FORM | {"client_limits": "5/second; 60/minute", "source_limits": "none"}}
    with RelayProcess(config(upstream.url, table, **WIDE), env={"RELAY_TRUSTED_PROXIES": "1"}) as relay:
        ends = time.monotonic() + 2
        flood: list[Answer] = []

        def flooding(worker: int) -> None:
            number = 0
            while (at := time.monotonic()) < ends:
                fields = {"email": f"flood-{worker}-{number}@example.com"}
                flood.append(relay.form(fields, "form", {"X-Forwarded-For": "198.51.100.7"}))
                number += 1
                time.sleep(max(0.0, 0.02 - (time.monotonic() - at)))

        threads = [threading.Thread(target=flooding, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        waits = []
        while time.monotonic() < ends:
            started = time.monotonic()
            answer = relay.form({"email": person()}, "form", {"X-Forwarded-For": "203.0.113.9"})
            waits.append(time.monotonic() - started)
            assert answer.status == 202, "another client"
            time.sleep(0.25)
        for thread in threads:
            thread.join()
    statuses = Counter(answer.status for answer in flood)
    assert set(statuses) == {202, 429} and len(flood) > 200
    assert statuses[202] <= 5 * 3, "five in any second"
    assert all(int(answer.header("Retry-After") or 0) >= 1 for answer in flood if answer.status == 429)
    assert max(waits) < 0.5 and statistics.median(waits) < 0.1


def test_a_flood_takes_no_more_than_its_turn(upstream: ScriptedUpstream) -> None:
    """Many addresses flood one form; another source goes on as if nothing were."""
    table = {"clean": FORM, "flooded": FORM | {"client_limits": "5/second; 60/minute"}}
    limits = {"limits": "5/second; 1000/minute"}
    with RelayProcess(config(upstream.url, table, **limits), env={"RELAY_TRUSTED_PROXIES": "1"}) as relay:
        ends = time.monotonic() + 3

        def flooding(worker: int) -> int:
            count = 0
            while (at := time.monotonic()) < ends:
                address = f"198.51.{worker}.{count % 250}"
                fields = {"email": f"bot-{worker}-{count}-{uuid.uuid4().hex[:6]}@example.com"}
                assert relay.form(fields, "flooded", {"X-Forwarded-For": address}).status == 202
                count += 1
                time.sleep(max(0.0, 0.08 - (time.monotonic() - at)))
            return count

        with ThreadPoolExecutor(4) as pool:
            flood = [pool.submit(flooding, worker) for worker in range(4)]
            people = []
            while time.monotonic() < ends:
                people.append((person("clean"), time.monotonic()))
                assert relay.form({"email": people[-1][0]}, "clean").status == 202
                time.sleep(1)
            count = sum(one.result() for one in flood)
        assert count > 80
        for email, at in people:
            eventually(lambda email=email: calls_for(upstream, email), 5, "a clean one's turn")
            (arrival,) = (one for one in upstream.arrivals if (one.json or {}).get("email") == email)
            assert arrival.at - at < 3
        waiting = relay.status()["ocamba"]["backlog"]
        assert waiting > count / 2, "the flood waits"


def test_what_is_over_the_sources_limit_is_held(upstream: ScriptedUpstream) -> None:
    table = {"flooded": FORM | {"source_limits": "20/hour"}, "clean": FORM}
    with RelayProcess(config(upstream.url, table, **WIDE), env={"RELAY_TRUSTED_PROXIES": "1"}) as relay:
        people = [person("bot") for _ in range(60)]
        for number, email in enumerate(people):
            relay.form({"email": email}, "flooded", {"X-Forwarded-For": f"198.51.100.{number}"})
        relay.wait_drained()
        assert relay.counts() == {"delivered": 20, "held": 40}
        assert sum(calls_for(upstream, email) for email in people) == 20
        assert {row["reason"] for row in relay.rows(False, state="held")} == {"source limit"}
        answer = relay.form({"email": person()}, "clean")
        relay.wait_state(answer.receipt or "", "delivered")


def knock(relay: RelayProcess, forwarded: str) -> int:
    return relay.form({"email": person()}, "limited", {"X-Forwarded-For": forwarded}).status


def test_addresses_of_one_network_are_one_client(relay: RelayProcess) -> None:
    assert [knock(relay, f"2001:db8:7:1::{number:x}") for number in range(1, 5)] == [202, 202, 429, 429]
    assert knock(relay, "2001:db8:7:1:ffff:ffff:ffff:ffff") == 429
    assert knock(relay, "2001:db8:7:2::1") == 202, "the network beside it"


def test_an_address_is_the_same_however_it_is_written(relay: RelayProcess) -> None:
    assert [knock(relay, "::ffff:192.0.2.44"), knock(relay, "192.0.2.44"), knock(relay, "192.0.2.44")] == [
        202,
        202,
        429,
    ]
    assert knock(relay, "2001:0DB8:0009:0000::1") == knock(relay, "2001:db8:9::2") == 202
    assert knock(relay, "2001:DB8:9::A") == 429


def test_only_the_trusted_proxys_word_counts(relay: RelayProcess) -> None:
    """What stands further left in the header is the client's own claim."""
    assert [knock(relay, f"10.9.8.{n}, 203.0.113.77") for n in range(4)] == [202, 202, 429, 429]
    assert knock(relay, "203.0.113.77, 203.0.113.78") == 202


def test_without_trusted_proxies_the_header_changes_nothing(upstream: ScriptedUpstream) -> None:
    table = {"limited": FORM | {"client_limits": "2/minute"}}
    with RelayProcess(config(upstream.url, table, **WIDE)) as relay:
        assert [relay.form({"email": person()}, "limited").status for _ in range(3)] == [202, 202, 429]
        # A loopback peer that forwards may be a proxy: all behind it share more, and the operator is told.
        assert knock(relay, "203.0.113.1") == 202
        warnings = relay.readiness().json["warnings"]
        assert any("RELAY_TRUSTED_PROXIES" in warning for warning in warnings)


# --- suspects -----------------------------------------------------------------------------------------


def form_of(relay: RelayProcess, source: str) -> str:
    """The timestamp of the source's own form, fresh."""
    page = relay.get(f"/forms/{source}").text
    found = re.search(r'name="relay_ts"[^>]*value="([^"]+)"', page)
    assert found, page
    return found[1]


@pytest.mark.parametrize("filled", ["x", "https://spam.example/", ["", "x"]])
def test_a_filled_honeypot_is_held(relay: RelayProcess, upstream: ScriptedUpstream, filled: Any) -> None:
    email = person()
    answer = relay.form({"email": email, "relay_leave_empty": filled}, "pot")
    assert is_held(relay, upstream, answer, email) == "honeypot"


@pytest.mark.parametrize("empty", [None, "", " ", ["", ""]])
def test_an_empty_honeypot_is_not(relay: RelayProcess, empty: Any) -> None:
    fields = {"email": person()} if empty is None else {"email": person(), "relay_leave_empty": empty}
    answer = relay.form(fields, "pot")
    relay.wait_state(answer.receipt or "", "delivered")


def test_the_forms_own_page_has_the_honeypot_where_nobody_sees_it(relay: RelayProcess) -> None:
    page = relay.get("/forms/pot").text
    assert 'name="relay_leave_empty"' in page
    assert "relay_leave_empty" not in relay.get("/forms/plain").text


def test_a_form_that_comes_back_at_once_is_held(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    answer = relay.form({"email": email, "relay_ts": form_of(relay, "plain")}, "plain")
    assert is_held(relay, upstream, answer, email) == "too fast"


def test_a_form_that_took_a_person_a_while_is_sent(relay: RelayProcess) -> None:
    stamp = form_of(relay, "quick")
    time.sleep(0.3)
    answer = relay.form({"email": person(), "relay_ts": stamp}, "quick")
    relay.wait_state(answer.receipt or "", "delivered")


@pytest.mark.parametrize("stamp", ["1.2", "x", "0" * 15 + "." + "0" * 32, "１.２", "-1." + "a" * 32])
def test_a_timestamp_of_somebody_elses_making_is_held(
    relay: RelayProcess, upstream: ScriptedUpstream, stamp: str
) -> None:
    email = person()
    answer = relay.form({"email": email, "relay_ts": stamp}, "plain")
    assert is_held(relay, upstream, answer, email) == "stale form"


def test_a_timestamp_of_another_form_is_held(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email, stamp = person(), form_of(relay, "quick")
    time.sleep(0.3)
    assert (
        is_held(relay, upstream, relay.form({"email": email, "relay_ts": stamp}, "plain"), email)
        == "stale form"
    )


@pytest.mark.parametrize("absent", [{}, {"relay_ts": ""}])
def test_a_form_of_the_owners_own_making_is_not_judged(relay: RelayProcess, absent: dict[str, str]) -> None:
    answer = relay.form({"email": person()} | absent, "plain")
    relay.wait_state(answer.receipt or "", "delivered")


def test_a_browser_sees_the_same_page_either_way(relay: RelayProcess) -> None:
    stamp = form_of(relay, "thanked")
    answers = [relay.form({"email": person()} | more, "thanked", HTML) for more in ({}, {"relay_ts": stamp})]
    assert [answer.status for answer in answers] == [303, 303]
    assert {answer.header("Location") for answer in answers} == {"https://www.example.com/thanks"}
    pages = [relay.form({"email": person(), "relay_leave_empty": text}, "pot", HTML) for text in ("", "x")]
    shown = [relay.get(page.header("Location") or "", HTML).text for page in pages]
    assert [page.status for page in pages] == [303, 303]
    assert len({re.sub(r"[0-9a-f]{16,}", "", text) for text in shown}) == 1


def test_a_bot_that_repeats_itself_is_one_row(relay: RelayProcess) -> None:
    fields = {"email": person(), "relay_leave_empty": "x"}
    answers = [relay.form(fields, "pot") for _ in range(5)]
    shown = {relay.submission(answer.receipt or "")["receipt"] for answer in answers}
    assert len({answer.receipt for answer in answers}) == 5 and len(shown) == 1


# --- the recipient ------------------------------------------------------------------------------------


def test_one_victim_is_written_to_a_few_times_only(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    """Five hundred sign-ups of one address over four sources, each a little different."""
    tag = uuid.uuid4().hex[:10]

    def spelled(number: int) -> str:
        name = f"victim-{tag}" + (f"+{number}" if number % 3 == 0 else "")
        return f"{name.upper() if number % 3 == 1 else name}@Example.com"

    def sign_up(number: int) -> int:
        fields = {"email": spelled(number), "first_name": f"N{number}"}
        source = ("one", "two", "three", "four")[number % 4]
        return relay.form(
            fields, source, {"X-Forwarded-For": f"198.51.{number // 250}.{number % 250}"}
        ).status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(sign_up, range(500)))
    assert set(statuses) == {202}
    relay.wait_drained()
    rows = [row for name in ("one", "two", "three", "four") for row in relay.rows(False, source=name)]
    found = Counter((row["state"], row["reason"]) for row in rows)
    assert found == {("delivered", None): 20, ("held", "recipient limit"): 480}
    sent = [
        arrival.json["email"].casefold() for arrival in upstream.arrivals if tag in str(arrival.json).lower()
    ]
    assert len(sent) == 20
    answer = relay.form({"email": person()}, "one")
    relay.wait_state(answer.receipt or "", "delivered")


def test_a_phone_number_is_a_recipient_too(relay: RelayProcess) -> None:
    number = f"+4915{uuid.uuid4().int % 10**9:09d}"
    written = [number, f"00{number[1:]}", f"{number[:5]} {number[5:]}"]
    states = []
    for count, phone in enumerate(written):
        answer = relay.form({"phone": phone, "first_name": f"N{count}"}, "fewer")
        states.append(relay.wait_state(answer.receipt or "", "delivered", "held")["state"])
    assert states == ["delivered", "delivered", "held"]


# --- memory -------------------------------------------------------------------------------------------


def test_the_server_itself_does_not_grow(relay: RelayProcess) -> None:
    def flood(start: int) -> None:
        for number in range(start, start + 150):
            knock(relay, f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")

    flood(0)
    before = relay.rss()
    flood(1000)
    assert relay.rss() - before < 20 * 1024 * 1024


# --- throw-away addresses ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "held"),
    [
        ("trash.example", True),
        ("TRASH.example", True),
        ("throwaway.example", True),
        ("mx3.trash.example", True),
        ("nottrash.example", False),
        ("trash.example.org", False),
        ("example", False),
        ("example.com", False),
    ],
)
def test_an_address_on_the_list_is_held(
    relay: RelayProcess, upstream: ScriptedUpstream, domain: str, held: bool
) -> None:
    email = f"ada-{uuid.uuid4().hex[:8]}@{domain}"
    answer = relay.form({"email": email}, "picky")
    if domain == "example":
        assert answer.status == 422, "no domain at all"
    elif held:
        assert is_held(relay, upstream, answer, email) == "disposable address"
    else:
        relay.wait_state(answer.receipt or "", "delivered")
    other = relay.form({"email": f"bob-{uuid.uuid4().hex[:8]}@trash.example"}, "plain")
    relay.wait_state(other.receipt or "", "delivered")


def test_a_phone_number_has_no_domain(relay: RelayProcess) -> None:
    answer = relay.form({"phone": f"+4930{uuid.uuid4().int % 10**8:08d}"}, "picky")
    relay.wait_state(answer.receipt or "", "delivered")


# --- a captcha --------------------------------------------------------------------------------------------


def solved(relay: RelayProcess, response: str | None, source: str = "checked", **more: str) -> Answer:
    fields = {"email": person(), **more}
    return relay.form(fields if response is None else fields | {"cf-turnstile-response": response}, source)


def test_who_solves_the_captcha_is_sent(relay: RelayProcess, verify: SiteVerify) -> None:
    answer = solved(relay, "human-1")
    assert answer.status == 202 and answer.json["state"] == "received"
    relay.wait_state(answer.receipt or "", "delivered")
    said = {"secret": CAPTCHA_SECRET, "response": "human-1"}
    (asked,) = [asked for asked in verify.asked if asked.items() >= said.items()]
    assert asked["idempotency_key"].replace("-", "") == answer.receipt, "a second ask is told the same"


@pytest.mark.parametrize("response", ["robot", "", None, "robot" * 2000])
def test_who_does_not_is_held(relay: RelayProcess, upstream: ScriptedUpstream, response: str | None) -> None:
    email = person()
    answer = solved(relay, response, email=email)
    relay.wait_state(answer.receipt or "", "held")
    reason = "captcha" if response else "captcha: no answer"  # no widget: it may be a person
    assert is_held(relay, upstream, answer, email) == reason


@pytest.mark.parametrize("tokens", [["", "human-2"], ["human-3", "human-4"], ["human" + "x" * 8000]])
def test_a_token_is_found_beside_an_empty_one_and_not_cut(
    relay: RelayProcess, verify: SiteVerify, tokens: list[str]
) -> None:
    fields = [("email", person()), *(("cf-turnstile-response", token) for token in tokens)]
    answer = relay.form(fields, "checked")
    relay.wait_state(answer.receipt or "", "delivered")
    assert verify.asked[-1]["response"] == next(filter(None, tokens))


def test_who_failed_once_may_try_again(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    """What a bot was held for must not stop the person whose address it used."""
    email = person()
    first = solved(relay, "robot", email=email)
    relay.wait_state(first.receipt or "", "held")
    second = solved(relay, "human", email=email)
    assert second.receipt != first.receipt
    relay.wait_state(second.receipt or "", "delivered")
    assert relay.state(first.receipt or "") == "held" and calls_for(upstream, email) == 1


def test_who_waits_is_told_once_the_captcha_is_checked(relay: RelayProcess) -> None:
    answer = solved(relay, "human", "patient")
    assert answer.status == 201 and answer.json["profile"]["id"]


def test_who_was_released_by_a_person_is_not_asked_about_again(
    relay: RelayProcess, verify: SiteVerify
) -> None:
    answer = solved(relay, "robot-release")
    relay.wait_state(answer.receipt or "", "held")
    assert relay.api("POST", f"/api/submissions/{answer.receipt}/replay").status == 200
    relay.wait_state(answer.receipt or "", "delivered")
    assert sum(asked["response"] == "robot-release" for asked in verify.asked) == 1


SILENT = [
    b"",
    b"nonsense",
    b"[]",
    b"[" * 60_000,
    b'{"success": "true"}',
    b'{"success": null}',
    b'{"success": 1}',
]


def test_an_answer_that_says_nothing_is_no_verdict(upstream: ScriptedUpstream) -> None:
    services = {f"odd{number}": SiteVerify() for number in range(len(SILENT))}
    for service, said in zip(services.values(), SILENT, strict=True):
        service.reply = said
    table = {name: captcha(service.url) for name, service in services.items()}
    try:
        with RelayProcess(config(upstream.url, table), env={"CAPTCHA_SECRET": CAPTCHA_SECRET}) as process:
            receipts = {name: solved(process, "human", name).receipt or "" for name in services}
            eventually(lambda: all(service.asked for service in services.values()), 10, "the questions")
            eventually(lambda: process.output().count("captcha.unavailable") == len(SILENT), 10, "the notes")
            rows = [process.submission(receipt) for receipt in receipts.values()]
            assert {(row["state"], len(row["history"])) for row in rows} == {("queued", 0)}
            assert "checker.fault" not in process.output() and process.readyz() == 200
    finally:
        for service in services.values():
            service.close()


def test_with_postgresql_captchas_are_checked_too(
    postgres_url: str, verify: SiteVerify, upstream: ScriptedUpstream
) -> None:
    table = config(upstream.url, {"checked": captcha(verify.url)}, **WIDE)
    with RelayProcess(table, database_url=postgres_url, env={"CAPTCHA_SECRET": CAPTCHA_SECRET}) as relay:
        good, bad = solved(relay, "human"), solved(relay, "robot")
        relay.wait_state(good.receipt or "", "delivered")
        relay.wait_state(bad.receipt or "", "held")


def test_a_wrong_secret_of_ours_is_not_the_visitors_fault(
    relay: RelayProcess, folder: Path, upstream: ScriptedUpstream
) -> None:
    """It waits until the secret is mended and the configuration is read again."""
    (folder / "secret").write_text("a wrong one")
    relay.hup()
    eventually(lambda: "config.reloaded" in relay.output(), 10, "the reload")
    answer = solved(relay, "human", "misset")
    eventually(lambda: "captcha.unavailable" in relay.output(), 10, "the note")
    assert relay.state(answer.receipt or "") == "queued"
    (folder / "secret").write_text(CAPTCHA_SECRET)
    reloads = relay.output().count("config.reloaded")
    relay.hup()
    eventually(lambda: relay.output().count("config.reloaded") > reloads, 10, "the reload")
    later = solved(relay, "human", "misset")
    relay.wait_state(later.receipt or "", "delivered")


# --- releasing --------------------------------------------------------------------------------------------


def held(relay: RelayProcess, count: int, source: str = "pot") -> dict[str, str]:
    """Held submissions: receipt → address."""
    people = [person("held") for _ in range(count)]
    fields = {"relay_leave_empty": "x"}
    return {relay.form(fields | {"email": email}, source).receipt or "": email for email in people}


def test_one_is_released_from_the_command_line(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    ((receipt, email),) = held(relay, 1).items()
    listed = relay.command_line("submissions", "list", "--state", "held", "--source", "pot")
    assert receipt in listed.stdout and "honeypot" in listed.stdout and email not in listed.stdout
    done = relay.command_line("submissions", "replay", receipt)
    assert (done.returncode, done.stdout) == (0, f"{receipt} queued\n")
    relay.wait_state(receipt, "delivered")
    assert calls_for(upstream, email) == 1
    again = relay.command_line("submissions", "replay", receipt)
    assert again.returncode == 1 and "is delivered" in again.stderr


def test_all_are_released_by_a_filter(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    waiting = held(relay, 3)
    everybody = {row["receipt"] for row in relay.rows(False, state="held", source="pot")}
    elsewhere = {row["receipt"] for row in relay.rows(False, state="held")} - everybody
    asked = {"state": "held", "source": "pot"}
    tried = relay.api("POST", "/api/replay", asked | {"dry_run": True})
    assert (tried.status, tried.json) == (200, {"count": len(everybody)})
    assert {relay.state(receipt) for receipt in waiting} == {"held"}
    done = relay.api("POST", "/api/replay", asked)
    assert (done.status, done.json["count"]) == (200, len(everybody))
    for receipt, email in waiting.items():
        relay.wait_state(receipt, "delivered")
        assert calls_for(upstream, email) == 1
    assert {relay.state(receipt) for receipt in list(elsewhere)[:20]} <= {"held"}, "other sources' stay"


def test_a_filter_takes_a_hundred_at_most_and_says_so(relay: RelayProcess) -> None:
    waiting = held(relay, 5)
    done = relay.command_line("submissions", "discard", "--source", "pot", "--limit", "3", "--yes")
    assert done.returncode == 0 and "stopped after 3, there may be more" in done.stderr
    assert done.stdout.count(" discarded\n") == 3, "what is delivered is left out of the count"
    rest = relay.command_line("submissions", "discard", "--source", "pot", "--yes")
    assert rest.returncode == 0 and "stopped" not in rest.stderr
    assert {relay.state(receipt) for receipt in waiting} == {"discarded"}


def test_a_person_is_released_by_name_from_the_command_line(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    waiting = held(relay, 2)
    (first, email), (second, _) = waiting.items()
    done = relay.command_line("submissions", "replay", "--state", "held", "--contact", email.upper())
    assert done.returncode == 0 and done.stdout == f"{first} queued\n"
    relay.wait_state(first, "delivered")
    assert relay.state(second) == "held"
    gone = relay.command_line("submissions", "discard", second)
    assert gone.stdout == f"{second} discarded\n" and relay.state(second) == "discarded"
    assert calls_for(upstream, waiting[second]) == 0


# --- an outage, which began with the first test -----------------------------------------------------------


def test_a_service_that_hangs_is_asked_seldom(outage: Outage) -> None:
    """Others' submissions must not wait for one timeout after another."""
    relay = outage.relay
    time.sleep(max(0.0, outage.began + 12 - time.monotonic()))
    seconds = time.monotonic() - outage.began
    assert 1 <= len(outage.hanging.asked) <= 1 + seconds / 14
    assert {relay.state(receipt) for receipt in outage.hung} == {"queued"}


def test_an_outage_of_the_captcha_delays_and_does_not_block(
    outage: Outage, upstream: ScriptedUpstream
) -> None:
    relay = outage.relay
    assert {relay.state(receipt) for receipt in outage.receipts} == {"queued"}
    assert not any(calls_for(upstream, email) for email in outage.people)
    assert all(relay.submission(receipt)["history"] == [] for receipt in outage.receipts)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", outage.port)) != 0, "it is away"
    service = SiteVerify(outage.port)
    try:
        for receipt, email in zip(outage.receipts, outage.people, strict=True):
            relay.wait_state(receipt, "delivered", timeout=50)
            assert calls_for(upstream, email) == 1
        assert {asked["response"] for asked in service.asked} == {"ok"}
    finally:
        service.close()


def test_no_captcha_secret_is_written_down(relay: RelayProcess, outage: Outage) -> None:
    for process in (relay, outage.relay):
        assert CAPTCHA_SECRET not in process.output()
        assert CAPTCHA_SECRET not in get(process.port, "/readyz").text

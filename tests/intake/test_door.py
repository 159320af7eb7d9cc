"""How much of a source one client may use, and what one client can make its owner believe."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import pytest

from relay.intake.episodes import EPISODE_SECONDS, Crowds, Episodes
from relay.intake.incoming import Incoming
from relay.intake.limits import Doorkeeper
from relay.intake.mistakes import Mistakes
from relay.intake.suspects import Suspects
from relay.intake.suspicion import CLIENT_SHARE, mailbox
from relay.sources.mapping import Mapping
from relay.sources.source import Budget, Source
from tests.intake.counter import events
from tests.kit.client import request
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

SITE = "https://www.example.com"
FORM = NEWSLETTER | {"honeypot": "relay_leave_empty", "recipient_limits": "none"}
SOURCES = {
    "form": FORM | {"source_limits": "20/hour"},
    "mailbox": FORM | {"source_limits": "20/hour", "recipient_limits": "1/day"},
    "flooded": FORM | {"source_limits": "3/hour"},
    "few": FORM | {"source_limits": "3/hour"},
    "limited": FORM | {"client_limits": "5/hour"},
    "again": FORM | {"held_budget": "10 rows"},
    "mistaken": FORM | {"origins": [SITE]},
    "hook": HOOK | {"wait": 0, "source_limits": "10/hour"},
}


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    with ScriptedUpstream() as upstream:
        settings = config(upstream.url, SOURCES, limits="500/second; 100000/minute")
        with RelayProcess(settings) as process:
            yield process


def held(relay: RelayProcess, source: str) -> list[str]:
    return [row["reason"] for row in relay.rows(False, source=source, state="held")]


def post(relay: RelayProcess, source: str, count: int, address: str, **more: str) -> None:
    for number in range(count):
        fields = {"email": f"{source}{number}@{address}.example"} | more
        assert relay.form(fields, source, source_address=address).status == 202


def test_one_client_uses_a_fifth_of_a_source_and_suspects_nothing_of_it(relay: RelayProcess) -> None:
    post(relay, "form", 30, "127.0.9.1", relay_leave_empty="filled in")
    post(relay, "form", 10, "127.0.9.2")
    assert held(relay, "form").count(CLIENT_SHARE) == 6
    for number in range(3, 7):
        post(relay, "form", 4, f"127.0.9.{number}")
    assert len(held(relay, "form")) == 36, "the others got all that was left"
    post(relay, "form", 1, "127.0.9.8")
    assert held(relay, "form").count("source limit") == 1


def test_what_one_recipient_gets_too_much_of_uses_nothing_up(relay: RelayProcess) -> None:
    for number in range(22):
        fields = {"email": f"ada+{number}@example.com"}
        assert relay.form(fields, "mailbox", source_address=f"127.0.10.{number + 1}").status == 202
    for number in range(5):
        post(relay, "mailbox", 3, f"127.0.11.{number + 1}")
    assert held(relay, "mailbox") == ["recipient limit"] * 21


def test_suspects_are_counted_in_a_window_of_their_own(relay: RelayProcess) -> None:
    post(relay, "flooded", 6, "127.0.9.21", relay_leave_empty="filled in")
    post(relay, "flooded", 3, "127.0.9.22")
    assert held(relay, "flooded") == ["honeypot"] * 6, "held on, and nobody else for it"
    eventually(lambda: "flood:flooded" in relay.output(), 25, "the alert")
    assert "limit:flooded" not in relay.output()


def test_one_client_has_a_fifth_of_what_may_be_held() -> None:
    """Its own further suspects are refused; everybody else's are kept, and its people are taken."""
    form = FORM | {"held_budget": "20 rows", "source_limits": "none"}
    settings = config("http://127.0.0.1:9/", {"form": form})
    with RelayProcess(settings, env={"RELAY_TRUSTED_PROXIES": "1"}) as process:

        def statuses(count: int, address: str, filled: str = "x") -> list[int]:
            via = {"X-Forwarded-For": address}
            fields = {"relay_leave_empty": filled}
            return [
                process.form(fields | {"email": f"{n}@{address}.example"}, "form", via).status
                for n in range(count)
            ]

        assert statuses(6, "203.0.113.1") == [202] * 4 + [429] * 2
        assert statuses(6, "203.0.113.1", "") == [202] * 6
        for number in range(2, 6):
            assert statuses(4, f"203.0.113.{number}") == [202] * 4
        assert statuses(1, "203.0.113.6") == [429], "the budget itself is used up"
        assert len(held(process, "form")) == 20


def test_a_client_has_its_part_of_the_bytes_too() -> None:
    form = Source("form", "form", "ocamba", Mapping({}), held_budget=Budget(rows=1000, size=100_000))
    suspects = Suspects(Doorkeeper("memory://"), Crowds())

    def taken(client: str | None, size: int) -> int:
        for number in range(300):
            if not suspects.may_keep(form, "honeypot", client, size):
                return number
            suspects.kept(form, client, size, is_repeat=False)
        return 300

    assert taken("192.0.2.1", 4_000) == 5
    assert taken("192.0.2.2", 10) == 200
    assert taken("192.0.2.3", 10**6) == 1, "whether there is room for it is not the client's matter"
    assert taken(None, 4_000) == 300


def test_a_suspect_that_comes_again_and_again_fills_nothing(relay: RelayProcess) -> None:
    """Each repeat has a receipt of its own, which takes room; and a new one is told the same."""
    fields = {"email": "bot@example.com", "relay_leave_empty": "x"}
    answers = [relay.form(fields, "again") for _ in range(16)]
    assert [answer.status for answer in answers] == [202] * 11 + [429] * 5
    assert len({answer.receipt for answer in answers[:11]}) == 11
    assert held(relay, "again") == ["honeypot"]
    assert relay.form(fields | {"email": "eve@example.com"}, "again").status == 429
    assert relay.form({"email": "ada@example.com"}, "again").status == 202


def test_a_limit_of_a_few_is_not_divided(relay: RelayProcess) -> None:
    post(relay, "few", 3, "127.0.9.20")
    assert held(relay, "few") == []


def test_machines_have_no_share(relay: RelayProcess) -> None:
    for number in range(10):
        assert relay.hook({"email": f"h{number}@example.com"}).status == 202
    assert held(relay, "hook") == []


def test_what_could_not_be_read_counts_against_its_client(relay: RelayProcess) -> None:
    bad = {"Content-Type": "application/x-www-form-urlencoded"}
    for _ in range(5):
        answer = request(relay.port, "POST", "/submit/limited", b"email=%", bad, source_address="127.0.9.30")
        assert answer.status == 400
    good = relay.form({"email": "good@example.com"}, "limited", source_address="127.0.9.30")
    assert good.status == 429


def mistaken(relay: RelayProcess) -> bool:
    return "unmappable:mistaken" in relay.output()


def test_several_clients_make_an_owner_believe_that_a_form_is_wrong(relay: RelayProcess) -> None:
    for number in range(12):
        answer = relay.form({"mail": f"{number}@example.com"}, "mistaken", source_address="127.0.9.40")
        assert answer.status == 202
    for number in (41, 42):
        relay.form({"mail": f"{number}@example.com"}, "mistaken", source_address=f"127.0.9.{number}")
    eventually(lambda: mistaken(relay), 25, "the alert")
    assert relay.output().count('"source.misconfigured"') == 1, "once an episode, however many came"


def test_one_client_cannot_show_that_a_form_is_wrong() -> None:
    form = Source(name="form", kind="form", destination="x", mapping=Mapping({}), origins=(SITE,))
    mistakes = Mistakes()
    for _ in range(12):
        mistakes.note(form, incoming("192.0.2.1"))
    assert mistakes.sources() == set()
    for other in ("*", "null", "https://else.example"):
        mistakes.note(form, incoming("192.0.2.1", origin=other))
    assert mistakes.sources() == set()
    anywhere = replace(form, name="anywhere", origins=("*",))
    for other in ("*", "null", SITE):
        mistakes.note(anywhere, incoming("192.0.2.1", origin=other))
    assert mistakes.sources() == set(), "a form for every site has none of its own"
    mistakes.note(form, incoming("192.0.2.1", origin=SITE))
    assert mistakes.sources() == {"form"}, "a page of the owner's own site"


def test_behind_a_known_proxy_a_private_address_is_one_client() -> None:
    """Without one, everybody comes from the proxy's."""
    trusting = {"RELAY_TRUSTED_PROXIES": "1"}
    for env, kept in ((trusting, 20), ({}, 30)):
        with RelayProcess(config("http://127.0.0.1:9/", {"mistaken": FORM}), env=env) as process:
            for number in range(30):
                fields, via = {"mail": f"{number}@example.com"}, {"X-Forwarded-For": "10.0.0.7"}
                process.form(fields, "mistaken", via)
            assert len(process.rows(False, source="mistaken", state="invalid")) == kept


def test_a_form_that_fits_nothing_is_told_of_also_when_no_more_is_kept() -> None:
    fields = {"mail": "ada@example.com"}
    with RelayProcess(config("http://127.0.0.1:9/", {"mistaken": FORM})) as process:
        for address in ("127.0.9.1", "127.0.9.2"):
            for number in range(80):
                process.form({"mail": f"{number}@{address}"}, "mistaken", source_address=address)
        process.kill9()
        process.start()
        assert process.form(fields, "mistaken", source_address="127.0.9.3").status == 422
        eventually(lambda: len(events(process, "source.misconfigured")) == 2, 10, "the second line")


def incoming(client: str, **headers: str) -> Incoming:
    return Incoming(raw=b"", content_type="", headers=headers, query={}, client=client)


def test_an_episode_begins_again_when_it_had_ended() -> None:
    now = [0.0]
    episodes = Episodes(lambda: now[0])
    assert [episodes.note("form"), episodes.note("form"), episodes.note("other")] == [True, False, True]
    now[0] = EPISODE_SECONDS - 1
    assert not episodes.note("form") and episodes.sources() == {"form", "other"}
    now[0] += EPISODE_SECONDS
    assert episodes.sources() == set() and episodes.note("form")


@pytest.mark.parametrize(
    ("contact", "folded"),
    [
        ("Ada.Love.Lace+news@GoogleMail.com", "adalovelace@gmail.com"),
        ("adalovelace@gmail.com", "adalovelace@gmail.com"),
        ("ada.lovelace+x@example.com", "ada.lovelace@example.com"),
        ("+4930123456", "+4930123456"),
    ],
)
def test_a_mailbox_is_counted_once_however_it_is_written(contact: str, folded: str) -> None:
    assert mailbox(contact) == folded


def test_a_part_of_a_limit_is_counted_apart_from_the_whole() -> None:
    door = Doorkeeper("memory://")
    fifth = [door.retry_after("10/hour", "share", "x", times=Fraction(1, 5)) for _ in range(3)]
    assert [wait is None for wait in fifth] == [True, True, False]
    assert door.retry_after("4/hour", "few", times=Fraction(1, 5)) is None
    more = [door.retry_after("1/hour", "peer", times=Fraction(20)) for _ in range(21)]
    assert [wait is None for wait in more] == [True] * 20 + [False]

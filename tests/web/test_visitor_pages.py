"""What a visitor meets: the form again after a mistake, frames, the way on, texts, the proof of consent."""

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest

from relay.web.language import LANGUAGES
from tests.kit.client import Answer
from tests.kit.people import Moods
from tests.kit.processes import eventually
from tests.kit.relay import NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

HTML = {"Accept": "text/html"}
SHOP = "https://shop.example"
CONSENT = {"email": "news_mail", "mobile_phone_number": "news_sms"}
LABELLED = {"email": {"from": ["Your E-mail", "email"]}, "mobile_phone_number": "phone"}
NESTED = {"email": "contact[email]", "mobile_phone_number": "contact.phone"}
PAGE = {
    "title": "Join",
    "labels": {"news_mail": "Write to me"},
    "site": {"name": "The shop", "url": SHOP + "/"},
    "privacy": SHOP + "/privacy",
    "de": {"title": "Mitmachen", "labels": {"news_mail": "Schreibt mir"}},
}


UMLAUTS = "https://münchen.example"


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    many = {"origins": [SHOP, "https://*.shop.example", UMLAUTS]}
    sources = {
        "newsletter": NEWSLETTER | many,
        "anywhere": NEWSLETTER | {"origins": ["*"]},
        "unframed": NEWSLETTER | many | {"frame": False},
        "consenting": NEWSLETTER | many | {"consent": CONSENT, "page": PAGE},
        "busy": NEWSLETTER | many | {"client_limits": "1/minute", "page": {"title": "The letter"}},
        "daily": NEWSLETTER | many | {"client_limits": "1/day"},
        "small": NEWSLETTER | many | {"max_body": "1KiB"},
        "closed": NEWSLETTER | many | {"enabled": False},
        "nested": NEWSLETTER | many | {"fields": NESTED},
        "boxed": NEWSLETTER | many | {"consent": "agree.mail"},
        "grouped": NEWSLETTER | many | {"consent": "contains(interests, 'mail')"},
        "listed": NEWSLETTER | many | {"consent": "answers[?id=='mail'].value | [0]"},
        "slow": NEWSLETTER | many | {"consent": "agree", "min_seconds": "60s"},
        "waiting": NEWSLETTER | many | {"wait": 5},
        "trap": NEWSLETTER | many | {"honeypot": "leave_empty"},
    }
    with ScriptedUpstream(Moods()) as upstream, RelayProcess(config(upstream.url, sources)) as running:
        yield running


def test_whom_upstream_refuses_while_they_wait_can_mend_what_they_typed(relay: RelayProcess) -> None:
    typed = {"email": "refused-visitor@example.com", "first_name": "<Ada>", "page_id": "7"}
    answer = relay.form(typed, "waiting", headers=HTML | {"Accept-Language": "de"})
    assert answer.status == 422
    assert [one["value"] for name in typed for one in named(answer, name)] == list(typed.values())
    assert "Ihre Anmeldung konnte nicht" in answer.text and "Upstream" not in answer.text
    again = {one["name"]: one.get("value", "") for one in inputs(answer) if one.get("name")}
    assert relay.form(again, "waiting", headers=HTML).status == 422, "as it was, it is the same one"
    mended = again | {"email": "right-visitor@example.com"}
    assert relay.form(mended, "waiting", headers=HTML).status == 303
    problem = relay.form(typed, "waiting").json
    assert (problem["status"], problem["state"]) == (422, "refused"), "a program is told as before"


def inputs(answer: Answer) -> list[dict[str, str]]:
    """The inputs of a page as a browser would see them."""
    found = []
    for tag in re.findall(r"<input\b[^>]*>", answer.text):
        one = {name: unescape(value) for name, value in re.findall(r'([a-z-]+)="([^"]*)"', tag)}
        found.append(one | ({"checked": "checked"} if re.search(r"\schecked", tag) else {}))
    return found


def named(answer: Answer, name: str) -> list[dict[str, str]]:
    return [one for one in inputs(answer) if one.get("name") == name]


def post(relay: RelayProcess, fields: Any, source: str = "newsletter", **headers: str) -> Answer:
    return relay.form(fields, source, {**HTML, **headers})


# --- the form again -------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_ticked", [True, False])
@pytest.mark.parametrize(
    ("source", "boxes", "kept"),
    [
        ("boxed", [("agree[mail]", "on"), ("agree[terms]", "ok")], "ok"),
        ("grouped", [("interests[]", "mail"), ("interests[]", "post")], "post"),
        ("listed", [("answers[0][id]", "mail"), ("answers[0][value]", "on")], "small"),
    ],
)
def test_who_takes_a_tick_away_on_the_page_that_came_back_has_not_consented(
    relay: RelayProcess, source: str, boxes: list[tuple[str, str]], kept: str, is_ticked: bool
) -> None:
    answer = post(relay, [("email", "wrong"), ("plan", "small"), *boxes], source)
    found = inputs(answer)
    (box,) = [one for one in found if one.get("type") == "checkbox"]
    assert "checked" in box
    fields = [(one["name"], one.get("value", "")) for one in found if one.get("name") not in ("email", None)]
    assert {"small", kept} <= {value for _, value in fields}, "the rest goes along"
    again = [pair for pair in fields if is_ticked or pair[0] != box["name"]]

    answer = post(relay, [("email", f"tick-{source}@example.com"), *again], source)

    assert answer.status == (303 if is_ticked else 422)


def test_who_ticks_a_forgotten_box_at_once_is_no_bot(relay: RelayProcess) -> None:
    """Their own page had no signed time: one of the page that came back would say nothing of them."""
    first = post(relay, {"email": "at-once@example.com"}, "slow")
    again = {one["name"]: one.get("value", "") for one in inputs(first) if one.get("name")}
    assert post(relay, again | {"agree": "yes"}, "slow").status == 303
    assert [row["reason"] for row in relay.rows(contact="at-once@example.com")] == [None]


def test_of_a_field_given_twice_the_value_comes_back(relay: RelayProcess) -> None:
    answer = post(relay, [("email", "wrong"), ("first_name", ""), ("first_name", "Ada")])
    assert [one["value"] for one in named(answer, "first_name")] == ["Ada"]


def test_a_box_that_was_not_ticked_does_not_come_back_ticked(relay: RelayProcess) -> None:
    answer = post(relay, {"email": "wrong", "news_mail": "no", "news_sms": "yes"}, "consenting")

    assert answer.status == 422
    assert "checked" not in named(answer, "news_mail")[0]
    assert "checked" in named(answer, "news_sms")[0]


@pytest.mark.parametrize("sent", ["", "0", "off", "false", "nein", "null"])
def test_no_value_that_says_no_comes_back_ticked(relay: RelayProcess, sent: str) -> None:
    answer = post(relay, {"email": "wrong", "news_mail": sent}, "consenting")

    assert "checked" not in named(answer, "news_mail")[0]


def test_what_the_page_does_not_show_rides_along_unseen(relay: RelayProcess) -> None:
    fields = [("email", "wrong"), ("campaign", "spring"), ("list", "a"), ("list", "b")]
    fields += [("cf-turnstile-response", "token")]

    answer = post(relay, fields)

    carried = [(one["name"], one["value"]) for one in inputs(answer) if one.get("type") == "hidden"]
    assert [pair for pair in fields if pair[0] != "email"] == [
        pair for pair in carried if not pair[0].startswith("relay_")
    ]


def test_the_honeypot_and_our_own_fields_do_not_ride_along(relay: RelayProcess) -> None:
    fields = {"email": "wrong", "leave_empty": "", "_charset_": "utf-8", "relay_shown": "xx"}

    answer = post(relay, fields, "trap")

    assert len(named(answer, "leave_empty")) == 1
    assert named(answer, "_charset_") == []
    assert [one["value"] for one in named(answer, "relay_shown")] == ["en"]


def test_posting_the_page_that_came_back_signs_up_with_everything(relay: RelayProcess) -> None:
    first = post(relay, {"email": "wrong", "phone": "+12025550123", "extra": "kept"})

    again = {one["name"]: one.get("value", "") for one in inputs(first)} | {"email": "right@example.com"}
    assert again["phone"] == "+12025550123" and again["extra"] == "kept"
    assert post(relay, again).status == 303


def test_a_number_after_a_blank_gets_no_plus_on_the_way(relay: RelayProcess) -> None:
    """A browser writes the blank as a plus; after a mistake elsewhere it must not come back as one."""
    first = post(relay, {"email": "wrong", "phone": " 17012345678"})

    assert named(first, "phone")[0]["value"] == " 17012345678"
    again = {one["name"]: one.get("value", "") for one in inputs(first)} | {"email": "blank@example.com"}
    taken = post(relay, again)
    row = relay.submission((taken.header("Location") or "").rpartition("/")[2])
    assert row["state"] != "invalid" and row["contact_hint"] in (None, "b***@example.com")
    assert relay.api("POST", "/api/find", {"contact": "+4917012345678"}).json["submissions"]


def test_a_field_in_brackets_comes_back_as_it_was_posted(relay: RelayProcess) -> None:
    first = post(relay, {"contact[email]": "wrong", "contact[phone]": "0170 7654321"}, "nested")

    assert named(first, "contact[phone]")[0]["value"] == "0170 7654321"
    assert [one["type"] for one in named(first, "contact[phone]")] == ["tel"] and not named(
        first, "contact.phone"
    )
    again = {one["name"]: one.get("value", "") for one in inputs(first)} | {
        "contact[email]": "in@example.com"
    }
    assert post(relay, again, "nested").status == 303
    assert relay.api("POST", "/api/find", {"contact": "+491707654321"}).json["submissions"]


@pytest.mark.parametrize(
    "fields",
    [
        [("interests[]", "a"), ("interests[]", "b")],
        [("interests[0]", "a"), ("interests[1]", "b")],
        [("interests", ""), ("interests[]", "a"), ("interests[]", "b")],
        [("interests", "a"), ("interests", "b")],
    ],
)
def test_a_list_comes_back_once(relay: RelayProcess, fields: list[tuple[str, str]]) -> None:
    first = post(relay, [("email", "wrong"), *fields])

    carried = [one["value"] for one in inputs(first) if one.get("name", "").startswith("interests")]
    assert carried == ["a", "b"]


def test_one_mistake_is_said_once_and_two_are_listed(relay: RelayProcess) -> None:
    one = post(relay, {"email": "wrong"})
    two = post(relay, {"email": "wrong", "phone": "12"})

    assert 'class="summary"' not in one.text and 'class="summary"' in two.text


# --- the way on -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["/thanks", "/thanks?from=form#top", ""])
def test_a_form_may_name_its_thanks_page_on_a_site_that_may_post(relay: RelayProcess, page: str) -> None:
    answer = post(relay, {"email": f"next{len(page)}@example.com", "_next": SHOP + page})

    assert (answer.status, answer.header("Location")) == (303, SHOP + page)


def test_whose_form_posts_no_field_that_is_mapped_is_led_on_all_the_same(relay: RelayProcess) -> None:
    answer = post(relay, {"mail": "unmapped@example.com", "_next": SHOP + "/thanks"})

    assert (answer.status, answer.header("Location")) == (303, SHOP + "/thanks")


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        (UMLAUTS + "/ok", "https://xn--mnchen-3ya.example/ok"),
        (SHOP + "/größe?für=dich", SHOP + "/gr%C3%B6%C3%9Fe?f%C3%BCr=dich"),
        (SHOP + "/thank you", SHOP + "/thank%20you"),
        (SHOP + "/a%20b", SHOP + "/a%20b"),
    ],
)
def test_an_address_is_led_to_as_browsers_write_it(relay: RelayProcess, asked: str, led: str) -> None:
    answer = post(relay, {"email": f"idn{len(asked)}@example.com", "_next": asked})

    assert (answer.status, answer.header("Location")) == (303, led)


@pytest.mark.parametrize(
    "asked",
    [
        "https://evil.example/",
        "https://shop.example＠evil.example/",
        "https://evil。example/",
        "https://shop.example@münchen.example/",
        "https://shop.example.evil.example/",
        "https://shop.example@evil.example/",
        "https://evil.example\\@shop.example/",
        "//evil.example/",
        "/relative",
        "javascript:alert(1)",
        "https:evil.example",
        "http://shop.example/",
        "https://shop.example:8443/",
        "https://shop.example/\r\nSet-Cookie: x=1",
        "https://deep.er.shop.example/",
        "https://shop.example/\u202e",
        "https://[::1/",
    ],
)
def test_nobody_is_led_to_another_address(relay: RelayProcess, asked: str) -> None:
    answer = post(relay, {"email": "stays@example.com", "_next": asked})

    assert answer.status == 303 and (answer.header("Location") or "").startswith("/receipts/")


def test_a_source_for_every_site_names_none_to_be_led_to(relay: RelayProcess) -> None:
    answer = post(relay, {"email": "any@example.com", "_next": SHOP}, "anywhere")

    assert (answer.header("Location") or "").startswith("/receipts/")


def test_the_page_after_a_mistake_keeps_the_way_on(relay: RelayProcess) -> None:
    answer = post(relay, {"email": "wrong", "_next": SHOP + "/thanks"})

    assert named(answer, "_next")[0]["value"] == SHOP + "/thanks"
    assert f"form-action 'self' {SHOP};" in (answer.header("Content-Security-Policy") or "")


# --- frames ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "ancestors"),
    [
        ("newsletter", f"{SHOP} https://*.shop.example https://xn--mnchen-3ya.example"),
        ("anywhere", "'none'"),
        ("unframed", "'none'"),
    ],
)
def test_forms_may_be_framed_by_the_sites_that_may_post(
    relay: RelayProcess, source: str, ancestors: str
) -> None:
    form, error = relay.get(f"/forms/{source}", HTML), post(relay, {"email": "x"}, source)
    taken = post(relay, {"email": f"{source}@example.com"}, source)

    for page in (form, error, relay.get(taken.header("Location") or "", HTML)):
        assert (page.header("Content-Security-Policy") or "").endswith(f"frame-ancestors {ancestors}")
        assert (page.header("X-Frame-Options") == "DENY") == (ancestors == "'none'")


def test_no_other_page_may_be_framed(relay: RelayProcess) -> None:
    for path in ("/", "/forms/nobody", "/receipts/none", "/dashboard/login"):
        policy = relay.get(path, HTML).header("Content-Security-Policy") or ""
        assert "frame-ancestors 'none'" in policy, path


# --- texts and proof ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "title"), [("en", "Join"), ("de", "Mitmachen"), ("fr", "Join")])
def test_a_page_has_its_sources_texts_in_the_visitors_language(
    relay: RelayProcess, language: str, title: str
) -> None:
    page = relay.get("/forms/consenting", {**HTML, "Accept-Language": language})

    assert f"<h1>{title}</h1>" in page.text
    assert "The shop" in page.text and f"{SHOP}/privacy" in page.text


def test_the_proof_of_consent_has_the_words_and_the_page_also_after_a_mistake(relay: RelayProcess) -> None:
    where = {"Referer": f"{SHOP}/join?name=secret"}
    first = post(relay, {"email": "wrong", "news_mail": "yes"}, "consenting", **where)
    again = {
        one["name"]: one.get("value", "")
        for one in inputs(first)
        if "checked" in one or one["type"] != "checkbox"
    }
    taken = post(
        relay, again | {"email": "proof@example.com"}, "consenting", Referer=relay.url + "/submit/consenting"
    )

    receipt = (taken.header("Location") or "").rpartition("/")[2]
    said = relay.submission(receipt)["consent"]["email"]
    assert (said["ticked"], said["page"], said["wording"]) == (True, f"{SHOP}/join", "Write to me")
    assert "secret" not in json.dumps(said)


def test_another_sites_form_proves_no_words_of_ours(relay: RelayProcess) -> None:
    answer = relay.form({"email": "own@example.com", "news_mail": "yes"}, "consenting")

    assert "wording" not in relay.submission(answer.json["receipt"])["consent"]["email"]


# --- did you mean … -------------------------------------------------------------------------------------


def test_a_slip_in_an_address_keeps_nobody_out_where_no_script_can_ask(relay: RelayProcess) -> None:
    page = {one["name"]: one.get("value", "") for one in inputs(relay.get("/forms/newsletter", HTML))}

    taken = post(relay, page | {"email": "ada@gmial.com"})

    assert "relay_suggest" not in page and taken.status == 303
    row = relay.submission((taken.header("Location") or "").rpartition("/")[2])
    assert row["contact_hint"] in (None, "a***@gmial.com")


def test_a_script_is_told_once_what_was_probably_meant_and_nothing_is_changed(relay: RelayProcess) -> None:
    asked = relay.form({"email": "bob@gmial.com", "relay_suggest": "ask"})
    assert (asked.status, asked.json["suggestion"]) == (422, {"email": "bob@gmail.com"})

    assert relay.form({"email": "bob@gmial.com"}).status == 202
    assert relay.api("POST", "/api/find", {"contact": "bob@gmail.com"}).json["submissions"] == []


def test_nobody_can_choose_an_address_that_was_not_offered(relay: RelayProcess) -> None:
    assert post(relay, {"email": "eve@gmial.com", "relay_suggest": "mallory@evil.example"}).status == 303

    assert relay.api("POST", "/api/find", {"contact": "mallory@evil.example"}).json["submissions"] == []


def test_a_form_that_does_not_ask_is_not_asked(relay: RelayProcess) -> None:
    assert post(relay, {"email": "carl@gmial.com"}).status == 303


# --- when nothing could be taken ------------------------------------------------------------------------

TECHNICAL = re.compile(
    r"origin|config|source|submission|request|method|post\b|bytes?\b|content|webhook|relay\b|server|status|"
    r"konfig|anfrage|methode|herkunft|quelle|configuration|requête|méthode|petición|solicitud|octets",
    re.IGNORECASE,
)


def refused(relay: RelayProcess, case: str, language: str) -> Answer:
    """A browser's post that comes to one of the refusals."""
    named = {"Accept-Language": language}
    if case == "foreign":
        return post(relay, {"email": "foreign@example.com"}, "busy", Origin="https://evil.example", **named)
    if case in ("busy", "daily"):
        post(relay, {"email": "first@example.com"}, case)
        return post(relay, {"email": "second@example.com"}, case, **named)
    if case == "large":
        return post(relay, {"email": "large@example.com", "about": "x" * 2000}, "small", **named)
    if case in UNREADABLE:
        return post(
            relay, {"email": "m\xfcller@example.com".encode("latin-1")}, "busy", **named, **UNREADABLE[case]
        )
    return post(relay, {"email": "nobody@example.com"}, "closed" if case == "closed" else "nobody", **named)


UNREADABLE = {"latin": {}, "plain": {"Content-Type": "text/plain"}}
"""As of a page in an old character set, and of one with `enctype="text/plain"`."""
STATUSES = {
    "latin": 400,
    "plain": 415,
    "foreign": 403,
    "busy": 429,
    "daily": 429,
    "large": 413,
    "closed": 503,
    "unknown": 404,
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("case", STATUSES)
def test_who_cannot_be_taken_is_told_what_to_do_in_plain_words(
    relay: RelayProcess, case: str, language: str
) -> None:
    answer = refused(relay, case, language)

    assert answer.status == STATUSES[case]
    told = LANGUAGES[language].visitors["400" if case in UNREADABLE else str(STATUSES[case])]
    words = unescape(answer.text)
    assert told["later" if case == "daily" else "text"] in words
    assert f'lang="{language}"' in words
    seen = re.sub(r"<[^>]*>", " ", words[words.index("<main") :])
    assert not TECHNICAL.search(seen), TECHNICAL.findall(seen)


@pytest.mark.parametrize("case", ["foreign", *UNREADABLE])
def test_who_comes_from_a_page_that_cannot_work_is_led_to_the_form_of_ours(
    relay: RelayProcess, case: str
) -> None:
    answer = refused(relay, case, "en")

    assert '<a href="/forms/busy">The letter</a>' in answer.text
    assert relay.get("/forms/busy", HTML).status == 200


def test_who_has_to_wait_finds_everything_there(relay: RelayProcess) -> None:
    answer = refused(relay, "busy", "en")

    assert named(answer, "email")[0]["value"] == "second@example.com"
    assert int(answer.header("Retry-After") or 0) >= 1
    words = relay.get("/forms/busy/timestamp", {"Origin": SHOP}).json["texts"]
    said = post(relay, {"email": "third@example.com"}, "busy", Accept="application/json")
    assert words[str(said.status)] == LANGUAGES["en"].visitors["429"]["text"], "what the script says"


def test_an_owner_and_a_machine_read_the_cause(relay: RelayProcess) -> None:
    said = post(relay, {"email": "x@example.com"}, "busy", Accept="*/*", Origin="https://evil.example")

    assert "origins" in said.json["detail"]

    def is_logged() -> bool:
        lines = [line.data for line in relay.log_lines() if line.data and line.data.get("status") == 403]
        return bool(lines) and lines[-1]["origin"] == "https://evil.example"

    eventually(is_logged, 5, "the log")

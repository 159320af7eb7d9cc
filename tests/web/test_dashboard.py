"""The dashboard over real connections: who may come in, and what each role may do."""

import re
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest

from tests.kit.client import request
from tests.kit.people import Moods, email
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream, created, status
from tests.web.browsing import Person

TOKENS = {"viewer": "v" * 30, "actor": "a" * 30, "revealer": "r" * 30}
PAGES = (
    "/dashboard",
    "/dashboard/needs-you",
    "/dashboard/submissions",
    "/dashboard/sources",
    "/dashboard/sources/newsletter",
    "/dashboard/destinations",
    "/dashboard/jobs",
    "/dashboard/audit",
)
PARTS = ("/dashboard/live/overview", "/dashboard/live/needs-you", "/dashboard/live/destinations")


def settings(url: str) -> dict[str, Any]:
    operators = {
        "viewer": {"token": "env:VIEWER", "role": "view"},
        "actor": {"token": "env:ACTOR", "role": "act"},
        "revealer": {"token": "env:REVEALER", "role": "reveal"},
    }
    trap = {**NEWSLETTER, "honeypot": "leave_empty"}
    return {
        **config(url, {"newsletter": trap, "hook": HOOK | {"on_failure": "accept"}}),
        "operators": operators,
    }


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    env = {name.upper(): token for name, token in TOKENS.items()}
    with ScriptedUpstream(Moods()) as upstream, RelayProcess(settings(upstream.url), env=env) as running:
        yield running


def held(relay: RelayProcess, name: str) -> dict[str, Any]:
    """One that fell into the trap, and so waits for a person."""
    answer = relay.form({"email": f"{name}@example.com", "leave_empty": "x"})
    return relay.wait_state(answer.json["receipt"], "held")


def refused(relay: RelayProcess) -> dict[str, Any]:
    """A row of somebody whom upstream does not take, with its history."""
    receipt = str(relay.hook({"email": email("refused")}).receipt)
    return relay.wait_state(receipt, "refused")


def seen(row: Mapping[str, Any]) -> dict[str, str]:
    return {"state": row["state"], "fence": str(row["fence"])}


# --- coming in ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PAGES, "/dashboard/submissions/" + "0" * 32])
def test_without_a_session_every_page_leads_to_the_login(relay: RelayProcess, path: str) -> None:
    answer = Person(relay).get(path)

    assert answer.status_code == 303 and answer.headers["Location"].startswith("/dashboard/login")


RECEIPT = "0" * 32


@pytest.mark.parametrize(
    ("wrote", "page"),
    [
        (f"/dashboard/submissions/{RECEIPT}/replay", f"/dashboard/submissions/{RECEIPT}"),
        ("/dashboard/sources/newsletter/test", "/dashboard/sources/newsletter"),
        ("/dashboard/destinations/ocamba/pause", "/dashboard/destinations"),
        ("/dashboard/jobs", "/dashboard/jobs"),
        ("/dashboard/find", "/dashboard"),
        ("/dashboard/checklist/keys", "/dashboard"),
        ("/dashboard/alerts/test", "/dashboard"),
    ],
)
def test_who_acts_when_the_session_is_over_is_told_that_nothing_was_done_and_led_back(
    relay: RelayProcess, wrote: str, page: str
) -> None:
    person = Person(relay)
    answer = person.post(wrote, {"contact": "ada@example.com"}, with_token=False)
    assert answer.status_code == 303 and "ada" not in answer.headers["Location"]
    login = person.get(answer.headers["Location"])
    assert login.status_code == 200 and "nothing was done" in login.text
    (following,) = re.findall(r'name="next" value="([^"]*)"', login.text)
    given = {"token": TOKENS["viewer"], "next": following}
    assert person.post("/dashboard/login", given, with_token=False).headers["Location"] == page


def test_who_looks_when_the_session_is_over_is_led_back_to_the_same_list(relay: RelayProcess) -> None:
    person, path = Person(relay), "/dashboard/submissions?state=held&reason=too+fast"
    login = person.get(person.get(path).headers["Location"])
    assert "nothing was done" not in login.text
    (following,) = re.findall(r'name="next" value="([^"]*)"', login.text)
    given = {"token": TOKENS["viewer"], "next": unescape(following)}
    assert person.post("/dashboard/login", given, with_token=False).headers["Location"] == path
    assert person.get("/dashboard/login?next=/dashboard/jobs").headers["Location"] == "/dashboard/jobs"


@pytest.mark.parametrize(
    "next_",
    [
        *("https://evil.example/", "//evil.example/dashboard", "/\\evil.example", "javascript:alert(1)"),
        *("/dashboard/../forms/newsletter", "/forms/newsletter", "/dashboard/live/overview", "http://[", ""),
        *("/dashboard/login", "/dashboard/logout", "https://evil.example/dashboard/none", "/dashboardx"),
        "/dashboard//evil.example",
    ],
)
def test_the_login_leads_nowhere_but_to_our_pages(relay: RelayProcess, next_: str) -> None:
    person = Person(relay)
    assert f'value="{next_}"' not in person.get(f"/dashboard/login?next={quote(next_)}").text or not next_
    given = {"token": TOKENS["viewer"], "next": next_}
    assert person.post("/dashboard/login", given, with_token=False).headers["Location"] == "/dashboard"


def test_a_part_leads_back_to_the_page_it_stands_on(relay: RelayProcess) -> None:
    headers = {"HX-Current-URL": f"{relay.url}/dashboard/jobs/{RECEIPT[:16]}"}
    answer = request(relay.port, "GET", "/dashboard/live/overview", headers=headers)
    assert answer.header("HX-Redirect") == f"/dashboard/login?next=/dashboard/jobs/{RECEIPT[:16]}"


def test_a_logout_of_another_page_is_refused_as_every_write_is(relay: RelayProcess) -> None:
    person = Person(relay, TOKENS["viewer"])
    assert person.post("/dashboard/logout", with_token=False).status_code == 403
    assert person.get("/dashboard").status_code == 200


def test_to_log_out_twice_is_no_act_that_was_not_done(relay: RelayProcess) -> None:
    assert Person(relay).post("/dashboard/logout", with_token=False).headers["Location"] == "/dashboard/login"


@pytest.mark.parametrize("path", PARTS)
def test_without_a_session_a_part_tells_the_page_to_go_to_the_login(relay: RelayProcess, path: str) -> None:
    answer = Person(relay).get(path)

    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/dashboard/login")


def test_what_has_no_token_is_not_there_whatever_is_asked() -> None:
    nobody = {"RELAY_ADMIN_TOKEN": None, "RELAY_METRICS_TOKEN": None}
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url), env=nobody) as relay:
        for path in (*PAGES, "/dashboard/login", "/api/status", "/api/nowhere", "/metrics"):
            for method in ("GET", "POST", "DELETE", "OPTIONS"):
                for accept in ("application/json", "text/html"):
                    answer = request(relay.port, method, path, headers={"Accept": accept})
                    assert answer.status == 404, (method, path, accept)
                    assert answer.header("X-Request-ID"), (method, path, accept)


@pytest.mark.parametrize("path", [*PAGES, *PARTS])
def test_every_page_is_there_for_whoever_may_view(relay: RelayProcess, path: str) -> None:
    answer = Person(relay, TOKENS["viewer"]).get(path)

    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


def test_the_admin_token_opens_the_dashboard_too(relay: RelayProcess) -> None:
    assert "admin" in Person(relay, relay.admin_token).get("/dashboard").text


def test_a_wrong_token_opens_nothing_and_is_not_shown_again(relay: RelayProcess) -> None:
    person = Person(relay)

    answer = person.post("/dashboard/login", {"token": "x" * 30}, with_token=False)

    assert answer.status_code == 401 and "x" * 30 not in answer.text
    assert not person.web.cookies


def test_the_cookie_is_for_this_host_and_no_script(relay: RelayProcess) -> None:
    person = Person(relay)

    answer = person.post("/dashboard/login", {"token": TOKENS["viewer"]}, with_token=False)

    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("relay_session=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))


def test_a_session_of_before_does_not_become_the_one_after_the_login(relay: RelayProcess) -> None:
    person = Person(relay)
    person.web.cookies.set("relay_session", "chosen-by-somebody-else", domain="127.0.0.1")

    person.post("/dashboard/login", {"token": TOKENS["viewer"]}, with_token=False)

    assert person.get("/dashboard").status_code == 200
    stranger = Person(relay)
    stranger.web.cookies.set("relay_session", "chosen-by-somebody-else", domain="127.0.0.1")
    assert stranger.get("/dashboard").status_code == 303


def test_a_session_that_was_left_is_over_for_whoever_kept_the_cookie(relay: RelayProcess) -> None:
    person = Person(relay, TOKENS["viewer"])
    kept = person.web.cookies["relay_session"]

    assert person.post("/dashboard/logout").status_code == 303

    person.web.cookies.set("relay_session", kept, domain="127.0.0.1")
    assert person.get("/dashboard").status_code == 303


def test_public_addresses_set_no_cookie_and_read_none(relay: RelayProcess) -> None:
    person = Person(relay, TOKENS["viewer"])

    for path in ("/forms/newsletter", "/healthz", "/readyz"):
        answer = person.get(path)
        assert "Set-Cookie" not in answer.headers and "Cookie" not in answer.headers.get("Vary", "")


def test_who_guesses_is_not_even_let_in_with_the_right_token_for_a_while() -> None:
    """Nobody elsewhere is locked out, and it is said once."""
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url)) as relay:
        wrong, right = (
            {"Authorization": "Bearer " + "x" * 30},
            {"Authorization": f"Bearer {relay.admin_token}"},
        )
        for _ in range(12):
            request(relay.port, "GET", "/api/status", headers=wrong)
        person = Person(relay)
        statuses = [
            person.post("/dashboard/login", {"token": "x" * 30}, with_token=False).status_code
            for _ in range(12)
        ]

        assert statuses == [401] * 10 + [429] * 2
        assert Person(relay).post("/dashboard/login", {}, with_token=False).headers["Retry-After"] == "60"
        assert request(relay.port, "GET", "/api/status", headers=right).status == 429
        elsewhere = request(relay.port, "GET", "/api/status", headers=right, source_address="127.0.3.2")
        assert elsewhere.status == 200
        assert relay.output().count("operator.guessing") == 2  # once at each door


# --- writing --------------------------------------------------------------------------------------------


def test_a_write_without_the_token_of_the_session_does_nothing(relay: RelayProcess) -> None:
    row = held(relay, "no-csrf")
    person, other = Person(relay, TOKENS["actor"]), Person(relay, TOKENS["actor"])
    path = f"/dashboard/submissions/{row['receipt']}/discard"

    assert person.post(path, seen(row), with_token=False).status_code == 403
    stolen = {**seen(row), "csrf_token": other.csrf()}
    assert person.post(path, stolen, with_token=False).status_code == 403

    assert relay.state(row["receipt"]) == "held"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=str,
)
def test_a_write_from_another_sites_page_does_nothing(relay: RelayProcess, headers: dict[str, str]) -> None:
    row = held(relay, "cross-site")
    person = Person(relay, TOKENS["actor"])

    answer = person.post(f"/dashboard/submissions/{row['receipt']}/discard", seen(row), headers=headers)

    assert answer.status_code == 403 and relay.state(row["receipt"]) == "held"
    login = Person(relay).post(
        "/dashboard/login", {"token": TOKENS["actor"]}, with_token=False, headers=headers
    )
    assert login.status_code == 403


def test_a_write_is_a_post_only_and_its_address_leads_to_what_it_was_about(relay: RelayProcess) -> None:
    row = held(relay, "get")
    person = Person(relay, TOKENS["revealer"])
    about = f"/dashboard/submissions/{row['receipt']}", "/dashboard/sources/newsletter"

    for page, verbs in zip(about, (("replay", "discard", "edit", "reveal"), ("test",)), strict=True):
        for verb in verbs:
            answer = person.get(f"{page}/{verb}")
            assert (answer.status_code, answer.headers["Location"]) == (303, page)
    now = relay.submission(row["receipt"])
    assert (now["state"], now["fence"], now["history"]) == ("held", row["fence"], [])
    assert "admin" not in person.get(about[0]).text and "revealer: " not in person.get(about[0]).text


def test_a_cookie_and_a_token_together_are_refused(relay: RelayProcess) -> None:
    person = Person(relay, TOKENS["actor"])
    person.web.headers["Authorization"] = f"Bearer {TOKENS['actor']}"

    assert person.get("/dashboard").status_code == 400
    assert person.get("/api/status").status_code == 400


WRITES = {
    "/dashboard/submissions/{receipt}/replay": "act",
    "/dashboard/submissions/{receipt}/discard": "act",
    "/dashboard/submissions/{receipt}/edit": "act",
    "/dashboard/submissions/{receipt}/reveal": "reveal",
    "/dashboard/destinations/ocamba/pause": "act",
    "/dashboard/destinations/ocamba/resume": "act",
    "/dashboard/sources/newsletter/test": "act",
    "/dashboard/checklist/keys": "act",
    "/dashboard/alerts/test": "act",
    "/dashboard/jobs": "act",
}


@pytest.mark.parametrize("path", WRITES)
def test_a_role_that_is_too_small_can_do_nothing(relay: RelayProcess, path: str) -> None:
    row = held(relay, "roles")
    fields = {**seen(row), "action": "discard", "sure": "1", "value-email": "other@example.com"}
    below = {"act": ("viewer",), "reveal": ("viewer", "actor")}[WRITES[path]]

    for name in below:
        answer = Person(relay, TOKENS[name]).post(path.format(receipt=row["receipt"]), fields)
        assert answer.status_code == 403, name

    assert relay.state(row["receipt"]) == "held"
    assert relay.status()["ocamba"]["hold_reason"] is None


def test_who_may_only_look_is_told_what_others_may_do(relay: RelayProcess) -> None:
    address = f"/dashboard/submissions/{held(relay, 'looked.at')['receipt']}"
    others = "For others than you, whose role is"
    viewer, actor, revealer = (Person(relay, TOKENS[name]) for name in ("viewer", "actor", "revealer"))

    told = f"{others} view: Send it (act), Discard it (act), Show who it is (reveal)."
    assert told in viewer.get(address).text
    assert f"{others} act: Show who it is (reveal)." in actor.get(address).text
    assert others not in revealer.get(address).text
    assert "Your role is view" in viewer.get("/dashboard/needs-you").text
    assert "Your role is" not in actor.get("/dashboard/needs-you").text


def test_what_was_shown_and_has_changed_since_is_not_acted_on(relay: RelayProcess) -> None:
    row = held(relay, "stale")
    person = Person(relay, TOKENS["actor"])
    relay.api("POST", f"/api/submissions/{row['receipt']}/discard")

    answer = person.post(f"/dashboard/submissions/{row['receipt']}/replay", seen(row))

    assert answer.status_code == 409 and "changed" in answer.text
    assert relay.state(row["receipt"]) == "discarded"


def test_one_is_sent_after_all_and_the_audit_log_says_who_did_it(relay: RelayProcess) -> None:
    row = held(relay, "released")
    person = Person(relay, TOKENS["actor"])

    answer = person.post(f"/dashboard/submissions/{row['receipt']}/replay", seen(row))

    assert answer.status_code == 303
    relay.wait_state(row["receipt"], "delivered")
    assert re.search(
        rf"actor</td><td>replay</td>.*?{row['receipt']}", person.get("/dashboard/audit").text, re.S
    )


def test_a_person_is_shown_to_whoever_may_and_that_is_noted(relay: RelayProcess) -> None:
    row = held(relay, "revealed")
    person = Person(relay, TOKENS["revealer"])
    path = f"/dashboard/submissions/{row['receipt']}"
    assert "revealed@example.com" not in person.get(path).text

    answer = person.post(path + "/reveal", seen(row))

    assert answer.status_code == 200 and "revealed@example.com" in answer.text
    assert "reveal" in person.get("/dashboard/audit").text
    assert "revealed@example.com" not in person.get("/dashboard/audit").text


def test_the_page_says_as_it_stands_why_a_body_cannot_be_read(relay: RelayProcess) -> None:
    deep = b"[" * 40 + b"]" * 40
    answer = relay.hook(deep)
    assert answer.status == 202, answer.text
    shown = Person(relay, TOKENS["viewer"]).get(f"/dashboard/submissions/{answer.receipt}").text
    assert "The JSON is nested deeper than 32 levels." in shown


def test_a_test_that_is_clicked_twice_is_sent_once(relay: RelayProcess) -> None:
    person = Person(relay, TOKENS["actor"])
    path, own = "/dashboard/sources/newsletter", {"email": "own@example.com", "send": "1"}

    def once() -> str:
        found = re.search(r'name="once" value="([0-9a-f]+)"', person.get(path).text)
        assert found
        return found[1]

    def receipt(given: Mapping[str, str]) -> str:
        answer = person.post(path + "/test", given)
        found = re.search(r"submissions/([0-9a-f]{32})", answer.text)
        assert answer.status_code == 200 and found, answer.text
        return found[1]

    first = once()
    twice = [receipt({**own, "once": first}) for _ in range(2)]
    assert len(set(twice)) == 1
    others = [
        receipt({**own, "once": once()}),
        receipt({**own, "once": first, "email": "other@example.com"}),
        receipt({**own, "once": first, "send": ""}),
        receipt(own),
        receipt(own),
    ]
    assert len({*twice, *others}) == 6


def test_many_are_counted_before_and_done_after(relay: RelayProcess) -> None:
    receipts = [held(relay, f"many{number}")["receipt"] for number in range(3)]
    person = Person(relay, TOKENS["actor"])
    asked = {"action": "discard", "state": "held", "source": "newsletter"}

    first = person.led("/dashboard/jobs", asked)
    assert first.status_code == 200 and all(relay.state(one) == "held" for one in receipts)
    begun = person.post("/dashboard/jobs", {**asked, "sure": counted_in(first.text)})

    assert begun.status_code == 303
    eventually(lambda: all(relay.state(one) == "discarded" for one in receipts), what="all discarded")
    assert person.get(begun.headers["Location"]).status_code == 200


def test_who_it_is_stands_field_by_field(relay: RelayProcess) -> None:
    row = held(relay, "field.by.field")
    path = f"/dashboard/submissions/{row['receipt']}"
    page = Person(relay, TOKENS["revealer"]).post(f"{path}/reveal", seen(row)).text
    assert "<dt>email</dt><dd>field.by.field@example.com</dd>" in page and "{&#39;" not in page


def test_what_was_typed_stays_after_a_mistake(relay: RelayProcess) -> None:
    row = refused(relay)
    path, person = f"/dashboard/submissions/{row['receipt']}", Person(relay, TOKENS["actor"])
    wrong = {**seen(row), "value-email": "no address", "value-full_name": "Ada <b>"}
    page = person.post(f"{path}/edit", wrong)
    assert page.status_code == 422
    assert "see errors" not in page.text
    assert 'id="wrong-email"' in page.text and 'aria-describedby="wrong-email"' in page.text
    assert 'value="no address"' in page.text and 'value="Ada &lt;b&gt;"' in page.text
    empty = person.post(f"{path}/edit", seen(row))
    assert empty.status_code == 422 and "Nothing was filled in" in empty.text


def test_what_happened_is_told_in_its_order(relay: RelayProcess) -> None:
    row = refused(relay)
    relay.api("POST", f"/api/submissions/{row['receipt']}/replay", {})
    eventually(lambda: len(relay.submission(row["receipt"])["history"]) == 2, 10, "another send")
    page = Person(relay, TOKENS["viewer"]).get(f"/dashboard/submissions/{row['receipt']}").text
    told = re.findall(r"<li>.*? – (received|admin: replay|\w+ sent)", page)
    assert told == ["received", "create sent", "admin: replay", "create sent"]


def test_a_time_is_typed_as_it_is_shown() -> None:
    env = {"RELAY_TIME_ZONE": "America/New_York"}
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url), env=env) as relay:
        receipt = str(relay.form({"email": "zone@example.com"}).receipt)
        person = Person(relay, relay.admin_token)
        shown = person.get("/dashboard/submissions").text
        hour = re.findall(r"\d{4}-\d{2}-\d{2} \d{2}:", shown)[0] + "00"
        found = person.get(f"/dashboard/submissions?since={hour}").text
        assert receipt[:10] in found and "Since (America/New_York)" in found
        assert receipt[:10] not in person.get(f"/dashboard/submissions?until={hour}").text
        listed = relay.command_line("submissions", "list", "--since", hour).stdout
        assert receipt in listed or receipt[:10] in listed


def counted_in(page: str) -> str:
    """Return what the button that says yes carries."""
    return re.findall(r'name="sure" value="([0-9a-f]{16})"', page)[0]


def test_a_yes_means_what_was_shown_and_nothing_that_came_later(relay: RelayProcess) -> None:
    person, source = Person(relay, TOKENS["actor"]), "newsletter"
    seen_ = [held(relay, f"asked{number}")["receipt"] for number in range(2)]
    asked = {"action": "discard", "state": "held", "source": source}
    first = person.led("/dashboard/jobs", asked)
    later = held(relay, "later")["receipt"]

    assert "What comes later is not touched" in first.text
    begun = person.post("/dashboard/jobs", {"action": "discard", "sure": counted_in(first.text)})

    eventually(lambda: all(relay.state(one) == "discarded" for one in seen_), what="all discarded")
    page = person.get(begun.headers["Location"]).text
    assert relay.state(later) == "held" and "only counted" not in page
    assert "only counted" in person.get("/dashboard/jobs").text
    counted = person.get(f"/dashboard/jobs/{counted_in(first.text)}").text
    assert "Nothing was done" in counted and "would be discarded" in counted
    assert "<td>discard many, only counted</td>" in person.get("/dashboard/audit").text
    other = {"action": "replay", "sure": counted_in(first.text)}
    assert person.post("/dashboard/jobs", other).status_code == 422


def test_a_part_of_the_filter_is_never_left_out(relay: RelayProcess) -> None:
    person, row = Person(relay, TOKENS["actor"]), held(relay, "single")
    asked = {"action": "discard", "state": "held", "duplicate": "True"}
    page = person.led("/dashboard/jobs", asked).text
    assert "Discard 0 submissions?" in page and "may be a duplicate" in page and "duplicate=1" in page
    assert person.post("/dashboard/jobs", {**asked, "receipt": row["receipt"]}).status_code == 400
    assert relay.state(row["receipt"]) == "held"


def test_those_that_are_no_duplicates_are_never_taken_for_the_others(relay: RelayProcess) -> None:
    person, row = Person(relay, TOKENS["actor"]), held(relay, "once")
    asked = {"action": "discard", "state": "held", "duplicate": "false"}
    listed = person.get("/dashboard/submissions?state=held&duplicate=false").text
    page = person.led("/dashboard/jobs", asked).text
    assert row["receipt"] in listed and 'name="duplicate" value="False"' in listed
    assert "Discard 0 submissions?" not in page and "is not a duplicate" in page and "duplicate=False" in page
    assert "is not a duplicate" in person.get("/dashboard/jobs").text


def test_the_page_does_not_say_that_it_goes_on_while_upstream_wants_us_to_wait() -> None:
    full = status(429, headers={"Retry-After": "600"})
    actor = {"actor": {"token": "env:ACTOR", "role": "act"}}
    with ScriptedUpstream(lambda _: full) as upstream:
        made = {**config(upstream.url), "operators": actor}
        with RelayProcess(made, env={"ACTOR": TOKENS["actor"]}) as relay:
            relay.form({"email": "waits@example.com"})
            eventually(lambda: relay.status()["ocamba"]["hold_reason"], 10, "the wait")
            person = Person(relay, TOKENS["actor"])
            shown = person.get("/dashboard/destinations").text
            assert "Upstream asked for this wait" in shown and "Resume" not in shown
            person.post("/dashboard/destinations/ocamba/pause")
            assert "Resume now" in person.get("/dashboard/destinations").text
            done = person.post("/dashboard/destinations/ocamba/resume")
            told = person.get(done.headers["Location"]).text
            assert "Nothing is sent yet: upstream asked us to wait" in told and "goes on." not in told


def test_what_a_list_shows_is_saved_as_a_file(relay: RelayProcess) -> None:
    row, other = held(relay, "saved"), held(relay, "other")
    viewer, revealer = (Person(relay, TOKENS[name]) for name in ("viewer", "revealer"))
    Person(relay, TOKENS["actor"]).post(f"/dashboard/submissions/{other['receipt']}/discard", seen(other))
    asked = {"state": "held", "source": "newsletter", "format": "sheet"}

    bare = viewer.post("/dashboard/export", asked)
    full = revealer.post("/dashboard/export", {**asked, "people": "1"})

    assert (bare.status_code, bare.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert bare.headers["Content-Disposition"] == 'attachment; filename="submissions.csv"'
    assert "no-store" in full.headers["Cache-Control"]
    assert row["receipt"] in bare.text and other["receipt"] not in bare.text
    assert "saved@example.com" in full.text and "saved@example.com" not in bare.text
    assert "kept_until" in bare.text
    newest = relay.api("GET", "/api/audit?limit=1").json["audit"][0]
    assert (newest["by"], newest["action"], newest["detail"]["people"]) == ("revealer", "export", True)


def test_a_file_is_saved_by_our_own_page_and_who_may(relay: RelayProcess) -> None:
    held(relay, "kept")
    asked = {"state": "held", "format": "csv"}
    people = {**asked, "people": "1"}
    for name in ("viewer", "actor"):
        person = Person(relay, TOKENS[name])
        assert 'name="people"' not in person.get("/dashboard/submissions").text
        refused = person.post("/dashboard/export", people)
        assert refused.status_code == 403 and "kept@example.com" not in refused.text
    revealer = Person(relay, TOKENS["revealer"])
    assert 'name="people"' in revealer.get("/dashboard/submissions?state=held").text
    log = relay.api("GET", "/api/audit").json
    assert revealer.post("/dashboard/export", people, with_token=False).status_code == 403
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert revealer.post("/dashboard/export", people, headers=cross).status_code == 403
    assert revealer.get("/dashboard/export?people=1&format=csv").headers["Location"] == "/dashboard"
    both = {"Authorization": f"Bearer {TOKENS['revealer']}"}
    assert revealer.post("/dashboard/export", people, headers=both).status_code == 400
    assert revealer.get("/api/export?people=true").status_code == 401
    assert revealer.post("/dashboard/export", {**asked, "format": "xls"}).status_code == 400
    assert relay.api("GET", "/api/audit").json == log


def done(person: Person, words: str) -> bool:
    """Whether the overview says of what is to be done once that it is done."""
    checklist = person.get("/dashboard").text.partition('id="checklist"')[2]
    (line,) = [line for line in checklist.split("<li>") if words in line]
    return line.startswith("✓")


def test_a_test_alert_arrives_through_the_channel_that_is_configured(relay: RelayProcess) -> None:
    person = Person(relay, TOKENS["actor"])
    assert "Send a test alert" not in person.get("/dashboard").text
    nowhere = person.post("/dashboard/alerts/test")
    assert nowhere.status_code == 409 and "RELAY_ALERT_URL" in nowhere.text
    with ScriptedUpstream() as upstream, ScriptedUpstream() as receiver:
        told = {"ACTOR": TOKENS["actor"], "RELAY_ALERT_URL": receiver.url}
        made = {**config(upstream.url), "operators": {"actor": {"token": "env:ACTOR", "role": "act"}}}
        with RelayProcess(made, env=told) as alerting:
            person = Person(alerting, TOKENS["actor"])
            assert "Send a test alert" in person.get("/dashboard").text
            sent = person.post("/dashboard/alerts/test")
            assert "on its way" in person.get(sent.headers["Location"]).text
            (arrival,) = receiver.wait_for(1, timeout=30)
            assert set(arrival.json) == {"alert", "state", "detail", "at"}
            assert (arrival.json["alert"], arrival.json["state"]) == ("test", "firing")
            assert "test alert" in person.get("/dashboard/audit").text


def test_what_is_to_be_done_once_is_not_done_before_somebody_knows(relay: RelayProcess) -> None:
    person = Person(relay, TOKENS["actor"])
    assert not done(person, "RELAY_TRUSTED_PROXIES"), "that none was seen says nothing yet"
    person.post("/dashboard/checklist/proxies")
    assert done(person, "RELAY_TRUSTED_PROXIES")
    headers = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    relay.form({"email": "proxied@example.com"}, headers=headers)
    assert not done(person, "RELAY_TRUSTED_PROXIES"), "there is one after all"


def test_what_the_sandbox_took_says_nothing_about_a_token() -> None:
    with RelayProcess(config("http://127.0.0.1:9/"), mode="serve", token=None) as relay:
        assert "Sandbox: nothing leaves" in relay.get("/dashboard/login").text, "every page says it"
        receipt = relay.form({"email": "sandbox@example.com"}).json["receipt"]
        relay.wait_state(receipt, "delivered")
        person = Person(relay, relay.admin_token)
        assert not done(person, "the token works") and not done(person, "OCAMBA_TOKEN")
        assert done(person, "Post the first form")


def test_what_was_done_once_stays_done_after_a_403() -> None:
    upstream = ScriptedUpstream(lambda arrival: status(403) if b"banned" in arrival.body else created())
    with upstream, RelayProcess(config(upstream.url)) as relay:
        receipt = relay.form({"email": "delivered@example.com"}).json["receipt"]
        relay.wait_state(receipt, "delivered")
        banned = relay.form({"email": "banned@example.com"}).json["receipt"]
        eventually(lambda: relay.submission(banned)["history"], 20, "the 403")
        assert done(Person(relay, relay.admin_token), "the token works")


def test_what_was_sent_is_inert_on_every_page(relay: RelayProcess) -> None:
    hostile = '"><script>alert(1)</script>{{7*7}}'
    relay.form(
        {"email": f"{hostile}@example.com", "full_name": hostile, "leave_empty": hostile, hostile: "x"}
    )
    relay.form({"email": "inert@example.com", "full_name": hostile, "leave_empty": hostile})
    person = Person(relay, TOKENS["revealer"])

    for path in (*PAGES, f"/dashboard/submissions?reason={hostile}", f"/dashboard/sources/{hostile}"):
        assert "<script>alert" not in person.get(path).text, path

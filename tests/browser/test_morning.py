"""The dashboard in a real browser: a morning after a bad night is mended by clicks alone."""

import json
from collections.abc import Callable, Iterator
from typing import Literal

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.test_front import faults
from tests.kit.processes import eventually
from tests.kit.reactions import create_then_reset
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

pytestmark = pytest.mark.browser
Visit = Callable[..., Page]
HOSTILE = "\"><img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>"


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as made:
        yield made


@pytest.fixture
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    """A relay of its own for each test, so that it starts with nothing that needs anybody."""
    sources = {
        "newsletter": {**NEWSLETTER, "honeypot": "leave_empty"},
        "hook": {**HOOK, "on_failure": "accept"},
    }
    with RelayProcess(config(upstream.url, sources, limits="1000/second", ambiguous="park")) as process:
        yield process


def log_in(relay: RelayProcess, visit: Visit, **how: object) -> Page:
    page = visit(relay.url + "/dashboard", **how)
    page.get_by_label("Your operator's token").fill(relay.admin_token)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.wait_for_load_state()  # a heading is there before the page's script has run
    return page


def held(relay: RelayProcess, name: str) -> str:
    answer = relay.form({"email": f"{name}@example.com", "leave_empty": "x"})
    receipt: str = answer.json["receipt"]
    relay.wait_state(receipt, "held")
    return receipt


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_the_first_look_says_whether_anything_is_wrong(
    relay: RelayProcess, visit: Visit, javascript: bool
) -> None:
    page = log_in(relay, visit, javascript=javascript)

    expect(page.get_by_text("Nothing waits for you.")).to_be_visible()
    expect(page.get_by_role("region", name="ocamba")).to_contain_text("Sending")
    expect(page.get_by_role("region", name="newsletter")).to_contain_text("the last never")


def test_a_filled_trap_is_released_by_clicks(relay: RelayProcess, visit: Visit) -> None:
    receipt = held(relay, "real-person")
    page = log_in(relay, visit)

    page.get_by_role("link", name="1 submission needs you").click()
    page.get_by_role("link", name="Look at it").click()
    page.locator("tbody a").click()
    page.get_by_role("button", name="Send it").click()

    expect(page.get_by_role("status")).to_contain_text("It is queued")
    relay.wait_state(receipt, "delivered")


def test_many_are_released_after_a_look_at_the_number(relay: RelayProcess, visit: Visit) -> None:
    receipts = [held(relay, f"person{number}") for number in range(3)]
    page = log_in(relay, visit)

    page.get_by_role("link", name="Needs you").click()
    send = page.get_by_role("button", name="Not spam: send all")
    expect(send).to_have_accessible_description("3 held at newsletter")
    send.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Replay 3 submissions?")
    page.get_by_role("button", name="Yes, replay").click()

    expect(page.locator("main")).to_contain_text("done", timeout=20_000)
    for receipt in receipts:
        relay.wait_state(receipt, "delivered")


def test_a_wrong_mapping_is_explained_mended_by_hand_and_sent(relay: RelayProcess, visit: Visit) -> None:
    answer = relay.hook({"contact": {"mail": "wrong-place@example.com"}, "id": "1"})
    receipt = answer.json["receipt"]
    page = log_in(relay, visit)

    page.get_by_role("link", name="Submissions", exact=True).click()
    page.locator("tbody a").click()
    expect(page.get_by_role("region", name="What was sent")).to_contain_text("contact.mail")
    page.get_by_label("email").fill("mended@example.com")
    page.get_by_role("button", name="Correct and send").click()

    expect(page.get_by_role("status")).to_contain_text("corrected")
    relay.wait_state(receipt, "delivered")


def test_a_correction_that_cannot_be_used_says_why(relay: RelayProcess, visit: Visit) -> None:
    receipt = relay.hook({"nothing": "here"}).json["receipt"]
    page = log_in(relay, visit)
    page.goto(f"{relay.url}/dashboard/submissions/{receipt}")

    page.get_by_label("email").fill("not an address")
    page.get_by_role("button", name="Correct and send").click()

    expect(page.get_by_role("alert")).to_contain_text("email")
    assert relay.state(receipt) == "invalid"


def test_who_got_nothing_is_found_and_shown(relay: RelayProcess, visit: Visit) -> None:
    receipt = held(relay, "got-nothing")
    page = log_in(relay, visit)

    page.get_by_role("link", name="Submissions", exact=True).click()
    page.get_by_label("Find a person").fill("got-nothing@example.com")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("1 submission found")
    assert "got-nothing" not in page.url
    page.locator("tbody a").click()
    page.get_by_role("button", name="Show who it is").click()

    expect(page.get_by_role("region", name="The person")).to_contain_text("got-nothing@example.com")
    assert receipt in page.url and "got-nothing" not in page.url


def test_who_comes_back_to_whom_they_revealed_is_not_asked_whether_to_send_it_again(
    relay: RelayProcess, visit: Visit
) -> None:
    receipt = held(relay, "looked-at")
    page = log_in(relay, visit)
    address = f"{relay.url}/dashboard/submissions/{receipt}"
    page.goto(address)
    page.get_by_role("button", name="Show who it is").click()
    expect(page.get_by_role("region", name="The person")).to_contain_text("looked-at@example.com")
    expect(page).to_have_url(f"{address}#person")
    page.get_by_role("link", name="Jobs").click()

    page.go_back()

    expect(page.get_by_role("button", name="Show who it is")).to_be_visible()
    page.reload()
    expect(page.get_by_text("admin: reveal")).to_have_count(1)


def test_a_page_that_is_no_longer_true_does_nothing(relay: RelayProcess, visit: Visit) -> None:
    receipt = held(relay, "stale")
    one, two = log_in(relay, visit), log_in(relay, visit)
    for page in (one, two):
        page.goto(f"{relay.url}/dashboard/submissions/{receipt}")

    one.get_by_text("Discard it …").click()
    one.get_by_role("button", name="Yes, discard it").click()
    expect(one.get_by_role("status")).to_contain_text("discarded")
    two.get_by_role("button", name="Send it").click()

    expect(two.get_by_role("alert")).to_contain_text("discarded")
    assert relay.state(receipt) == "discarded"


def test_a_session_that_ended_in_between_leads_to_the_login(relay: RelayProcess, visit: Visit) -> None:
    page = log_in(relay, visit)
    page.context.clear_cookies()

    page.get_by_role("link", name="Audit").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


def test_trouble_is_in_the_title_without_a_reload(relay: RelayProcess, visit: Visit) -> None:
    page = log_in(relay, visit)
    assert not page.title().startswith("(")
    held(relay, "late")

    expect(page.get_by_text("1 submission needs you")).to_be_visible(timeout=40_000)
    eventually(lambda: page.title().startswith("(1)"), what="the count in the title")
    page.get_by_role("link", name="Audit").click()
    assert page.title().startswith("(1)"), "on every page"
    assert "trouble" in str(page.locator("link[rel=icon]").get_attribute("href"))


def test_a_relay_that_hung_for_a_while_is_not_long_said_to_be_away(relay: RelayProcess, visit: Visit) -> None:
    def hang(route: Route) -> None:
        page.wait_for_timeout(2000)
        route.abort()

    page = log_in(relay, visit)
    stale = page.get_by_text("The relay does not answer")
    ask = "htmx.ajax('GET', '/dashboard/live/overview', {target: '[data-live]', source: '[data-live]'})"
    page.route("**/live/overview", hang)
    page.evaluate(f"{ask}.catch(() => 0)")
    expect(stale).to_be_visible()
    page.unroute("**/live/overview")

    page.evaluate(ask)

    expect(stale).to_be_hidden()


def test_a_destination_is_paused_and_goes_on(relay: RelayProcess, visit: Visit) -> None:
    page = log_in(relay, visit)
    page.get_by_role("link", name="Destinations", exact=True).click()

    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Held:")).to_be_visible()
    receipt = relay.form({"email": "waits@example.com"}).json["receipt"]
    page.get_by_role("button", name="Resume now").click()

    relay.wait_state(receipt, "delivered")


def test_a_source_is_tested_from_its_page(relay: RelayProcess, visit: Visit) -> None:
    page = log_in(relay, visit)
    page.goto(f"{relay.url}/dashboard/sources/newsletter")

    page.get_by_label("Send it upstream too").check()
    page.get_by_role("button", name="Test it").click()
    expect(page.get_by_role("alert")).to_contain_text("name your own address")
    page.get_by_role("button", name="Test it").click()
    tested = page.get_by_role("region", name="Test it")
    expect(tested).to_contain_text("test@example.com")
    tested.get_by_role("link", name="discarded").click()

    expect(page.locator("main")).to_contain_text("admin: test")


def test_what_was_refused_stands_with_its_cause_on_the_page_of_its_source(
    relay: RelayProcess, visit: Visit
) -> None:
    relay.hook({"email": "x@example.com"}, "hook", {"Authorization": "Bearer wrong"})
    eventually(lambda: relay.api("GET", "/api/sources").json["hook"]["refusals"], what="the refusal")
    page = log_in(relay, visit)

    page.goto(f"{relay.url}/dashboard/sources/hook")

    expect(page.get_by_role("region", name="Refusals").locator("tbody tr")).to_have_count(1)


def test_what_a_form_posts_and_nothing_looks_at_is_named_on_its_page(
    relay: RelayProcess, visit: Visit
) -> None:
    relay.form({"email": "x@example.com", "shoe size": "44", HOSTILE: "x"})
    found = eventually(lambda: relay.api("GET", "/api/sources").json["newsletter"]["unmapped"], what="names")
    assert found == ["(unusual name)", "shoe size"]
    page = log_in(relay, visit)

    page.goto(f"{relay.url}/dashboard/sources/newsletter")

    expect(page.get_by_role("region", name="How it is mapped")).to_contain_text("shoe size")
    assert "44" not in page.get_by_role("region", name="How it is mapped").inner_text()


def test_what_only_a_person_knows_is_ticked_off(relay: RelayProcess, visit: Visit) -> None:
    page = log_in(relay, visit)
    todo = page.get_by_role("region", name="To do once")

    todo.get_by_role("button", name="Copy the keys").click()

    expect(page.get_by_role("status")).to_contain_text("ticked off")
    expect(todo.get_by_role("button")).to_have_count(2)
    expect(todo.get_by_role("listitem").filter(has_text="Copy the keys")).to_contain_text("(done)")


def test_after_a_night_without_upstream_the_parked_one_is_found_and_decided(
    relay: RelayProcess, upstream: ScriptedUpstream, visit: Visit
) -> None:
    upstream.script = [create_then_reset()]
    receipt = relay.form({"email": "nobody-knows@example.com"}).json["receipt"]
    relay.wait_state(receipt, "parked", timeout=40)
    page = log_in(relay, visit)

    page.get_by_role("link", name="1 submission needs you").click()
    expect(page.locator("main")).to_contain_text("nobody knows whether upstream took it")
    page.get_by_role("button", name="They are not upstream: send all").click()
    expect(page.locator("main")).to_contain_text("Upstream may have them already")
    page.get_by_role("button", name="Yes, replay").click()

    relay.wait_state(receipt, "delivered")


def test_one_is_sent_with_the_keyboard_alone(relay: RelayProcess, visit: Visit) -> None:
    receipt = held(relay, "keyboard")
    page = visit(f"{relay.url}/dashboard")
    expect(page.get_by_label("Your operator's token")).to_be_focused()
    page.keyboard.type(relay.admin_token)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.goto(f"{relay.url}/dashboard/submissions/{receipt}")

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skips what every page begins with
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Send it":
            break
    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_contain_text("It is queued")
    expect(page).to_have_url(f"{relay.url}/dashboard/submissions/{receipt}")  # the page's script has run
    page.reload()
    expect(page.get_by_role("heading", name="What happened")).to_be_visible()
    expect(page.get_by_text("It is queued")).to_have_count(0)


def test_two_people_at_once_do_it_once(relay: RelayProcess, visit: Visit) -> None:
    receipt = held(relay, "twice")
    pages = [log_in(relay, visit), log_in(relay, visit)]
    for page in pages:
        page.goto(f"{relay.url}/dashboard/submissions/{receipt}")

    for page in pages:
        page.get_by_role("button", name="Send it").click(no_wait_after=True)

    told = [page.locator(".notice, .alert").inner_text() for page in pages]
    assert sum("It is queued" in text for text in told) == 1
    pages[1].goto(f"{relay.url}/dashboard/submissions/{receipt}")
    expect(pages[1].get_by_text("admin: replay")).to_have_count(1)


def test_a_session_that_ends_under_an_open_page_does_nothing_more(relay: RelayProcess, visit: Visit) -> None:
    receipt = held(relay, "over")
    page = log_in(relay, visit)
    page.goto(f"{relay.url}/dashboard/submissions/{receipt}")
    other = page.context.new_page()
    other.goto(relay.url + "/dashboard")
    other.get_by_role("button", name="Log out").click()

    page.get_by_role("button", name="Send it").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    assert relay.state(receipt) == "held"


def test_what_somebody_opened_stays_open_when_the_page_brings_itself_up_to_date(
    relay: RelayProcess, visit: Visit
) -> None:
    page = log_in(relay, visit)
    region = page.get_by_role("region", name="newsletter")
    region.get_by_text("As a table").click()
    page.locator("h1").click()
    held(relay, "meanwhile")

    page.evaluate(
        "htmx.ajax('GET', '/dashboard/live/overview', {target: '[data-live]', source: '[data-live]'})"
    )

    expect(page.get_by_text("1 submission needs you")).to_be_visible()
    expect(region.get_by_text("Days ago")).to_be_visible()


def test_a_page_that_hears_nothing_any_more_says_so(relay: RelayProcess, visit: Visit) -> None:
    page = log_in(relay, visit)
    stale = page.get_by_text("The relay does not answer")
    ask = "htmx.ajax('GET', '/dashboard/live/overview', {target: '[data-live]', source: '[data-live]'})"
    expect(stale).to_be_hidden()

    relay.term(20)
    page.evaluate(f"{ask}.catch(() => 0)")
    expect(stale).to_be_visible()
    relay.start()
    page.wait_for_timeout(200)
    page.evaluate(ask)

    expect(stale).to_be_hidden()


def test_what_somebody_came_to_while_news_was_on_its_way_is_kept(relay: RelayProcess, visit: Visit) -> None:
    held(relay, "in-focus")
    page = log_in(relay, visit)
    page.goto(f"{relay.url}/dashboard/needs-you")
    asked: list[Route] = []
    page.route("**/live/**", lambda route: asked.append(route))  # noqa: PLW0108 - it takes no builtin
    part = "{target: '[data-live]', source: '[data-live]'}"
    page.evaluate(f"void (window.news = htmx.ajax('GET', '/dashboard/live/needs-you', {part}))")
    eventually(lambda: page.title() and asked, what="the question for news")
    button = page.get_by_role("button", name="Not spam: send all")
    button.focus()

    asked[0].continue_()
    page.evaluate("window.news")

    expect(button).to_be_focused()


def test_a_form_of_an_earlier_session_leads_to_its_page(relay: RelayProcess, visit: Visit) -> None:
    receipt = held(relay, "earlier")
    page = log_in(relay, visit)
    page.goto(f"{relay.url}/dashboard/submissions/{receipt}")
    other = page.context.new_page()
    other.goto(f"{relay.url}/dashboard")
    other.get_by_role("button", name="Log out").click()
    other.get_by_label("Your operator's token").fill(relay.admin_token)
    other.get_by_role("button", name="Log in").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Overview")

    page.get_by_role("button", name="Send it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing was done")
    assert relay.state(receipt) == "held"
    page.get_by_role("link", name="Look at it again, then do it").click()
    page.get_by_role("button", name="Send it").click()

    relay.wait_state(receipt, "delivered")


def test_without_script_there_is_no_button_that_does_nothing(relay: RelayProcess, visit: Visit) -> None:
    receipt = held(relay, "copied")
    page = log_in(relay, visit, javascript=False)
    page.goto(f"{relay.url}/dashboard/submissions/{receipt}")
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)


PAGES = (
    *("", "/needs-you", "/submissions", "/sources", "/sources/newsletter", "/sources/hook"),
    *("/destinations", "/jobs", "/audit"),
)


def one_of_everything(relay: RelayProcess) -> list[str]:
    """Everything that a sender may choose is hostile: values, names, headers, addresses, keys."""
    trap = {"email": "x@example.com", "full_name": HOSTILE, "leave_empty": HOSTILE, HOSTILE: HOSTILE}
    long = "x" * 3000
    found = [
        relay.form(trap),
        relay.form({**trap, "email": "y@example.com", "full_name": long, long: long}),
        relay.hook({HOSTILE: HOSTILE, "id": HOSTILE, "nested": {HOSTILE: [HOSTILE]}}),
        relay.hook({long: long, "id": long, "\u202eevil": "\u202e"}),
    ]
    relay.form({"email": "z@example.com"}, headers={"Origin": "https://evil.example/" + "<script>x</script>"})
    return [answer.json["receipt"] for answer in found]


def test_what_was_sent_runs_on_no_page(relay: RelayProcess, visit: Visit) -> None:
    receipts = one_of_everything(relay)
    page = log_in(relay, visit)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda asked: said.extend([asked.url] * (not asked.url.startswith(relay.url))))

    for path in (*PAGES, *(f"/submissions/{receipt}" for receipt in receipts)):
        page.goto(f"{relay.url}/dashboard{path}")
        assert "hacked" not in page.title()
    page.get_by_role("button", name="Show who it is").click()
    page.get_by_role("link", name="Submissions", exact=True).click()
    page.get_by_label("Reason").fill(HOSTILE)
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("No submission is like that.")).to_be_visible()

    assert "hacked" not in page.title() and said == []


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1600, "light")])
def test_no_page_has_a_fault_that_axe_knows_or_is_wider_than_the_screen(
    relay: RelayProcess, visit: Visit, axe: str, width: int, scheme: Literal["dark", "light"]
) -> None:
    receipts = one_of_everything(relay)
    page = log_in(relay, visit, width=width)
    page.emulate_media(color_scheme=scheme)

    for path in (*PAGES, *(f"/submissions/{receipt}" for receipt in receipts[1::2])):
        page.goto(f"{relay.url}/dashboard{path}")
        assert faults(page, axe) == [], path
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path}: {json.dumps(wide)} pixels too wide"

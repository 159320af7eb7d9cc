"""The hosted form, as people meet it: with and without script, in their language, by keyboard."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess
from tests.kit.upstream import ScriptedUpstream

pytestmark = pytest.mark.browser
Visit = Callable[..., Page]


def arrived(upstream: ScriptedUpstream, email: str) -> dict[str, str]:
    """What upstream was sent for somebody; waits for it."""
    found = eventually(
        lambda: [a.json for a in upstream.arrivals if (a.json or {}).get("email") == email],
        what=f"{email} arriving",
    )
    assert len(found) == 1
    return dict(found[0])


@pytest.mark.parametrize("javascript", [True, False], ids=["with script", "without script"])
def test_a_mistake_is_shown_beside_its_field_and_corrected(
    relay: RelayProcess, upstream: ScriptedUpstream, visit: Visit, javascript: bool
) -> None:
    email = f"corrected-{javascript}@example.com".lower()
    page = visit(relay.url + "/forms/newsletter", javascript=javascript)
    page.get_by_label("E-mail address").fill("ada@example")
    page.get_by_label("Mobile number").fill("12")
    page.get_by_label("First name").fill("Ada")
    page.get_by_role("button", name="Sign up").click()

    address = page.get_by_label("E-mail address")
    expect(page).to_have_title("Error – Sign up")
    expect(address).to_be_focused()
    expect(address).to_have_value("ada@example")
    expect(address).to_have_attribute("aria-invalid", "true")
    expect(address).to_have_accessible_description("Enter a valid e-mail address, like name@example.com.")
    expect(page.get_by_label("First name")).to_have_value("Ada")
    expect(page.get_by_label("First name")).not_to_have_attribute("aria-invalid", "true")
    page.get_by_role("alert").get_by_role("link", name="Mobile number").click()
    expect(page.get_by_label("Mobile number")).to_be_focused()

    address.fill(email)
    page.get_by_label("Mobile number").fill("")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert "/receipts/" in page.url
    assert arrived(upstream, email) == {"email": email, "full_name": "Ada"}


def test_it_can_be_filled_in_and_sent_by_keyboard(
    relay: RelayProcess, upstream: ScriptedUpstream, visit: Visit
) -> None:
    page = visit(relay.url + "/forms/newsletter")
    for text in ("keys@example.com", "", "Ada", "Lovelace"):
        page.keyboard.press("Tab")
        page.keyboard.type(text)
    page.keyboard.press("Tab")  # not into the field that people never see
    expect(page.get_by_role("button", name="Sign up")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert arrived(upstream, "keys@example.com")["full_name"] == "Ada Lovelace"


def test_the_trap_for_programs_is_out_of_sight(relay: RelayProcess, visit: Visit) -> None:
    page = visit(relay.url + "/forms/newsletter")
    trap = page.locator("[name=relay_leave_empty]")
    box = trap.bounding_box()
    assert box is not None and box["x"] + box["width"] < 0
    assert page.get_by_role("textbox").count() == 4  # what assistive technology finds
    trap.evaluate("input => input.value = 'buy this'")
    page.get_by_label("E-mail address").fill("program@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    rows = relay.rows(contact="program@example.com")
    assert [(row["state"], row["reason"]) for row in rows] == [("held", "honeypot")]


@pytest.mark.parametrize("javascript", [True, False], ids=["with script", "without script"])
def test_thanks_on_another_site_is_reached(
    relay: RelayProcess, site: Site, visit: Visit, javascript: bool
) -> None:
    """Chromium applies form-action to the redirect as well."""
    site.serve("/thanks", "<title>Ours</title><p>Thanks from the site itself.")
    page = visit(relay.url + "/forms/elsewhere", javascript=javascript)
    page.get_by_label("E-mail address").fill("nonsense")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("E-mail address").fill(f"elsewhere-{javascript}@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_text("Thanks from the site itself.")).to_be_visible()
    assert page.url == site.url + "/thanks"


def test_a_german_browser_is_spoken_to_in_german(relay: RelayProcess, visit: Visit) -> None:
    page = visit(relay.url + "/forms/newsletter", language="de-AT")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("heading", level=1)).to_have_text("Anmelden")
    page.get_by_label("Mobilnummer").fill("12")
    page.get_by_role("button", name="Anmelden").click()
    expect(page.get_by_label("Mobilnummer")).to_have_accessible_description(
        "Geben Sie eine gültige Telefonnummer ein."
    )
    page.goto(relay.url + "/forms/nobody")
    expect(page.get_by_role("heading")).to_have_text("Hier gibt es kein Formular")


def test_a_site_has_its_own_words_and_colours(relay: RelayProcess, visit: Visit) -> None:
    page = visit(relay.url + "/forms/club", language="fr")
    expect(page.locator("html")).to_have_attribute("lang", "de")  # as configured, whatever the browser
    expect(page.get_by_role("heading", name="Join the club")).to_be_visible()
    expect(page.get_by_text("One letter a month, no more.")).to_be_visible()
    button = page.get_by_role("button", name="Count me in")
    expect(button).to_have_css("background-color", "rgb(255, 212, 0)")
    expect(button).to_have_css("color", "rgb(27, 29, 34)")
    expect(page.locator("body")).to_have_css("background-color", "rgb(27, 58, 47)")
    page.get_by_label("Your best address").fill("club@example.com")
    button.click()
    expect(page.get_by_role("heading", name="Welcome!")).to_be_visible()
    expect(page.get_by_text("You are one of us now.")).to_be_visible()
    expect(page.locator("body")).to_have_css("background-color", "rgb(27, 58, 47)")


def test_one_box_stands_for_both_contacts(
    relay: RelayProcess, upstream: ScriptedUpstream, visit: Visit
) -> None:
    page = visit(relay.url + "/forms/consenting")
    page.get_by_label("E-mail address").fill("consent@example.com")
    page.get_by_role("button").click()
    box = page.get_by_role("checkbox")
    expect(box).to_be_focused()
    expect(box).to_have_accessible_description("Tick this box so that we may contact you.")
    box.check()
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert arrived(upstream, "consent@example.com")
    (row,) = relay.rows(contact="consent@example.com")
    assert row["consent"]["email"]["ticked"]
    # The page of the mistakes, which is where the box was ticked.
    assert row["consent"]["email"]["page"] == relay.url + "/forms/consenting"


def test_each_contact_has_its_box_and_a_ticked_one_stays_ticked(
    relay: RelayProcess, upstream: ScriptedUpstream, visit: Visit
) -> None:
    page = visit(relay.url + "/forms/choosy")
    page.get_by_role("checkbox", name="by e-mail").check()
    page.get_by_label("Name").select_option("large")
    page.get_by_role("button").click()
    expect(page.get_by_label("E-mail address")).to_be_focused()
    expect(page.get_by_label("E-mail address")).to_have_accessible_description("This field is needed.")
    expect(page.get_by_label("Mobile number")).to_have_accessible_description(re.compile("country code"))
    expect(page.get_by_role("checkbox", name="by e-mail")).to_be_checked()
    expect(page.get_by_role("checkbox", name="by text message")).not_to_be_checked()
    expect(page.get_by_label("Name")).to_have_value("large")
    page.get_by_label("E-mail address").fill("choosy@example.com")
    page.get_by_label("Mobile number").fill("+4930123456")
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert arrived(upstream, "choosy@example.com") == {"email": "choosy@example.com", "full_name": "large"}


def test_a_choice_is_the_same_in_a_page_that_the_browser_translated(
    relay: RelayProcess, upstream: ScriptedUpstream, visit: Visit
) -> None:
    page = visit(relay.url + "/forms/choosy")
    page.evaluate("document.querySelector('option:last-child').innerHTML = '<font>gro\u00df</font>'")
    page.get_by_role("checkbox", name="by e-mail").check()
    page.get_by_label("E-mail address").fill("translated@example.com")
    page.get_by_label("Name").select_option(label="gro\u00df")
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert arrived(upstream, "translated@example.com")["full_name"] == "large"


def test_what_comes_back_at_once_is_thanked_and_held(relay: RelayProcess, visit: Visit) -> None:
    page = visit(relay.url + "/forms/patient")
    page.get_by_label("E-mail address").fill("hasty@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert [row["reason"] for row in relay.rows(contact="hasty@example.com")] == ["too fast"]


def test_who_corrects_a_mistake_has_taken_the_time_since_the_first_page(
    relay: RelayProcess, upstream: ScriptedUpstream, visit: Visit
) -> None:
    page = visit(relay.url + "/forms/brisk")
    first = page.locator("[name=relay_ts]").input_value()
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.locator("[name=relay_ts]").input_value() == first
    page.wait_for_timeout(300)
    page.get_by_label("E-mail address").fill("unhurried@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert arrived(upstream, "unhurried@example.com")


def test_who_is_too_many_keeps_what_was_typed(relay: RelayProcess, visit: Visit) -> None:
    page = visit(relay.url + "/forms/short")
    for number in range(5):  # two, and two more should the hour end meanwhile
        page.goto(relay.url + "/forms/short")
        page.get_by_label("E-mail address").fill(f"many{number}@example.com")
        page.get_by_role("button").click()
        page.wait_for_url(re.compile("/receipts/|/submit/"))
        if "/submit/" in page.url:
            break
    expect(page.get_by_role("alert")).to_contain_text("Many sign-ups came from your connection")
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_label("E-mail address")).to_have_value(f"many{number}@example.com")


@pytest.mark.parametrize(
    ("path", "heading"),
    [
        ("/forms/off", "Not at the moment"),
        ("/forms/nobody", "There is no form here"),
        ("/receipts/17", "Not found"),
    ],
)
def test_a_problem_is_a_page_too(relay: RelayProcess, phone: Page, path: str, heading: str) -> None:
    phone.goto(relay.url + path)
    expect(phone.get_by_role("heading")).to_have_text(heading)
    expect(phone.get_by_text("Reference")).to_be_visible()


@pytest.mark.parametrize("name", ["newsletter", "club", "choosy", "consenting"])
def test_forms_fit_a_small_screen_and_break_no_rule_of_their_policy(
    relay: RelayProcess, phone: Page, said: list[str], name: str
) -> None:
    phone.goto(f"{relay.url}/forms/{name}")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 375
    assert said == []

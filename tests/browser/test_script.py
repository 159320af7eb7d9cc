"""relay.js and plain forms on other people's pages."""

from collections.abc import Callable
from html import escape
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Site
from tests.browser.test_forms import arrived
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess
from tests.kit.upstream import ScriptedUpstream

pytestmark = pytest.mark.browser
Visit = Callable[..., Page]
FIELDS = """
  <label>E-mail <input name="email" aria-describedby="hint"></label> <i id="hint">No spam.</i>
  <p><label for="p">Phone</label> <input id="p" name="phone"></p>
  <input type="hidden" name="relay_ts">
  <button name="submit" value="1">Join</button>"""


def form(relay: RelayProcess, source: str = "newsletter", *, more: str = "", fields: str = FIELDS) -> str:
    """A form as a site owner writes it, with a button whose name hides form.submit."""
    return f'<form method="post" action="{relay.url}/submit/{source}" {more}>{fields}</form>'


def with_script(relay: RelayProcess, body: str, *, language: str = "en") -> str:
    script = f'<script src="{relay.url}/relay.js" defer></script>'
    return f'<html lang="{language}"><title>Site</title>{script}{body}'


def test_a_form_is_sent_without_leaving_the_page(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    fields = FIELDS + '<input type="file" name="attachment">'
    page = visit(site.serve("/stay", with_script(relay, form(relay, fields=fields))))
    page.get_by_label("E-mail").fill("stay@example.com")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("status")).to_have_text("We have received your sign-up.")
    expect(page.get_by_role("status")).to_be_focused()
    assert page.url == site.url + "/stay"
    assert page.get_by_role("button").count() == 0
    assert arrived(upstream, "stay@example.com") == {"email": "stay@example.com"}


def test_a_button_outside_the_form_sends_nothing_more_after_the_thanks(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    fields = FIELDS.replace("<button", "<span").replace("</button", "</span")
    outside = form(relay, more='id="f"', fields=fields) + '<button form="f">Join</button>'
    page = visit(site.serve("/outside", with_script(relay, outside)))
    page.get_by_label("E-mail").fill("outside@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_be_visible()
    expect(page.get_by_role("button")).to_be_enabled()
    page.get_by_role("button").click()
    page.wait_for_timeout(700)
    assert page.get_by_role("alert").count() == 0 and page.url == site.url + "/outside"
    expect(page.get_by_role("status")).to_have_text("We have received your sign-up.")
    assert arrived(upstream, "outside@example.com")


def test_errors_stand_beside_the_fields_until_they_are_corrected(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    page = visit(site.serve("/errors", with_script(relay, form(relay))))
    email, phone = page.get_by_label("E-mail"), page.get_by_label("Phone")
    email.fill("nonsense")
    phone.fill("12")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_have_count(2)
    expect(email).to_be_focused()
    expect(email).to_have_attribute("aria-invalid", "true")
    expect(email).to_have_accessible_description(
        "No spam. Enter a valid e-mail address, like name@example.com."
    )
    expect(phone).to_have_accessible_description("Enter a valid phone number.")
    expect(page.get_by_role("button")).to_be_enabled()

    phone.fill("")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_have_count(1)
    expect(phone).not_to_have_attribute("aria-invalid", "true")
    expect(phone).to_have_accessible_description("")
    email.fill("beside@example.com")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_be_visible()
    assert arrived(upstream, "beside@example.com")


def test_a_german_page_speaks_german_whatever_the_browser(
    relay: RelayProcess, site: Site, visit: Visit
) -> None:
    page = visit(site.serve("/german", with_script(relay, form(relay), language="de-AT")))
    page.get_by_label("E-mail").fill("nonsense")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_have_text(
        "Geben Sie eine gültige E-Mail-Adresse ein, zum Beispiel name@example.com."
    )


def test_a_page_has_its_own_thanks(relay: RelayProcess, site: Site, visit: Visit) -> None:
    more = 'data-relay-thanks="<b>Hello</b> there!"'
    page = visit(site.serve("/own-thanks", with_script(relay, form(relay, more=more))))
    page.get_by_label("E-mail").fill("own-thanks@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_have_text("<b>Hello</b> there!")


@pytest.mark.parametrize(
    ("goal", "followed"),
    [("/welcome", True), ("http://localhost:1/", False), ("javascript:document.title='x'", False)],
)
def test_a_page_of_the_site_is_gone_to_and_no_other(
    relay: RelayProcess, site: Site, visit: Visit, goal: str, followed: bool
) -> None:
    site.serve("/welcome", "<title>Welcome</title>")
    more = f'data-relay-redirect="{goal}"'
    page = visit(site.serve("/go", with_script(relay, form(relay, more=more))))
    page.get_by_label("E-mail").fill(f"goal-{len(goal)}@example.com")
    page.get_by_role("button").click()
    if followed:
        page.wait_for_url(site.url + "/welcome")
    else:
        expect(page.get_by_role("status")).to_be_visible()
        expect(page).to_have_title("Site")


def test_impatient_clicks_are_one_submission(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    page = visit(site.serve("/impatient", with_script(relay, form(relay))))
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    page.get_by_label("E-mail").fill("impatient@example.com")
    page.evaluate("const b = document.querySelector('button'); b.click(); b.click(); b.click();")
    expect(page.get_by_role("status")).to_be_visible()
    assert len(posts) == 1
    assert arrived(upstream, "impatient@example.com")


def test_what_is_sent_again_after_a_lost_answer_is_a_repeat(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    page = visit(site.serve("/lost", with_script(relay, form(relay))))
    answers: list[bool] = []

    def lose_the_first(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        answer = route.fetch()
        answers.append(answer.json().get("repeat", False))
        if len(answers) == 1:
            page.route("**/timestamp*", lambda route: route.abort(), times=1)
            route.abort()
        else:
            route.fulfill(response=answer)

    page.route("**/submit/newsletter", lose_the_first)
    page.get_by_label("E-mail").fill("lost@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_have_text("It could not be sent. Please try again in a moment.")
    expect(page.get_by_role("button")).to_be_focused()
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert answers == [False, True]
    assert len(relay.rows(contact="lost@example.com")) == 1
    assert arrived(upstream, "lost@example.com")


def test_the_hidden_time_is_filled_in_and_counts(relay: RelayProcess, site: Site, visit: Visit) -> None:
    page = visit(site.serve("/time", with_script(relay, form(relay, "patient"))))
    expect(page.locator("[name=relay_ts]")).not_to_have_value("")
    page.get_by_label("E-mail").fill("scripted@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert [row["reason"] for row in relay.rows(contact="scripted@example.com")] == ["too fast"]


def test_where_the_script_may_not_connect_the_browser_posts_once(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    headers = {"Content-Security-Policy": "connect-src 'none'"}
    page = visit(site.serve("/blocked", with_script(relay, form(relay, "patient")), headers))
    page.get_by_label("E-mail").fill("blocked@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert page.url.startswith(relay.url + "/receipts/")
    assert arrived(upstream, "blocked@example.com")  # the hidden time stayed empty: that is not odd


def test_a_stranger_is_told_by_the_relay_itself(relay: RelayProcess, stranger: Site, visit: Visit) -> None:
    page = visit(stranger.serve("/", with_script(relay, form(relay))))
    page.get_by_label("E-mail").fill("stranger@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("heading")).to_have_text("This page’s form does not work here")
    assert relay.rows(contact="stranger@example.com") == []


@pytest.mark.parametrize("scripted", [True, False], ids=["with script", "without script"])
@pytest.mark.parametrize("policy", ["no-referrer", "strict-origin-when-cross-origin"])
def test_a_page_may_hide_where_it_is(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit, policy: str, scripted: bool
) -> None:
    """With no-referrer, browsers send ``Origin: null``."""
    email = f"{policy}-{scripted}@example.com".lower()
    page = visit(
        site.serve("/hidden", with_script(relay, form(relay)), {"Referrer-Policy": policy}),
        javascript=scripted,
    )
    page.get_by_label("E-mail").fill(email)
    page.get_by_role("button").click()
    expect(page.get_by_text("We have received your sign-up.")).to_be_visible()
    assert (page.url == site.url + "/hidden") is scripted
    assert arrived(upstream, email)


def test_a_plain_form_gets_its_mistakes_on_the_relays_page(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    page = visit(site.serve("/plain", form(relay)), language="es-MX")
    page.get_by_label("Phone").fill("12")
    page.get_by_role("button").click()
    expect(page).to_have_title("Error – Inscripción")
    expect(page.get_by_label("Número de móvil")).to_have_value("12")
    page.get_by_label("Número de móvil").fill("")
    page.get_by_label("Correo electrónico").fill("plain@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Gracias")).to_be_visible()
    assert arrived(upstream, "plain@example.com")


def test_forms_that_go_elsewhere_and_later_ones_are_told_apart(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    site.serve("/search?q=x", "<title>Found</title>")
    body = '<form action="/search"><input name="q" value="x"><button>Search</button></form><div></div>'
    page = visit(site.serve("/mixed", with_script(relay, body)))
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_title("Found")
    page.goto(site.url + "/mixed")
    page.evaluate("html => document.querySelector('div').innerHTML = html", form(relay, "patient"))
    page.get_by_label("E-mail").fill("later@example.com")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert arrived(upstream, "later@example.com")  # a time asked for only now is not filled in


def test_it_asks_whether_another_address_was_meant(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    page = visit(site.serve("/slip", with_script(relay, form(relay))))
    page.get_by_label("E-mail").fill("slip@gmial.com")
    page.get_by_role("button", name="Join").click()
    page.get_by_role("button", name="Yes, use this one").click()
    expect(page.get_by_role("status")).to_have_text("We have received your sign-up.")
    assert arrived(upstream, "slip@gmail.com")


def test_it_keeps_what_was_typed_if_its_visitor_says_so(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    page = visit(site.serve("/keep", with_script(relay, form(relay))))
    page.get_by_label("E-mail").fill("keep@gmial.com")
    page.get_by_role("button", name="Join").click()
    page.get_by_role("button", name="Keep what I typed").click()
    expect(page.get_by_role("status")).to_have_text("We have received your sign-up.")
    assert arrived(upstream, "keep@gmial.com")


CAMPAIGN = {
    "utm_source": "letter & post",
    "utm_medium": "e-mail",
    "utm_campaign": "Frühling",
    "utm_term": "left out",
    "utm_id": "17",
    "gclid": "Cj0K_-9",
    "fbclid": "IwAR2",
}


def came_by(upstream: ScriptedUpstream) -> dict[str, str]:
    """The custom properties of the newest update."""
    updates = eventually(
        lambda: [a.json for a in upstream.arrivals if "custom_properties" in (a.json or {})],
        what="an update",
    )
    return dict(updates[-1]["custom_properties"])


def test_it_tells_how_a_visitor_came_and_stores_nothing(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    query = urlencode(CAMPAIGN | {"email": "secret@example.com"})
    landing = f"/landing?{query}"
    site.serve(landing, with_script(relay, form(relay, "tracked")))
    page = visit(site.serve("/before?q=secret", f'<a href="{escape(landing)}#top">Join us</a>'))
    page.get_by_role("link").click()
    page.wait_for_url("**/landing?*")  # loaded, its script too
    page.get_by_label("E-mail").fill("campaign@example.com")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("status")).to_be_visible()

    expected = {name: value for name, value in CAMPAIGN.items() if name not in ("fbclid", "utm_term")}
    expected |= {"facebook": "IwAR2", "landing_page": site.url + "/landing", "referrer": site.url + "/before"}
    assert arrived(upstream, "campaign@example.com") == {"email": "campaign@example.com"}
    assert came_by(upstream) == expected
    assert page.context.cookies() == []
    stored = (
        "[localStorage.length, sessionStorage.length, document.cookie, (await indexedDB.databases()).length]"
    )
    assert page.evaluate(f"(async () => {stored})()") == [0, 0, "", 0]


def test_what_the_page_itself_says_of_a_visitors_way_is_left_as_it_is(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    fields = FIELDS + '<input type="hidden" name="utm_source" value="its own">'
    body = with_script(relay, form(relay, "tracked", fields=fields))
    page = visit(site.serve("/own?utm_source=another&utm_medium=", body))
    page.get_by_label("E-mail").fill("own-way@example.com")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert arrived(upstream, "own-way@example.com")
    eventually(lambda: came_by(upstream).get("utm_source") == "its own", what="the update")
    assert came_by(upstream) == {"utm_source": "its own", "landing_page": site.url + "/own"}


def test_a_hidden_field_that_is_empty_is_filled(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    fields = FIELDS + '<input type="hidden" name="utm_source">'
    page = visit(
        site.serve("/empty?utm_source=letter", with_script(relay, form(relay, "tracked", fields=fields)))
    )
    page.get_by_label("E-mail").fill("empty-way@example.com")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert arrived(upstream, "empty-way@example.com")
    eventually(lambda: came_by(upstream).get("utm_source") == "letter", what="the update")


def test_a_source_that_does_not_ask_is_told_no_way(relay: RelayProcess, site: Site, visit: Visit) -> None:
    page = visit(site.serve("/quiet?utm_source=x&gclid=y", with_script(relay, form(relay))))
    bodies: list[str] = []
    page.on("request", lambda request: bodies.append(request.post_data or "") if request.post_data else None)
    page.get_by_label("E-mail").fill("quiet@example.com")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert len(bodies) == 1 and "utm" not in bodies[0] and "gclid" not in bodies[0]

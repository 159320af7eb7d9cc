"""relay.js on pages that have scripts and habits of their own, and on networks that fail half-way."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlencode

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Site
from tests.browser.test_forms import arrived
from tests.browser.test_script import form, with_script
from tests.kit.relay import RelayProcess
from tests.kit.upstream import ScriptedUpstream

pytestmark = pytest.mark.browser
Visit = Callable[..., Page]
FIELDS = '<label>E-mail <input name="email"></label> <label>Phone <input name="phone"></label>'
PLANS = FIELDS + "".join(
    f'<button name="plan" value="{plan}">{plan.capitalize()}</button>' for plan in ("small", "large")
)
JOIN = FIELDS + "<button>Join</button>"
TIMES = "fetch = (then => (...to) => /timestamp/.test(to[0]) ? {} : then(...to))(fetch)"
"""A script of the page that changes what becomes of a request for the signed time."""
LATE = TIMES.replace("{}", "new Promise(go => setTimeout(go, 1500)).then(() => then(...to))")
FAILS_ONCE = "let asked = 0;" + TIMES.replace("{}", "asked++ ? then(...to) : Promise.reject()")


def before(script: str, body: str) -> str:
    return f"<script>{script}</script>{body}"


def posted(page: Page) -> list[dict[str, list[str]]]:
    """What this page posts from now on."""
    found: list[dict[str, list[str]]] = []
    page.on("request", lambda one: found.append(parse_qs(one.post_data or "")) if one.post_data else None)
    return found


@pytest.mark.parametrize(
    ("name", "habit"),
    [
        ("taken-away", "event.submitter.remove()"),
        ("emptied", "setTimeout(() => this.reset())"),
        ("switched-off", "setTimeout(() => [...this].forEach(one => one.disabled = true))"),
    ],
)
def test_what_a_page_does_to_its_form_meanwhile_loses_nothing(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit, name: str, habit: str
) -> None:
    body = with_script(relay, form(relay, more=f'onsubmit="{habit}"', fields=JOIN))
    page = visit(site.serve(f"/{name}", before(LATE, body)))
    page.get_by_label("E-mail").fill(f"{name}@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert arrived(upstream, f"{name}@example.com")


def test_a_page_finds_what_it_made_in_a_form_that_was_thanked_for(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    """As React does, which blanks its whole page where a node of its own is gone."""
    style = "<style>form > * { display: block !important } form .relay-thanks { color: rgb(1, 2, 3) }</style>"
    page = visit(site.serve("/made", style + with_script(relay, form(relay, fields="Join us: " + JOIN))))
    page.get_by_label("E-mail").fill("made@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_have_css("color", "rgb(1, 2, 3)")
    expect(page.locator("form")).to_have_text("We have received your sign-up.", use_inner_text=True)
    page.evaluate("""() => {
        const form = document.forms[0], made = form.querySelector("button");
        form.insertBefore(document.createElement("hr"), made);
        form.removeChild(made);
    }""")
    expect(page.get_by_role("status")).to_be_visible()
    assert arrived(upstream, "made@example.com")


def test_a_button_that_the_page_switched_off_can_be_used_after_a_mistake(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    once = """onsubmit="this.querySelector('button').disabled = true" """
    page = visit(site.serve("/guarded", with_script(relay, form(relay, more=once, fields=JOIN))))
    page.get_by_label("E-mail").fill("nonsense")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("E-mail").fill("guarded@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert arrived(upstream, "guarded@example.com")


def test_the_button_that_was_pressed_is_known_after_a_question(
    relay: RelayProcess, site: Site, visit: Visit
) -> None:
    page = visit(site.serve("/plans", with_script(relay, form(relay, fields=PLANS))))
    bodies = posted(page)
    page.get_by_label("E-mail").fill("plans@gmial.com")
    page.get_by_role("button", name="Large").click()
    page.get_by_role("button", name="Yes, use this one").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert [body.get("plan") for body in bodies] == [["large"], ["large"]]


def test_the_button_that_was_pressed_is_known_in_browsers_of_2022(
    relay: RelayProcess, site: Site, visit: Visit
) -> None:
    """Safari before 16.4, say, whose FormData looks at a form alone."""
    old = "FormData = (Own => function (form) { return new Own(form) })(FormData)"
    page = visit(site.serve("/older", before(old, with_script(relay, form(relay, fields=PLANS)))))
    bodies = posted(page)
    page.get_by_label("E-mail").fill("older@example.com")
    page.get_by_role("button", name="Large").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert [body.get("plan") for body in bodies] == [["large"]]


def test_where_the_script_may_not_connect_the_browser_posts_what_was_pressed_to_where_it_says(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    own = '<form action="/own">{}<button formaction="{}" name="plan" value="small">Join</button>'
    body = with_script(relay, own.format(FIELDS, relay.url + "/submit/newsletter"))
    page = visit(site.serve("/pressed", body, {"Content-Security-Policy": "connect-src 'none'"}))
    bodies = posted(page)
    page.get_by_label("E-mail").fill("pressed@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert [body.get("plan") for body in bodies] == [["small"]]
    assert arrived(upstream, "pressed@example.com")


def test_who_closes_a_dialog_has_not_signed_up(relay: RelayProcess, site: Site, visit: Visit) -> None:
    fields = JOIN + '<button formmethod="dialog" formnovalidate>Cancel</button>'
    page = visit(
        site.serve("/dialog", with_script(relay, f"<dialog open>{form(relay, fields=fields)}</dialog>"))
    )
    page.get_by_label("E-mail").fill("cancelled@example.com")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.evaluate("document.querySelector('dialog').show()")
    page.get_by_label("E-mail").fill("after-all@example.com")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert relay.rows(contact="cancelled@example.com") == []
    assert relay.rows(contact="after-all@example.com")


def test_a_time_that_a_browser_brought_back_is_not_sent(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    """As of a tab that is opened again before there is a network."""
    old = '<input type="hidden" name="relay_ts" value="1700000000000.0123456789abcdef0123456789abcdef">'
    body = with_script(relay, form(relay, fields=JOIN + old))
    page = visit(site.serve("/restored", before(FAILS_ONCE, body)))
    page.get_by_label("E-mail").fill("restored@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert [row["reason"] for row in relay.rows(contact="restored@example.com")] == [None]


@pytest.mark.parametrize("late", ["", LATE])
def test_a_time_of_another_source_is_not_sent(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit, late: str
) -> None:
    """As of a form with a button for each of two lists."""
    other = f'<button formaction="{relay.url}/submit/brisk">Both</button>'
    address = f"two-lists{len(late)}@example.com"
    page = visit(
        site.serve(f"/two{len(late)}", before(late, with_script(relay, form(relay, fields=JOIN + other))))
    )
    page.get_by_label("E-mail").fill(address)
    page.wait_for_timeout(400)
    page.get_by_role("button", name="Both").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert [(row["source"], row["reason"]) for row in relay.rows(contact=address)] == [("brisk", None)]


def test_a_time_that_came_late_makes_nobody_too_fast(relay: RelayProcess, site: Site, visit: Visit) -> None:
    body = with_script(relay, form(relay, "brisk", fields=JOIN))
    page = visit(site.serve("/late", before(LATE, body)))
    page.get_by_label("E-mail").fill("late-time@example.com")
    page.wait_for_timeout(400)
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert [row["reason"] for row in relay.rows(contact="late-time@example.com")] == [None]


def test_a_time_that_came_late_is_not_left_to_a_page_that_posts_by_itself(
    relay: RelayProcess, site: Site, visit: Visit
) -> None:
    """As many do for a captcha: `form.submit()` asks no script."""
    fields = FIELDS + '<input type="hidden" name="relay_ts"><button type="button">Join</button>'
    page = visit(site.serve("/itself", before(LATE, with_script(relay, form(relay, "brisk", fields=fields)))))
    page.get_by_label("E-mail").fill("itself@example.com")
    page.wait_for_function("performance.getEntriesByType('resource').some(one => /timestamp/.test(one.name))")
    page.evaluate("document.forms[0].submit()")
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert [row["reason"] for row in relay.rows(contact="itself@example.com")] == [None]


def test_a_mistake_in_a_field_out_of_sight_is_told_where_it_can_be_seen(
    relay: RelayProcess, site: Site, visit: Visit
) -> None:
    steps = f'<div id="step">{FIELDS}</div><button>Join</button>'
    page = visit(site.serve("/steps", with_script(relay, form(relay, fields=steps))))
    page.get_by_label("E-mail").fill("nonsense")
    page.evaluate("document.getElementById('step').style.display = 'none'")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_have_text("Enter a valid e-mail address, like name@example.com.")


def test_a_question_about_a_field_out_of_sight_is_asked_where_it_can_be_seen(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    """As of a form in steps, whose button stands in the last one."""
    steps = f'<div id="step">{FIELDS}</div><button>Join</button>'
    page = visit(site.serve("/asked", with_script(relay, form(relay, fields=steps))))
    page.get_by_label("E-mail").fill("stepped@gmial.com")
    page.evaluate("document.getElementById('step').style.display = 'none'")
    page.get_by_role("button").click()
    page.get_by_role("button", name="Yes, use this one").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert arrived(upstream, "stepped@gmail.com")


def test_of_fields_of_one_name_the_one_in_sight_is_told(
    relay: RelayProcess, site: Site, visit: Visit
) -> None:
    """As of a box, with the hidden field beside it that frameworks say no with."""
    box = (
        '<input type="hidden" name="agree" value="0"><label><input type="checkbox" name="agree"> Yes</label>'
    )
    page = visit(site.serve("/box", with_script(relay, form(relay, "consenting", fields=JOIN + box))))
    page.get_by_label("E-mail").fill("boxed@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("checkbox")).to_have_attribute("aria-invalid", "true")


def test_who_wrote_too_much_is_told_so_in_plain_words(relay: RelayProcess, site: Site, visit: Visit) -> None:
    fields = JOIN + '<input type="hidden" name="story" value="{}">'.format("x" * 20_000)
    page = visit(site.serve("/long", with_script(relay, form(relay, fields=fields), language="de")))
    page.get_by_label("E-mail").fill("long@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_contain_text(
        "senden Sie es noch einmal ohne sie oder mit weniger Text"
    )


def test_who_is_too_many_for_an_hour_is_not_told_to_wait_a_minute(
    relay: RelayProcess, site: Site, visit: Visit
) -> None:
    page = visit(site.serve("/many", with_script(relay, form(relay, "short", fields=JOIN))))
    for number in range(5):  # two, and two more should the hour end meanwhile
        page.reload()
        page.get_by_label("E-mail").fill(f"many-{number}@example.com")
        page.get_by_role("button").click()
        told = page.get_by_role("alert").or_(page.get_by_role("status"))
        expect(told).to_be_visible()
        if page.get_by_role("alert").count():
            break
    expect(told).to_contain_text("send it once more later today")


@pytest.mark.parametrize(
    "habit",
    ["this.style.display = 'none'", "setTimeout(() => this.remove())", "this.closest('dialog').close()"],
)
def test_what_is_told_in_a_form_that_its_page_hid_is_not_lost(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit, habit: str
) -> None:
    """As with pages whose own script says "Sent!" as soon as somebody has pressed."""
    hiding = form(relay, more=f'onsubmit="{habit}"', fields=JOIN)
    address = f"hidden-{len(habit)}@gmial.com"
    page = visit(site.serve("/hiding", with_script(relay, f"<dialog open>{hiding}</dialog>Sent!")))
    page.get_by_label("E-mail").fill("nonsense")
    page.get_by_role("button").click()
    expect(page.get_by_label("E-mail")).to_have_accessible_description(
        "Enter a valid e-mail address, like name@example.com."
    )
    expect(page.get_by_label("E-mail")).to_have_value("nonsense")
    page.goto(site.url + "/hiding")
    page.get_by_label("E-mail").fill(address)
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert arrived(upstream, address)


@pytest.mark.parametrize(
    "fields",
    [
        "{}<p>" + JOIN.replace("<input", '<input form="apart"').replace("<button", '<button form="apart"'),
        f"<table>{{}}<tr><td>{JOIN}</table>",
    ],
    ids=["named by its fields", "parted by a table"],
)
def test_a_form_whose_fields_stand_beside_it_tells_what_is_wrong_on_its_page(
    relay: RelayProcess, site: Site, visit: Visit, fields: str
) -> None:
    """As browsers read a form between a table and its rows."""
    start = form(relay, more='id="apart"', fields="")
    apart = fields.replace("{}", start if fields.startswith("{}") else start.removesuffix("</form>"))
    page = visit(site.serve("/apart", with_script(relay, apart)))
    page.get_by_label("E-mail").fill("nonsense")
    page.get_by_role("button").click()
    expect(page.get_by_label("E-mail")).to_have_accessible_description(
        "Enter a valid e-mail address, like name@example.com."
    )
    assert page.url == site.url + "/apart"


@pytest.mark.parametrize("is_stored", [False, True])
def test_where_the_script_may_ask_and_not_post_the_browser_posts(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit, is_stored: bool
) -> None:
    """As with a blocker, or a proxy that stops OPTIONS; or where a network lost an answer."""
    address = f"blocked-{is_stored}@gmial.com".lower()
    page = visit(site.serve("/blocked", with_script(relay, form(relay, fields=JOIN))))

    def block(route: Route) -> None:
        if route.request.resource_type != "fetch":
            route.continue_()
            return
        if is_stored:
            assert route.fetch(post_data=urlencode({"email": address})).ok
        route.abort()

    page.route("**/submit/newsletter", block)
    page.get_by_label("E-mail").fill(address)
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert arrived(upstream, address)
    assert [row["state"] for row in relay.rows(contact=address)] == ["delivered"]


def test_a_lost_answer_is_a_repeat_where_the_same_content_is_none(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    """As on a network that takes longer to be lost than the source's `repeat_window`."""
    page = visit(site.serve("/lost", with_script(relay, form(relay, "forgetful", fields=JOIN))))

    def lose(route: Route) -> None:
        if route.request.resource_type != "fetch":
            route.continue_()
            return
        assert route.fetch().ok
        page.wait_for_timeout(1_100)
        route.abort()

    page.route("**/submit/forgetful", lose)
    page.get_by_label("E-mail").fill("lost-answer@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert len(relay.rows(contact="lost-answer@example.com")) == 1
    assert arrived(upstream, "lost-answer@example.com")


def test_a_window_that_the_browser_would_not_open_any_more_is_not_asked_for(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    """As where the relay could not be asked until long after the click."""
    later = "Object.defineProperty(navigator.userActivation, 'isActive', { value: false });"
    body = with_script(relay, form(relay, more='target="_blank"', fields=JOIN))
    policy = {"Content-Security-Policy": "connect-src 'none'"}
    page = visit(site.serve("/window", before(later, body), policy))
    page.get_by_label("E-mail").fill("window@example.com")
    page.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert arrived(upstream, "window@example.com")


def test_who_leaves_as_soon_as_they_have_pressed_has_signed_up(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    """As with a form of HTML alone, over a network that is slow to answer whether the script may post."""
    page = visit(site.serve("/hasty", with_script(relay, form(relay, fields=JOIN))))
    page.get_by_label("E-mail").fill("hasty@example.com")
    page.wait_for_load_state("networkidle")
    relay.stop()
    try:
        page.get_by_role("button").click()
        page.goto("about:blank")
    finally:
        relay.cont()
    assert arrived(upstream, "hasty@example.com")


def test_who_gets_no_answer_is_told_and_can_send_it_again(
    relay: RelayProcess, upstream: ScriptedUpstream, site: Site, visit: Visit
) -> None:
    page = visit(site.serve("/mute", "<title>Before</title>"))
    page.clock.install()
    page.goto(site.serve("/mute", with_script(relay, form(relay, fields=JOIN))))
    page.route("**/submit/newsletter", lambda route: None)
    page.get_by_label("E-mail").fill("mute@example.com")
    with page.expect_request(lambda one: one.method == "POST"):
        page.get_by_role("button").click()
    page.clock.fast_forward(60_000)
    expect(page.get_by_role("alert")).to_have_text("It could not be sent. Please try again in a moment.")
    page.unroute("**/submit/newsletter")
    page.get_by_role("button").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert arrived(upstream, "mute@example.com")

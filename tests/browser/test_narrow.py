"""On a small phone no page is wider than the screen, however long the words are that it shows."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.kit.processes import eventually
from tests.kit.reactions import Reaction, created, status
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config, secret
from tests.kit.upstream import Arrival, ScriptedUpstream

pytestmark = pytest.mark.browser
Visit = Callable[..., Page]
WIDTH = 360
FORM, WEBHOOK, DESTINATION, OPERATOR = (letter * 60 for letter in "fwdo")
NOUN = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
LONG = "x" * 400
VALUE = LONG[:250]
"""No value may be longer than 255."""
DOMAIN = ".".join(letter * 60 for letter in "abc") + ".example.com"
TRAP = "leave_empty"
TEXTS = {
    "title": NOUN,
    "intro": NOUN,
    "button": NOUN,
    "thanks_title": NOUN,
    "thanks_text": NOUN,
    "labels": dict.fromkeys(("email", "phone", "first_name", "last_name", "plan", NOUN, "agree"), NOUN),
}


def source(kind: dict[str, Any], **more: Any) -> dict[str, Any]:
    return kind | {"destination": DESTINATION, "on_failure": "accept"} | more


def configured(url: str) -> dict[str, Any]:
    """A configuration in which all that has a name has a long one."""
    fields = {
        "email": "email",
        "mobile_phone_number": "phone",
        "full_name": {"from": ["first_name", "last_name"]},
    }
    choices = {"from": "plan", "choices": [NOUN, LONG]}
    page = {"language": "en", "site": {"name": NOUN, "url": f"https://{DOMAIN}/"}, **TEXTS}
    update = {"custom_properties": {NOUN: NOUN, "plan": choices}}
    form = {"honeypot": TRAP, "min_seconds": 0, "consent": "agree", "page": page, "thanks": None}
    hook = {NOUN: "name", "x": {"first": [LONG, NOUN]}}
    made = config(
        url,
        {
            FORM: source(NEWSLETTER, fields=fields, update=update, **form) | {"on_failure": None},
            WEBHOOK: source(HOOK, wait=0, fields=HOOK["fields"], update={"custom_properties": hook}),
        },
        limits="1000/second",
    )
    operators = {OPERATOR: {"token": "env:OPERATOR", "role": "reveal"}}
    return made | {"destinations": {DESTINATION: made["destinations"]["ocamba"]}, "operators": operators}


def env() -> dict[str, str]:
    return {"OPERATOR": secret("operator")}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    def react(arrival: Arrival) -> Reaction:
        is_refused = (arrival.json or {}).get("email", "").startswith("c@")
        return status(422, json={"message": LONG, "trace_id": LONG}) if is_refused else created(LONG[:60])

    with ScriptedUpstream(react) as made:
        yield made


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    with RelayProcess(configured(upstream.url), env=env()) as process:
        yield process


@pytest.fixture(scope="module")
def receipts(relay: RelayProcess) -> list[str]:
    """One held, one delivered, one refused, one invalid: all that was sent is long."""
    agreed = {"agree": "yes", "plan": NOUN, NOUN: VALUE}
    held = {**agreed, "email": f"a@{DOMAIN}", "first_name": NOUN, "last_name": LONG[:100], TRAP: LONG}
    who = {"email": f"b@{DOMAIN}", "name": NOUN, NOUN: VALUE, LONG: VALUE}
    found = [relay.form(held, FORM).json["receipt"]]
    for state, body in (
        ("delivered", who),
        ("refused", {**who, "email": f"c@{DOMAIN}"}),
        ("invalid", {LONG: LONG, NOUN: LONG, "mail": f"d@{DOMAIN}", "email": LONG}),
    ):
        found.append(relay.hook(body, WEBHOOK).json["receipt"])
        relay.wait_state(found[-1], state)
    relay.form({"email": f"e@{DOMAIN}"}, FORM, {"Origin": f"https://{DOMAIN}"})
    relay.hook(who, WEBHOOK, {"Authorization": "Bearer wrong"})
    eventually(lambda: relay.api("GET", "/api/sources").json[WEBHOOK]["refusals"], what="the refusal")
    return found


@pytest.fixture
def page(relay: RelayProcess, visit: Visit) -> Page:
    """The dashboard on a small phone."""
    made = visit(relay.url + "/dashboard", width=WIDTH)
    made.get_by_label("Your operator's token").fill(relay.env["OPERATOR"])
    made.get_by_role("button", name="Log in").click()
    expect(made.get_by_role("heading", level=1)).to_have_text("Overview")
    return made


def assert_fits(page: Page, what: str) -> None:
    page.wait_for_load_state()  # with its style sheet
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= WIDTH, f"{what} is {wide} wide"


PATHS = (
    *("", "/needs-you", "/submissions", "/sources", f"/sources/{FORM}", f"/sources/{WEBHOOK}"),
    *("/destinations", "/jobs", "/audit", f"/submissions?source={FORM}&reason={LONG}", f"/{LONG}"),
)


def test_every_page_of_the_dashboard_fits_a_small_phone(
    relay: RelayProcess, receipts: list[str], page: Page
) -> None:
    for path in (*PATHS, *(f"/submissions/{receipt}" for receipt in receipts)):
        page.goto(f"{relay.url}/dashboard{path}")
        assert_fits(page, path[:40])


def test_what_leads_to_a_submission_is_seen_on_a_small_phone_without_scrolling_its_list(
    relay: RelayProcess, receipts: list[str], page: Page
) -> None:
    page.goto(f"{relay.url}/dashboard/submissions")
    links = page.locator("tbody a").all()
    assert len(links) >= len(receipts)
    for link in links:
        box = link.bounding_box()
        assert box is not None and box["x"] + box["width"] <= WIDTH


def test_all_that_a_list_says_of_a_submission_is_seen_on_a_small_phone(
    relay: RelayProcess, receipts: list[str], page: Page
) -> None:
    page.goto(f"{relay.url}/dashboard/submissions")
    region = page.get_by_role("region", name="Submissions")
    assert region.evaluate("one => one.scrollWidth <= one.clientWidth")


def test_who_it_is_is_in_sight_once_it_is_asked_for(
    relay: RelayProcess, receipts: list[str], page: Page
) -> None:
    page.goto(f"{relay.url}/dashboard/submissions/{receipts[0]}")

    page.get_by_role("button", name="Show who it is").click()

    expect(page.get_by_role("heading", name="The person")).to_be_in_viewport()


def test_what_an_operator_is_shown_after_an_act_fits_too(
    relay: RelayProcess, receipts: list[str], page: Page
) -> None:
    here = f"{relay.url}/dashboard"
    for receipt in receipts:
        page.goto(f"{here}/submissions/{receipt}")
        if page.get_by_role("button", name="Show who it is").count():
            page.get_by_role("button", name="Show who it is").click()
            expect(page.get_by_role("region", name="The person")).to_be_visible()
            assert_fits(page, "a person")
    page.get_by_label("email", exact=True).fill(LONG)
    page.get_by_role("button", name="Correct and send").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert_fits(page, "a correction that cannot be used")

    for asked, heading in ((f"b@{DOMAIN}", "1 submission found"), (LONG, "Look again")):
        page.goto(f"{here}/submissions")
        page.get_by_label("Find a person").fill(asked)
        page.get_by_role("button", name="Find").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        assert_fits(page, heading)

    page.goto(f"{here}/sources/{WEBHOOK}")
    page.get_by_label("Your own e-mail").fill(f"own@{DOMAIN}")
    page.get_by_role("button", name="Test it").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert_fits(page, "a test")

    page.goto(f"{here}/destinations")
    for button in ("Pause", "Resume now"):
        page.get_by_role("button", name=button).click()
        expect(page.get_by_role("status")).to_be_visible()
        assert_fits(page, button)


def test_jobs_over_much_that_is_long_fit_too(relay: RelayProcess, receipts: list[str], page: Page) -> None:
    page.goto(f"{relay.url}/dashboard/submissions?source={WEBHOOK}&state=invalid")
    page.get_by_role("button", name="send", exact=False).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Replay")
    assert_fits(page, "a question")
    page.get_by_role("button", name="Yes, replay").click()
    expect(page.get_by_role("region", name="Progress")).to_be_visible()
    assert_fits(page, "a job")
    for path in ("/jobs", "/audit", ""):
        page.goto(f"{relay.url}/dashboard{path}")
        assert_fits(page, path)


def test_a_form_with_long_words_fits_before_and_after_it_is_sent(relay: RelayProcess, visit: Visit) -> None:
    page = visit(f"{relay.url}/forms/{FORM}", width=WIDTH)
    assert_fits(page, "the form")

    page.locator("[name=email]").fill(LONG)
    page.locator("[name=phone]").fill(LONG)
    page.get_by_role("button", name=NOUN).click()
    expect(page.get_by_role("alert").first).to_be_visible()
    assert_fits(page, "a mistake")

    page.locator("[name=phone]").fill("")
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.locator("[name=email]").fill("someone@example.com")
    page.get_by_role("button", name=NOUN).last.click()
    expect(page.locator(".tick")).to_be_visible()
    assert "/receipts/" in page.url
    assert_fits(page, "thanks")

    page.goto(f"{relay.url}/forms/{LONG}")
    assert_fits(page, "no such form")


def test_the_front_page_of_the_sandbox_fits(visit: Visit) -> None:
    with RelayProcess(configured("http://127.0.0.1:9/"), mode="serve", token=None, env=env()) as sandbox:
        page = visit(sandbox.url, width=WIDTH)
        expect(page.get_by_role("heading", level=1)).to_have_text("The relay is running")
        assert_fits(page, "the front page")

"""What a new user sees first, and what everybody can perceive."""

import json
import shutil
import subprocess
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.kit.processes import eventually
from tests.kit.relay import ROOT, RelayProcess
from tests.kit.services import Missing, lacking

pytestmark = pytest.mark.browser
Visit = Callable[..., Page]


def _commands(page: Page, section: str) -> list[str]:
    return page.get_by_role("region", name=section).locator("pre").all_inner_texts()


def _run(command: str) -> dict[str, object]:
    if not shutil.which("curl"):
        lacking(Missing("apt-get install -y curl"))
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_it_says_where_it_sends_and_what_there_is(sandbox: RelayProcess, visit: Visit) -> None:
    page = visit(sandbox.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("The relay is running")
    expect(page.get_by_text("nothing leaves this machine")).to_be_visible()
    expect(page.get_by_text(f"{sandbox.url}/submit/newsletter", exact=True)).to_be_visible()
    expect(page.get_by_role("region", name="paused")).to_contain_text("Switched off")
    assert page.get_by_role("region", name="paused").locator("form").count() == 0


def test_the_form_can_be_tried_right_there(sandbox: RelayProcess, visit: Visit) -> None:
    page = visit(sandbox.url)
    page.wait_for_timeout(2000)
    page.get_by_label("E-mail address").fill("try@example.com")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    expect(page.get_by_text("Sandbox: nothing you enter here")).to_be_visible()
    eventually(lambda: "t***@example.com" in sandbox.output(), what="a line on the console")
    page.get_by_role("link", name="Back to the start").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The relay is running")


def test_the_command_lines_work_when_pasted(sandbox: RelayProcess, visit: Visit) -> None:
    page = visit(sandbox.url)
    form, hook = _commands(page, "newsletter")[0], _commands(page, "zapier")[0]
    assert _run(form + " -s")["state"] == "received"
    assert _run(hook + " -s")["state"] == "delivered"
    assert _run(hook + " -s")["repeat"] is True


def test_the_snippet_works_on_a_page_that_it_is_pasted_into(
    sandbox: RelayProcess, site: Site, visit: Visit
) -> None:
    page = visit(sandbox.url)
    (snippet,) = (text for text in _commands(page, "newsletter") if text.startswith("<form"))
    page.goto(site.serve("/mine", f"<title>Mine</title>{snippet}"))
    page.get_by_label("E-mail address").fill("snippet@example.com")
    box = page.locator("[name=relay_leave_empty]").bounding_box()
    assert box is not None and box["x"] < 0
    page.get_by_role("button").click()
    expect(page.get_by_text("We have received your sign-up.")).to_be_visible()
    assert page.url == site.url + "/mine"  # relay.js is part of it


def test_where_a_page_forbids_styles_people_are_told_to_leave_the_trap_empty(
    sandbox: RelayProcess, site: Site, visit: Visit
) -> None:
    (snippet,) = (text for text in _commands(visit(sandbox.url), "newsletter") if text.startswith("<form"))
    page = visit(site.serve("/strict", snippet, {"Content-Security-Policy": "style-src 'self'"}))
    expect(page.get_by_text("Please leave this field empty")).to_be_in_viewport()


def test_a_click_copies_a_command(sandbox: RelayProcess, visit: Visit) -> None:
    page = visit(sandbox.url)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("region", name="zapier").get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == _commands(page, "zapier")[0]


def test_it_fits_a_small_screen_and_breaks_no_rule_of_its_policy(
    sandbox: RelayProcess, phone: Page, said: list[str]
) -> None:
    phone.goto(sandbox.url)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 375
    assert said == []


PATHS = [
    "/forms/newsletter",
    "/forms/club",
    "/forms/choosy",
    "/forms/consenting",
    "/forms/off",
    "/nowhere",
]


@pytest.mark.parametrize("path", PATHS)
def test_pages_have_no_fault_that_axe_knows(relay: RelayProcess, phone: Page, axe: str, path: str) -> None:
    phone.goto(relay.url + path)
    assert faults(phone, axe) == []
    if phone.get_by_role("button").count():
        phone.get_by_role("button").click()
        expect(phone.get_by_role("alert")).to_be_visible()
        assert faults(phone, axe) == []


def test_the_front_and_thanks_have_no_fault_that_axe_knows(
    sandbox: RelayProcess, visit: Visit, axe: str
) -> None:
    page = visit(sandbox.url)
    assert faults(page, axe) == []
    page.get_by_label("E-mail address").fill("axe@example.com")
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert faults(page, axe) == []


def faults(page: Page, axe: str) -> list[tuple[str, str]]:
    """What axe-core finds: rule and element."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [(rule["id"], node["html"]) for rule in found["violations"] for node in rule["nodes"]]


def test_the_lock_file_names_no_registry() -> None:
    assert "http" not in (ROOT / "tests/browser/package-lock.json").read_text(encoding="utf-8")

"""The pictures in docs/images that show the dashboard: ``make screenshots``. Needs Chromium.

A relay of its own with made-up people and an upstream that is played, so that a picture can be taken again.
"""

from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

IMAGES = Path(__file__).parent / "images"
CHROMIUM = "/usr/bin/chromium"


def take() -> None:
    """Take every picture."""
    sources = {
        "newsletter": {**NEWSLETTER, "honeypot": "leave_empty"},
        "survey": {**HOOK, "on_failure": "accept"},
    }
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url, sources)) as relay:
        receipts = [relay.form({"email": f"{name}@example.com"}).json["receipt"] for name in _PEOPLE]
        relay.form({"email": "bot@example.com", "leave_empty": "x"})
        relay.hook({"mail": "renamed@example.com"}, source="survey")
        for receipt in receipts:
            relay.wait_state(receipt, "delivered")
        _overview(relay)


_PEOPLE = ("ada", "grace", "alan", "edsger", "barbara", "donald")


def _overview(relay: RelayProcess) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--headless"])
        page = browser.new_page(viewport={"width": 1100, "height": 760})
        page.goto(relay.url + "/dashboard")
        page.get_by_label("Your operator's token").fill(relay.admin_token)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("heading", level=1, name="Overview").wait_for()
        page.screenshot(path=IMAGES / "overview.png")
        browser.close()


if __name__ == "__main__":
    take()

"""A destination that was removed while somebody waits for it: its page leads to them, and tells the truth."""

from tests.kit.relay import RelayProcess
from tests.kit.upstream import ScriptedUpstream
from tests.process.test_removed_destination import one, reload, two
from tests.web.browsing import Person


def test_what_waits_for_a_removed_destination_is_a_click_away() -> None:
    with ScriptedUpstream() as upstream, RelayProcess(two(upstream.url)) as relay:
        relay.api("POST", "/api/destinations/old/pause")
        receipt = str(relay.form({"email": "stuck@example.com"}).receipt)
        person = Person(relay, relay.admin_token)
        assert "Sign-ups are still taken." in person.get("/dashboard/destinations").text

        reload(relay, one(upstream.url))

        page, leads = person.get("/dashboard/destinations").text, "/dashboard/submissions?state=queued"
        assert "Nobody will send what waits for it" in page and "still taken" not in page
        assert f'href="{leads}&amp;source=newsletter"' in page
        assert receipt in person.get(f"{leads}&source=newsletter").text

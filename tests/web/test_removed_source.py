"""What could not be mapped when its source is removed: only what is possible is offered, and why is said."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream
from tests.process.test_removed_destination import reload
from tests.web.browsing import Person
from tests.web.test_dashboard import seen

WHY = "of a source that was removed from the configuration: put that back, or discard it"
MAP_AGAIN = "Map again and send …"


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as server:
        yield server


def with_hook(url: str) -> dict[str, Any]:
    return config(url, {"newsletter": NEWSLETTER, "hook": HOOK | {"on_failure": "accept", "wait": 0}})


def without(url: str) -> dict[str, Any]:
    return config(url, {"newsletter": NEWSLETTER})


def test_what_cannot_be_mapped_is_offered_only_while_its_source_is_there(upstream: ScriptedUpstream) -> None:
    with RelayProcess(with_hook(upstream.url)) as relay:
        receipt = str(relay.hook({"mail": "ada@example.com"}).receipt)
        person, page = Person(relay, relay.admin_token), f"/dashboard/submissions/{receipt}"
        for offered in ("Send it", "Correct it by hand"):
            assert offered in person.get(page).text
        assert MAP_AGAIN in person.get("/dashboard/needs-you").text

        reload(relay, without(upstream.url))

        shown, needs = person.get(page).text, person.get("/dashboard/needs-you").text
        assert "Correct it by hand" not in shown and f"Send it: is {WHY}" in shown
        assert MAP_AGAIN not in needs and "Put that back to map it, or discard." in needs
        refused = person.post(f"{page}/replay", seen(relay.submission(receipt)))
        assert refused.status_code == 409 and WHY in refused.text
        corrected = relay.api("PATCH", f"/api/submissions/{receipt}", {"values": {"email": "a@example.com"}})
        assert corrected.status == 409 and WHY in corrected.text
        assert relay.api("POST", f"/api/submissions/{receipt}/discard").status == 200


def test_a_job_says_what_it_means_that_rows_cannot_be_mapped(upstream: ScriptedUpstream) -> None:
    with RelayProcess(with_hook(upstream.url)) as relay:
        relay.hook({"mail": "ada@example.com"})
        person = Person(relay, relay.admin_token)
        led = person.post("/dashboard/jobs", {"action": "replay", "state": "invalid"}).headers["Location"]
        counted = led.removesuffix("/ask")

        assert f'href="{counted}"' in person.get(led).text

        relay.wait_job(counted.rpartition("/")[2])
        text = person.get(counted).text
        assert "would be unmappable" in text and "mend the source&#39;s fields" in text


def test_the_page_of_what_cannot_be_sent_advises_nothing_that_is_not_possible(
    upstream: ScriptedUpstream,
) -> None:
    with RelayProcess(with_hook(upstream.url)) as relay:
        receipt = str(relay.hook({"mail": "ada@example.com"}).receipt)
        person, page = Person(relay, relay.admin_token), f"/dashboard/submissions/{receipt}"
        assert "correct one by hand" in person.get(page).text

        reload(relay, without(upstream.url))

        shown = person.get(page).text
        assert f"<strong>It is {WHY}.</strong>" in shown and "correct one by hand" not in shown

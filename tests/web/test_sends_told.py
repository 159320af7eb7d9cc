"""What the page of a submission says of its sends is so."""

from collections.abc import Iterator

import pytest

from tests.kit.reactions import create_then_reset, created
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream
from tests.web.browsing import Person

ALREADY = "upstream may have this profile already"
TWICE = "upstream may have this profile twice"


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    hook = HOOK | {"update": {"custom_properties": {"city": "city"}}}
    settings = config(upstream.url, {"newsletter": NEWSLETTER, "hook": hook}, ambiguous="park")
    with RelayProcess(settings) as process:
        yield process


def shown(relay: RelayProcess, receipt: str) -> str:
    return Person(relay, relay.admin_token).get(f"/dashboard/submissions/{receipt}").text


def test_an_update_is_not_said_to_have_created_the_profile_again(relay: RelayProcess) -> None:
    receipt = str(relay.hook({"email": "ada@example.com", "city": "Bonn"}).receipt)
    relay.wait_state(receipt, "delivered")

    page = shown(relay, receipt)

    assert page.count("upstream created the profile") == 1 and "upstream took the update" in page


def test_what_was_sent_once_is_not_said_to_be_there_twice(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    upstream.script = [create_then_reset(), created()]
    receipt = str(relay.form({"email": "once@example.com"}).receipt)
    relay.wait_state(receipt, "parked")
    page = shown(relay, receipt)
    assert ALREADY in page and TWICE not in page

    relay.api("POST", f"/api/submissions/{receipt}/replay")
    relay.wait_state(receipt, "delivered")

    assert TWICE in shown(relay, receipt)

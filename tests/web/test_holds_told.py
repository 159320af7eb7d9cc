"""What holds a destination is told in plain words wherever somebody looks for whom it keeps waiting."""

from collections.abc import Iterator

import pytest

from relay.destination import REMOVED
from relay.health import ASKED_FOR, BY_A_PERSON, PROBED
from relay.web.dashboard import words
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config, secret
from tests.kit.upstream import ScriptedUpstream, status
from tests.web.browsing import Person

FINE = "Nothing waits for you."
BUT_HELD = "No submission needs you, but something is held or fails"
TOLD = "Upstream does not take our token"


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    with ScriptedUpstream() as kind, ScriptedUpstream(lambda _: status(401)) as strict:
        sources = {
            "newsletter": NEWSLETTER | {"destination": "ocamba"},
            "hook": HOOK | {"destination": "crm", "wait": 0},
        }
        settings = config(kind.url, sources)
        settings["destinations"]["crm"] = {"url": strict.url, "token": "env:CRM_TOKEN"}
        with RelayProcess(settings, env={"CRM_TOKEN": secret("crm")}) as process:
            yield process


def test_every_kind_of_hold_is_told_with_what_to_do_about_it() -> None:
    kinds = {*PROBED, *ASKED_FOR, *BY_A_PERSON, REMOVED}
    assert kinds == words.HOLDS.keys()
    assert words.hold("misconfigured: 401, and failing") == words.HOLDS["misconfigured"]


def test_who_waits_behind_a_dead_token_is_not_said_to_be_sent_by_itself(relay: RelayProcess) -> None:
    person = Person(relay, relay.admin_token)
    for page in ("/dashboard", "/dashboard/needs-you"):
        assert FINE in person.get(page).text
    receipt = relay.hook({"email": "waits@example.com"}).json["receipt"]
    eventually(lambda: relay.status()["crm"]["hold_reason"], what="the hold")
    sent = relay.form({"email": "sent@example.com"}).json["receipt"]
    relay.wait_state(sent, "delivered")

    shown = person.get(f"/dashboard/submissions/{receipt}").text

    assert "crm</a> is held: misconfigured: 401" in shown and TOLD in shown
    assert "Waits for its turn." in shown and "by itself" not in shown
    assert "is held" not in person.get(f"/dashboard/submissions/{sent}").text
    assert TOLD in person.get("/dashboard/destinations").text
    for page in ("/dashboard", "/dashboard/needs-you"):
        text = person.get(page).text
        assert FINE not in text and BUT_HELD in text
    assert TOLD in person.get("/dashboard").text


def test_the_page_of_a_source_names_where_its_sign_ups_go(relay: RelayProcess) -> None:
    person = Person(relay, relay.admin_token)
    for source, destination in (("newsletter", "ocamba"), ("hook", "crm")):
        assert f">{destination}</a>." in person.get(f"/dashboard/sources/{source}").text

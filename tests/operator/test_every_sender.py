"""Whatever a sender's messages look like, its source can be tried, and old sign-ups come into it."""

import io
import time
from pathlib import Path
from typing import Any

import pytest

from relay.config.presets import preset_names
from relay.config.settings import Settings
from relay.operator.filter import Filter
from relay.operator.operator import Operator
from relay.process.opening import open_outbox
from tests.kit.inside import offline
from tests.kit.relay import NEWSLETTER

SENDERS = preset_names()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return offline(tmp_path, {name: {"preset": name, "secret": "env:SECRET"} for name in SENDERS})


def operator_of(folder: Path, sources: dict[str, Any]) -> Operator:
    settings = offline(folder, sources)
    box = open_outbox(settings, time.time)
    box.prepare(settings.destinations)
    return Operator(settings, box)


def states(operator: Operator) -> dict[str, str]:
    return {row["source"]: row["state"] for row in operator.submissions(Filter())}


def test_a_test_of_a_source_is_mapped(operator: Operator) -> None:
    for name in SENDERS:
        contact = {"email": "own@example.com"}
        assert operator.test(name, contact)["profile"]["email"] == "own@example.com", name
        assert operator.test(name, contact, send=True)["state"] == "queued", name


def test_a_table_comes_in_by_the_fields_of_a_profile(operator: Operator) -> None:
    table = b"Mail,Who\nada@example.com,Ada Lovelace\n"
    for name in SENDERS:
        mapped = {"Mail": "email", "Who": "full_name"}
        assert operator.import_table(name, io.BytesIO(table), mapped).queued == 1, name
    assert states(operator) == dict.fromkeys(SENDERS, "queued")


def test_who_left_comes_in_by_no_table_either(operator: Operator) -> None:
    table = b"email,unsubscribed\ngone@example.com,true\nada@example.com,false\n"
    for name in ("zapier", "make", "github", "standard-webhooks"):
        found = operator.import_table(name, io.BytesIO(table), {"email": "email"})
        assert [(one.line, one.why) for one in found.problems] == [(2, "left, or said no")], name
        assert found.queued == 1, name
    export = b"email,Status,Email Opt Out\ngone@example.com,Unsubscribed,\n"
    export += b"no@example.com,,TRUE\nada@example.com,,\n"
    # What their messages say nothing of, or elsewhere, a list that was exported says.
    for name in ("framer", "typeform", "hubspot", "woocommerce", "shopify"):
        found = operator.import_table(name, io.BytesIO(export), {"email": "email"})
        assert [one.line for one in found.problems] == [2, 3] and found.queued == 1, name


@pytest.mark.parametrize("column", ["Accepts Email Marketing", "Accepts Marketing"])
def test_who_never_said_yes_comes_in_by_no_export_of_customers(operator: Operator, column: str) -> None:
    table = f"email,{column}\nno@example.com,no\nada@example.com,yes\nbob@example.com,\n".encode()
    found = operator.import_table("shopify", io.BytesIO(table), {"email": "email"})
    assert [(one.line, one.why) for one in found.problems] == [(2, "left, or said no")] and found.queued == 2


@pytest.mark.parametrize("state", ["Never subscribed", "NEVER_SUBSCRIBED", "nonSubscribed"])
def test_who_is_on_no_list_comes_in_by_none(operator: Operator, state: str) -> None:
    table = f"email,Email Status\nno@example.com,{state}\nada@example.com,Subscribed\n".encode()
    assert operator.import_table("framer", io.BytesIO(table), {"email": "email"}).queued == 1


def test_who_is_asked_for_each_contact_comes_in_by_the_one_they_agreed_to(tmp_path: Path) -> None:
    boxes = {"email": "Accepts Email Marketing", "mobile_phone_number": "Accepts SMS Marketing"}
    table = b"email,phone,Accepts Email Marketing,Accepts SMS Marketing\n"
    table += b"no@example.com,+491711234567,no,yes\n"
    asking = operator_of(tmp_path, {"asking": NEWSLETTER | {"consent": boxes}})
    assert asking.import_table("asking", io.BytesIO(table), {}).queued == 1
    assert list(asking.submissions(Filter(contact="+491711234567")))
    assert not list(asking.submissions(Filter(contact="no@example.com")))


def test_who_asks_for_everybody_gets_who_left_by_a_table_too(tmp_path: Path) -> None:
    sources = {"crm": {"preset": "hubspot", "secret": "env:SECRET", "unless": "null"}}
    table = b"email,Unsubscribed from all email\ngone@example.com,Yes\nada@example.com,No\n"
    assert (
        operator_of(tmp_path, sources).import_table("crm", io.BytesIO(table), {"email": "email"}).queued == 2
    )

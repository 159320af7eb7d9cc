"""Whatever a sender's messages look like, its source can be tried, and old sign-ups come into it."""

import io
import time
from pathlib import Path

import pytest

from relay.config.presets import preset_names
from relay.config.settings import Settings
from relay.operator.filter import Filter
from relay.operator.operator import Operator
from relay.process.opening import open_outbox
from tests.kit.inside import offline

SENDERS = preset_names()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return offline(tmp_path, {name: {"preset": name, "secret": "env:SECRET"} for name in SENDERS})


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


def test_who_asks_for_everybody_gets_who_left_by_a_table_too(tmp_path: Path) -> None:
    sources = {"crm": {"preset": "hubspot", "secret": "env:SECRET", "unless": "null"}}
    table = b"email,Unsubscribed from all email\ngone@example.com,Yes\nada@example.com,No\n"
    settings = offline(tmp_path, sources)
    box = open_outbox(settings, time.time)
    box.prepare(settings.destinations)
    assert Operator(settings, box).import_table("crm", io.BytesIO(table), {"email": "email"}).queued == 2

"""A source is tried with somebody made up: each try is one of its own."""

from pathlib import Path

import pytest

from relay.config.settings import Settings
from relay.operator.testing import signed_up
from relay.outbox.outbox import Outbox
from tests.kit.inside import offline
from tests.kit.relay import HOOK


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return offline(tmp_path, {"hook": HOOK | {"id": "email"}})


def test_a_field_that_is_the_id_makes_no_test_a_repeat_of_another(settings: Settings, outbox: Outbox) -> None:
    hook, own = settings.sources["hook"], {"email": "me@example.com"}

    tests = [signed_up(hook, outbox, own, send=True, once=name) for name in ("", "", "a", "a")]

    receipts = [test["receipt"] for test in tests]
    assert len(set(receipts)) == 3 and receipts[2] == receipts[3]

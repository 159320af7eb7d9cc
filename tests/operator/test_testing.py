"""Whatever a source asks of its fields, somebody made up can sign up there."""

from pathlib import Path
from typing import Any

import pytest

from relay.config.settings import Settings
from relay.operator.errors import Unfitting
from relay.operator.operator import Operator
from tests.kit.inside import offline

FORM: dict[str, Any] = {"kind": "form", "origins": ["*"]}
MAIL = {"email": "email"}
NAMES: dict[str, dict[str, Any]] = {
    "choices": {"choices": ["Frau", "Herr"]},
    "short": {"max_length": 2},
    "required": {"required": True},
    "constant": {"value": "Ann"},
    "same": {"from": "email"},
    **{kind: {"type": kind} for kind in ("text", "integer", "number", "boolean", "date", "url", "list")},
    "offered": {"type": "list", "choices": ["a", "b"]},
    "numbered": {"type": "integer", "choices": [7, 9]},
}
NEEDED = {"from": "age", "type": "integer", "required": True}
SOURCES = {
    **{
        name: FORM | {"fields": MAIL | {"full_name": rule if "value" in rule else {"from": "who"} | rule}}
        for name, rule in NAMES.items()
    },
    "updated": FORM | {"fields": MAIL, "update": {"comment": NEEDED, "custom_properties": {"age": NEEDED}}},
    "telephones": FORM
    | {"fields": {"mobile_phone_number": {"from": ["dial_code", "number"]}}, "region": "US"},
    "both": FORM
    | {"fields": {name: {"from": name, "required": True} for name in ("email", "mobile_phone_number")}},
    "otherwise": FORM
    | {
        "fields": {
            "mobile_phone_number": "phone",
            "email": {"from": "email", "default": "office@example.com"},
        }
    },
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return offline(tmp_path, SOURCES)


@pytest.mark.parametrize("source", SOURCES)
def test_a_test_passes_at_every_source(operator: Operator, source: str) -> None:
    assert operator.test(source, {})["state"] == "discarded"


@pytest.mark.parametrize(("source", "name"), [("choices", "Frau"), ("short", "Te"), ("constant", "Ann")])
def test_the_name_of_somebody_made_up_is_one_that_the_source_takes(
    operator: Operator, source: str, name: str
) -> None:
    own = {"email": "own@example.com"}
    assert operator.test(source, own, send=True)["profile"] == own | {"full_name": name}


@pytest.mark.parametrize("source", ["otherwise", "both"])
def test_nobody_but_the_operator_is_sent_to_by_a_source_that_puts_in_another_contact(
    operator: Operator, source: str
) -> None:
    own = {"mobile_phone_number": "+4915112345679"}
    with pytest.raises(Unfitting):
        operator.test(source, own, send=True)
    both = own | {"email": "own@example.com"}
    assert operator.test(source, both, send=True)["profile"] == both

"""A honeypot that people, or the relay's own pages, fill in would make a suspect of every one of them."""

from typing import Any

import pytest

from tests.config.given import DESTINATION, FORM, Read

TRAPS = {
    "mapped": ('honeypot = "email"', "", "fields.email"),
    "found by a label": ('honeypot = "Name"', 'full_name = { labels = ["name"] }', "fields.full_name"),
    "mapped by a path": ('honeypot = "contact[mail]"', 'full_name = "contact.mail"', "fields.full_name"),
    "where the country stands": ('honeypot = "country"\nregion_from = "country"', "", "region_from"),
    "of the relay's own": ('honeypot = "relay_ts"', "", "the relay itself"),
    "the thanks page": ('honeypot = "_next"', "", "the relay itself"),
    "a box": ('honeypot = "news"\nconsent = "news"', "", "consent"),
}


@pytest.mark.parametrize(("keys", "field", "user"), TRAPS.values(), ids=TRAPS.keys())
def test_a_honeypot_that_is_filled_in_is_a_mistake(problems: Any, keys: str, field: str, user: str) -> None:
    said = problems(DESTINATION, FORM.replace('"form"', f'"form"\n{keys}') + field)
    assert f"is used by {user} too: every person would be held" in said["sources.newsletter.honeypot"]


def test_a_field_that_nobody_sees_is_none(read: Read) -> None:
    found = read(DESTINATION, FORM.replace('"form"', '"form"\nhoneypot = "relay_leave_empty"'))
    assert found.sources["newsletter"].honeypot == "relay_leave_empty"

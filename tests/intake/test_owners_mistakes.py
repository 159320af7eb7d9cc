"""Who is told that a form posts none of the mapped fields, until it was mended."""

from pathlib import Path
from typing import Any

import pytest

from relay.intake.incoming import Incoming
from relay.intake.mistakes import SEVERAL, Mistakes
from relay.sources.source import Source
from tests.kit.inside import offline
from tests.kit.relay import NEWSLETTER


def loaded(folder: Path, more: dict[str, Any]) -> dict[str, Source]:
    return dict(offline(folder, {"newsletter": NEWSLETTER | more}).sources)


@pytest.mark.parametrize(
    ("more", "is_told"),
    [
        ({}, True),
        ({"honeypot": "url"}, True),
        ({"fields": {"email": "mail"}}, False),
        ({"json_fields": ["payload"]}, False),
        ({"entries": {"list": "fields", "names": ["id"], "value": "value"}}, False),
    ],
)
def test_a_new_configuration_begins_anew_where_it_looks_elsewhere(
    tmp_path: Path, more: dict[str, Any], is_told: bool
) -> None:
    before, mistakes = loaded(tmp_path, {}), Mistakes()
    for number in range(SEVERAL):
        sent = Incoming(raw=b"", content_type="", headers={}, query={}, client=f"192.0.2.{number}")
        mistakes.note(before["newsletter"], sent)
    assert mistakes.sources() == {"newsletter"}

    mistakes.forget(before, loaded(tmp_path, more))

    assert (mistakes.sources() == {"newsletter"}) is is_told

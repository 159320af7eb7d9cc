"""The one call: where it goes."""

from dataclasses import replace
from typing import Any

import pytest

from relay.destination import Destination
from relay.dispatch import upstream
from relay.outcome import Answer

OCAMBA = Destination("ocamba", "", "token", ())


class Line:
    """Notes where a call goes."""

    def call(self, method: str, url: str, *_: Any, **__: Any) -> Answer:
        self.called = method, url
        return Answer(204)


@pytest.mark.parametrize(
    ("url", "called"),
    [
        ("https://api.example/v1/profiles", "https://api.example/v1/profiles/17"),
        ("https://api.example/v1/profiles/", "https://api.example/v1/profiles/17"),
        ("https://api.example/v1/profiles?x=1", "https://api.example/v1/profiles/17?x=1"),
        ("https://api.example", "https://api.example/17"),
    ],
)
def test_an_update_names_its_profile_in_the_path(url: str, called: str) -> None:
    line = Line()
    upstream.update(line, replace(OCAMBA, url=url), "17", {})  # type: ignore[arg-type]
    assert line.called == ("PATCH", called)

"""Files that cannot be read, and many mistakes at once: what is told, and of what."""

import re
from pathlib import Path
from typing import Any

import pytest

from relay.config import settings
from relay.config.environment import Unusable
from relay.config.settings import lacks_token
from tests.config.given import DESTINATION, FORM, HOOK, SANDBOX


def test_a_file_that_cannot_be_read_is_one_problem(environ: dict[str, str]) -> None:
    with pytest.raises(Unusable) as unusable:
        settings.load(environ)
    (problem,) = unusable.value.problems
    assert "relay.toml: cannot be read: No such file or directory; set RELAY_CONFIG" in str(problem)


@pytest.mark.parametrize(
    "content", [b"[destinations\n", b"a = \xff", b"a = 1\na = 2", b"a = 1" + b"0" * 5000]
)
def test_a_file_that_is_not_toml_is_one_problem(environ: dict[str, str], content: bytes) -> None:
    Path(environ["RELAY_CONFIG"]).write_bytes(content)
    with pytest.raises(Unusable) as unusable:
        settings.load(environ)
    (problem,) = unusable.value.problems
    assert problem.where == environ["RELAY_CONFIG"]
    assert re.search("is not (TOML|UTF-8)", problem.what)
    assert not lacks_token(environ)


def test_all_problems_are_told_at_once(problems: Any) -> None:
    found = problems(
        DESTINATION + 'limits = "0/second"\nparalel = 2',
        FORM.replace('"form"', '"form"\nregion = "XX"\nwait = 90'),
        HOOK.replace("CRM_SECRET", "NONE") + 'city = "x"',
        RELAY_ROLE="king",
        RELAY_COLOUR="red",
        PORT="http",
        RELAY_ADMIN_TOKEN="short",
    )
    assert {
        "RELAY_ROLE",
        "RELAY_COLOUR",
        "PORT",
        "RELAY_ADMIN_TOKEN",
        "destinations.ocamba.paralel",
        "sources.newsletter.wait",
        "sources.crm.secret",
        "sources.crm.fields.city",
    } <= found.keys()
    assert len(found) >= 8


def test_what_stands_beside_a_mistake_is_checked_too(problems: Any) -> None:
    found = problems(
        DESTINATION.replace("token", "tokn"),
        'url = "http://api.example.com"\nlimits = "fast"\nparallel = 0',
        FORM.replace('"form"', '"forms"\nregion = "XX"') + 'city = "x"',
        '[sources.crm]\nkind = "webhook"\nsecret = "env:NONE"\nthanks = "/x"\nwait = 90',
        '[sources.crm.fields]\nemail = { from = "email", type = "mail" }',
        '[sources.crm.verify]\nscheme = "md5"',
    )
    assert found.keys() == {
        *(f"destinations.ocamba.{key}" for key in ("tokn", "token", "url", "limits", "parallel")),
        *(f"sources.newsletter.{key}" for key in ("kind", "region", "fields.city")),
        *(f"sources.crm.{key}" for key in ("wait", "thanks", "secret", "fields.email.type", "verify.scheme")),
    }


def test_with_an_unknown_preset_the_rest_of_the_source_is_checked(problems: Any) -> None:
    text = HOOK.replace('"webhook"', '"webhook"\npreset = "typform"\nwait = 90') + 'city = "x"'
    assert problems(DESTINATION, text).keys() == {
        *(f"sources.crm.{key}" for key in ("preset", "wait", "fields.city"))
    }
    bare = '[sources.crm]\npreset = "typform"\nsecret = "env:CRM_SECRET"'
    assert list(problems(DESTINATION, bare)) == ["sources.crm.preset"]


def test_the_address_of_a_destination_is_checked_in_sandbox_mode_too(problems: Any) -> None:
    url = 'url = "http://api.example.com"'
    found = problems(DESTINATION + url, FORM, _options={"sandbox_url": SANDBOX}, OCAMBA_TOKEN=None)
    assert list(found) == ["destinations.ocamba.url"]


def test_a_mistake_in_a_destination_is_not_blamed_on_its_sources(problems: Any) -> None:
    other = '[destinations.other]\ntoken = "env:OCAMBA_TOKEN"\nparallel = 0\n'
    form = FORM.replace('"form"', '"form"\ndestination = "other"')
    assert list(problems(DESTINATION, other, form)) == ["destinations.other.parallel"]


def test_a_problem_of_one_source_is_not_blamed_on_others(problems: Any) -> None:
    assert list(problems(DESTINATION, FORM, HOOK + 'city = "x"')) == ["sources.crm.fields.city"]
    assert list(problems(DESTINATION + "parallel = 0", FORM, HOOK)) == ["destinations.ocamba.parallel"]

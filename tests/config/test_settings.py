"""The environment and relay.toml: what they become, and that every problem is said, at once and plainly.

That every variable and key is documented is tested in test_docs.py.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from relay.config import environment, presets, settings
from relay.config.destinations import DestinationSchema
from relay.config.environment import Problem, Unusable, read_environment
from relay.config.operators import OperatorAccount
from relay.config.settings import Settings, lacks_token, reread_token
from relay.config.sources import SourceSchema
from relay.quota import Window
from relay.sources.consent import Box
from relay.sources.paths import Labels
from relay.sources.paths import Path as FieldPath
from relay.sources.proof import BEARER, Evidence
from relay.sources.source import Budget

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "canary-token-of-upstream"
SECRET = "canary-secret-of-the-crm"
SANDBOX = "http://127.0.0.1:9/v1/hood/profiles"
DESTINATION = """
[destinations.ocamba]
token = "env:OCAMBA_TOKEN"
"""
FORM = """
[sources.newsletter]
kind = "form"
[sources.newsletter.fields]
email = "email"
"""
HOOK = """
[sources.crm]
kind = "webhook"
secret = "env:CRM_SECRET"
[sources.crm.fields]
email = "email"
"""

Read = Callable[..., Settings]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {
        "RELAY_CONFIG": str(tmp_path / "relay.toml"),
        "RELAY_DATABASE_URL": f"sqlite:///{tmp_path}/relay.db",
        "OCAMBA_TOKEN": TOKEN,
        "CRM_SECRET": SECRET,
    }


@pytest.fixture
def read(environ: dict[str, str]) -> Read:
    """Load a configuration: its text and what is different in the environment."""

    def load(*parts: str, _options: dict[str, Any] | None = None, **changed: str | None) -> Settings:
        Path(environ["RELAY_CONFIG"]).write_text("\n".join(parts or (DESTINATION, FORM, HOOK)))
        merged = {**environ, **changed}
        known = {name: value for name, value in merged.items() if value is not None}
        return settings.load(known, **(_options or {}))

    return load


@pytest.fixture
def problems(read: Read, environ: dict[str, str]) -> Callable[..., dict[str, str]]:
    """What is wrong, by key; the file's name is left out."""

    def found(*parts: str, **changed: Any) -> dict[str, str]:
        with pytest.raises(Unusable) as unusable:
            read(*parts, **changed)
        for problem in unusable.value.problems:
            _check_wording(problem)
        said: dict[str, str] = {}
        for one in unusable.value.problems:
            key = one.where.removeprefix(environ["RELAY_CONFIG"] + ": ")
            said[key] = f"{said[key]}; {one.what}" if key in said else one.what
        return said

    return found


def _check_wording(problem: Problem) -> None:
    """Every problem is one line with its place and what would be right, and repeats no secret."""
    text = str(problem)
    assert "\n" not in text
    assert problem.where
    assert len(problem.what) > 8
    assert not re.search(r"Not a valid|Missing data|Invalid|Traceback|None\b|marshmallow", text)
    assert TOKEN not in text
    assert SECRET not in text


# --- what it becomes ------------------------------------------------------------------------------------


def test_a_destination_has_the_defaults_of_the_contract(read: Read) -> None:
    found = read().destinations["ocamba"]
    assert (found.url, found.token) == ("https://api.ocamba.com/v1/hood/profiles", TOKEN)
    assert found.windows == (Window(10, 1, "10/second"), Window(150, 60, "150/minute"))
    assert (found.parallel, found.deadline, found.ambiguous) == (8, 15, "retry")
    assert found.give_up_after == 72 * 3600
    assert found.retry == (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200)
    assert not found.sandbox


def test_a_form_has_the_defaults_of_the_contract(read: Read) -> None:
    found = read().sources["newsletter"]
    assert (found.kind, found.destination, found.enabled, found.wait, found.reply) == (
        "form",
        "ocamba",
        True,
        0,
        (),
    )
    assert (found.client_limits, found.source_limits) == ("5/second; 60/minute", "600/hour; 5000/day")
    assert (found.repeat_window, found.retention) == (600, 30 * 86400)
    assert (found.limits.body, found.limits.fields, found.limits.field) == (256 * 1024, 200, 16 * 1024)
    assert found.verifier is None
    assert not found.keeps_invalid


def test_a_webhook_has_the_defaults_of_the_contract(read: Read) -> None:
    found = read().sources["crm"]
    assert (found.kind, found.wait, found.reply) == ("webhook", 5, ("id",))
    assert (found.client_limits, found.source_limits) == (None, None)
    assert (found.repeat_window, found.on_failure, found.success_status) == (7 * 86400, "report", None)
    assert found.verifier == BEARER
    assert found.secrets == (SECRET.encode(),)
    assert found.keeps_invalid


def test_a_webhook_that_is_open_to_all_is_like_a_form_and_named_in_a_warning(read: Read) -> None:
    found = read(DESTINATION, HOOK.replace('secret = "env:CRM_SECRET"', 'verify = "none"'))
    source = found.sources["crm"]
    assert (source.wait, source.client_limits, source.repeat_window) == (0, "5/second; 60/minute", 600)
    assert source.verifier is None
    assert not source.keeps_invalid
    assert any("crm" in warning and "without proof" in warning for warning in found.warnings)


def test_all_that_can_be_said_of_a_destination(read: Read) -> None:
    found = read(
        """
        [destinations.main]
        url = "http://localhost:9000/x"
        token = "env:OCAMBA_TOKEN"
        limits = "3/second"
        parallel = 1
        deadline = 2.5
        ambiguous = "park"
        give_up_after = "90m"
        retry = ["500ms", 7, "1.5h"]
        """,
        FORM,
    ).destinations["main"]
    assert (found.windows[0].limit, found.parallel, found.deadline) == (3, 1, 2.5)
    assert (found.ambiguous, found.give_up_after, found.retry) == ("park", 5400, (0.5, 7, 5400))


def test_all_that_can_be_said_of_a_source(read: Read, tmp_path: Path) -> None:
    (tmp_path / "disposable").write_text("# mine\nTrash.example\n\nmail.invalid\n")
    found = read(
        DESTINATION,
        f"""
        [sources.sign-up_2]
        kind = "form"
        enabled = false
        origins = ["https://WWW.Example.com/", "*"]
        thanks = "https://www.example.com/thanks"
        region = "DE"
        honeypot = "relay_leave_empty"
        consent = {{ email = "news_mail" }}
        wait = 3
        reply = ["id", "country_code"]
        client_limits = "none"
        source_limits = "5/minute"
        only = "kind == 'signup'"
        id = "meta.id"
        id_header = "X-Id"
        retention = "7d"
        repeat_window = 60
        max_body = "1MiB"
        max_fields = 7
        max_field = 1000
        success_status = 200
        on_failure = "accept"
        min_seconds = "2s"
        disposable = "{tmp_path}/disposable"
        json_fields = ["raw"]
        [sources.sign-up_2.fields]
        email = {{ from = "mail", required = true }}
        full_name = {{ from = ["first", "last"], max_length = 50 }}
        mobile_phone_number = {{ labels = ["Phone:", "Mobile"], within = "data" }}
        """,
    ).sources["sign-up_2"]
    assert not found.enabled
    assert found.origins == ("https://www.example.com", "*")
    assert (found.wait, found.reply, found.client_limits) == (3, ("id", "country_code"), None)
    assert (found.retention, found.repeat_window, found.min_seconds) == (7 * 86400, 60, 2)
    assert (found.limits.body, found.limits.fields, found.limits.field) == (1024**2, 7, 1000)
    assert found.disposable == {"trash.example", "mail.invalid"}
    assert found.id_path == FieldPath("meta.id")
    assert found.mapping.consent == {"email": Box("news_mail")}
    assert found.mapping.rules["email"].required
    assert found.mapping.rules["full_name"].joined == (FieldPath("first"), FieldPath("last"))
    assert found.mapping.rules["mobile_phone_number"].first == (
        Labels(("phone", "mobile"), FieldPath("data")),
    )


def test_what_visitors_see_of_a_source(read: Read, tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_text("<svg/>")
    text = """
    [sources.newsletter.page]
    logo = "logo.svg"
    site = "https://www.example.com/"
    privacy = "https://www.example.com/privacy"
    [sources.newsletter.page.de]
    title = "Rundbrief"
    labels = { email = "E-Mail" }
    [sources.newsletter.utm]
    landing_page = "came_in_at"
    fbclid = ""
    utm_id = "campaign"
    """
    form = FORM.replace('"form"', '"form"\nframe = false\nsuggest = false\nregion_from = "country"')
    found = read(DESTINATION, form, text).sources["newsletter"]
    assert found.page == {
        "logo": str(tmp_path / "logo.svg"),
        "site": {"name": "www.example.com", "url": "https://www.example.com/"},
        "privacy": "https://www.example.com/privacy",
        "de": {"title": "Rundbrief", "labels": {"email": "E-Mail"}},
    }
    assert (found.frame, found.suggest, found.region_from) == (False, False, FieldPath("country"))
    assert (found.utm["landing_page"], found.utm["utm_id"]) == ("came_in_at", "campaign")
    assert "utm_source" in found.utm
    assert "fbclid" not in found.utm


def test_only_forms_ask_about_mistyped_domains_unless_told_otherwise(read: Read) -> None:
    found = read().sources
    assert (found["newsletter"].suggest, found["crm"].suggest) == (True, False)
    assert (found["newsletter"].frame, found["newsletter"].utm) == (True, {})


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("10000 rows; 64MiB", Budget(10_000, 64 * 1024**2)),
        ("1 row", Budget(1, 64 * 1024**2)),
        (" 5MiB ;20 rows", Budget(20, 5 * 1024**2)),
    ],
)
def test_a_budget_is_rows_or_bytes_or_both(read: Read, text: str, budget: Budget) -> None:
    assert read().sources["newsletter"].held_budget == Budget(10_000, 64 * 1024**2)
    form = FORM.replace('"form"', f'"form"\nheld_budget = "{text}"\nexpect_within = "1d"')
    found = read(DESTINATION, form).sources["newsletter"]
    assert (found.held_budget, found.expect_within) == (budget, 86400)


@pytest.mark.parametrize("given_", ["5", '"5"', '"5s"', '"5000ms"'])
def test_every_time_may_be_written_in_every_way(read: Read, given_: str) -> None:
    keys = ("wait", "repeat_window", "retention", "min_seconds")
    text = HOOK.replace('"webhook"', '"webhook"\n' + "\n".join(f"{key} = {given_}" for key in keys))
    verify = f'[sources.crm.verify]\nscheme = "token"\nheader = "X"\ntolerance = {given_}'
    found = read(DESTINATION + f"deadline = {given_}\ngive_up_after = {given_}", text, verify)
    source = found.sources["crm"]
    assert {getattr(source, key) for key in keys} == {5}
    assert source.verifier is not None
    assert source.verifier.tolerance == 5
    assert (found.destinations["ocamba"].deadline, found.destinations["ocamba"].give_up_after) == (5, 5)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("answers[?type=='email'.email | [0]", "is not a JMESPath expression"),
        ("contact.", "is not a JMESPath expression"),
        ("contact[0", "is not a JMESPath expression"),
        ("lower(email)", "knows no function lower()"),
        ("your-email", None),
        ("E-mail (required)?", None),
        ("What's your e-mail?", None),
        ("data[merges][E-MAIL]", None),
        ("contact.email", None),
        ("join(' ', [first, last])", None),
    ],
)
def test_a_path_that_is_meant_as_an_expression_and_is_none_is_named(
    read: Read, path: str, says: str | None
) -> None:
    text = FORM.replace('"email"\n', f"{{ first = [{json.dumps(path)}, 'email'] }}\n")
    said = [one for one in read(DESTINATION, text).warnings if "fields.email" in one]
    assert [f'"{path}" {says}' in one for one in said] == ([True] if says else [])


def test_a_site_with_www_only_is_remarked_on(read: Read) -> None:
    def said(origins: str) -> list[str]:
        form = FORM.replace('"form"', f'"form"\norigins = [{origins}]')
        return [one for one in read(DESTINATION, form).warnings if "origins" in one]

    (one,) = said('"https://www.example.com", "https://shop.example.com"')
    assert "people who come by https://example.com are refused" in one
    assert said('"https://www.example.com", "https://example.com"') == []
    assert said('"https://www.example.com", "*"') == []
    assert said('"https://example.com"') == []


@pytest.mark.parametrize(
    ("given_", "consent"),
    [
        ('"news"', {"email": Box("news"), "mobile_phone_number": Box("news")}),
        ('{ email = "a", mobile_phone_number = "b" }', {"email": Box("a"), "mobile_phone_number": Box("b")}),
        ('{ email = { field = "a", yes = ["I agree"] } }', {"email": Box("a", ("I agree",))}),
        (
            '{ field = "a", yes = ["I agree"] }',
            dict.fromkeys(("email", "mobile_phone_number"), Box("a", ("I agree",))),
        ),
    ],
)
def test_consent_is_one_box_or_one_for_each(read: Read, given_: str, consent: dict[str, Box]) -> None:
    found = read(DESTINATION, FORM.replace('kind = "form"', f'kind = "form"\nconsent = {given_}'))
    assert found.sources["newsletter"].mapping.consent == consent
    assert any("write it down as yes" in said for said in found.warnings) is ("I agree" not in given_)


def test_secrets_may_be_a_list_for_rotation_and_may_be_files(read: Read, tmp_path: Path) -> None:
    """Catalogue 45."""
    (tmp_path / "old").write_text("old secret\n")
    text = HOOK.replace('"env:CRM_SECRET"', f'["env:CRM_SECRET", "file:{tmp_path}/old"]')
    assert read(DESTINATION, text).sources["crm"].secrets == (SECRET.encode(), b"old secret")


def test_the_shipped_configuration_works_with_a_token(environ: dict[str, str]) -> None:
    environ = {**environ, "RELAY_CONFIG": str(ROOT / "relay.toml"), "ZAPIER_SECRET": SECRET}
    found = settings.load(environ)
    assert not found.is_sandbox
    assert found.made_up == {}
    newsletter, zapier = found.sources["newsletter"], found.sources["zapier"]
    assert (newsletter.kind, zapier.kind) == ("form", "webhook")
    person = {"email": "jane@example.com", "phone": "+12025550123", "first_name": "Jane", "last_name": "Doe"}
    assert newsletter.mapping.apply(person).profile == {
        "email": "jane@example.com",
        "mobile_phone_number": "+12025550123",
        "full_name": "Jane Doe",
    }
    assert zapier.mapping.apply({"email": "jane@example.com"}).ok
    shown = Evidence({"authorization": f"Bearer {SECRET}"}, {}, b"")
    assert zapier.admits(shown, 0)
    assert not zapier.admits(replace(shown, headers={}), 0)


# --- sandbox mode ---------------------------------------------------------------------------------------


def test_without_a_token_the_sandbox_takes_its_place_in_memory(environ: dict[str, str]) -> None:
    environ = {"RELAY_CONFIG": str(ROOT / "relay.toml")}
    assert lacks_token(environ)
    found = settings.load(environ, sandbox_url=SANDBOX)
    destination = found.destinations["ocamba"]
    assert (destination.url, destination.token, destination.sandbox) == (SANDBOX, "sandbox", True)
    assert found.is_sandbox
    assert found.database_url == "sqlite:///var/sandbox.db"
    secret = found.made_up["zapier"]
    assert found.sources["zapier"].secrets == (secret.encode(),)
    assert settings.load(environ, sandbox_url=SANDBOX).made_up["zapier"] == secret


def test_with_a_token_the_sandbox_is_not_used(read: Read, environ: dict[str, str]) -> None:
    found = read(_options={"sandbox_url": SANDBOX})
    assert not found.is_sandbox
    assert found.destinations["ocamba"].token == TOKEN
    assert not lacks_token(environ)


def test_a_database_that_is_named_is_used_in_sandbox_mode_too(read: Read, environ: dict[str, str]) -> None:
    found = read(OCAMBA_TOKEN=None, _options={"sandbox_url": SANDBOX})
    assert found.database_url == environ["RELAY_DATABASE_URL"]


@pytest.mark.parametrize("encoding", ["utf8", "base64", "whsec"])
def test_a_secret_that_is_made_up_is_encoded_as_its_sender_would(read: Read, encoding: str) -> None:
    verify = f"""
    [sources.crm%d.verify]
    scheme = "hmac-sha256"
    header = "X-Sig"
    secret_encoding = "{encoding}"
    """
    hooks = [HOOK.replace("crm", f"crm{n}").replace("CRM_SECRET", "NONE") + verify % n for n in range(20)]
    found = read(DESTINATION, *hooks, OCAMBA_TOKEN=None, _options={"sandbox_url": SANDBOX})
    assert len(set(found.made_up.values())) == 20
    for source in found.sources.values():
        assert source.verifier is not None
        assert source.secrets == (source.verifier.key(found.made_up[source.name]),)
        assert len(source.secrets[0]) >= 16


def test_sandbox_mode_listens_on_loopback_only(problems: Any) -> None:
    found = problems(HOST="0.0.0.0", OCAMBA_TOKEN=None, _options={"sandbox_url": SANDBOX})
    assert "OCAMBA_TOKEN" in found["HOST"]


def test_without_a_sandbox_a_missing_token_is_a_problem(problems: Any) -> None:
    assert problems(OCAMBA_TOKEN=None) == {
        "destinations.ocamba.token": "the environment variable OCAMBA_TOKEN is not set"
    }


def test_commands_that_send_nothing_need_no_token_and_no_secrets(read: Read) -> None:
    found = read(OCAMBA_TOKEN=None, CRM_SECRET=None, RELAY_DATABASE_URL=None, _options={"offline": True})
    assert found.is_sandbox
    assert found.database_url == "sqlite:///var/sandbox.db"
    assert found.sources["crm"].secrets == ()
    assert not found.sources["crm"].admits(Evidence({"authorization": "Bearer "}, {"token": ""}, b""), 0)


# --- problems, one at a time ----------------------------------------------------------------------------

VERIFY = '[sources.crm.verify]\nscheme = "hmac-sha256"\n'
# The configuration, the key that is named, and what is said of it.
MISTAKES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "nothing": (("",), "destinations", "at least one is needed"),
    "no source": ((DESTINATION,), "sources", "at least one is needed"),
    "unknown table": ((DESTINATION, FORM, "[source.x]"), "source", "unknown key; did you mean sources?"),
    "unknown table, far off": ((DESTINATION, FORM, "[colours]"), "colours", "docs/configuration.md"),
    "destinations no table": (("destinations = 5", FORM), "destinations", "must be a table"),
    "destination no table": (("[destinations]\nocamba = 5", FORM), "destinations.ocamba", "must be a table"),
    "source no table": ((DESTINATION, "[sources]\nx = []"), "sources.x", "must be a table"),
    "no token": (("[destinations.ocamba]", FORM), "destinations.ocamba.token", "is needed"),
    "token in the file": (
        ('[destinations.ocamba]\ntoken = "canary-token-of-upstream"', FORM),
        "destinations.ocamba.token",
        "secrets do not belong in this file",
    ),
    "token from nowhere": (
        ('[destinations.ocamba]\ntoken = "env:"', FORM),
        "destinations.ocamba.token",
        'must be "env:NAME" or "file:/path"',
    ),
    "token file missing": (
        ('[destinations.ocamba]\ntoken = "file:/nowhere/token"', FORM),
        "destinations.ocamba.token",
        "cannot read /nowhere/token: No such file or directory",
    ),
    "unknown key of a destination": (
        (DESTINATION + "paralel = 4", FORM),
        "destinations.ocamba.paralel",
        "unknown key; did you mean parallel?",
    ),
    "http": (
        (DESTINATION + 'url = "http://api.example.com/"', FORM),
        "destinations.ocamba.url",
        "must be https",
    ),
    "no address": (
        (DESTINATION + 'url = "api.example.com"', FORM),
        "destinations.ocamba.url",
        "https address",
    ),
    "password in the address": (
        (DESTINATION + 'url = "https://a:b@api.example.com/"', FORM),
        "destinations.ocamba.url",
        "must not hold a user name",
    ),
    "bad port": (
        (DESTINATION + 'url = "https://api.example.com:99999/"', FORM),
        "destinations.ocamba.url",
        "https address",
    ),
    "limits nonsense": ((DESTINATION + 'limits = "fast"', FORM), "destinations.ocamba.limits", "10/second"),
    "limits zero": ((DESTINATION + 'limits = "0/second"', FORM), "destinations.ocamba.limits", "at least 1"),
    "limits contradict": (
        (DESTINATION + 'limits = "10/second; 5/minute"', FORM),
        "destinations.ocamba.limits",
        "5/minute makes 10/second impossible",
    ),
    "limits none": ((DESTINATION + 'limits = "none"', FORM), "destinations.ocamba.limits", "10/second"),
    "parallel 0": ((DESTINATION + "parallel = 0", FORM), "destinations.ocamba.parallel", "1 to 64"),
    "parallel text": (
        (DESTINATION + 'parallel = "many"', FORM),
        "destinations.ocamba.parallel",
        "whole number",
    ),
    "parallel a half": (
        (DESTINATION + "parallel = 1.5", FORM),
        "destinations.ocamba.parallel",
        "whole number",
    ),
    "deadline": ((DESTINATION + "deadline = 1000", FORM), "destinations.ocamba.deadline", "0.1 to 120"),
    "deadline nan": (
        (DESTINATION + "deadline = nan", FORM),
        "destinations.ocamba.deadline",
        "must be a number",
    ),
    "ambiguous": (
        (DESTINATION + 'ambiguous = "hope"', FORM),
        "destinations.ocamba.ambiguous",
        'must be "retry" or "park"',
    ),
    "give up": ((DESTINATION + 'give_up_after = "soon"', FORM), "destinations.ocamba.give_up_after", '"72h"'),
    "give up, negative": (
        (DESTINATION + "give_up_after = -1", FORM),
        "destinations.ocamba.give_up_after",
        '"72h"',
    ),
    "give up, infinite": (
        (DESTINATION + "give_up_after = inf", FORM),
        "destinations.ocamba.give_up_after",
        '"72h"',
    ),
    "empty schedule": ((DESTINATION + "retry = []", FORM), "destinations.ocamba.retry", "at least one wait"),
    "schedule no list": ((DESTINATION + 'retry = "5s"', FORM), "destinations.ocamba.retry", "must be a list"),
    "schedule": ((DESTINATION + 'retry = ["5s", "x"]', FORM), "destinations.ocamba.retry.1", '"10m"'),
    "name of a destination": (
        ('[destinations."My account"]\ntoken = "env:OCAMBA_TOKEN"', FORM),
        "destinations.My account",
        "lower-case letters",
    ),
    "name of a source": (
        (DESTINATION, FORM.replace("newsletter", '"a/b"')),
        "sources.a/b",
        "lower-case letters",
    ),
    "no kind": ((DESTINATION, "[sources.x.fields]\nemail = 'e'"), "sources.x.kind", "is needed"),
    "kind": (
        (DESTINATION, FORM.replace('"form"', '"mail"')),
        "sources.newsletter.kind",
        '"form" or "webhook"',
    ),
    "no contact mapped": (
        (DESTINATION, FORM.replace("email = ", "full_name = ")),
        "sources.newsletter.fields",
        "must map email or mobile_phone_number",
    ),
    "no fields": (
        (DESTINATION, '[sources.x]\nkind = "form"'),
        "sources.x.fields",
        "must map email or mobile_phone_number",
    ),
    "field unknown upstream": (
        (DESTINATION, FORM + 'city = "city"'),
        "sources.newsletter.fields.city",
        "is no field of Create Profile",
    ),
    "field of an update": (
        (DESTINATION, FORM + 'lists = "lists"'),
        "sources.newsletter.fields.lists",
        "[sources.x.update]",
    ),
    "rule without a place": (
        (DESTINATION, FORM + "full_name = {}"),
        "sources.newsletter.fields.full_name",
        "needs one of from, first, labels or value",
    ),
    "rule with value and place": (
        (DESTINATION, FORM + 'full_name = { from = "a", value = "b" }'),
        "sources.newsletter.fields.full_name",
        "needs one of from, first, labels or value",
    ),
    "rule no table": (
        (DESTINATION, FORM + "full_name = 5"),
        "sources.newsletter.fields.full_name",
        "must be a table",
    ),
    "rule key": (
        (DESTINATION, FORM + 'full_name = { from = "a", max = 5 }'),
        "sources.newsletter.fields.full_name.max",
        "unknown key",
    ),
    "rule type": (
        (DESTINATION, FORM + 'full_name = { from = "a", type = "string" }'),
        "sources.newsletter.fields.full_name.type",
        '"text"',
    ),
    "e-mail as text": (
        (DESTINATION, FORM.replace('"email"', '{ from = "email", type = "text" }')),
        "sources.newsletter.fields.email.type",
        'must be "email"',
    ),
    "labels a number": (
        (DESTINATION, FORM + "full_name = { labels = 5 }"),
        "sources.newsletter.fields.full_name",
        "labels must be a list",
    ),
    "labels numbers": (
        (DESTINATION, FORM + "full_name = { first = [{ labels = [5] }] }"),
        "sources.newsletter.fields.full_name",
        "labels must be a list",
    ),
    "labels blank": (
        (DESTINATION, FORM + 'full_name = { labels = ["***"] }'),
        "sources.newsletter.fields.full_name",
        "letter or digit",
    ),
    "labels unknown": (
        (DESTINATION, FORM + 'full_name = { labels = "nickname" }'),
        "sources.newsletter.fields.full_name",
        'knows no labels "nickname"',
    ),
    "strip": (
        (DESTINATION, FORM + 'full_name = { first = [{ labels = ["a"], strip = "(" }] }'),
        "sources.newsletter.fields.full_name",
        "is not a regular expression",
    ),
    "place in a list": (
        (DESTINATION, FORM + "full_name = { from = [5] }"),
        "sources.newsletter.fields.full_name",
        "a path must be a text",
    ),
    "consent": (
        (DESTINATION, FORM.replace('"form"', '"form"\nconsent = { mail = "x" }')),
        "sources.newsletter.consent",
        "must be a field name",
    ),
    "a box of another kind": (
        (DESTINATION, FORM.replace('"form"', '"form"\nconsent = { email = 5 }')),
        "sources.newsletter.consent",
        "must be a field name",
    ),
    "an unknown key of a box": (
        (DESTINATION, FORM.replace('"form"', '"form"\nconsent = { email = { field = "a", no = ["x"] } }')),
        "sources.newsletter.consent",
        "unknown key",
    ),
    "verify of a form": (
        (DESTINATION, FORM.replace('"form"', '"form"\nsecret = "env:CRM_SECRET"')),
        "sources.newsletter.verify",
        'is for kind = "webhook"',
    ),
    "no verify": (
        (DESTINATION, HOOK.replace('secret = "env:CRM_SECRET"', "")),
        "sources.crm.verify",
        "is needed: a preset, a verify table, secret alone",
    ),
    "no secret": (
        (DESTINATION, HOOK.replace('secret = "env:CRM_SECRET"', "") + VERIFY + 'header = "X"'),
        "sources.crm.secret",
        'is needed, like secret = "env:NAME"',
    ),
    "no secrets": (
        (DESTINATION, HOOK.replace('"env:CRM_SECRET"', "[]")),
        "sources.crm.secret",
        "is needed",
    ),
    "empty reference": (
        (DESTINATION, HOOK.replace('"env:CRM_SECRET"', '""')),
        "sources.crm.secret",
        'must be "env:NAME"',
    ),
    "secret in the file": (
        (DESTINATION, HOOK.replace("env:CRM_SECRET", SECRET)),
        "sources.crm.secret",
        "secrets do not belong in this file",
    ),
    "secret not set": (
        (DESTINATION, HOOK.replace("CRM_SECRET", "OTHER_SECRET")),
        "sources.crm.secret",
        "the environment variable OTHER_SECRET is not set",
    ),
    "secret not so encoded": (
        (DESTINATION, HOOK + VERIFY + 'header = "X"\nsecret_encoding = "base64"'),
        "sources.crm.secret",
        "the secret is not base64-encoded",
    ),
    "verify no table": ((DESTINATION, HOOK + 'verify = "some"'), "sources.crm.fields.verify", "no field"),
    "verify a word": (
        (DESTINATION, HOOK.replace("secret", 'verify = "some"\nsecret')),
        "sources.crm.verify",
        "must be a table",
    ),
    "no scheme": ((DESTINATION, HOOK + "[sources.crm.verify]"), "sources.crm.verify.scheme", "is needed"),
    "scheme": (
        (DESTINATION, HOOK + '[sources.crm.verify]\nscheme = "md5"'),
        "sources.crm.verify.scheme",
        "hmac-sha256",
    ),
    "no place of the proof": ((DESTINATION, HOOK + VERIFY), "sources.crm.verify", "header, query or body"),
    "signature in the query": (
        (DESTINATION, HOOK + VERIFY + 'query = "sig"'),
        "sources.crm.verify",
        "takes its proof from a header",
    ),
    "placeholder": (
        (DESTINATION, HOOK + VERIFY + 'header = "X"\nsigned = "{body}{nonce}"'),
        "sources.crm.verify.signed",
        "knows no {nonce}",
    ),
    "body not signed": (
        (DESTINATION, HOOK + VERIFY + 'header = "X"\nsigned = "{url}"'),
        "sources.crm.verify.signed",
        "must cover {body}",
    ),
    "id not named": (
        (DESTINATION, HOOK + VERIFY + 'header = "X"\nsigned = "{id}.{body}"'),
        "sources.crm.verify.signed",
        "name the id_header",
    ),
    "timestamp not named": (
        (DESTINATION, HOOK + VERIFY + 'header = "X"\nsigned = "{timestamp}.{body}"'),
        "sources.crm.verify.signed",
        "name the timestamp_header",
    ),
    "address without a public one": (
        (DESTINATION, HOOK + VERIFY + 'header = "X"\nsigned = "{url}{body}"'),
        "sources.crm.verify.signed",
        "set RELAY_PUBLIC_URL",
    ),
    "tolerance": (
        (DESTINATION, HOOK + VERIFY + 'header = "X"\ntolerance = 0'),
        "sources.crm.verify.tolerance",
        "1 to 86400",
    ),
    "preset": (
        (DESTINATION, HOOK.replace('"webhook"', '"webhook"\npreset = "typform"')),
        "sources.crm.preset",
        'knows no preset "typform"; did you mean typeform?',
    ),
    "preset that cannot be": (
        (DESTINATION, HOOK.replace('"webhook"', '"webhook"\npreset = "meta"')),
        "sources.crm.preset",
        '"meta" cannot work',
    ),
    "preset no text": (
        (DESTINATION, HOOK.replace('"webhook"', '"webhook"\npreset = ["typeform"]')),
        "sources.crm.preset",
        "knows no preset",
    ),
    "preset outside": (
        (DESTINATION, HOOK.replace('"webhook"', '"webhook"\npreset = "../../relay"')),
        "sources.crm.preset",
        "knows no preset",
    ),
    "destination": (
        (DESTINATION, FORM.replace('"form"', '"form"\ndestination = "ocambo"')),
        "sources.newsletter.destination",
        'knows no "ocambo"; did you mean ocamba?',
    ),
    "which destination": (
        (DESTINATION, DESTINATION.replace("ocamba", "other"), FORM),
        "sources.newsletter.destination",
        "is needed, as there are several",
    ),
    "region": (
        (DESTINATION, FORM.replace('"form"', '"form"\nregion = "UK"')),
        "sources.newsletter.region",
        'use a code like "DE"',
    ),
    "thanks": (
        (DESTINATION, FORM.replace('"form"', '"form"\nthanks = "/thanks"')),
        "sources.newsletter.thanks",
        "must be a whole address",
    ),
    "thanks a script": (
        (DESTINATION, FORM.replace('"form"', '"form"\nthanks = "javascript:alert(1)"')),
        "sources.newsletter.thanks",
        "must be a whole address",
    ),
    "origin with a path": (
        (DESTINATION, FORM.replace('"form"', '"form"\norigins = ["https://example.com/x"]')),
        "sources.newsletter.origins",
        "without a path",
    ),
    "origin without a scheme": (
        (DESTINATION, FORM.replace('"form"', '"form"\norigins = ["example.com"]')),
        "sources.newsletter.origins",
        "write https://www.example.com",
    ),
    "origins no list": (
        (DESTINATION, FORM.replace('"form"', '"form"\norigins = "https://example.com"')),
        "sources.newsletter.origins",
        "must be a list",
    ),
    "empty origin": (
        (DESTINATION, FORM.replace('"form"', '"form"\norigins = [""]')),
        "sources.newsletter.origins.0",
        "must not be empty",
    ),
    "wait": ((DESTINATION, HOOK.replace('"webhook"', '"webhook"\nwait = 60')), "sources.crm.wait", "0 to 30"),
    "success status": (
        (DESTINATION, HOOK.replace('"webhook"', '"webhook"\nsuccess_status = 302')),
        "sources.crm.success_status",
        "200 to 299",
    ),
    "enabled": (
        (DESTINATION, FORM.replace('"form"', '"form"\nenabled = "no"')),
        "sources.newsletter.enabled",
        "must be true or false",
    ),
    "client limits": (
        (DESTINATION, FORM.replace('"form"', '"form"\nclient_limits = "many"')),
        "sources.newsletter.client_limits",
        'or "none"',
    ),
    "size": (
        (DESTINATION, FORM.replace('"form"', '"form"\nmax_body = "big"')),
        "sources.newsletter.max_body",
        '"256KiB"',
    ),
    "size zero": (
        (DESTINATION, FORM.replace('"form"', '"form"\nmax_field = 0')),
        "sources.newsletter.max_field",
        '"256KiB"',
    ),
    "expression": (
        (DESTINATION, FORM.replace('"form"', '"form"\nonly = "a["')),
        "sources.newsletter.only",
        "is not a JMESPath expression",
    ),
    "a pattern that Python may read otherwise one day": (
        (DESTINATION, HOOK.replace('"webhook"', '"webhook"\nping = { body = "[[a]" }')),
        "sources.crm.ping.body",
        "is not a regular expression: Possible nested set",
    ),
    "pattern": (
        (DESTINATION, HOOK.replace('"webhook"', '"webhook"\nping = { body = "(" }')),
        "sources.crm.ping.body",
        "is not a regular expression",
    ),
    "key of a table": (
        (DESTINATION, HOOK.replace('"webhook"', '"webhook"\nping = { boddy = "x" }')),
        "sources.crm.ping.boddy",
        "unknown key",
    ),
    "header": (
        (DESTINATION, HOOK.replace('"webhook"', '"webhook"\nonly_header = { name = "X" }')),
        "sources.crm.only_header.values",
        "is needed",
    ),
    "titles": (
        (
            DESTINATION,
            HOOK + '[sources.crm.entries]\nlist = "a"\nnames = ["b"]\nvalue = "c"\ntitles = { list = "d" }',
        ),
        "sources.crm.entries.titles",
        "must have list, id and title",
    ),
    "handshake": (
        (DESTINATION, HOOK.replace('"webhook"', '"webhook"\nhandshake = { kind = "dance" }')),
        "sources.crm.handshake.kind",
        '"echo"',
    ),
    "captcha over http": (
        (
            DESTINATION,
            FORM
            + '[sources.newsletter.captcha]\nurl="http://x.example/"\nsecret="env:CRM_SECRET"\nfield="c"',
        ),
        "sources.newsletter.captcha.url",
        "must be https",
    ),
    "colour": (
        (DESTINATION, FORM + '[sources.newsletter.page]\naccent = "red"'),
        "sources.newsletter.page.accent",
        "must be a colour like #1a5fb4",
    ),
    "honeypot that is mapped": (
        (DESTINATION, FORM.replace('"form"', '"form"\nhoneypot = "email"')),
        "sources.newsletter.honeypot",
        '"email" is used by fields.email too: every person would be held',
    ),
    "honeypot found by a label": (
        (
            DESTINATION,
            FORM.replace('"form"', '"form"\nhoneypot = "Name"') + 'full_name = { labels = ["name"] }',
        ),
        "sources.newsletter.honeypot",
        "fields.full_name",
    ),
    "honeypot that is a box": (
        (DESTINATION, FORM.replace('"form"', '"form"\nhoneypot = "news"\nconsent = "news"')),
        "sources.newsletter.honeypot",
        "consent",
    ),
    "label of no input": (
        (DESTINATION, FORM + "[sources.newsletter.page.labels]\nemial = 'Mail'"),
        "sources.newsletter.page.labels.emial",
        "is no input; did you mean email?",
    ),
    "label of no input in a language": (
        (DESTINATION, FORM + "[sources.newsletter.page.de.labels]\nphone = 'Telefon'"),
        "sources.newsletter.page.labels.phone",
        "is no input; one of email",
    ),
    "key of a language": (
        (DESTINATION, FORM + "[sources.newsletter.page.de]\ntitel = 'x'"),
        "sources.newsletter.page.de.titel",
        "did you mean title?",
    ),
    "language nobody wrote": (
        (DESTINATION, FORM + "[sources.newsletter.page.it]\ntitle = 'x'"),
        "sources.newsletter.page.it",
        "unknown key",
    ),
    "field of the reply": (
        (DESTINATION, HOOK.replace('"webhook"', '"webhook"\nreply = ["id", "contry_code"]')),
        "sources.crm.reply.1",
        '"contry_code" is no field of a profile; did you mean country_code?',
    ),
    "function in a condition": (
        (DESTINATION, HOOK.replace('"webhook"', '"webhook"\nonly = "lower(kind) == \'x\'"')),
        "sources.crm.only",
        "knows no function lower()",
    ),
    "body larger than there is room for": (
        (DESTINATION, FORM.replace('"form"', '"form"\nmax_body = "9MiB"')),
        "sources.newsletter.max_body",
        'at most "8MiB"',
    ),
    "wait as a time": (
        (DESTINATION, HOOK.replace('"webhook"', '"webhook"\nwait = "31s"')),
        "sources.crm.wait",
        "0 to 30",
    ),
    "origin with an inner star": (
        (DESTINATION, FORM.replace('"form"', '"form"\norigins = ["https://www.*.com"]')),
        "sources.newsletter.origins",
        "first part",
    ),
    "origin with two stars": (
        (DESTINATION, FORM.replace('"form"', '"form"\norigins = ["https://*.*.example.com"]')),
        "sources.newsletter.origins",
        "first part",
    ),
    "origin of a whole country": (
        (DESTINATION, FORM.replace('"form"', '"form"\norigins = ["https://*.com"]')),
        "sources.newsletter.origins",
        "first part",
    ),
    "budget": (
        (DESTINATION, FORM.replace('"form"', '"form"\nheld_budget = "many rows"')),
        "sources.newsletter.held_budget",
        "10000 rows; 64MiB",
    ),
    "budget twice": (
        (DESTINATION, FORM.replace('"form"', '"form"\nheld_budget = "1 row; 2 rows"')),
        "sources.newsletter.held_budget",
        "10000 rows; 64MiB",
    ),
    "confirm": (
        (DESTINATION, FORM + '[sources.newsletter.confirm]\nby = "email"'),
        "sources.newsletter.confirm",
        "is not there yet",
    ),
    "utm": (
        (DESTINATION, FORM + '[sources.newsletter.utm]\nclickid = "x"'),
        "sources.newsletter.utm.clickid",
        "utm_source",
    ),
    "logo": (
        (DESTINATION, FORM + '[sources.newsletter.page]\nlogo = "logo.svg"'),
        "sources.newsletter.page.logo",
        "beside relay.toml",
    ),
    "logo that is none": (
        (DESTINATION, FORM + '[sources.newsletter.page]\nlogo = "relay.toml"'),
        "sources.newsletter.page.logo",
        "must be a picture",
    ),
    "privacy": (
        (DESTINATION, FORM + '[sources.newsletter.page]\nprivacy = "javascript:alert(1)"'),
        "sources.newsletter.page.privacy",
        "must be a whole address",
    ),
    "site": (
        (DESTINATION, FORM + '[sources.newsletter.page]\nsite = { name = "Example" }'),
        "sources.newsletter.page.site.url",
        "is needed",
    ),
    "list of domains": (
        (DESTINATION, FORM.replace('"form"', '"form"\ndisposable = "/nowhere"')),
        "sources.newsletter.disposable",
        "cannot read /nowhere",
    ),
}


@pytest.mark.parametrize(("parts", "key", "says"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named_by_its_key_with_what_would_be_right(
    problems: Any, parts: tuple[str, ...], key: str, says: str
) -> None:
    found = problems(*parts)
    assert says in found.get(key, f"nothing of {key}, but of {found}")


def test_a_file_that_cannot_be_read_is_one_problem(environ: dict[str, str]) -> None:
    with pytest.raises(Unusable) as unusable:
        settings.load(environ)
    (problem,) = unusable.value.problems
    assert "relay.toml: cannot be read: No such file or directory; set RELAY_CONFIG" in str(problem)


@pytest.mark.parametrize("content", [b"[destinations\n", b"a = \xff", b"a = 1\na = 2"])
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


# --- the environment ------------------------------------------------------------------------------------

KEY = "ab" * 32
WRONG: list[tuple[str, str, str]] = [
    ("RELAY_DATABASE_URL", "relay.db", "must be sqlite:///path/to/relay.db"),
    ("RELAY_DATABASE_URL", "sqlite://", "must be sqlite:///"),
    ("RELAY_DATABASE_URL", "sqlite:///", "must be sqlite:///"),
    ("RELAY_DATABASE_URL", "sqlite:///:memory:", "must be sqlite:///"),
    ("RELAY_DATABASE_URL", "postgresql://u:canary-token-of-upstream@h/d", "postgresql+psycopg://"),
    ("RELAY_DATABASE_URL", "mysql://h/d", "postgresql+psycopg://"),
    ("RELAY_LIMITS_URL", "memcached://h", "must be memory:// or redis://"),
    ("RELAY_LIMITS_URL", "redis://h:canary-token-of-upstream/0", "must be memory:// or redis://"),
    ("RELAY_SECRET_KEYS", "canary-token-of-upstream", "is not 32 bytes"),
    ("RELAY_SECRET_KEYS", f"{KEY},00", "is not 32 bytes"),
    ("RELAY_ADMIN_TOKEN", "x" * 23, "at least 24 characters"),
    ("RELAY_ALERT_URL", "alerts.example.com", "must be an address"),
    ("RELAY_ALERT_URL", "ftp://alerts.example.com", "must be an address"),
    ("RELAY_ALERT_MAIL", "ops", "must be an address like relay@example.com"),
    ("RELAY_SMTP_URL", "mail.example.com:587", "must be smtp://"),
    ("RELAY_SMTP_URL", "https://mail.example.com", "must be smtp://"),
    ("RELAY_SMTP_URL", "smtp://user@mail.example.com", "or neither"),
    ("RELAY_MAIL_FROM", "a@example.com\nBcc: b@example.com", "on one line"),
    ("RELAY_TIME_ZONE", "Mars/Olympus", "like Europe/Berlin"),
    ("RELAY_TIME_ZONE", "../../etc/passwd", "like Europe/Berlin"),
    ("RELAY_ADMIN_TOKEN", '"' + "x" * 24 + '"', "stands in quotes"),
    ("RELAY_METRICS_TOKEN", "abc\n", "newline"),
    ("RELAY_PUBLIC_URL", "relay.example.com", "must be an address like https://"),
    ("RELAY_PUBLIC_URL", "https://relay.example.com/?a=b", "must be an address like https://"),
    ("RELAY_PUBLIC_URL", "https://relay.example.com:0/", "must be an address like https://"),
    ("RELAY_ROLE", "ALL", "must be all or web or dispatcher"),
    ("RELAY_ROLE", "web", "needs PostgreSQL: set RELAY_DATABASE_URL"),
    ("RELAY_ROLE", "dispatcher", "needs PostgreSQL: set RELAY_DATABASE_URL"),
    ("RELAY_TRUSTED_PROXIES", "yes", "must be a whole number from 0 to 10"),
    ("RELAY_TRUSTED_PROXIES", "-1", "must be a whole number from 0 to 10"),
    ("RELAY_TRUSTED_PROXIES", "11", "must be a whole number from 0 to 10"),
    ("RELAY_ALLOW_EPHEMERAL", "yes", "must be 0 or 1"),
    ("RELAY_LOG_LEVEL", "LOUD", "must be DEBUG or INFO"),
    ("PORT", "65536", "must be a whole number from 0 to 65535"),
    ("PORT", "８０００", "must be a whole number"),
    ("PORT", "1e3", "must be a whole number"),
    ("WEB_THREADS", "1", "must be a whole number from 2"),
    ("RELAY_CONFIGS", "x", "did you mean RELAY_CONFIG?"),
    ("RELAY_XYZZY", "44", "is not a variable of the relay; remove it"),
    ("RELAY_CONFIG_FILE_FILE", "x", "is not a variable of the relay"),
]


@pytest.mark.parametrize(("name", "value", "says"), WRONG)
def test_a_wrong_variable_is_named_with_what_would_be_right(
    problems: Any, name: str, value: str, says: str
) -> None:
    """Catalogue 68, 141."""
    found = problems(**{name: value})
    assert list(found) == [name]
    assert says in found[name]


def test_postgresql_needs_keys_and_allows_every_role(read: Read, problems: Any) -> None:
    url = "postgresql+psycopg://relay@127.0.0.1/relay"
    assert "keys new" in problems(RELAY_DATABASE_URL=url)["RELAY_SECRET_KEYS"]
    for role in ("all", "web", "dispatcher"):
        found = read(RELAY_DATABASE_URL=url, RELAY_SECRET_KEYS=KEY, RELAY_ROLE=role)
        assert (found.role, found.secret_keys, found.is_sqlite) == (role, (KEY,), False)


def test_variables_are_read(read: Read) -> None:
    found = read(
        RELAY_SECRET_KEYS=f" {KEY} , {KEY[::-1]},",
        RELAY_ADMIN_TOKEN="a" * 24,
        RELAY_METRICS_TOKEN="public",
        RELAY_ALERT_URL="https://alerts.example.com/v1/?key=a&token=b",
        RELAY_ALERT_MAIL="ops@example.com, Jane <jane@example.com>,",
        RELAY_SMTP_URL="smtp://relay:p%40ss@mail.example.com:587",
        RELAY_MAIL_FROM="Relay <relay@example.com>",
        RELAY_TIME_ZONE="Europe/Berlin",
        RELAY_PUBLIC_URL="https://relay.example.com/",
        RELAY_TRUSTED_PROXIES="2",
        RELAY_LOG_LEVEL="debug",
        RELAY_LIMITS_URL="redis://127.0.0.1:6379/1",
        HOST="::1",
        PORT="0",
        WEB_THREADS="4",
    )
    assert found.secret_keys == (KEY, KEY[::-1])
    assert found.operators == (OperatorAccount("admin", "reveal", sha256(b"a" * 24).digest()),)
    assert found.metrics_token == "public"
    assert found.alert_url == "https://alerts.example.com/v1/?key=a&token=b"
    assert found.alert_mail == ("ops@example.com", "Jane <jane@example.com>")
    assert found.smtp_url == "smtp://relay:p%40ss@mail.example.com:587"
    assert (found.mail_from, str(found.time_zone)) == ("Relay <relay@example.com>", "Europe/Berlin")
    assert found.public_url == "https://relay.example.com"
    assert (found.trusted_proxies, found.log_level) == (2, "DEBUG")
    assert (found.host, found.port, found.threads) == ("::1", 0, 4)


def test_mail_needs_a_server_and_a_sender(problems: Any) -> None:
    assert problems(RELAY_ALERT_MAIL="ops@example.com").keys() == {"RELAY_SMTP_URL", "RELAY_MAIL_FROM"}


def test_without_variables_the_defaults_are_those_of_the_contract() -> None:
    values, problems = read_environment({})
    assert problems == []
    assert values == {
        "RELAY_CONFIG": "relay.toml",
        "RELAY_DATABASE_URL": "sqlite:///var/relay.db",
        "RELAY_LIMITS_URL": "memory://",
        "RELAY_SECRET_KEYS": (),
        "RELAY_ADMIN_TOKEN": "",
        "RELAY_METRICS_TOKEN": "",
        "RELAY_ALERT_URL": "",
        "RELAY_ALERT_MAIL": (),
        "RELAY_SMTP_URL": "",
        "RELAY_MAIL_FROM": "",
        "RELAY_TIME_ZONE": UTC,
        "RELAY_PUBLIC_URL": "",
        "RELAY_ROLE": "all",
        "RELAY_TRUSTED_PROXIES": 0,
        "RELAY_ALLOW_EPHEMERAL": "",
        "RELAY_LOG_LEVEL": "INFO",
        "HOST": "127.0.0.1",
        "PORT": 8000,
        "WEB_THREADS": 16,
    }


def test_an_empty_variable_is_like_none() -> None:
    values, problems = read_environment({"PORT": "", "RELAY_ROLE": "", "RELAY_ADMIN_TOKEN": ""})
    assert (problems, values["PORT"], values["RELAY_ROLE"]) == ([], 8000, "all")


@pytest.mark.parametrize("variable", environment.VARIABLES, ids=lambda variable: variable.name)
def test_every_variable_may_be_a_file(variable: environment.Variable, tmp_path: Path) -> None:
    good = {
        "RELAY_SECRET_KEYS": KEY,
        "RELAY_ADMIN_TOKEN": "a" * 24,
        "RELAY_ALERT_URL": "https://a.example",
        "RELAY_PUBLIC_URL": "https://a.example",
        "RELAY_METRICS_TOKEN": "m",
        "RELAY_ALERT_MAIL": "a@example.com",
        "RELAY_SMTP_URL": "smtps://mail.example.com",
        "RELAY_MAIL_FROM": "relay@example.com",
        "RELAY_ALLOW_EPHEMERAL": "1",
    }
    text = good.get(variable.name, variable.default)
    (tmp_path / "value").write_text(text + "\n")
    values, problems = read_environment({f"{variable.name}_FILE": str(tmp_path / "value")})
    assert problems == []
    assert values[variable.name] == variable.read(text)


def test_a_file_of_a_variable_must_be_there_and_be_the_only_one(problems: Any, tmp_path: Path) -> None:
    assert problems(PORT_FILE="/nowhere/port") == {
        "PORT": "cannot read /nowhere/port: No such file or directory"
    }
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in problems(PORT_FILE=str(tmp_path / "binary"))["PORT"]
    (tmp_path / "port").write_text("9000")
    assert "keep one" in problems(PORT="8000", PORT_FILE=str(tmp_path / "port"))["PORT"]
    twice = problems(
        RELAY_DATABASE_URL_FILE=str(tmp_path / "port"), OCAMBA_TOKEN=None, _options={"sandbox_url": SANDBOX}
    )
    assert "keep one" in twice["RELAY_DATABASE_URL"]


def test_secrets_may_come_from_files_by_their_variable(read: Read, problems: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    found = read(OCAMBA_TOKEN=None, OCAMBA_TOKEN_FILE=str(tmp_path / "token"))
    assert found.destinations["ocamba"].token == TOKEN
    said = problems(OCAMBA_TOKEN=None, OCAMBA_TOKEN_FILE="/nowhere", _options={"sandbox_url": SANDBOX})
    assert said == {"destinations.ocamba.token": "cannot read /nowhere: No such file or directory"}


def test_an_empty_token_file_is_no_sandbox(problems: Any, tmp_path: Path) -> None:
    """A mistake with the token must not swallow real people."""
    (tmp_path / "token").write_text("\n")
    said = problems(
        OCAMBA_TOKEN=None, OCAMBA_TOKEN_FILE=str(tmp_path / "token"), _options={"sandbox_url": SANDBOX}
    )
    assert list(said) == ["destinations.ocamba.token"]


@pytest.mark.parametrize("token", ["two words", "tab\tbed", "line\nbreak", "café", "nul\x00"])
def test_a_token_that_no_header_can_carry_is_refused(problems: Any, token: str) -> None:
    """Catalogue 50."""
    said = problems(OCAMBA_TOKEN=token)
    assert "visible ASCII" in said["destinations.ocamba.token"]
    assert token not in str(said)


# --- secrets stay secret --------------------------------------------------------------------------------


def test_no_secret_is_in_a_representation(read: Read) -> None:
    """I5."""
    admin = "canary-admin-token-canary"
    found = read(RELAY_SECRET_KEYS=KEY, RELAY_ADMIN_TOKEN=admin, RELAY_METRICS_TOKEN="canary-metrics")
    assert found.operators
    text = repr(found) + repr(found.destinations) + repr(found.sources) + str(found)
    for secret in (TOKEN, SECRET, KEY, admin, "canary-metrics"):
        assert secret not in text


# --- what pasting leaves around a secret ----------------------------------------------------------------

PASTED = {
    "blank": " {}",
    "blank behind": "{} ",
    "hard blank": "{}\u00a0",
    "tab": "{}\t",
    "newline": "{}\n",
    "carriage return": "{}\r\n",
    "quotes": '"{}"',
    "single quotes": "'{}'",
    "typographic quotes": "“{}”",
    "byte order mark": "\ufeff{}",
    "zero-width blank": "{}\u200b",
}


@pytest.mark.parametrize("pasted", PASTED.values(), ids=PASTED.keys())
def test_what_pasting_left_around_a_secret_is_refused_by_its_name(problems: Any, pasted: str) -> None:
    said = problems(OCAMBA_TOKEN=pasted.format(TOKEN), CRM_SECRET=pasted.format(SECRET))
    assert {"destinations.ocamba.token", "sources.crm.secret"} == said.keys()
    assert "OCAMBA_TOKEN" in said["destinations.ocamba.token"]
    assert "CRM_SECRET" in said["sources.crm.secret"]


@pytest.mark.parametrize("pasted", PASTED.values(), ids=PASTED.keys())
def test_a_secrets_file_is_checked_in_the_same_way(problems: Any, tmp_path: Path, pasted: str) -> None:
    (tmp_path / "secret").write_bytes((pasted.format(SECRET) + "\n").encode())
    said = problems(DESTINATION, HOOK.replace("env:CRM_SECRET", f"file:{tmp_path}/secret"))
    assert f"{tmp_path}/secret" in said["sources.crm.secret"]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_newline_that_ends_a_file_is_not_part_of_the_secret(read: Read, tmp_path: Path, end: str) -> None:
    (tmp_path / "secret").write_bytes((SECRET + end).encode())
    found = read(DESTINATION, HOOK.replace("env:CRM_SECRET", f"file:{tmp_path}/secret"))
    assert found.sources["crm"].secrets == (SECRET.encode(),)


# --- operators ------------------------------------------------------------------------------------------

OPERATOR = '[operators.support]\ntoken = "env:SUPPORT_TOKEN"\nrole = "act"'
SUPPORT = "canary-support-token-canary"


def test_an_operator_has_a_name_a_role_and_the_hash_of_a_token(read: Read) -> None:
    found = read(DESTINATION, FORM, OPERATOR, SUPPORT_TOKEN=SUPPORT, RELAY_ADMIN_TOKEN="a" * 24).operators
    assert [(one.name, one.role) for one in found] == [("admin", "reveal"), ("support", "act")]
    assert found[1].token_sha256 == sha256(SUPPORT.encode()).digest()
    assert "token" not in repr(found)


def test_an_operators_table_is_checked(problems: Any) -> None:
    def said(table: str, **changed: str) -> dict[str, str]:
        found: dict[str, str] = problems(DESTINATION, FORM, table, **{"SUPPORT_TOKEN": SUPPORT, **changed})
        return found

    assert "is not set" in said(OPERATOR, SUPPORT_TOKEN="")["operators.support.token"]
    assert "at least 24" in said(OPERATOR, SUPPORT_TOKEN="x" * 23)["operators.support.token"]
    assert '"view" or "act"' in said(OPERATOR.replace('"act"', '"boss"'))["operators.support.role"]
    assert said(OPERATOR + "\nrights = 7").keys() == {"operators.support.rights"}
    assert "lower-case" in said(OPERATOR.replace("support", '"Jane Doe"'))["operators.Jane Doe"]
    twin = OPERATOR.replace("operators.support", "operators.twin")
    assert "is that of support" in said(OPERATOR + "\n" + twin)["operators.twin.token"]
    admin = OPERATOR.replace("operators.support", "operators.admin")
    assert "take another name" in said(admin, RELAY_ADMIN_TOKEN="a" * 24)["operators.admin"]


# --- presets --------------------------------------------------------------------------------------------


def hook(lines: str = "", fields: str = "", tables: str = "") -> str:
    """A source made with the preset for Typeform."""
    return f"""
[sources.crm]
kind = "webhook"
preset = "typeform"
secret = "env:CRM_SECRET"
{lines}
[sources.crm.fields]
{fields}
{tables}
"""


def test_a_sources_own_keys_override_its_presets_key_by_key(read: Read) -> None:
    preset = presets.preset("typeform")["source"]
    assert preset["verify"]["header"] == "Typeform-Signature"
    plain_ = read(DESTINATION, hook()).sources["crm"]
    own = read(
        DESTINATION,
        hook(
            'wait = 9\nonly = "x"\non_failure = "report"',
            'full_name = "me"',
            "[sources.crm.verify]\ntolerance = 7\nprefix = 'v='",
        ),
    ).sources["crm"]
    assert plain_.verifier is not None
    assert own.verifier == replace(plain_.verifier, tolerance=7, prefix="v=")
    assert own.mapping.rules["email"] == plain_.mapping.rules["email"]
    assert own.mapping.rules["full_name"].joined == (FieldPath("me"),)
    assert plain_.mapping.rules["full_name"].joined != (FieldPath("me"),)
    assert (own.wait, own.on_failure) == (9, "report")
    assert own.id_path == plain_.id_path
    assert own.mapping.entries == plain_.mapping.entries


def test_naming_the_same_scheme_keeps_what_the_preset_knows_of_it(read: Read) -> None:
    tables = '[sources.crm.verify]\nscheme = "hmac-sha256"\ntolerance = 7'
    found = read(DESTINATION, hook(tables=tables)).sources["crm"].verifier
    assert found is not None
    assert (found.header, found.tolerance) == ("Typeform-Signature", 7)


def test_another_scheme_shares_nothing_with_the_presets(read: Read) -> None:
    tables = '[sources.crm.verify]\nscheme = "token"\nheader = "X-Token"'
    found = read(DESTINATION, hook(tables=tables)).sources["crm"].verifier
    assert found is not None
    assert (found.scheme, found.header, found.prefix) == ("token", "X-Token", "")


def test_a_preset_may_be_opened_to_all(read: Read) -> None:
    text = hook('verify = "none"').replace('secret = "env:CRM_SECRET"', "")
    assert read(DESTINATION, text).sources["crm"].verifier is None


def test_a_preset_needs_its_secret(problems: Any) -> None:
    """Catalogue 47."""
    said = problems(DESTINATION, hook().replace('secret = "env:CRM_SECRET"', ""))
    assert said == {"sources.crm.secret": 'is needed, like secret = "env:NAME"'}


# --- reading a token again ------------------------------------------------------------------------------


def test_a_tokens_file_is_read_again(read: Read, tmp_path: Path) -> None:
    """Catalogue 88."""
    file = tmp_path / "token"
    file.write_text("first\n")
    destination = read(f'[destinations.ocamba]\ntoken = "file:{file}"', FORM).destinations["ocamba"]
    assert destination.token == "first"
    file.write_text("second")
    assert reread_token(destination) == replace(destination, token="second")
    for broken in ("", "two words", "é"):
        file.write_text(broken)
        assert reread_token(destination) is destination
    file.unlink()
    assert reread_token(destination) is destination


def test_a_token_from_the_environment_is_not_read_again(read: Read) -> None:
    destination = read().destinations["ocamba"]
    assert reread_token(destination) is destination


# --- a disk that forgets (catalogue 114) ----------------------------------------------------------------


@pytest.mark.parametrize("platform", ["DYNO", "K_SERVICE"])
def test_a_platform_that_wipes_its_disk_is_refused_unless_that_is_wanted(
    read: Read, problems: Any, platform: str
) -> None:
    said = problems(**{platform: "web.1"})
    assert "postgresql+psycopg://" in said["RELAY_DATABASE_URL"]
    assert "RELAY_ALLOW_EPHEMERAL=1" in said["RELAY_DATABASE_URL"]
    found = read(**{platform: "web.1"}, RELAY_ALLOW_EPHEMERAL="1")
    assert any(platform in warning for warning in found.warnings)
    url = "postgresql+psycopg://relay@127.0.0.1/relay"
    assert read(**{platform: "web.1"}, RELAY_DATABASE_URL=url, RELAY_SECRET_KEYS=KEY)


def test_debug_mode_is_refused_with_a_real_token(problems: Any) -> None:
    """Catalogue 68."""
    assert list(problems(FLASK_DEBUG="1")) == ["FLASK_DEBUG"]


# --- whatever stands in the file ------------------------------------------------------------------------

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 10**12)
    | st.floats()
    | st.sampled_from(["", "x", "env:CRM_SECRET", "none", "a[", "10/second", "5s", "(", "email", "typeform"])
)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["from", "first", "labels", "within", "strip", "value", "name", "scheme", "list", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
SOURCE_KEYS = sorted({field.data_key or name for name, field in SourceSchema().fields.items()})
DESTINATION_KEYS = sorted(DestinationSchema().fields)


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float):
        return "inf" if value == math.inf else "-inf" if value == -math.inf else repr(value)
    return json.dumps(value)


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_none(one) for key, one in value.items() if one is not None}
    return [without_none(one) for one in value if one is not None] if isinstance(value, list) else value


@hypothesis(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.sampled_from(SOURCE_KEYS), TREES, max_size=5),
    st.dictionaries(st.sampled_from(DESTINATION_KEYS), TREES, max_size=3),
    st.dictionaries(
        st.sampled_from(["email", "full_name", "mobile_phone_number", "city"]), TREES, max_size=3
    ),
    st.sampled_from(["form", "webhook"]),
)
def test_whatever_stands_in_the_file_is_usable_or_a_list_of_problems(
    environ: dict[str, str], source: Any, destination: Any, fields: Any, kind: str
) -> None:
    """Catalogue 141: never a traceback."""
    config = {
        "destinations": {"ocamba": {"token": "env:OCAMBA_TOKEN", **destination}},
        "sources": {"x": {"kind": kind, "fields": fields, **source}},
    }
    text = "\n".join(f"{name} = {toml(without_none(table))}" for name, table in config.items())
    Path(environ["RELAY_CONFIG"]).write_text(text)
    try:
        found = settings.load(environ)
    except Unusable as unusable:
        assert unusable.problems
        for problem in unusable.problems:
            _check_wording(problem)
        return
    for one in found.sources.values():
        one.mapping.apply({"email": "jane@example.com"})
        one.is_excluded({}, {})

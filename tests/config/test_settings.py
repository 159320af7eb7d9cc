"""What the environment and relay.toml become.

That every variable and key is documented is tested in test_docs.py.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from relay.config import presets, settings
from relay.config.settings import lacks_token, reread_token
from relay.quota import Window
from relay.server.worker import COLLECTED_IN_ALL
from relay.sources.body import MAX_BODY
from relay.sources.consent import Box
from relay.sources.paths import Labels
from relay.sources.paths import Path as FieldPath
from relay.sources.proof import BEARER, Evidence
from relay.sources.source import Budget
from tests.config.given import DESTINATION, FORM, HOOK, KEY, ROOT, SANDBOX, SECRET, TOKEN, Read

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


@pytest.mark.parametrize(
    "page", ["https://www.example.com/thank you", "https://münchen.example/größe?für=dich"]
)
def test_a_page_may_be_named_as_people_read_its_address(read: Read, page: str) -> None:
    form = FORM.replace('"form"', f'"form"\nthanks = "{page}"')
    assert read(DESTINATION, form).sources["newsletter"].thanks == page


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
    ("given_", "is_short"), [("30", True), ('"30"', True), ('"0d"', True), ('"1d"', False)]
)
def test_a_retention_in_which_nobody_is_told_is_named(read: Read, given_: str, is_short: bool) -> None:
    """Days were meant, mostly, and people would be deleted before anybody has looked."""
    warnings = read(DESTINATION, FORM.replace('"form"', f'"form"\nretention = {given_}')).warnings
    said = "sources.newsletter.retention: deletes what waits for a person before anybody is told"
    assert any(said in one for one in warnings) == is_short


def test_a_file_may_begin_with_a_byte_order_mark(read: Read) -> None:
    """As editors of Windows save it."""
    assert "newsletter" in read("\ufeff" + DESTINATION, FORM).sources


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("answers[?type=='email'.email | [0]", "is not a JMESPath expression"),
        ("contact.", "is not a JMESPath expression"),
        ("contact[0", "is not a JMESPath expression"),
        ("data.[email", "is not a JMESPath expression"),
        ("data.email |", "is not a JMESPath expression"),
        ('entry."x', "is not a JMESPath expression"),
        ("[0", "is not a JMESPath expression"),
        ("data.email)", "is not a JMESPath expression"),
        ("$.email", "is not a JMESPath expression"),
        ("{{ email }}", "is not a JMESPath expression"),
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


def test_paths_are_looked_at_wherever_they_stand(read: Read) -> None:
    text = HOOK.replace('"webhook"', '"webhook"\nid = "a[?"\nshape = "b[?"\nregion_from = "c[?"')
    verify = '[sources.crm.verify]\nscheme = "token"\nbody = "d[?"'
    rules = 'full_name = { labels = ["name"], within = "e[?" }'
    said = read(DESTINATION, text + rules, verify).warnings
    named = {one.split(":")[0].removeprefix("sources.crm.") for one in said if "JMESPath" in one}
    assert named == {"id", "shape", "region_from", "verify.body", "fields.full_name"}


def test_two_destinations_of_one_account_are_remarked_on(read: Read) -> None:
    """Upstream counts the account, the relay each destination: together they would send twice as much."""

    def said(url: str) -> list[str]:
        second = f'[destinations.second]\ntoken = "env:OCAMBA_TOKEN"\nurl = "{url}"\n'
        form = FORM.replace('"form"', '"form"\ndestination = "ocamba"')
        return [one for one in read(DESTINATION + second, form).advice if ".limits" in one]

    (one,) = said("https://api.ocamba.com/v2/hood/profiles")
    assert one.startswith("destinations.second.limits") and "ocamba sends with the same token" in one
    assert said("https://api.example.com/v1/hood/profiles") == []


def test_a_site_with_www_only_is_remarked_on(read: Read) -> None:
    def said(origins: str) -> list[str]:
        form = FORM.replace('"form"', f'"form"\norigins = [{origins}]')
        return [one for one in read(DESTINATION, form).advice if "origins" in one]

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
    assert any("write it down as yes" in said for said in found.advice) is ("I agree" not in given_)


def test_a_phones_country_may_stand_beside_it(read: Read) -> None:
    text = FORM.replace('"form"', '"form"\nregion_from = "country"')
    text += 'mobile_phone_number = { from = "phone", region_from = "dial" }'
    mapping = read(DESTINATION, text).sources["newsletter"].mapping
    assert mapping.rules["mobile_phone_number"].region_from == FieldPath("dial")
    sent = mapping.apply({"dial": "+43", "country": "DE", "phone": "0664 1234567"})
    assert sent.profile == {"mobile_phone_number": "+436641234567"}


def test_secrets_may_be_a_list_for_rotation_and_may_be_files(read: Read, tmp_path: Path) -> None:
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


def test_several_of_the_largest_bodies_fit_into_what_is_collected_at_a_time() -> None:
    assert MAX_BODY * 4 <= COLLECTED_IN_ALL


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


def test_a_secret_made_up_for_basic_is_user_and_password(read: Read) -> None:
    hook = HOOK.replace("CRM_SECRET", "NONE") + '[sources.crm.verify]\nscheme = "basic"'
    found = read(DESTINATION, hook, OCAMBA_TOKEN=None, _options={"sandbox_url": SANDBOX})
    user, colon, password = found.made_up["crm"].partition(":")
    assert user and colon and len(password) >= 16
    assert found.sources["crm"].secrets == (found.made_up["crm"].encode(),)


def test_sandbox_mode_listens_on_loopback_only(problems: Any) -> None:
    found = problems(HOST="0.0.0.0", OCAMBA_TOKEN=None, _options={"sandbox_url": SANDBOX})
    assert "OCAMBA_TOKEN" in found["HOST"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.53", "[::1]"])
def test_plain_http_is_for_every_address_of_this_machine(read: Read, host: str) -> None:
    url = f"http://{host}:8900/x"
    assert read(f'{DESTINATION}url = "{url}"', FORM).destinations["ocamba"].url == url


def test_a_name_that_begins_like_an_address_of_this_machine_is_none(problems: Any) -> None:
    found = problems(f'{DESTINATION}url = "http://127.1.example:8900/x"', FORM)
    assert "must be https" in found["destinations.ocamba.url"]


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


@pytest.mark.parametrize(
    ("header", "prefix"), [("X-API-Key", ""), ("Authorization", "Bearer "), ("authorization", "Bearer ")]
)
def test_the_word_bearer_belongs_to_the_header_of_the_preset_only(
    read: Read, header: str, prefix: str
) -> None:
    table = hook(tables=f'[sources.crm.verify]\nheader = "{header}"').replace('"typeform"', '"make"')
    found = read(DESTINATION, table).sources["crm"].verifier
    assert found is not None
    assert (found.header, found.prefix, found.query) == (header, prefix, "token")


def test_a_preset_may_be_opened_to_all(read: Read) -> None:
    text = hook('verify = "none"').replace('secret = "env:CRM_SECRET"', "")
    assert read(DESTINATION, text).sources["crm"].verifier is None


def test_a_preset_needs_its_secret(problems: Any) -> None:
    said = problems(DESTINATION, hook().replace('secret = "env:CRM_SECRET"', ""))
    assert said == {"sources.crm.secret": 'is needed, like secret = "env:NAME"'}


# --- reading a token again ------------------------------------------------------------------------------


def test_a_tokens_file_is_read_again(read: Read, tmp_path: Path) -> None:
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


# --- a disk that forgets ----------------------------------------------------------------


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
    assert list(problems(FLASK_DEBUG="1")) == ["FLASK_DEBUG"]

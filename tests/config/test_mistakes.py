"""Every mistake in relay.toml is named by its key, with what would be right, and all at once."""

from typing import Any

import pytest

from tests.config.given import DESTINATION, FORM, HOOK, SECRET

# --- problems, one at a time ----------------------------------------------------------------------------

VERIFY = '[sources.crm.verify]\nscheme = "hmac-sha256"\n'
# The configuration, the key that is named, and what is said of it.
MISTAKES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "nothing": (("",), "destinations", "at least one is needed"),
    "no source": ((DESTINATION,), "sources", "at least one is needed"),
    "unknown table": ((DESTINATION, FORM, "[source.x]"), "source", "unknown key; did you mean sources?"),
    "unknown table, far off": ((DESTINATION, FORM, "[colours]"), "colours", "docs/configuration.md"),
    "variable in the file": (
        ('RELAY_PUBLIC_URL = "https://relay.example.com"', DESTINATION, FORM),
        "RELAY_PUBLIC_URL",
        "is a variable of the environment: RELAY_PUBLIC_URL",
    ),
    "variable in the file, as a key": (
        ("port = 80", DESTINATION, FORM),
        "port",
        "is a variable of the environment: PORT",
    ),
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
    "an address with a blank in its host": (
        (DESTINATION + 'url = "https://api.example.com /"', FORM),
        "destinations.ocamba.url",
        "https address",
    ),
    "an address with a dot too many": (
        (DESTINATION + 'url = "https://api..example.com/"', FORM),
        "destinations.ocamba.url",
        "https address",
    ),
    "password in the address": (
        (DESTINATION + 'url = "https://a:b@api.example.com/"', FORM),
        "destinations.ocamba.url",
        "must not hold a user name",
    ),
    "a fragment in the address": (
        (DESTINATION + 'url = "https://api.example.com/#profiles"', FORM),
        "destinations.ocamba.url",
        "must not hold a #",
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
    "give up, never": (
        (DESTINATION + 'give_up_after = "99999d"', FORM),
        "destinations.ocamba.give_up_after",
        "ten years at most",
    ),
    "give up, a number of 400 digits": (
        (DESTINATION + f"give_up_after = 1{'0' * 400}", FORM),
        "destinations.ocamba.give_up_after",
        "ten years at most",
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
    "rule with an empty list": (
        (DESTINATION, FORM + "full_name = { from = [] }"),
        "sources.newsletter.fields.full_name.from",
        "must not be empty",
    ),
    "rule that tries nothing": (
        (DESTINATION, FORM + "full_name = { first = [] }"),
        "sources.newsletter.fields.full_name.first",
        "must not be empty",
    ),
    "rule without a choice": (
        (DESTINATION, FORM + 'full_name = { from = "a", choices = [] }'),
        "sources.newsletter.fields.full_name.choices",
        "must not be empty",
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
    "a region of what is no phone": (
        (DESTINATION, FORM + 'full_name = { from = "name", region_from = "country" }'),
        "sources.newsletter.fields.full_name.region_from",
        "is for a phone only",
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
    "header with a colon": (
        (DESTINATION, HOOK + VERIFY + 'header = "X-Sig:"'),
        "sources.crm.verify.header",
        "must be the name of a header",
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
    "a header that never is right": (
        (DESTINATION, HOOK.replace('"webhook"', '"webhook"\nonly_header = { name = "X", values = [] }')),
        "sources.crm.only_header.values",
        "must not be empty",
    ),
    "entries without a name": (
        (DESTINATION, HOOK + '[sources.crm.entries]\nlist = "a"\nnames = []\nvalue = "c"'),
        "sources.crm.entries.names",
        "must not be empty",
    ),
    "a box that no word ticks": (
        (DESTINATION, FORM.replace('"form"', '"form"\nconsent = { field = "news", yes = [] }')),
        "sources.newsletter.consent.yes",
        "must not be empty",
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
    "a handshake that proves, without proof": (
        (
            DESTINATION,
            HOOK.replace('"webhook"', '"webhook"\nhandshake = { kind = "hmac" }\nverify = "none"'),
        ),
        "sources.crm.handshake",
        "needs a secret",
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
    "label of no input": (
        (DESTINATION, FORM + "[sources.newsletter.page.labels]\nemial = 'Mail'"),
        "sources.newsletter.page.labels.emial",
        "is no input; did you mean email?",
    ),
    "label of no input in a language": (
        (DESTINATION, FORM + "[sources.newsletter.page.de.labels]\nphone = 'Telefon'"),
        "sources.newsletter.page.de.labels.phone",
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
    "silence in hours": (
        (DESTINATION, FORM.replace('"form"', '"form"\nexpect_within = 24')),
        "sources.newsletter.expect_within",
        "must be at least 60 seconds",
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

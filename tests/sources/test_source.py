"""A source: who may use it, and what is no sign-up at all."""

import hashlib
import hmac
import re
from typing import Any

import jmespath
import pytest

from relay.sources.mapping import Mapping
from relay.sources.paths import Path
from relay.sources.proof import BEARER, Evidence, Verifier
from relay.sources.rules import Rule
from relay.sources.source import Captcha, Handshake, HeaderIs, Ping, Source

SECRET = b"canary-secret"
MAPPING = Mapping({"email": Rule("email", joined=(Path("email"),))})


def source(kind: str = "form", **more: Any) -> Source:
    return Source("newsletter", kind, "ocamba", MAPPING, **more)


# --- proofs -----------------------------------------------------------------------------------------


def test_a_source_without_a_verifier_admits_everybody() -> None:
    assert source().admits(Evidence({}, {}, b""), 0)


def test_a_source_with_a_verifier_admits_who_proves_it_knows_a_secret() -> None:
    crm = source("webhook", verifier=BEARER, secrets=(SECRET,))
    assert crm.admits(Evidence({"authorization": "Bearer canary-secret"}, {}, b""), 0)
    assert not crm.admits(Evidence({}, {}, b""), 0)


def test_a_source_without_secrets_admits_nobody() -> None:
    crm = source("webhook", verifier=BEARER)
    assert not crm.admits(Evidence({"authorization": "Bearer "}, {"token": ""}, b""), 0)


@pytest.mark.parametrize(
    ("kind", "verifier", "keeps"),
    [("webhook", BEARER, True), ("webhook", None, False), ("form", None, False)],
)
def test_only_what_a_machine_has_proven_is_kept_although_it_is_invalid(
    kind: str, verifier: Any, keeps: bool
) -> None:
    assert source(kind, verifier=verifier).keeps_invalid is keeps


def test_no_secret_is_in_a_representation() -> None:
    shown = repr(source(secrets=(SECRET,), captcha=Captcha("https://x.example", "canary-captcha", "c")))
    assert "canary" not in shown


# --- origins -----------------------------------------------------------------------------

OWN = ("https://relay.example.com", "http://127.0.0.1:8000")


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        ("null", True),
        ("https://www.example.com", True),
        ("https://relay.example.com", True),
        ("http://127.0.0.1:8000", True),
        ("http://www.example.com", False),
        ("https://example.com", False),
        ("https://www.example.com:8443", False),
        ("https://www.example.com.evil.example", False),
        ("https://evil.example/https://www.example.com", False),
        ("https://WWW.example.com", True),
        ("https://www.example.com/", False),
        ("", False),
        ("*", False),
        ("https://www.exаmple.com", False),
    ],
    ids=ascii,
)
def test_a_form_may_be_on_the_named_sites_and_on_our_own_pages(origin: str | None, allowed: bool) -> None:
    form = source(origins=("https://www.example.com",))
    assert form.allows_origin(origin, OWN) is allowed


def test_one_name_below_a_domain_may_be_any() -> None:
    form = source(origins=("https://*.example.com",))
    assert form.allows_origin("https://shop.example.com:443", ())
    assert not form.allows_origin("https://example.com", ())
    assert form.names("https://shop.example.com")
    assert not source(origins=("*",)).names("https://shop.example.com")


def test_any_site_may_be_allowed_and_none() -> None:
    assert source(origins=("*",)).allows_origin("https://evil.example", ())
    assert not source().allows_origin("https://evil.example", OWN)
    assert source().allows_origin(OWN[0], OWN)


def test_machines_have_no_origin_to_check() -> None:
    assert source("webhook").allows_origin("https://evil.example", ())


# --- what is no sign-up ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "fields", "excluded"),
    [
        ("event == 'signup'", {"event": "signup"}, False),
        ("event == 'signup'", {"event": "order"}, True),
        ("event == 'signup'", {}, True),
        ("id", {"id": "1"}, False),
        ("id", {"id": 0}, False),
        ("id", {"id": ""}, True),
        ("id", {"id": None}, True),
        ("id", {"id": False}, True),
        ("id", {"id": []}, True),
        ("id", {"id": {}}, True),
        ("contains(tags, 'x')", {"tags": 5}, True),
        ("!(old)", {"old": {"a": 1}}, True),
        ("!(old)", {}, False),
    ],
)
def test_only_what_the_expression_calls_true_is_a_sign_up(
    expression: str, fields: dict[str, Any], excluded: bool
) -> None:
    assert source(only=jmespath.compile(expression)).is_excluded(fields, {}) is excluded


@pytest.mark.parametrize(
    ("value", "excluded"),
    [
        (True, True),
        ("true", True),
        (1, True),
        ("1", True),
        ("yes", True),
        (False, False),
        ("false", False),
        ("False", False),
        ("0", False),
        (0, False),
        ("no", False),
        ("", False),
        (None, False),
        ([], False),
    ],
    ids=repr,
)
def test_a_test_says_that_it_is_one(value: Any, excluded: bool) -> None:
    """A real person's message that says `is_test: "false"` is not thrown away."""
    assert source(test=jmespath.compile("is_test")).is_excluded({"is_test": value}, {}) is excluded


def test_nothing_is_excluded_by_itself() -> None:
    assert not source().is_excluded({}, {})
    assert not source(test=jmespath.compile("is_test")).is_excluded({}, {})


@pytest.mark.parametrize(
    ("headers", "holds"),
    [
        ({"x-topic": "customers/create"}, True),
        ({"x-topic": " Customers/Create "}, True),
        ({"x-topic": "customers/update"}, False),
        ({"x-topic": ""}, False),
        ({}, False),
    ],
)
def test_a_header_may_say_what_it_is(headers: dict[str, str], holds: bool) -> None:
    topic = HeaderIs("X-Topic", ("customers/create", "customers/import"))
    assert topic.holds(headers) is holds
    assert source(only_header=topic).is_excluded({}, headers) is not holds
    assert source(test_header=topic).is_excluded({}, headers) is holds


# --- pings ------------------------------------------------------------------------------------------------

BODY = re.compile("webhook_id=[0-9]{1,12}")
HEADER = HeaderIs("X-Event", ("ping",))


@pytest.mark.parametrize(
    ("ping", "raw", "headers", "matches"),
    [
        (Ping(BODY), b"webhook_id=42", {}, True),
        (Ping(BODY), b"webhook_id=42&email=jane", {}, False),
        (Ping(BODY), b"xwebhook_id=42", {}, False),
        (Ping(BODY), b"webhook_id=42\n", {}, False),
        (Ping(BODY), b"\xffwebhook_id=42", {}, False),
        (Ping(None, HEADER), b"anything", {"x-event": "Ping"}, True),
        (Ping(None, HEADER), b"anything", {"x-event": "signup"}, False),
        (Ping(None, HEADER), b"x" * 1024, {"x-event": "ping"}, True),
        (Ping(None, HEADER), b"x" * 1025, {"x-event": "ping"}, False),
        (Ping(BODY, HEADER), b"webhook_id=42", {"x-event": "ping"}, True),
        (Ping(BODY, HEADER), b"webhook_id=42", {}, False),
        (Ping(BODY, HEADER), b"email=jane", {"x-event": "ping"}, False),
        (Ping(), b"", {}, False),
    ],
)
def test_a_ping_is_small_and_exactly_as_named(
    ping: Ping, raw: bytes, headers: dict[str, str], matches: bool
) -> None:
    assert ping.matches(raw, headers) is matches


def test_a_large_body_is_not_compared() -> None:
    class Pattern:
        def fullmatch(self, text: str) -> None:
            raise AssertionError(f"{len(text)} letters were compared")

    pattern: Any = Pattern()
    assert not Ping(pattern).matches(b"a" * 300_000, {})
    with pytest.raises(AssertionError, match="10 letters"):
        Ping(pattern).matches(b"a" * 10, {})


def test_a_challenge_that_was_signed_is_no_sign_of_a_wrong_clock() -> None:
    """Anybody can have one signed, at any time they name."""
    verifier = Verifier(
        "hmac-sha256", header="X-Sign", signed="{timestamp}.{body}", timestamp_header="X-Time"
    )
    shaking = source(
        "webhook", verifier=verifier, secrets=(SECRET,), handshake=Handshake("hmac", "challenge")
    )
    for body, is_only_late in ((b"challenge-1", False), (b'{"email": "ada@example.com"}', True)):
        made = hmac.new(SECRET, b"5." + body, hashlib.sha256).hexdigest()
        evidence = Evidence({"x-sign": made, "x-time": "5"}, {}, body)
        assert not shaking.admits(evidence, 1_800_000_000.0)
        assert shaking.is_only_untimely(evidence, 1_800_000_000.0) is is_only_late

"""Every known sender: its typical message with `preset` and `secret` alone, and nothing else configured.

First through the real settings without a server, then over sockets; beside them the signatures that the
senders themselves published, and what a site owner can read about each sender.
"""

import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from relay.cli import main as cli
from relay.config import presets, settings
from relay.config.environment import Unusable
from relay.config.settings import Settings
from relay.intake.content import body_key
from relay.intake.entry import header_key
from relay.intake.incoming import Incoming
from relay.sources import body as submission
from relay.sources.proof import Evidence, Verifier
from relay.sources.source import Source
from tests.config.presets import CASES
from tests.config.presets.case import NOW, PUBLIC_URL, Case, base64_mac
from tests.config.presets.vectors import VECTORS, Vector
from tests.kit.client import Answer, request
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config, toml
from tests.kit.upstream import ScriptedUpstream

PRESETS = presets.preset_names()
SECRETS = {case.preset: case.secret for case in CASES}
SIGN_UPS = [case for case in CASES if case.expect is not None]
NO_SIGN_UPS = [case for case in CASES if case.expect is None]
HANDSHAKES = {"intercom": "", "mailchimp": "?token=mc-token"}
WIDE = {"limits": "500/second; 100000/minute", "parallel": 16}
PROMISED = {
    *("typeform", "tally", "jotform", "google-ads", "webflow", "shopify", "woocommerce", "elementor"),
    *("contact-form-7", "fluent-forms", "unbounce", "framer", "netlify", "formspree", "formstack"),
    *(
        "paperform",
        "fillout",
        "clickfunnels",
        "kajabi",
        "calendly",
        "hubspot",
        "mailchimp",
        "stripe",
        "paddle",
    ),
    *("intercom", "wix", "zapier", "make", "google-forms", "standard-webhooks", "github"),
}
REFUSED = {
    "meta": "leadgen_id",
    "linkedin": "LinkedIn's API",
    "eventbrite": "api_url",
    "hubspot-app": "object ids",
}


def variable(preset: str) -> str:
    return f"SECRET_{preset.replace('-', '_').upper()}"


def sources() -> dict[str, Any]:
    """A source per preset, with nothing but what the issue promises to suffice."""
    return {
        name: {"kind": "webhook", "preset": name, "secret": f"env:{variable(name)}"}
        for name in sorted(SECRETS)
    }


def variables() -> dict[str, str]:
    return {"RELAY_PUBLIC_URL": PUBLIC_URL, **{variable(name): secret for name, secret in SECRETS.items()}}


def shows_a_secret(preset: str) -> bool:
    """Whether a sender's proof is the secret itself, and not in the body."""
    verify = presets.preset(preset)["source"]["verify"]
    return verify["scheme"] == "token" and "body" not in verify


def case_id(case: Case) -> str:
    return f"{case.preset}: {case.name}"


# --- without a server -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    file = tmp_path_factory.mktemp("presets") / "relay.toml"
    file.write_text(toml(config("http://127.0.0.1:1/", sources())), encoding="utf-8")
    return settings.load({"RELAY_CONFIG": str(file), "OCAMBA_TOKEN": "token", **variables()})


def incoming(case: Case, **changed: Any) -> Incoming:
    values = {
        "raw": case.body,
        "content_type": case.content_type,
        "headers": {name.lower(): value for name, value in case.headers_at(NOW).items()},
        "query": dict(urllib.parse.parse_qsl(case.query)),
        "url": case.url,
    }
    return Incoming(**{**values, **changed})


def parsed(source: Source, sent: Incoming) -> dict[str, Any]:
    return source.read(sent.raw, sent.content_type).fields


def admits(source: Source, sent: Incoming, now: float = NOW) -> bool:
    def fields() -> Any:
        try:
            return parsed(source, sent)
        except submission.BadBody:
            return None

    return source.admits(Evidence(sent.headers, sent.query, sent.raw, url=sent.url, fields=fields), now)


def is_ping(source: Source, case: Case) -> bool:
    return source.ping is not None and source.ping.matches(case.body, incoming(case).headers)


def test_every_promised_sender_is_known_and_tried_here() -> None:
    assert set(PRESETS) == PROMISED == set(SECRETS) == {case.preset for case in SIGN_UPS}


@pytest.mark.parametrize("case", SIGN_UPS, ids=case_id)
def test_a_sign_up_is_proven_and_becomes_the_profile(loaded: Settings, case: Case) -> None:
    source, sent = loaded.sources[case.preset], incoming(case)
    assert admits(source, sent)
    fields = parsed(source, sent)
    assert not source.is_excluded(fields, sent.headers) and not is_ping(source, case)
    mapped = source.mapping.apply(fields)
    assert (mapped.profile, mapped.errors, mapped.dropped) == (case.expect, {}, ())
    assert (body_key(source, fields) or header_key(source, sent)) == case.event_id


@pytest.mark.parametrize("case", NO_SIGN_UPS, ids=case_id)
def test_what_is_no_sign_up_is_known_as_such(loaded: Settings, case: Case) -> None:
    source, sent = loaded.sources[case.preset], incoming(case)
    if is_ping(source, case):
        assert not source.ping.matches(case.body + b"0" * 12, {})  # type: ignore[union-attr]
        return
    assert admits(source, sent), "a test must be proven too, or anybody could find out what is left out"
    assert source.is_excluded(parsed(source, sent), sent.headers)


@pytest.mark.parametrize("case", SIGN_UPS, ids=case_id)
def test_a_sign_up_without_its_proof_is_not_admitted(loaded: Settings, case: Case) -> None:
    source, sent = loaded.sources[case.preset], incoming(case)
    assert not admits(
        source, incoming(case, headers={}, query={}, raw=case.body.replace(b"ga-key-77", b"ga-key-78"))
    )
    stranger = {name: f"x{value}" for name, value in sent.headers.items()}
    query = {name: f"x{value}" for name, value in sent.query.items()}
    assert not admits(
        source, incoming(case, headers=stranger, query=query, raw=case.body.replace(b"ga-key", b"xx"))
    )


@pytest.mark.parametrize("case", [case for case in SIGN_UPS if case.stamped], ids=case_id)
def test_a_signature_with_a_time_is_good_for_a_while_only(loaded: Settings, case: Case) -> None:
    source = loaded.sources[case.preset]
    assert source.verifier is not None
    for now in (NOW + 2 * source.verifier.tolerance, NOW - 2 * source.verifier.tolerance):
        assert not admits(source, incoming(case), now)


SHAPES = {
    "calendly": {"event": "invitee.teleported", "payload": {"email": "a@example.org"}},
    "clickfunnels": {"event_type_id": "contact.identified", "data": {"email_address": "a@example.org"}},
    "intercom": {"topic": "person.met", "data": {"item": {"email": "a@example.org"}}},
    "kajabi": {"events": ["form_submission"], "payload": []},
    "mailchimp": {"data": {"email": "a@example.org"}},
    "netlify": {"data": {"email": "a@example.org"}},
    "paddle": {"alert_name": "customer_created", "email": "a@example.org"},
    "paperform": {"answers": [{"type": "email", "value": "a@example.org"}]},
    "stripe": {"data": {"object": {"email": "a@example.org"}}},
    "tally": {"data": {"fields": []}},
    "typeform": {"form_response": {"answers": []}},
    "webflow": {"name": "Sign-up", "data": {"Email": "a@example.org"}},
}


@pytest.mark.parametrize("preset", SHAPES)
def test_a_shape_that_the_sender_never_had_is_unknown_and_not_ignored(loaded: Settings, preset: str) -> None:
    assert loaded.sources[preset].is_unknown(SHAPES[preset], {})


@pytest.mark.parametrize("case", [*SIGN_UPS, *NO_SIGN_UPS], ids=case_id)
def test_no_known_message_is_of_unknown_shape(loaded: Settings, case: Case) -> None:
    source, sent = loaded.sources[case.preset], incoming(case)
    assert is_ping(source, case) or not source.is_unknown(parsed(source, sent), sent.headers)


@pytest.mark.parametrize("preset", PRESETS)
def test_who_sets_a_status_or_a_wait_says_why(preset: str) -> None:
    known = presets.preset(preset)
    notes = " ".join(known.get("notes", []))
    assert "success_status" not in known["source"] or "200" in notes
    assert "wait" not in known["source"] or "wait = " in notes
    assert known["source"].get("wait", 0) < 5


# Of the others it is not known, or it is longer than any wait.
PATIENCE = {
    1.25: ("wix",),
    5: ("shopify", "paddle", "intercom", "elementor", "fluent-forms", "unbounce"),
    10: ("github", "mailchimp", "tally"),
}


@pytest.mark.parametrize("seconds", PATIENCE)
def test_nobody_waits_for_a_verdict_until_the_sender_gives_up(loaded: Settings, seconds: float) -> None:
    assert all(loaded.sources[preset].wait < seconds for preset in PATIENCE[seconds])


# --- signatures others made -------------------------------------------------------------------------------


def evidence(vector: Vector, **changed: Any) -> Evidence:
    headers = {name.lower(): value for name, value in vector.headers.items()}
    values = {
        "headers": headers,
        "query": {},
        "body": vector.body,
        "method": vector.method,
        "url": vector.url,
    }
    return Evidence(**{**values, **changed})


def spoiled(vector: Vector) -> Iterator[tuple[str, Evidence, str, float]]:
    """Every way to change one part: its name, the evidence, the secret, the time."""
    whole = evidence(vector)
    for at in (0, len(vector.body) // 2, len(vector.body) - 1):
        body = bytearray(vector.body)
        body[at] ^= 1
        yield f"byte {at}", evidence(vector, body=bytes(body)), vector.secret, vector.now
    yield "one byte more", evidence(vector, body=vector.body + b"\n"), vector.secret, vector.now
    yield "one byte less", evidence(vector, body=vector.body[:-1]), vector.secret, vector.now
    for name, value in whole.headers.items():
        without = {key: text for key, text in whole.headers.items() if key != name}
        yield f"no {name}", evidence(vector, headers=without), vector.secret, vector.now
        turned = value.translate(str.maketrans("0123456789ao", "1234567890bp"))
        for damaged in ("", " ", "é", value[:5], turned, "\x00", "ÿ" * 64, "１２", "a,b=c;d " * 50):
            changed = {**without, name: damaged}
            yield f"{name}={damaged!r}", evidence(vector, headers=changed), vector.secret, vector.now
    last = vector.secret[-1]
    for secret in (
        vector.secret[:-2] + ("A" if vector.secret[-2] != "A" else "B") + last,
        "other" + vector.secret[5:],
    ):
        if secret.startswith("whsec_") == vector.secret.startswith("whsec_"):
            yield "another secret", whole, secret, vector.now
    if "{url}" in vector.verify.get("signed", ""):
        yield "another address", evidence(vector, url=vector.url + "?"), vector.secret, vector.now
        yield "another method", evidence(vector, method="PUT"), vector.secret, vector.now
    if "{timestamp}" in vector.verify.get("signed", ""):
        for late in (vector.verify["tolerance"] + 1, -vector.verify["tolerance"] - 401):
            yield f"{late} s later", whole, vector.secret, vector.now + late


def vector_id(vector: Vector) -> str:
    return f"{vector.verify['scheme']} {vector.source_of_fact.split('/')[-1]}"


@pytest.mark.parametrize("vector", VECTORS, ids=vector_id)
def test_a_published_signature_is_valid(vector: Vector) -> None:
    verifier = Verifier(**vector.verify)
    assert verifier.proves(evidence(vector), (verifier.key(vector.secret),), vector.now)
    assert verifier.proves(evidence(vector), (b"another", verifier.key(vector.secret)), vector.now)


@pytest.mark.parametrize("vector", VECTORS, ids=vector_id)
def test_a_published_signature_with_one_part_changed_is_not(vector: Vector) -> None:
    verifier = Verifier(**vector.verify)
    for what, changed, secret, now in spoiled(vector):
        assert verifier.proves(changed, (verifier.key(secret),), now) is False, what


def test_every_hmac_of_the_verifier_has_a_published_vector() -> None:
    assert {vector.verify["scheme"] for vector in VECTORS} == {"hmac-sha1", "hmac-sha256", "hmac-sha512"}


# --- over sockets -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    with RelayProcess(config(upstream.url, sources(), **WIDE), env=variables()) as process:
        yield process


def post(relay: RelayProcess, case: Case, **headers: str) -> Answer:
    """Post a case as its sender does, signed now."""
    # A little in the future: some cases are as old as their sender may be late.
    sent = {"Content-Type": case.content_type, **case.headers_at(time.time() + 5), **headers}
    path = f"/submit/{case.preset}" + (f"?{case.query}" if case.query else "")
    return request(relay.port, "POST", path, case.body, sent)


def status_of(preset: str, usual: int) -> int:
    return int(presets.preset(preset)["source"].get("success_status", usual))


@pytest.mark.parametrize("case", SIGN_UPS, ids=case_id)
def test_a_sign_up_arrives_once_and_is_answered_as_its_sender_needs(
    relay: RelayProcess, upstream: ScriptedUpstream, case: Case
) -> None:
    before = len(upstream.arrivals)
    answer = post(relay, case)
    assert answer.status == status_of(case.preset, 201), answer.text
    assert answer.json["state"] == "delivered" and "dropped" not in answer.json
    assert [arrival.json for arrival in upstream.arrivals[before:]] == [case.expect]
    again = post(relay, case)
    assert again.status == status_of(case.preset, 200) and again.json["repeat"] is True
    assert again.receipt == answer.receipt and len(upstream.arrivals) == before + 1
    assert relay.submission(answer.receipt or "")["reason"] is None


def test_svixs_own_header_names_are_those_of_the_specification(relay: RelayProcess) -> None:
    case = next(case for case in SIGN_UPS if case.preset == "standard-webhooks")
    case = replace(case, body=case.body.replace(b"ludovica@", b"svix@"), headers={"webhook-id": "msg_svix"})
    key, at = b"twenty-four bytes of key", str(int(time.time()))
    proof = "v1," + base64_mac(key, f"msg_svix.{at}.".encode() + case.body)

    def sent(**headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["Content-Type"] = case.content_type
        return request(relay.port, "POST", "/submit/standard-webhooks", case.body, named)

    svix = {"svix_id": "msg_svix", "svix_timestamp": at, "svix_signature": proof}
    taken = sent(**svix)
    assert taken.status == 201, taken.text
    again = [sent(**svix, webhook_id="msg_other", webhook_timestamp="1")]
    again += [sent(webhook_id="msg_svix", webhook_timestamp=at, webhook_signature=proof)]
    assert [(one.status, one.receipt) for one in again] == [(200, taken.receipt)] * 2
    mixed = {
        "an id of the other's": {"svix_signature": proof, "svix_timestamp": at, "webhook_id": "msg_svix"},
        "a time of the other's": {"svix_signature": proof, "svix_id": "msg_svix", "webhook_timestamp": at},
        "a proof of the other's": {**svix, "webhook_signature": "v1,AAAA"},
        "another id": {**svix, "svix_id": "msg_other"},
    }
    assert {what: sent(**headers).status for what, headers in mixed.items()} == dict.fromkeys(mixed, 401)


@pytest.mark.parametrize("case", NO_SIGN_UPS, ids=case_id)
def test_pings_tests_and_other_events_are_welcome_and_store_nothing(relay: RelayProcess, case: Case) -> None:
    before = relay.rows(False, source=case.preset)
    answer = post(relay, case)
    assert answer.status == status_of(case.preset, 200) and answer.json == {"state": "ignored"}
    assert relay.rows(False, source=case.preset) == before


@pytest.mark.parametrize("preset", PRESETS)
def test_a_senders_get_is_answered_if_it_makes_one(relay: RelayProcess, preset: str) -> None:
    before = relay.rows(False)
    path = f"/submit/{preset}{HANDSHAKES.get(preset, '')}"
    for method in ("GET", "HEAD"):
        answer = request(relay.port, method, path)
        assert answer.status == (200 if preset in HANDSHAKES else 405), method
    assert relay.rows(False) == before
    assert ("handshake" in presets.preset(preset)["source"]) == (preset in HANDSHAKES)


@pytest.mark.parametrize("preset", [name for name in sorted(SECRETS) if shows_a_secret(name)])
def test_a_sender_that_cannot_sign_shows_its_secret_either_way(preset: str) -> None:
    """Some let a header be set that did not before; and whoever tries it out takes what they know."""
    verifier = Verifier(**presets.preset(preset)["source"]["verify"])
    keys = (SECRETS[preset].encode(),)
    for header, query in ((f"Bearer {SECRETS[preset]}", ""), ("", SECRETS[preset])):
        evidence = Evidence({"authorization": header}, {"token": query}, b"")
        assert verifier.proves(evidence, keys, NOW)


def test_what_went_wrong_does_not_switch_a_hook_off(relay: RelayProcess) -> None:
    """A person without a contact is kept, and a machine that punishes errors is told nothing of it."""
    for preset, body in {"zapier": {"id": "1"}, "elementor": None}.items():
        proof = {"Authorization": f"Bearer {SECRETS[preset]}"}
        if body is None:
            sent = request(
                relay.port,
                "POST",
                f"/submit/{preset}?token={SECRETS[preset]}",
                b"Your+Name=Ada",
                {"Content-Type": "application/x-www-form-urlencoded"},
            )
        else:
            sent = request(
                relay.port,
                "POST",
                f"/submit/{preset}",
                b'{"id": "1", "name": "Ada"}',
                {**proof, "Content-Type": "application/json"},
            )
        assert sent.status == status_of(preset, 202) and sent.json["state"] == "kept"
        assert relay.state(sent.receipt or "") == "invalid"


def test_no_secret_of_a_sender_is_anywhere(relay: RelayProcess) -> None:
    """Runs last: also a secret in an address or a body is never written down."""
    eventually(lambda: "submission.accepted" in relay.output(), 10, "the log")
    text = relay.output()
    for preset, secret in SECRETS.items():
        if preset != "google-ads":
            assert secret not in text and urllib.parse.quote(secret) not in text, preset
    assert "ga-key-77" not in text


# --- what a site owner reads ------------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = cli.main(arguments)
    said = capsys.readouterr()
    return status, said.out, said.err


def test_the_list_names_every_sender(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "presets")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == PRESETS


@pytest.mark.parametrize("preset", PRESETS)
def test_a_sender_is_shown_with_where_to_click(
    preset: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RELAY_PUBLIC_URL", raising=False)
    status, out, _ = run(capsys, "presets", "show", preset)
    assert status == 0 and "1. " in out
    assert (
        "https://<your relay>/submit/<source>" in out.split("{\n")[0] and "{url}" not in out.split("{\n")[0]
    )
    monkeypatch.setenv("RELAY_PUBLIC_URL", "https://relay.example.com/")
    _, out, _ = run(capsys, "presets", "show", preset)
    assert "https://relay.example.com/submit/<source>" in out


@pytest.mark.parametrize(("name", "why"), REFUSED.items(), ids=REFUSED)
def test_a_sender_that_cannot_work_is_refused_with_the_reason(
    name: str, why: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, out, err = run(capsys, "presets", "show", name)
    assert (status, out) == (2, "") and why in err and err.count("\n") == 1
    file = tmp_path / "relay.toml"
    source = {"crm": {"kind": "webhook", "preset": name, "secret": "env:S"}}
    file.write_text(toml(config("http://127.0.0.1:1/", source)), encoding="utf-8")
    with pytest.raises(Unusable) as refused:
        settings.load({"RELAY_CONFIG": str(file), "OCAMBA_TOKEN": "t", "S": "s"})
    (problem,) = refused.value.problems
    assert problem.where.endswith("sources.crm.preset") and why in problem.what
    assert "zapier" in problem.what or "hubspot" in problem.what, "what to do instead"


def test_an_unknown_sender_is_a_likely_misspelling(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "presets", "show", "typefrom")
    assert status == 2 and "did you mean typeform" in err


def test_a_sources_own_keys_go_before_the_presets(tmp_path: Path) -> None:
    file = tmp_path / "relay.toml"
    own = {
        "kind": "webhook",
        "preset": "stripe",
        "secret": "env:S",
        "only": "type == 'customer.created'",
        "fields": {"full_name": "data.object.nickname"},
        "verify": {"tolerance": 60},
    }
    file.write_text(toml(config("http://127.0.0.1:1/", {"shop": own})), encoding="utf-8")
    source = settings.load({"RELAY_CONFIG": str(file), "OCAMBA_TOKEN": "t", "S": "s"}).sources["shop"]
    assert source.verifier is not None
    assert (source.verifier.tolerance, source.verifier.header) == (60, "Stripe-Signature")
    thing = {"email": "ada@example.com", "name": "Countess", "nickname": "Ada"}
    event = {"type": "customer.created", "data": {"object": thing}}
    assert source.mapping.apply(event).profile == {"email": "ada@example.com", "full_name": "Ada"}
    assert source.is_excluded({**event, "type": "checkout.session.completed"}, {})

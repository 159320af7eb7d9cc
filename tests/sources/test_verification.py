"""Proofs of senders: one valid message per scheme, and everything that may be wrong with it."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field, replace
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.sources.proof import BEARER, SCHEMES, Evidence, Verifier

NOW = 1_790_000_000.0
BODY = b'{"email": "jane@example.com", "id": 7}'
SECRET = b"a secret of at least thirty-two bytes"
OTHER = b"another source's secret, as long as that"


@dataclass(frozen=True)
class Message:
    """A message that its verifier accepts."""

    verifier: Verifier
    headers: dict[str, str]
    body: bytes = BODY
    query: dict[str, str] = field(default_factory=dict)
    url: str = "https://relay.example/submit/crm"

    def proves(self, *secrets: bytes, now: float = NOW, **changed: Any) -> bool:
        sent = replace(self, **changed)
        evidence = Evidence(
            headers=sent.headers,
            query=sent.query,
            body=sent.body,
            url=sent.url,
            fields=lambda: _parsed(sent.body),
        )
        return sent.verifier.proves(evidence, secrets or (SECRET,), now)

    def with_header(self, name: str, value: str | None) -> dict[str, str]:
        headers = {key: text for key, text in self.headers.items() if key != name}
        return headers if value is None else {**headers, name: value}


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def mac(text: bytes, secret: bytes = SECRET, digest: str = "sha256") -> bytes:
    return hmac.new(secret, text, digest).digest()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


STAMP = str(int(NOW))
STAMPED = mac(STAMP.encode() + b"." + BODY)
HEX = Message(Verifier("hmac-sha256", header="X-Sig"), {"x-sig": mac(BODY).hex()})
PREFIXED = Message(
    Verifier("hmac-sha256", header="X-Sig", prefix="sha256="), {"x-sig": "sha256=" + mac(BODY).hex()}
)
BASE64 = Message(
    Verifier("hmac-sha512", header="X-Sig", encoding="base64"), {"x-sig": b64(mac(BODY, digest="sha512"))}
)
SHA1_URL = Message(
    Verifier("hmac-sha1", header="X-Sig", encoding="base64", signed="{url}{body}"),
    {"x-sig": b64(mac(b"https://relay.example/submit/crm" + BODY, digest="sha1"))},
)
PAIRS = Message(
    Verifier("hmac-sha256", header="X-Sig", pairs=",", signed="{timestamp}.{body}"),
    {"x-sig": f"t={STAMP},v1={STAMPED.hex()}"},
)
TIMESTAMPED = Message(
    Verifier("hmac-sha256", header="X-Sig", signed="{timestamp}.{body}", timestamp_header="X-Time"),
    {"x-sig": STAMPED.hex(), "x-time": STAMP},
)
STANDARD = Message(
    Verifier(
        "hmac-sha256",
        header="Webhook-Signature",
        prefix="v1,",
        separator=" ",
        encoding="base64",
        signed="{id}.{timestamp}.{body}",
        id_header="Webhook-Id",
        timestamp_header="Webhook-Timestamp",
    ),
    {
        "webhook-signature": "v1," + b64(mac(b"m1." + STAMP.encode() + b"." + BODY)),
        "webhook-id": "m1",
        "webhook-timestamp": STAMP,
    },
)
TOKEN = Message(Verifier("token", header="X-Token"), {"x-token": SECRET.decode()})
WORDED = Message(Verifier("token", header="X-Token"), {"x-token": "Bearer " + SECRET.decode()})
IN_BODY = Message(
    Verifier("token", body="google_key"), {}, json.dumps({"google_key": SECRET.decode()}).encode()
)
IN_PATH = Message(
    Verifier("token", body="meta.key"), {}, json.dumps({"meta": {"key": SECRET.decode()}}).encode()
)
BASIC = Message(Verifier("basic", header="Authorization"), {"authorization": "Basic " + b64(SECRET)})
IN_HEADER = Message(BEARER, {"authorization": "Bearer " + SECRET.decode()})
IN_QUERY = Message(BEARER, {}, query={"token": SECRET.decode()})
CLAIMS = {"iss": "netlify", "sha256": hashlib.sha256(BODY).hexdigest()}
JWT = Message(
    Verifier("jwt", header="X-Jwt", issuer="netlify", body_claim="sha256"),
    {"x-jwt": jwt.encode(CLAIMS, SECRET, "HS256")},
)
VALID = {
    "hex": HEX,
    "prefixed": PREFIXED,
    "base64 sha512": BASE64,
    "sha1 over the address": SHA1_URL,
    "pairs": PAIRS,
    "timestamped": TIMESTAMPED,
    "standard webhooks": STANDARD,
    "token": TOKEN,
    "token after the word of another header": WORDED,
    "token in the body": IN_BODY,
    "token deep in the body": IN_PATH,
    "basic": BASIC,
    "bearer": IN_HEADER,
    "?token=": IN_QUERY,
    "jwt": JWT,
}
SIGNED = {name: VALID[name] for name in list(VALID)[:7]}
COVERING_BODY = {**SIGNED, "jwt": JWT}
PROOF = {"webhook-signature", "x-sig", "x-token", "authorization", "x-jwt"}


def proof_header(message: Message) -> str:
    return next(name for name in message.headers if name in PROOF)


@pytest.mark.parametrize("message", VALID.values(), ids=VALID.keys())
def test_a_valid_proof_proves(message: Message) -> None:
    assert message.proves()


def test_every_scheme_is_tried_here() -> None:
    assert {message.verifier.scheme for message in VALID.values()} == set(SCHEMES)


@pytest.mark.parametrize("message", VALID.values(), ids=VALID.keys())
def test_another_sources_secret_proves_nothing(message: Message) -> None:
    assert not message.proves(OTHER)


@pytest.mark.parametrize("message", VALID.values(), ids=VALID.keys())
def test_of_two_secrets_either_proves(message: Message) -> None:
    assert message.proves(OTHER, SECRET)
    assert message.proves(SECRET, OTHER)


@pytest.mark.parametrize("message", VALID.values(), ids=VALID.keys())
@pytest.mark.parametrize("secrets", [(), (b"",), (b"", b"")])
def test_without_a_secret_nothing_is_proven(message: Message, secrets: tuple[bytes, ...]) -> None:
    """Fails closed, also for a proof made with an empty secret."""
    empty = {"x-sig": mac(BODY, b"").hex(), "x-token": "", "authorization": "Bearer "}
    evidence = Evidence({**message.headers, **empty}, {"token": ""}, message.body)
    assert not message.verifier.proves(evidence, secrets, NOW)


@pytest.mark.parametrize("message", [m for m in VALID.values() if m.headers])
@pytest.mark.parametrize(
    "spoil",
    [
        None,
        "",
        " ",
        "null",
        "wrong",
        "é",
        "\xff\xfe",
        "x" * 100_000,
        "v1,",
        "t=1,v1=",
        "=",
        ",",
        "sha256=",
        "Basic",
        "Basic !!!!",
        "Bearer",
        "0" * 64,
        b64(bytes(32)),
        "a.b.c",
    ],
    ids=ascii,
)
def test_what_is_no_proof_proves_nothing(message: Message, spoil: str | None) -> None:
    """Never an exception, either."""
    assert not message.proves(headers=message.with_header(proof_header(message), spoil))


@pytest.mark.parametrize("message", SIGNED.values(), ids=SIGNED.keys())
@pytest.mark.parametrize(
    "spoil",
    [
        lambda proof: proof[:-1],
        lambda proof: proof[:-1] + ("0" if proof[-1] != "0" else "1"),
        lambda proof: proof[: len(proof) // 2],
        lambda proof: proof + "0",
        lambda proof: proof[1:],
        lambda proof: proof[::-1],
        lambda proof: "v0," + proof.replace("sha256=", "sha1=").replace("v1", "v0"),
        lambda proof: proof[:-1] + "é",
    ],
    ids=["cut", "last changed", "half", "longer", "first missing", "reversed", "other version", "non-ASCII"],
)
def test_a_signature_that_is_slightly_wrong_proves_nothing(message: Message, spoil: Any) -> None:
    header = proof_header(message)
    spoiled = spoil(message.headers[header])
    assert not message.proves(headers=message.with_header(header, spoiled))


@pytest.mark.parametrize("message", COVERING_BODY.values(), ids=COVERING_BODY.keys())
@pytest.mark.parametrize(
    "body",
    [
        b"",
        BODY + b" ",
        BODY + b"\n",
        BODY[:-1],
        BODY.replace(b"jane", b"jine"),
        json.dumps(json.loads(BODY), separators=(",", ":")).encode(),
        b"\xef\xbb\xbf" + BODY,
    ],
    ids=["empty", "blank added", "newline added", "cut", "one byte changed", "serialised anew", "BOM"],
)
def test_a_signature_covers_every_byte(message: Message, body: bytes) -> None:
    assert not message.proves(body=body)


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255), st.sampled_from(list(COVERING_BODY)))
@settings(max_examples=60)
def test_no_flipped_byte_goes_unnoticed(position: int, flip: int, name: str) -> None:
    body = bytearray(BODY)
    body[position] ^= flip
    assert not COVERING_BODY[name].proves(body=bytes(body))


def test_a_signature_over_the_address_is_for_that_address() -> None:
    assert SHA1_URL.verifier.needs_url
    assert not HEX.verifier.needs_url
    assert not SHA1_URL.proves(url="https://relay.example/submit/other")


def test_an_id_that_is_signed_must_be_there_unchanged() -> None:
    assert not STANDARD.proves(headers=STANDARD.with_header("webhook-id", "m2"))
    assert not STANDARD.proves(headers=STANDARD.with_header("webhook-id", None))


# --- published vectors --------------------------------------------------------------------------------


def test_githubs_published_example_proves() -> None:
    """docs.github.com, Validating webhook deliveries."""
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    message = Message(
        Verifier("hmac-sha256", header="X-Hub-Signature-256", prefix="sha256="),
        {"x-hub-signature-256": "sha256=" + digest},
        b"Hello, World!",
    )
    assert message.proves(b"It's a Secret to Everybody")
    assert not message.proves(b"It's a secret to everybody")


def test_standard_webhooks_published_example_proves() -> None:
    """The test vector of the reference libraries of standardwebhooks.com."""
    message = replace(
        STANDARD,
        headers={
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        body=b'{"test": 2432232314}',
    )
    key = replace(STANDARD.verifier, secret_encoding="whsec").key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert message.proves(key, now=1614265330)
    assert not message.proves(key, now=1614265330 + 301)


# --- several candidates -------------------------------------------------------------------------------


def test_any_of_several_signatures_in_a_header_may_be_the_right_one() -> None:
    right = STANDARD.headers["webhook-signature"]
    wrong = "v1," + b64(bytes(32))
    for value in (f"{wrong} {right}", f"{right} {wrong}", f"v2,{b64(b'x')} {right}", f"v1a,x {right}"):
        assert STANDARD.proves(headers=STANDARD.with_header("webhook-signature", value))
    assert PAIRS.proves(headers={"x-sig": f"t={STAMP},v1={'0' * 64},v1={STAMPED.hex()},v0=zzz"})


def test_a_hundred_candidates_are_a_guess() -> None:
    right = STANDARD.headers["webhook-signature"]
    wrong = " ".join(["v1," + b64(bytes(32))] * 99)
    assert not STANDARD.proves(headers=STANDARD.with_header("webhook-signature", f"{wrong} {right}"))


@pytest.mark.parametrize(
    "value",
    [
        f"t={STAMP},t={STAMP},v1={STAMPED.hex()}",
        f"t={STAMP},t=1,v1={STAMPED.hex()}",
        f"v1={STAMPED.hex()}",
        f"t=,v1={STAMPED.hex()}",
        f"t={STAMP}",
        f"t={STAMP},v2={STAMPED.hex()}",
        f"t={STAMP};v1={STAMPED.hex()}",
    ],
)
def test_pairs_need_one_timestamp_and_a_signature(value: str) -> None:
    assert not PAIRS.proves(headers={"x-sig": value})


@pytest.mark.parametrize(
    "value",
    [
        f" t={STAMP} , v1={STAMPED.hex()} ",
        f"v1={STAMPED.hex()},t={STAMP}",
        f"t={STAMP},v1={STAMPED.hex().upper()}",
    ],
)
def test_pairs_may_be_spaced_and_ordered_freely(value: str) -> None:
    assert PAIRS.proves(headers={"x-sig": value})


def test_hex_may_be_upper_case() -> None:
    assert HEX.proves(headers={"x-sig": mac(BODY).hex().upper()})


# --- timestamps ------------------------------------------------------------------------


def stamped(text: str | None, unit: str = "s", tolerance: float = 300) -> bool:
    """Whether a message with this timestamp, signed with it, is taken now."""
    verifier = replace(TIMESTAMPED.verifier, timestamp_unit=unit, tolerance=tolerance)
    signed = (text or "").encode("latin-1", "replace") + b"." + BODY
    headers = {"x-sig": mac(signed).hex(), **({} if text is None else {"x-time": text})}
    return Message(verifier, headers).proves()


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        (STAMP, True),
        (str(int(NOW) - 300), True),
        (str(int(NOW) + 300), True),
        (str(int(NOW) - 301), False),
        (str(int(NOW) + 301), False),
        (STAMP + "000", False),
        ("nan", False),
        ("inf", False),
        ("1e9", False),
        ("1.79e9", False),
        (STAMP + ".0", False),
        ("１７９０００００００", False),
        ("1_790_000_000", False),
        ("-1790000000", False),
        ("+1790000000", False),
        (" 1790000000", False),
        ("1790000000\n", False),
        ("0x6ab13b80", False),
        ("", False),
        ("0", False),
        ("9" * 14, False),
        ("9" * 5000, False),
        (None, False),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_timestamp_is_digits_and_close_to_now(text: str | None, taken: bool) -> None:
    assert stamped(text) is taken


def test_a_timestamp_may_be_in_milliseconds() -> None:
    assert stamped(STAMP + "000", unit="ms")
    assert stamped(str(int(NOW * 1000) - 300_000), unit="ms")
    assert not stamped(str(int(NOW * 1000) - 300_001), unit="ms")
    assert not stamped(STAMP, unit="ms")


def test_the_tolerance_is_configured() -> None:
    assert stamped(str(int(NOW) - 3000), tolerance=3600)
    assert not stamped(str(int(NOW) - 11), tolerance=10)


@pytest.mark.parametrize("message", [PAIRS, TIMESTAMPED, STANDARD], ids=["pairs", "header", "standard"])
def test_an_old_message_is_not_taken_again(message: Message) -> None:
    assert message.proves(now=NOW + 299)
    assert not message.proves(now=NOW + 301)
    assert not message.proves(now=NOW - 301)


@pytest.mark.parametrize("message", [PAIRS, TIMESTAMPED, STANDARD], ids=["pairs", "header", "standard"])
def test_a_proof_that_is_right_but_for_its_time_is_told_from_a_wrong_one(message: Message) -> None:
    def only_untimely(body: bytes, secret: bytes) -> bool:
        evidence = Evidence(headers=message.headers, query={}, body=body)
        return message.verifier.is_only_untimely(evidence, (secret,), NOW + 600)

    assert only_untimely(message.body, SECRET)
    assert not only_untimely(message.body + b" ", SECRET)
    assert not only_untimely(message.body, OTHER)


def test_a_timestamp_that_is_not_the_signed_one_proves_nothing() -> None:
    assert not TIMESTAMPED.proves(headers=TIMESTAMPED.with_header("x-time", str(int(NOW) + 1)))


# --- shown secrets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_of_a_bearer_token_is_case_blind_and_its_value_is_not(scheme: str) -> None:
    assert IN_HEADER.proves(headers={"authorization": f"{scheme}  {SECRET.decode()} "})
    assert not IN_HEADER.proves(headers={"authorization": f"{scheme} {SECRET.decode().upper()}"})


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": SECRET.decode()},
        {"authorization": "Basic " + SECRET.decode()},
        {"x-authorization": "Bearer " + SECRET.decode()},
        {"authorization": "Bearer " + SECRET.decode()[:-1]},
        {"authorization": "Bearer " + SECRET.decode() + "x"},
    ],
)
def test_a_bearer_token_stands_where_it_belongs(headers: dict[str, str]) -> None:
    assert not IN_HEADER.proves(headers=headers)


def test_a_secret_need_not_be_ascii() -> None:
    """WSGI hands bytes over as Latin-1."""
    secret = "geheimnis-für-café"
    header = f"Bearer {secret}".encode().decode("latin-1")
    assert IN_HEADER.proves(secret.encode(), headers={"authorization": header})
    assert IN_HEADER.proves(secret.encode(), headers={}, query={"token": secret})


def test_a_plus_in_an_address_is_what_it_was_written_as() -> None:
    plus = Message(BEARER, {}, query={"token": "base64 of/random bytes=="})
    assert plus.proves(b"base64+of/random+bytes==")
    assert plus.proves(b"base64 of/random bytes==")
    assert not plus.proves(b"base64-of/random-bytes==")


@pytest.mark.parametrize(
    "query", [{}, {"token": ""}, {"Token": SECRET.decode()}, {"token": "\ud800"}, {"token": "é"}], ids=ascii
)
def test_a_wrong_query_proves_nothing(query: dict[str, str]) -> None:
    assert not IN_QUERY.proves(query=query)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"no json",
        b'{"google_key": null}',
        b'{"google_key": 7}',
        b'{"google_key": true}',
        b'{"google_key": [" "]}',
        b'{"google_key": {"a": 1}}',
        b'{"google_key": ""}',
        b'{"google_key": "\\ud800"}',
        b'{"Google_Key": "' + SECRET + b'"}',
    ],
)
def test_a_wrong_key_in_the_body_proves_nothing(body: bytes) -> None:
    """The value that is checked is the one that is there once."""
    assert not IN_BODY.proves(body=body)


def test_a_body_that_is_no_object_is_not_searched() -> None:
    assert not IN_PATH.proves(body=b'"meta"')
    assert not IN_PATH.proves(body=b'{"meta": 5}')


def test_basic_is_user_and_password() -> None:
    basic = "Basic " + b64(b"jane:pass:word")
    assert BASIC.proves(b"jane:pass:word", headers={"authorization": basic})
    assert not BASIC.proves(b"jane:pass", headers={"authorization": basic})


# --- signed tokens --------------------------------------------------------------------------------------


def token(secret: bytes = SECRET, algorithm: str = "HS256", **claims: Any) -> dict[str, str]:
    return {"x-jwt": jwt.encode({**CLAIMS, **claims}, secret, algorithm)}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        token(iss="other"),
        token(sha256="0" * 64),
        token(sha256=None),
        token(sha256=7),
        token(sha256="\ud800"),
        token(exp=NOW - 301),
        token(nbf=NOW + 301),
        token(iat=NOW + 301),
        token(secret=OTHER),
        token(algorithm="HS384", secret=SECRET * 2),
        {"x-jwt": jwt.encode(CLAIMS, "", "none")},
    ],
    ids=str,
)
def test_a_token_that_is_wrong_late_or_otherwise_signed_proves_nothing(headers: dict[str, str]) -> None:
    assert not JWT.proves(headers=headers)


@pytest.mark.parametrize("claims", [{"exp": NOW - 299}, {"nbf": NOW + 299}, {"iat": NOW}, {"exp": NOW + 1e6}])
def test_a_tokens_times_are_read_with_the_tolerance(claims: dict[str, Any]) -> None:
    assert JWT.proves(headers=token(**claims))


@pytest.mark.parametrize("value", ["soon", None, [1], {}, float("nan")])
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_a_tokens_times_are_numbers(name: str, value: Any) -> None:
    encoded = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT"}, {**CLAIMS, name: value})
    ]
    signed = b".".join(encoded)
    signature = base64.urlsafe_b64encode(mac(signed)).rstrip(b"=")
    assert not JWT.proves(headers={"x-jwt": (signed + b"." + signature).decode()})


# --- keys -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "secret", "key"),
    [
        ("utf8", "plain", b"plain"),
        ("utf8", "whsec_x", b"whsec_x"),
        ("utf8", "für", "für".encode()),
        ("base64", b64(b"\x00\xff key"), b"\x00\xff key"),
        ("base64", b64(b"padding").rstrip("="), b"padding"),
        ("whsec", "whsec_" + b64(b"\x00\xff key"), b"\x00\xff key"),
        ("whsec", b64(b"\x00\xff key"), b"\x00\xff key"),
    ],
)
def test_a_secret_is_read_by_its_encoding(encoding: str, secret: str, key: bytes) -> None:
    assert replace(HEX.verifier, secret_encoding=encoding).key(secret) == key


@pytest.mark.parametrize("encoding", ["base64", "whsec"])
@pytest.mark.parametrize("secret", ["not base64!", "abcde", "whsec_ü", "a b c d"])
def test_a_secret_that_is_not_so_encoded_is_reported_without_its_value(encoding: str, secret: str) -> None:
    with pytest.raises(ValueError, match="-encoded") as refused:
        replace(HEX.verifier, secret_encoding=encoding).key(secret)
    assert secret not in str(refused.value)


# --- whatever comes -----------------------------------------------------------------------------------

ANY_TEXT = st.text(max_size=60)


@settings(max_examples=200)
@given(st.sampled_from(list(VALID)), ANY_TEXT, ANY_TEXT, st.binary(max_size=60))
def test_no_proof_raises(name: str, proof: str, stamp: str, body: bytes) -> None:
    """Never an error, whatever the bytes."""
    message = VALID[name]
    names = [
        "x-sig",
        "x-time",
        "webhook-signature",
        "webhook-timestamp",
        "webhook-id",
        "authorization",
        "x-jwt",
    ]
    headers = {**dict.fromkeys(names, proof), "x-time": stamp, "webhook-timestamp": stamp}
    assert not message.proves(headers=headers, query={"token": proof}, body=body)

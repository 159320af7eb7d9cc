"""Signatures that the senders themselves, or others, published: the relay must find them right."""

from dataclasses import dataclass
from typing import Any

from tests.config.presets.case import NOW


@dataclass(frozen=True)
class Vector:
    """A signature somebody else made: it must verify, and must not with anything changed."""

    source_of_fact: str
    verify: dict[str, Any]
    secret: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"
    url: str = ""
    now: float = NOW


_STANDARD = {
    "scheme": "hmac-sha256",
    "header": "webhook-signature",
    "prefix": "v1,",
    "separator": " ",
    "encoding": "base64",
    "signed": "{id}.{timestamp}.{body}",
    "id_header": "webhook-id",
    "timestamp_header": "webhook-timestamp",
    "tolerance": 300,
    "secret_encoding": "whsec",
}
_SVIX = {
    **_STANDARD,
    "header": "svix-signature",
    "id_header": "svix-id",
    "timestamp_header": "svix-timestamp",
}
_HUB = {"scheme": "hmac-sha256", "header": "X-Hub-Signature-256", "prefix": "sha256=", "encoding": "hex"}

_STRIPE_EVENT = b"""{
  "id": "evt_123",
  "object": "event",
  "account": "acct_123",
  "api_version": "2017-05-25",
  "created": 1533204620,
  "data": {
    "object": {
      "id": "cus_123",
      "object": "customer",
      "created": 123456789,
      "email": "test@stripe.com",
      "livemode": false,
      "metadata": {}
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {
    "id": "req_123",
    "idempotency_key": "idempotency-key-123"
  },
  "type": "customer.created"
}
"""

_SLACK_COMMAND = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554"
    b"%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)

VECTORS = [
    Vector(
        # The specification's reference library, test_sign_function; also in Svix's documentation.
        "github.com/standard-webhooks/standard-webhooks libraries/python/tests/test_webhooks.py",
        _STANDARD,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        now=1614265330,
    ),
    Vector(
        # The same, with the wrong signatures of test_multi_sig_payload_is_valid round it.
        "github.com/standard-webhooks/standard-webhooks libraries/python/tests/test_webhooks.py",
        _STANDARD,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= "
            "v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= "
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= "
            "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=",
        },
        b'{"test": 2432232314}',
        now=1614265330 + 299,
    ),
    Vector(
        # The example of Svix's "Verifying webhooks manually", under Svix's own header names.
        "docs.svix.com/receiving/verifying-payloads/how-manual",
        _SVIX,
        "whsec_plJ3nmyCDGBKInavdOK15jsl",
        {
            "svix-id": "msg_loFOjxBNrRLzqYUf",
            "svix-timestamp": "1731705121",
            "svix-signature": "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
        },
        b'{"event_type":"ping","data":{"success":true}}',
        now=1731705121,
    ),
    Vector(
        # "Testing the webhook payload validation" of GitHub's documentation.
        "docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
        _HUB,
        "It's a Secret to Everybody",
        {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        b"Hello, World!",
    ),
    Vector(
        # The worked example of Slack's documentation.
        "docs.slack.dev/authentication/verifying-requests-from-slack",
        {
            "scheme": "hmac-sha256",
            "header": "X-Slack-Signature",
            "prefix": "v0=",
            "encoding": "hex",
            "signed": "v0:{timestamp}:{body}",
            "timestamp_header": "X-Slack-Request-Timestamp",
            "tolerance": 300,
        },
        "8f742231b10e8888abcd99yyyzzz85a5",
        {
            "X-Slack-Request-Timestamp": "1531420618",
            "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        },
        _SLACK_COMMAND,
        now=1531420618 + 60,
    ),
    Vector(
        # EventUtilityTest.cs and its resource event_test_signature.json; v0 is not to be trusted.
        "github.com/stripe/stripe-dotnet src/StripeTests/Services/Events/EventUtilityTest.cs",
        {
            "scheme": "hmac-sha256",
            "header": "Stripe-Signature",
            "pairs": ",",
            "timestamp_key": "t",
            "signature_key": "v1",
            "encoding": "hex",
            "signed": "{timestamp}.{body}",
            "tolerance": 300,
        },
        "webhook_secret",
        {
            "Stripe-Signature": "t=1533204620,"
            "v1=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7,"
            "v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"
        },
        _STRIPE_EVENT,
        now=1533204620 + 100,
    ),
    Vector(
        # test_validate_paddle_signature_header_integrity: a wrong signature stands before the right one.
        "github.com/PaddleHQ/paddle-python-sdk tests/Unit/Notification/test_Verifier.py",
        {
            "scheme": "hmac-sha256",
            "header": "Paddle-Signature",
            "pairs": ";",
            "timestamp_key": "ts",
            "signature_key": "h1",
            "encoding": "hex",
            "signed": "{timestamp}:{body}",
            "tolerance": 5,
        },
        "pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_WvRO0eL4Bj9rgYYIBZY6wZhG4EHy9jzh",
        {
            "Paddle-Signature": "ts=1696195954;h1=dummy;"
            "h1=d96299976a6eb066f484d7fde011ac56fc32b38fc9940bc419d6e537fdc6ef02"
        },
        b"hello-world",
        now=1696195954 + 5,
    ),
    Vector(
        # test_get_signature__v3; the timestamp is in milliseconds.
        "github.com/HubSpot/hubspot-api-python tests/spec/utils/test_signature.py",
        {
            "scheme": "hmac-sha256",
            "header": "X-HubSpot-Signature-v3",
            "encoding": "base64",
            "signed": "{method}{url}{body}{timestamp}",
            "timestamp_header": "X-HubSpot-Request-Timestamp",
            "timestamp_unit": "ms",
            "tolerance": 300,
        },
        "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy",
        {
            "X-HubSpot-Request-Timestamp": "15000000",
            "X-HubSpot-Signature-v3": "HPW73RUtKmcYoEDADG0s6MmGFWUzWJKAW07r8RDgcQw=",
        },
        b"{'example_field':'example_value'}",
        url="https://www.example.com/webhook_uri",
        now=15000,
    ),
    Vector(
        # TestVerifyWebhookRequest: its client sends the message as JSON, so with the quotes.
        "github.com/bold-commerce/go-shopify oauth_test.go",
        {"scheme": "hmac-sha256", "header": "X-Shopify-Hmac-Sha256", "encoding": "base64"},
        "hush",
        {"X-Shopify-Hmac-Sha256": "hMTq0K2x7oyOjoBwGYeTj5oxfnaVYXzbanUG9aajpKI="},
        b'"my secret message"',
    ),
    Vector(
        # A real delivery of 2026-09-25, written down with its key.
        "github.com/hookdeck/webhook-skills skills/formstack-webhooks/references/verification.md",
        {"scheme": "hmac-sha256", "header": "X-FS-Signature", "prefix": "sha256=", "encoding": "hex"},
        "test1",
        {"X-FS-Signature": "sha256=30dff7f180b6d69eab397a5d51719474df490b730514c253e8b5832d3b51b970"},
        b"FormID=6606394&UniqueID=1500878955&HandshakeKey=test",
    ),
    Vector(
        # No sender of SHA-1 publishes a signature with its key, so the standard's own (test case 2).
        "RFC 2202, section 3",
        {"scheme": "hmac-sha1", "header": "X-Hub-Signature", "prefix": "sha1=", "encoding": "hex"},
        "Jefe",
        {"X-Hub-Signature": "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
        b"what do ya want for nothing?",
    ),
    Vector(
        # Test case 2, as for SHA-1.
        "RFC 4231, section 4.3",
        {"scheme": "hmac-sha512", "header": "X-Signature", "encoding": "hex"},
        "Jefe",
        {
            "X-Signature": "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549"
            "758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
        },
        b"what do ya want for nothing?",
    ),
]

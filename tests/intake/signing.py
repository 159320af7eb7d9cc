"""Messages as senders sign them, by code that shares nothing with the relay."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.config.presets.case import netlify_token
from tests.kit.client import Answer, request
from tests.kit.relay import RelayProcess

FIELDS = {"email": "email", "full_name": "name"}

PUBLIC_URL = "https://relay.example.com"

WIDE = {"limits": "500/second; 100000/minute", "parallel": 16}

WRONG = "canary-wrong-signature-8d1f"

KEY = b"thirty-two bytes of a signing key"

SECRET = "canary-signing-secret-5c0e7a9b41"

OTHER = "canary-another-sources-secret-77"


@dataclass(frozen=True)
class Message:
    """One POST, as its sender makes it."""

    source: str
    body: bytes
    headers: dict[str, str]
    query: str = ""

    def with_header(self, name: str, value: str | None) -> "Message":
        rest = {key: text for key, text in self.headers.items() if key != name}
        return replace(self, headers=rest if value is None else {**rest, name: value})


@dataclass(frozen=True)
class Scheme:
    """A way to sign: the table of the configuration, where the proof stands, and how it is made."""

    verify: dict[str, Any] | None
    proof: Callable[[bytes, str, int], str]
    """Makes the header's value from the body, the secret and the time in seconds."""
    header: str = "X-Signature"
    more: Callable[[int], dict[str, str]] = lambda now: {}
    secret: str = SECRET
    other: str = OTHER
    is_signed: bool = True
    """Whether the proof is about the body."""


def mac(text: bytes, secret: str, digest: Any = hashlib.sha256) -> bytes:
    return hmac.new(secret.encode(), text, digest).digest()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def whsec(key: bytes) -> str:
    return "whsec_" + b64(key)


def standard(body: bytes, secret: str, now: int) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + b64(hmac.new(key, f"msg_1.{now}.".encode() + body, hashlib.sha256).digest())


def bearer(_: bytes, secret: str, now: int) -> str:
    return f"Bearer {secret}"


PLAIN = {"scheme": "hmac-sha256", "header": "X-Signature"}

STAMP = "{timestamp}.{body}"

SCHEMES = {
    "hex": Scheme(PLAIN, lambda body, secret, _: mac(body, secret).hex()),
    "prefixed": Scheme(
        PLAIN | {"prefix": "sha256=", "encoding": "base64"},
        lambda body, secret, _: "sha256=" + b64(mac(body, secret)),
    ),
    "sha1": Scheme(
        PLAIN | {"scheme": "hmac-sha1", "prefix": "sha1="},
        lambda body, secret, _: "sha1=" + mac(body, secret, hashlib.sha1).hex(),
    ),
    "sha512": Scheme(
        PLAIN | {"scheme": "hmac-sha512"}, lambda body, secret, _: mac(body, secret, hashlib.sha512).hex()
    ),
    "pairs": Scheme(
        PLAIN | {"pairs": ",", "signed": STAMP},
        lambda body, secret, now: f"t={now},v1={mac(b'%d.' % now + body, secret).hex()}",
    ),
    "stamped": Scheme(
        PLAIN | {"signed": STAMP, "timestamp_header": "X-Time"},
        lambda body, secret, now: mac(b"%d." % now + body, secret).hex(),
        more=lambda now: {"X-Time": str(now)},
    ),
    "millis": Scheme(
        PLAIN | {"signed": STAMP, "timestamp_header": "X-Time", "timestamp_unit": "ms"},
        lambda body, secret, now: mac(b"%d000." % now + body, secret).hex(),
        more=lambda now: {"X-Time": f"{now}000"},
    ),
    "standard": Scheme(
        PLAIN
        | {"prefix": "v1,", "separator": " ", "encoding": "base64", "signed": "{id}.{timestamp}.{body}"}
        | {"id_header": "X-Id", "timestamp_header": "X-Time", "secret_encoding": "whsec"},
        standard,
        more=lambda now: {"X-Id": "msg_1", "X-Time": str(now)},
        secret=whsec(KEY),
        other=whsec(KEY[::-1]),
    ),
    "addressed": Scheme(
        PLAIN | {"signed": "{method}{url}{body}"},
        lambda body, secret, _: mac(f"POST{PUBLIC_URL}/submit/addressed".encode() + body, secret).hex(),
    ),
    "jwt": Scheme(
        {"scheme": "jwt", "header": "X-Signature", "issuer": "netlify", "body_claim": "sha256"},
        lambda body, secret, _: netlify_token(secret, body),
    ),
    "bearer": Scheme(None, bearer, header="Authorization", is_signed=False),
    "basic": Scheme(
        {"scheme": "basic"},
        lambda body, secret, _: "Basic " + b64(secret.encode()),
        header="Authorization",
        secret=f"user:{SECRET}",
        other=f"user:{OTHER}",
        is_signed=False,
    ),
}

SIGNED = [name for name, scheme in SCHEMES.items() if scheme.is_signed]

STAMPED = ["pairs", "stamped", "millis", "standard"]


def somebody(**more: Any) -> bytes:
    """A body of somebody nobody has heard of, with blanks that re-serialising would change."""
    return json.dumps(
        {"email": f"{uuid.uuid4().hex[:12]}@example.com", "name": "Ada", **more}, indent=1
    ).encode()


def made(name: str, body: bytes, *, secret: str | None = None, now: float | None = None) -> Message:
    """A valid message of a scheme."""
    scheme, at = SCHEMES[name], int(time.time() if now is None else now)
    proof = scheme.proof(body, scheme.secret if secret is None else secret, at)
    return Message(name, body, {scheme.header: proof, **scheme.more(at)})


def post(relay: RelayProcess, message: Message, **headers: str) -> Answer:
    sent = {"Content-Type": "application/json", **message.headers, **headers}
    # http.client speaks latin-1; what is not goes as UTF-8 bytes, as a careless client would send it.
    coded = {name: value.encode("utf-8").decode("latin-1") for name, value in sent.items()}
    path = f"/submit/{message.source}" + (f"?{message.query}" if message.query else "")
    return request(relay.port, "POST", path, message.body, coded)

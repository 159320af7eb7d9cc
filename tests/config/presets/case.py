"""One message of a sender, and how senders sign: plain hmac, sharing nothing with the relay."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

NOW = 1_790_000_000.0
"""When the requests of CASES arrive in tests that choose the time, in Unix time."""
PUBLIC_URL = "https://relay.example.com"
"""Where the relay of CASES is reached; signatures that cover the address cover this one."""

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One request to a source that is named like its preset, with this secret and nothing else set."""

    preset: str
    name: str
    content_type: str = JSON
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    stamped: Callable[[float], dict[str, str]] | None = None
    """The headers that depend on when it is sent."""
    secret: str
    query: str = ""
    expect: dict[str, str] | None = None
    """The profile that is sent on; None: answered 2xx, and nothing is stored."""
    event_id: str | None = None
    """The key that makes a repeat recognisable; None: the sender has none."""

    @property
    def url(self) -> str:
        return address(self.preset, self.query)

    def headers_at(self, now: float) -> dict[str, str]:
        """The headers of the message when it is sent at this time."""
        return {**self.headers, **(self.stamped(now) if self.stamped else {})}


# --- signing, in plain hmac ---------------------------------------------------------------------


def address(preset: str, query: str = "") -> str:
    return f"{PUBLIC_URL}/submit/{preset}" + (f"?{query}" if query else "")


def hex_mac(secret: str, message: bytes, digest: Any = hashlib.sha256) -> str:
    return hmac.new(secret.encode(), message, digest).hexdigest()


def base64_mac(key: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def stamped(secret: str, body: bytes, at: float, mark: bytes = b".") -> str:
    """Return the hex MAC over ``<seconds><mark><body>``."""
    return hex_mac(secret, str(int(at)).encode() + mark + body)


def pairs(secret: str, body: bytes, at: float) -> str:
    """Return a header like ``t=…,v1=…``."""
    return f"t={int(at)},v1={stamped(secret, body, at)}"


def netlify_token(secret: str, body: bytes, issuer: str = "netlify") -> str:
    """Return the HS256 JWT that Netlify sends: its issuer and the SHA-256 of the body."""
    claims = {"iss": issuer, "sha256": hashlib.sha256(body).hexdigest()}
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    mac = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    return (text + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def json_body(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def form_body(fields: dict[str, str]) -> bytes:
    return urlencode(fields).encode()


def multipart_body(fields: dict[str, str], boundary: str) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return "".join([*parts, f"--{boundary}--\r\n"]).encode()

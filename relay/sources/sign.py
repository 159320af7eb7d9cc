"""Sign: a message as its sender would make it, to try a source out with. No clock and no socket in here."""

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from relay.sources.proof import HMACS, Evidence, Verifier
from relay.sources.source import Source


@dataclass(frozen=True)
class Message:
    """One POST: where to, and with what."""

    url: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    def as_curl(self, file: str | None = None) -> str:
        """Return the command that sends it. ``file``: where the body stands, if it is no plain text."""
        options = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in self.headers.items()]
        body = f"@{file}" if file else self.body.decode()
        return " ".join([f"curl {shlex.quote(self.url)}", *options, f"--data-binary {shlex.quote(body)}"])


@dataclass(frozen=True)
class _Proof:
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)


def signed(
    source: Source, url: str, body: bytes, content_type: str, secret: bytes, now: float, identity: str
) -> Message:
    """Return a message to a source with its proof. ``identity``: what the sender calls it."""
    verifier = source.verifier
    headers = {"Content-Type": content_type}
    if source.only_header:
        headers[source.only_header.name] = source.only_header.values[0]
    if source.id_header:
        headers[source.id_header] = identity
    if verifier is None:
        return Message(url, body, headers)
    if verifier.body:
        body = _with_secret(body, verifier.body, secret)
    proof = _proof(verifier, url, body, secret, now, identity)
    if proof.query:
        url = f"{url}?{urlencode(proof.query)}"
    return Message(url, body, {**headers, **proof.headers})


def _with_secret(body: bytes, key: str, secret: bytes) -> bytes:
    """Return a JSON body in which the secret stands under a key, if it is a JSON object."""
    try:
        fields = json.loads(body)
    except ValueError:
        return body
    return json.dumps({**fields, key: secret.decode()}).encode() if isinstance(fields, dict) else body


def _proof(verifier: Verifier, url: str, body: bytes, secret: bytes, now: float, identity: str) -> _Proof:
    if verifier.scheme in HMACS:
        return _Proof(_signature(verifier, url, body, secret, now, identity))
    header = verifier.header or ""
    if verifier.scheme == "jwt":
        return _Proof({header: verifier.prefix + _token(verifier, body, secret)})
    if verifier.scheme == "basic":
        return _Proof({header: "Basic " + base64.b64encode(secret).decode()})
    if header:
        return _Proof({header: verifier.prefix + secret.decode()})
    return _Proof(query={verifier.query: secret.decode()} if verifier.query else {})


def _signature(
    verifier: Verifier, url: str, body: bytes, secret: bytes, now: float, identity: str
) -> dict[str, str]:
    stamp = str(int(now * (1000 if verifier.timestamp_unit == "ms" else 1)))
    evidence = Evidence({}, {}, body, url=url)
    signature = verifier.prefix + verifier.sign(evidence, secret, stamp, identity)
    if verifier.pairs:
        signature = f"{verifier.signature_key}={signature}"
        if verifier.covers_time and not verifier.timestamp_header:
            signature = f"{verifier.timestamp_key}={stamp}{verifier.pairs}{signature}"
    headers = {verifier.header or "": signature}
    if verifier.timestamp_header:
        headers[verifier.timestamp_header] = stamp
    if verifier.id_header:
        headers[verifier.id_header] = identity
    return headers


def _token(verifier: Verifier, body: bytes, secret: bytes) -> str:
    import jwt  # few need it, and it is slow to import

    claims = {"iss": verifier.issuer} if verifier.issuer else {}
    if verifier.body_claim:
        claims[verifier.body_claim] = hashlib.sha256(body).hexdigest()
    return jwt.encode(claims, secret.ljust(hashlib.sha256().digest_size, b"\0"), algorithm="HS256")

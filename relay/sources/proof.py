"""How a sender proves itself: one declarative verifier over raw bytes.

A proof that is missing, malformed, late or wrong gets the same answer: False.
"""

import base64
import binascii
import hashlib
import hmac
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

import jmespath

HMACS = {
    "hmac-sha1": hashlib.sha1,
    "hmac-sha256": hashlib.sha256,
    "hmac-sha512": hashlib.sha512,
}
SCHEMES = (*HMACS, "token", "basic", "jwt")
ENCODINGS = ("hex", "base64")
SECRET_ENCODINGS = ("utf8", "base64", "whsec")
PLACEHOLDERS = ("body", "timestamp", "id", "method", "url")
_TEMPLATE = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")
_TIMESTAMP = re.compile(r"[0-9]{1,13}", re.ASCII)
_WRITTEN_OUT = re.compile(r"%(?:3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
# A header with more candidates than any sender's key rotation needs is an attempt to guess.
_MAX_CANDIDATES = 20
_MAX_PROOF = 8192
_TIMES_ARE_OURS: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}


@dataclass(frozen=True)
class Evidence:
    """What a request offers as proof. Header names are in lower case, values as they came."""

    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    method: str = "POST"
    url: str = ""
    fields: Callable[[], Any] = dict
    """Parses the body; called only where the proof stands in it. Returns None if it cannot."""


@dataclass(frozen=True)
class Verifier:
    """One sender's way of proving itself; the keys are those of ``[sources.x.verify]``."""

    scheme: str
    header: str | None = None
    query: str | None = None
    body: str | None = None
    prefix: str = ""
    pairs: str | None = None
    signature_key: str = "v1"
    timestamp_key: str = "t"
    separator: str | None = None
    encoding: str = "hex"
    signed: str = "{body}"
    timestamp_header: str | None = None
    timestamp_unit: str = "s"
    tolerance: float = 300
    id_header: str | None = None
    families: tuple[str, ...] = ()
    """Beginnings under which the same headers may come: ``webhook-id`` and ``svix-id``."""
    secret_encoding: str = "utf8"
    issuer: str | None = None
    body_claim: str | None = None

    @property
    def needs_url(self) -> bool:
        return "{url}" in self.signed

    @property
    def signs(self) -> bool:
        """Whether the sender signs what it sends, rather than show a secret."""
        return self.scheme not in ("token", "basic")

    @property
    def covers_time(self) -> bool:
        """Whether it says of itself until when a proof is good."""
        return self.signs and "{timestamp}" in self.signed

    def as_named(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Return headers under the names that are configured, whichever of its families a sender uses.

        The one that has the proof is taken whole: an id of another would be one that nobody signed.
        """
        proof = (self.header or "").lower()
        own = next((one for one in self.families if proof.startswith(one)), None)
        if own is None or proof in headers:
            return headers
        rest = proof.removeprefix(own)
        other = next((one for one in self.families if one + rest in headers), None)
        if other is None:
            return headers
        kept = {name: text for name, text in headers.items() if not name.startswith(own)}
        return kept | {
            own + name.removeprefix(other): text for name, text in headers.items() if name.startswith(other)
        }

    def covers_id(self, header: str | None) -> bool:
        """Whether the id of a message, which stands in this header, is signed with it."""
        return "{id}" in self.signed and (header or "").lower() == (self.id_header or "").lower()

    def proves(self, evidence: Evidence, secrets: tuple[bytes, ...], now: float) -> bool:
        """Whether the evidence was made with one of the secrets (keys from ``key``), at about ``now``.

        Fails closed: without a secret nothing is proven.
        """
        secrets = tuple(secret for secret in secrets if secret)
        if not secrets:
            return False
        if self.scheme == "jwt":
            return any(self._is_jwt(evidence, secret, now) for secret in secrets)
        if self.scheme in HMACS:
            return self._is_signed(evidence, secrets, now)
        return self._is_known(evidence, secrets)

    def is_only_untimely(self, evidence: Evidence, secrets: tuple[bytes, ...], now: float) -> bool:
        """Whether nothing but its time is wrong with evidence that does not prove."""
        return replace(self, tolerance=math.inf).proves(evidence, secrets, now)

    def why_not(self, evidence: Evidence, secrets: tuple[bytes, ...], now: float) -> str:
        """Say why evidence does not prove: for the log and the operator alone, and without its values."""
        if not any(secrets):
            return "no secret is configured"
        if self.scheme in HMACS or self.scheme == "jwt":
            needed = (self.header, self.timestamp_header, self.id_header)
            missing = [name for name in needed if name and name.lower() not in evidence.headers]
            if missing:
                return f"no header {missing[0]}"
            if self.is_only_untimely(evidence, secrets, now):
                return "its time is too far from ours"
            return f"wrong signature in {self.header}"
        shown = any(True for _ in self._shown(evidence))
        places = (self.header and f"header {self.header}", self.query and f"?{self.query}=", self.body)
        where = " or ".join(place for place in places if place)
        return f"wrong token in {where}" if shown else f"no token in {where}"

    def key(self, secret: str) -> bytes:
        """Return the bytes of a configured secret. Raises ValueError if it is not so encoded."""
        if self.secret_encoding == "utf8":
            return secret.encode()
        text = secret.removeprefix("whsec_") if self.secret_encoding == "whsec" else secret
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except ValueError:  # also of characters that are not ASCII
            raise ValueError(f"is not {self.secret_encoding}-encoded") from None

    def sign(self, evidence: Evidence, secret: bytes, timestamp: str, identity: str) -> str:
        """Return the signature that this sender would make."""
        return self._digest(secret, self._signed_bytes(evidence, timestamp, identity)).decode()

    # --- the sender shows a secret ------------------------------------------------------------

    def _is_known(self, evidence: Evidence, secrets: tuple[bytes, ...]) -> bool:
        shown = list(self._shown(evidence))
        matches = [hmac.compare_digest(one, secret) for one in shown for secret in secrets]
        return any(matches)

    def _shown(self, evidence: Evidence) -> Iterator[bytes]:
        if self.header:
            yield from self._in_header(evidence)
        if self.query and self.query in evidence.query:
            shown = evidence.query[self.query].encode(errors="replace")
            # A "+" that was not escaped in the address arrives as a blank.
            yield from (shown, shown.replace(b" ", b"+"))
        if self.body and (found := self.shown_in(evidence.fields())) is not None:
            yield found.encode(errors="replace")

    def shown_in(self, fields: Any) -> str | None:
        """Return the secret that a body shows, None if it shows none."""
        found = _look_up(fields, self.body) if self.body else None
        return found if isinstance(found, str) else None

    def _in_header(self, evidence: Evidence) -> Iterator[bytes]:
        value = evidence.headers.get((self.header or "").lower(), "")
        scheme = "Basic " if self.scheme == "basic" else self.prefix
        if value[: len(scheme)].lower() != scheme.lower():
            return
        value = value[len(scheme) :].strip()
        if self.scheme != "basic":
            # Some write the word of another header before it.
            bare = value.removeprefix("Bearer ").strip()
            yield from (one.encode("latin-1", "replace") for one in (value, bare))
            return
        try:
            yield base64.b64decode(value.encode("latin-1", "replace"), validate=True)
        except binascii.Error:
            return

    # --- the sender signs -------------------------------------------------------------------------

    def _is_signed(self, evidence: Evidence, secrets: tuple[bytes, ...], now: float) -> bool:
        value = evidence.headers.get((self.header or "").lower(), "")
        if not value or len(value) > _MAX_PROOF:
            return False
        candidates, timestamp = self._cut(value)
        if self.timestamp_header:
            timestamp = evidence.headers.get(self.timestamp_header.lower())
        if not 0 < len(candidates) <= _MAX_CANDIDATES or not self._is_timely(timestamp, now):
            return False
        identity = evidence.headers.get(self.id_header.lower()) if self.id_header else ""
        if identity is None:
            return False
        addresses = {evidence.url, _as_hubspot_signs(evidence.url)}  # mostly one: a body is not copied twice
        texts = [
            self._signed_bytes(replace(evidence, url=url), timestamp or "", identity) for url in addresses
        ]
        expected = [self._digest(secret, text) for secret in secrets for text in texts]
        matches = [hmac.compare_digest(one, right) for one in candidates for right in expected]
        return any(matches)

    def _cut(self, value: str) -> tuple[list[bytes], str | None]:
        timestamp = None
        if self.pairs:
            written = (part.strip() for part in value.split(self.pairs))
            pairs = _named(written, (self.signature_key, self.timestamp_key))
            parts = [
                one.strip() for name, text in pairs if name == self.signature_key for one in text.split(",")
            ]
            stamps = [text for name, text in pairs if name == self.timestamp_key]
            timestamp = stamps[0] if len(stamps) == 1 else None
        else:
            parts = value.split(self.separator) if self.separator else [value.strip()]
        kept = [part[len(self.prefix) :] for part in parts if part.startswith(self.prefix)]
        if self.encoding == "hex":
            kept = [part.lower() for part in kept]
        return [part.encode("latin-1", "replace") for part in kept if part], timestamp

    def _is_timely(self, timestamp: str | None, now: float) -> bool:
        if "{timestamp}" not in self.signed and not self.timestamp_header:
            return True
        if timestamp is None or not _TIMESTAMP.fullmatch(timestamp):
            return False
        seconds = int(timestamp) / (1000 if self.timestamp_unit == "ms" else 1)
        return abs(now - seconds) <= self.tolerance

    def _signed_bytes(self, evidence: Evidence, timestamp: str, identity: str) -> bytes:
        values = {
            "body": evidence.body,
            "timestamp": timestamp.encode("latin-1", "replace"),
            "id": identity.encode("latin-1", "replace"),
            "method": evidence.method.encode(),
            "url": evidence.url.encode(),
        }
        parts = _TEMPLATE.split(self.signed)
        return b"".join(values[part] if odd % 2 else part.encode() for odd, part in enumerate(parts))

    def _digest(self, secret: bytes, text: bytes) -> bytes:
        digest = hmac.new(secret, text, HMACS[self.scheme]).digest()
        return digest.hex().encode() if self.encoding == "hex" else base64.b64encode(digest)

    # --- the sender sends a signed token about the body ------------------------------------------------

    def _is_jwt(self, evidence: Evidence, secret: bytes, now: float) -> bool:
        import jwt  # few need it, and it is slow to import

        token = evidence.headers.get((self.header or "").lower(), "").removeprefix(self.prefix)
        # HMAC fills a short key up with zeros anyway; done here, the library does not warn of it.
        key = secret.ljust(hashlib.sha256().digest_size, b"\0")
        try:
            claims = jwt.decode(token, key, algorithms=["HS256"], issuer=self.issuer, options=_TIMES_ARE_OURS)
        except (jwt.PyJWTError, ValueError):
            return False
        if not self._is_current(claims, now):
            return False
        said = str(claims.get(self.body_claim or "", "")).lower().encode(errors="replace")
        actual = hashlib.sha256(evidence.body).hexdigest().encode()
        return self.body_claim is None or hmac.compare_digest(said, actual)

    def _is_current(self, claims: Mapping[str, Any], now: float) -> bool:
        begins = [claims[name] for name in ("nbf", "iat") if name in claims]
        ends = claims.get("exp", now)
        if not all(isinstance(at, int | float) for at in (*begins, ends)):
            return False
        return all(at <= now + self.tolerance for at in begins) and now - self.tolerance <= ends


def _as_hubspot_signs(url: str) -> str:
    """Return an address with some signs written out that it was called with escaped."""
    return _WRITTEN_OUT.sub(lambda found: unquote(found[0]), url)


def _named(parts: Iterator[str], known: tuple[str, str]) -> list[tuple[str, str]]:
    """Return ``name=text`` as pairs; a part without a name goes on with the name before it. A name that is
    ``known`` is one also where nothing follows."""
    pairs: list[tuple[str, str]] = []
    for part in parts:
        name, equals, text = part.partition("=")
        if equals and (name in known or not _is_base64_end(text)):
            pairs.append((name, text))
        elif pairs:
            pairs.append((pairs[-1][0], part))
    return pairs


def _is_base64_end(text: str) -> bool:
    """Whether what stands behind the first ``=`` only fills up a signature in base64."""
    return text in ("", "=")


def _look_up(fields: Any, path: str) -> Any:
    if isinstance(fields, dict) and path in fields:
        return fields[path]
    try:
        return jmespath.search(path, fields)
    except Exception:  # noqa: BLE001 - jmespath raises several kinds for a body of another shape
        return None


BEARER = Verifier(scheme="token", header="Authorization", prefix="Bearer ", query="token")
"""``secret`` alone: a bearer token, or ``?token=`` from senders that cannot set headers."""

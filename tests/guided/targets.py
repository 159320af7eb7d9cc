"""What is fed: a function of bytes for each reader; it raises what is a fault, and nothing else."""

import functools
import hashlib
import hmac
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gunicorn.config import Config
from gunicorn.http import errors
from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader

from relay.config import presets, settings
from relay.server.framing import LONG, Arriving
from relay.sources import body, contact
from relay.sources.mapping import Mapped
from relay.sources.proof import Evidence, Verifier
from relay.sources.source import Source
from tests.kit.relay import toml

NUMBER = re.compile(r"\+[1-9][0-9]{5,14}")
BOUNDARY = "multipart/form-data; boundary=x"
KINDS = (body.JSON, body.FORM, BOUNDARY, f"{body.FORM}; charset=shift_jis", "application/vnd.api+json")
REGIONS = (None, "US", "DE", "GB", "IT", "JP")
NOW = 1_800_000_000.0
SECRET = b"a-secret-of-its-own"
PASSWORD = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"


def decoding(data: bytes) -> None:
    """A body is read, or refused with a status of its own; what was read can be stored."""
    kind = KINDS[data[0] % len(KINDS)] if data else body.JSON
    try:
        found = body.read(data[1:], kind, body.Limits(), lenient=bool(data and data[0] & 64))
    except body.BadBody as refused:
        assert refused.status in (400, 413, 415), refused.status
        return
    json.dumps(found.fields, allow_nan=False).encode()


class _Asked(Exception):
    """The parser wants more than there is: a thread would wait for a client."""


class _Given(Unreader):  # type: ignore[misc]
    """Holds what has come; whoever asks for more is told."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._left = data

    def chunk(self, size: int | None = None) -> bytes:
        if not self._left:
            raise _Asked
        given, self._left = self._left, b""
        return given


@functools.cache
def _gunicorn() -> Config:
    return Config()


def framing(data: bytes) -> None:
    """What is whole, the server's parser takes or refuses without waiting; and it is whole however cut."""
    at_once, in_pieces = Arriving(), Arriving()
    at_once.feed(data)
    for byte in data:
        if in_pieces.verdict is not None:
            break
        in_pieces.feed(bytes([byte]))
    if at_once.verdict is LONG:  # nobody can tell before the rest is there
        return
    if at_once.verdict is None or not at_once.verdict.is_whole:
        assert in_pieces.verdict is None or not in_pieces.verdict.is_whole
        return
    is_taken = _is_taken(at_once.request())
    assert not is_taken or in_pieces.verdict == at_once.verdict, in_pieces.verdict


def _is_taken(whole: bytes) -> bool:
    """Whether the server's parser takes a request that is said to be all here."""
    try:
        Request(_gunicorn(), _Given(whole), ("127.0.0.1", 1)).body.read()
    except _Asked:
        raise AssertionError("a thread would wait for what is said to be whole") from None
    except (errors.ParseException, errors.ChunkMissingTerminator, errors.NoMoreData):
        return False
    return True


VERIFIERS = (
    Verifier("hmac-sha256", header="X-Signature"),
    Verifier("hmac-sha1", header="X-Signature", prefix="sha1=", encoding="base64"),
    Verifier("hmac-sha256", header="X-Signature", pairs=",", signed="{timestamp}.{body}"),
    Verifier(
        "hmac-sha256",
        header="X-Signature",
        separator=" ",
        prefix="v1,",
        signed="{id}.{timestamp}.{body}",
        id_header="X-Id",
        timestamp_header="X-Time",
    ),
    Verifier("token", header="Authorization", prefix="Bearer "),
    Verifier("token", query="token", body="auth.token"),
    Verifier("basic", header="Authorization"),
    Verifier("jwt", header="Authorization", prefix="Bearer ", body_claim="sha256"),
)


def verifying(data: bytes) -> None:
    """Nothing that was not made with the secret proves anything, and nothing raises."""
    head, _, raw = data[1:].partition(b"\n\n")
    lines = head.decode("latin-1").split("\n")
    names = ("x-signature", "authorization", "x-time", "x-id")
    headers = dict(zip(names, lines, strict=False))
    evidence = Evidence(headers, {"token": lines[-1]}, raw, fields=lambda: _fields(raw))
    verifier = VERIFIERS[data[0] % len(VERIFIERS) if data else 0]
    assert not verifier.proves(evidence, (hmac.digest(SECRET, raw, hashlib.sha256),), NOW)
    assert verifier.why_not(evidence, (SECRET,), NOW)


def _fields(raw: bytes) -> Any:
    try:
        return body.parse(raw, body.JSON, body.Limits())
    except body.BadBody:
        return None


@functools.cache
def sources() -> tuple[Source, ...]:
    """Every sender that is known, configured with its name alone; and forms of two countries."""
    known: dict[str, Any] = {
        f"known-{name}": {"kind": "webhook", "preset": name, "secret": "env:S"}
        for name in presets.preset_names()
    }
    fields = {"email": "email", "mobile_phone_number": "phone", "full_name": {"from": ["first", "last"]}}
    for region in ("US", "DE"):
        known[f"form-{region.lower()}"] = {"kind": "form", "region": region, "fields": fields}
    whole = {"destinations": {"a": {"url": "http://127.0.0.1:1/", "token": "env:S"}}, "sources": known}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "relay.toml")
        file.write_text(toml(whole), encoding="utf-8")
        given = {"RELAY_CONFIG": str(file), "RELAY_PUBLIC_URL": "https://x.example", "S": PASSWORD}
        found = settings.load(given, offline=True)
    return tuple(found.sources.values())


def mapping(data: bytes) -> None:
    """Whatever a body holds, it maps to a sound profile or to errors that repeat nothing of it."""
    known = sources()
    source = known[data[0] % len(known)] if data else known[0]
    fields = _fields(data[1:])
    if fields is not None:
        _is_sound(source.mapping.apply(source.mapping.body(fields)))


def _is_sound(mapped: Mapped) -> None:
    assert mapped.ok == bool(mapped.profile)
    json.dumps([mapped.profile, mapped.extra], allow_nan=False).encode()
    if not mapped.ok:
        assert all(mapped.errors.values())
        return
    assert mapped.profile.keys() & {"email", "mobile_phone_number"}
    assert "@" in mapped.profile.get("email", "@")
    assert NUMBER.fullmatch(mapped.profile.get("mobile_phone_number", "+123456"))


def telephone(data: bytes) -> None:
    """A number is one of the world's, or none; and is the same when it is read again."""
    region = REGIONS[data[0] % len(REGIONS)] if data else None
    try:
        found = contact.phone(data[1:].decode("utf-8", "replace"), region)
    except contact.NotAContact:
        return
    assert not found or NUMBER.fullmatch(found), found
    assert not found or contact.phone(found, region) == found


def address(data: bytes) -> None:
    """An address is one line with one @, or none; and is the same when it is read again."""
    try:
        found = contact.email(data.decode("utf-8", "replace"))
    except contact.NotAContact:
        return
    assert found.count("@") >= 1
    assert found.isprintable()
    assert len(found) <= 254
    assert contact.email(found) == found
    contact.suggestion(found)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "decoding": decoding,
    "framing": framing,
    "verifying": verifying,
    "mapping": mapping,
    "telephone": telephone,
    "address": address,
}

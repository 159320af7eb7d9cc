"""Vault: payloads encrypted at rest, and keyed hashes to search and recognise by.

A box is ``key id (4 bytes) · nonce (12) · AES-256-GCM``, bound to its row: a box moved to another
row does not open. Hashes use one random key of the database's own, kept there wrapped by the newest
secret key, so that changing the secret keys changes no hash.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from relay.private import keep_private, make_private_folder, write_first

_KEY_BYTES = 32
_NONCE_BYTES = 12
_ID_BYTES = 4
_HASH_BYTES = 16


class CannotOpen(ValueError):
    """A box does not open: it is damaged, or of another row, or its key is missing."""


class KeyMissing(CannotOpen):
    """No configured key opens this: RELAY_SECRET_KEYS lacks the one it was written with."""


def new_key() -> str:
    """Return a new secret key as 64 hexadecimal digits."""
    return secrets.token_hex(_KEY_BYTES)


def parse_key(text: str) -> bytes:
    """Read a key of 32 bytes, as 64 hex digits or URL-safe base64. Raises ValueError."""
    text = text.strip()
    try:
        key = bytes.fromhex(text) if len(text) == 2 * _KEY_BYTES else _from_base64(text)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ValueError("is not 32 bytes as 64 hex digits or URL-safe base64")
    return key


def _from_base64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def keys_beside(database: Path) -> tuple[str, ...]:
    """Return the keys kept beside an SQLite file, made on the first start, readable by the owner only.

    Raises KeyMissing when there is a database but no good key: a new key could read nothing of it.
    """
    path = database.with_name(database.name + ".keys")
    if not path.exists():
        if database.exists() and database.stat().st_size:
            raise KeyMissing(f"{path} is missing, and {database} cannot be read without it")
        make_private_folder(path.parent)
        write_first(path, new_key() + "\n")
    keep_private(path)
    keys = tuple(path.read_text(encoding="utf-8", errors="replace").replace(",", " ").split())
    try:
        for key in keys:
            parse_key(key)
    except ValueError as problem:
        raise KeyMissing(f"{path}: a key {problem}") from None
    if not keys:
        raise KeyMissing(f"{path} holds no key, and {database} cannot be read without it")
    return keys


class Vault:
    """Seals and opens with the given keys, newest first."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self._newest = _key_id(keys[0])
        self._hash_key = b""

    # --- boxes ------------------------------------------------------------------------------------

    def seal(self, value: Any, row: str) -> bytes:
        """Encrypt a JSON value for one row; a ``body`` of bytes in it is kept as it is."""
        return self._seal(_packed(value), row)

    def open(self, box: bytes, row: str) -> Any:
        """Return the value of a box. Raises CannotOpen."""
        return _unpacked(self._open(box, row))

    def reseal(self, box: bytes | None, row: str) -> bytes | None:
        """Return a box with the same value, sealed with the newest key. Raises CannotOpen."""
        return self.seal(self.open(box, row), row) if box is not None else None

    @property
    def newest_id(self) -> bytes:
        """What every box begins with that is sealed with the newest key."""
        return self._newest

    def _seal(self, text: bytes, row: str) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self._newest].encrypt(nonce, text, row.encode())
        return self._newest + nonce + sealed

    def _open(self, box: bytes, row: str) -> bytes:
        cipher = self._ciphers.get(box[:_ID_BYTES])
        if cipher is None:
            raise KeyMissing(
                "the key this was encrypted with is in neither RELAY_SECRET_KEYS nor the file <database>.keys"
            )
        nonce = box[_ID_BYTES : _ID_BYTES + _NONCE_BYTES]
        try:
            return cipher.decrypt(nonce, box[_ID_BYTES + _NONCE_BYTES :], row.encode())
        except (InvalidTag, ValueError):  # one that is cut short has not even a nonce
            raise CannotOpen("an encrypted payload is damaged") from None

    # --- hashes -----------------------------------------------------------------------------------

    def new_hash_key(self) -> bytes:
        """Return a new hash key, sealed, for the database to keep."""
        return self._seal(secrets.token_bytes(_KEY_BYTES), "hash-key")

    def use_hash_key(self, sealed: bytes) -> None:
        """Hash with the database's key from now on. Raises CannotOpen."""
        self._hash_key = self._open(sealed, "hash-key")

    def rewrap_hash_key(self) -> bytes:
        """Return the hash key, sealed with the newest key."""
        return self._seal(self._hash_key, "hash-key")

    def hash(self, *parts: str | bytes) -> bytes:
        """Return a keyed hash of some parts; no two lists of parts share one."""
        message = bytearray()
        for part in parts:
            data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            message += len(data).to_bytes(8, "big") + data
        return hmac.digest(self._hash_key, message, "sha256")[:_HASH_BYTES]

    def receipt(self) -> str:
        """Return a new receipt: 128 random bits as hexadecimal digits."""
        return secrets.token_hex(16)


def _packed(value: Any) -> bytes:
    """Return a value as one line of JSON, and what came as bytes after it, no larger than it was."""
    body = value.get("body") if isinstance(value, dict) else None
    if not isinstance(body, bytes):
        return json.dumps(value, separators=(",", ":")).encode()
    rest = {name: one for name, one in value.items() if name != "body"}
    return json.dumps(rest, separators=(",", ":")).encode() + b"\n" + body


def _unpacked(text: bytes) -> Any:
    """Return what was packed. Until version 3 a body was text within the JSON."""
    line, is_apart, body = text.partition(b"\n")
    value = json.loads(line)
    if is_apart:
        return {**value, "body": body}
    if isinstance(value, dict) and isinstance(value.get("body"), str):
        return {**value, "body": value["body"].encode("utf-8", "surrogateescape")}
    return value


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"relay key id" + key).digest()[:_ID_BYTES]

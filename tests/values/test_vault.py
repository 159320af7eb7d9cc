"""Payloads are sealed for their row, keys are kept to their owner, hashes survive new keys."""

import base64
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.vault import CannotOpen, KeyMissing, Vault, keys_beside, new_key, parse_key

ONE, TWO = bytes(range(32)), bytes(range(1, 33))
CANARY = {"profile": {"email": "canary@example.com"}}
ROOT = Path(__file__).resolve().parents[2]


def opened(*keys: bytes) -> Vault:
    """A vault that hashes with a key of its own."""
    vault = Vault(keys or (ONE,))
    vault.use_hash_key(vault.new_hash_key())
    return vault


# --- keys ---------------------------------------------------------------------------------------------


def test_a_new_key_is_64_hex_digits_and_never_the_same() -> None:
    keys = {new_key() for _ in range(10)}
    assert len(keys) == 10
    assert all(len(key) == 64 and len(parse_key(key)) == 32 for key in keys)


@pytest.mark.parametrize(
    "text",
    [
        ONE.hex(),
        ONE.hex().upper(),
        f" {ONE.hex()}\n",
        base64.urlsafe_b64encode(ONE).decode(),
        base64.urlsafe_b64encode(ONE).decode().rstrip("="),
    ],
)
def test_a_key_is_hex_or_urlsafe_base64(text: str) -> None:
    assert parse_key(text) == ONE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "canary",
        ONE.hex()[:-2],
        ONE.hex() + "00",
        "g" * 64,
        "ü" * 32,
        "A" * 42,
        "A" * 45,
        " ".join(["00"] * 32),
    ],
)
def test_what_is_no_key_is_refused_without_its_value(text: str) -> None:
    with pytest.raises(ValueError, match="is not 32 bytes") as refused:
        parse_key(text)
    assert not text.strip() or text not in str(refused.value)


def test_a_key_beside_the_database_is_made_once_for_its_owner(tmp_path: Path) -> None:
    database = tmp_path / "var" / "relay.db"
    old = os.umask(0o022)
    try:
        keys = keys_beside(database)
    finally:
        os.umask(old)
    file = tmp_path / "var" / "relay.db.keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(parse_key(keys[0])) == 32
    assert keys_beside(database) == keys
    assert list(file.parent.iterdir()) == [file]


def test_several_first_starts_agree_on_one_key(tmp_path: Path) -> None:
    script = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from relay.vault import keys_beside
print(keys_beside(Path({str(tmp_path)!r}) / "relay.db")[0])
"""
    started = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert len({process.communicate(timeout=20)[0] for process in started}) == 1


def test_several_keys_stand_in_the_file_newest_first(tmp_path: Path) -> None:
    (tmp_path / "relay.db.keys").write_text(f"{TWO.hex()},\n{ONE.hex()}\n")
    assert keys_beside(tmp_path / "relay.db") == (TWO.hex(), ONE.hex())


def test_a_database_without_its_keys_is_refused(tmp_path: Path) -> None:
    database = tmp_path / "relay.db"
    database.write_bytes(b"SQLite format 3")
    with pytest.raises(KeyMissing, match=r"relay\.db\.keys is missing"):
        keys_beside(database)
    assert not (tmp_path / "relay.db.keys").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no key"),
        (b" \n,", "holds no key"),
        (b"canary", "is not 32 bytes"),
        (b"\xff\xfe", "is not 32"),
    ],
)
def test_a_file_without_a_good_key_is_refused_and_left_alone(
    tmp_path: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "relay.db.keys"
    file.write_bytes(content)
    with pytest.raises(KeyMissing, match=says) as refused:
        keys_beside(tmp_path / "relay.db")
    assert "canary" not in str(refused.value)
    assert file.read_bytes() == content


# --- boxes ----------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_what_is_sealed_is_opened_again(value: Any) -> None:
    vault = opened()
    assert vault.open(vault.seal(value, "r1"), "r1") == value


def test_bytes_that_are_no_text_survive() -> None:
    vault = opened()
    text = b"a\xffb\x00".decode("utf-8", "surrogateescape")
    assert vault.open(vault.seal(text, "r1"), "r1").encode("utf-8", "surrogateescape") == b"a\xffb\x00"


def test_a_box_shows_nothing_and_is_never_the_same() -> None:
    vault = opened()
    boxes = [vault.seal(CANARY, "r1") for _ in range(50)]
    assert len(set(boxes)) == 50
    assert len({box[4:16] for box in boxes}) == 50
    assert not any(b"canary" in box for box in boxes)


def test_a_box_opens_for_its_own_row_only() -> None:
    vault = opened()
    with pytest.raises(ValueError, match="damaged"):
        vault.open(vault.seal(CANARY, "r1"), "r2")


def test_a_box_that_was_tampered_with_does_not_open() -> None:
    vault = opened()
    box = vault.seal(CANARY, "r1")
    for position in range(len(box)):
        changed = bytearray(box)
        changed[position] ^= 1
        with pytest.raises(CannotOpen):
            vault.open(bytes(changed), "r1")


@pytest.mark.parametrize("length", [0, 3, 4, 5, 15, 16, 17, 31])
def test_a_box_that_was_cut_does_not_open(length: int) -> None:
    vault = opened()
    with pytest.raises(CannotOpen):
        vault.open(vault.seal(CANARY, "r1")[:length], "r1")


def test_older_keys_open_and_the_newest_seals() -> None:
    before, after = opened(ONE), opened(TWO, ONE)
    box = before.seal(CANARY, "r1")
    assert after.open(box, "r1") == CANARY
    assert not box.startswith(after.newest_id)
    assert after.seal(CANARY, "r1").startswith(after.newest_id)


def test_without_its_key_a_box_says_which_setting_lacks() -> None:
    with pytest.raises(KeyMissing, match=r"neither RELAY_SECRET_KEYS nor the file <database>\.keys"):
        opened(TWO).open(opened(ONE).seal(CANARY, "r1"), "r1")


# --- hashes ---------------------------------------------------------------------------------------------


def test_a_hash_is_the_same_for_the_same_and_only_then() -> None:
    vault = opened()
    assert vault.hash("a", "b") == vault.hash("a", b"b")
    parts: list[tuple[str | bytes, ...]] = [
        ("a", "b"),
        ("ab",),
        ("a", "", "b"),
        ("", "ab"),
        ("b", "a"),
        ("ab", ""),
    ]
    assert len({vault.hash(*one) for one in parts}) == len(parts)
    assert len(vault.hash("a")) == 16


def test_a_hash_takes_any_text() -> None:
    vault = opened()
    assert vault.hash("\ud800") != vault.hash("\ud801")


def test_hashes_of_another_database_differ() -> None:
    assert opened(ONE).hash("jane@example.com") != opened(ONE).hash("jane@example.com")


def test_changing_the_secret_keys_changes_no_hash() -> None:
    before = Vault([ONE])
    kept = before.new_hash_key()
    before.use_hash_key(kept)
    after = Vault([TWO, ONE])
    after.use_hash_key(kept)
    wrapped = after.rewrap_hash_key()
    last = Vault([TWO])
    last.use_hash_key(wrapped)
    assert before.hash("a") == after.hash("a") == last.hash("a")
    with pytest.raises(KeyMissing):
        Vault([TWO]).use_hash_key(kept)


def test_a_hash_key_is_sealed() -> None:
    vault = Vault([ONE])
    assert ONE not in vault.new_hash_key()
    with pytest.raises(ValueError, match="damaged"):
        vault.open(vault.new_hash_key(), "r1")


# --- receipts -------------------------------------------------------------------------------------------


def test_receipts_are_128_random_bits_also_among_threads() -> None:
    vault = opened()
    start = threading.Barrier(8)

    def many(_: int) -> list[str]:
        start.wait()
        return [vault.receipt() for _ in range(500)]

    with ThreadPoolExecutor(8) as pool:
        receipts = [receipt for some in pool.map(many, range(8)) for receipt in some]
    assert len(set(receipts)) == 4000
    assert all(len(bytes.fromhex(receipt)) == 16 for receipt in receipts)


def test_a_body_is_sealed_as_the_bytes_it_is() -> None:
    vault = opened()
    for body in (b"", b"\n", b'{"a": 1}\n{}', b"\x00\xff" * 1000):
        payload = {"body": body, "content_type": "x/y", "profile": {"email": "a\nb"}}
        box = vault.seal(payload, "r1")
        assert vault.open(box, "r1") == payload
        assert len(box) < len(body) + 120


def test_a_body_that_an_earlier_version_sealed_as_text_is_opened_as_bytes() -> None:
    vault = opened()
    text = b'{"n": "\xff\n"}'.decode("utf-8", "surrogateescape")
    assert vault.open(vault.seal({"body": text}, "r1"), "r1") == {"body": b'{"n": "\xff\n"}'}

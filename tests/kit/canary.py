"""Finding secrets and personal data where they should not be, also lightly disguised."""

import base64
import html
import json
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

Place = Path | bytes | str | tuple[str, bytes | str]
SHORTEST = 8  # anything shorter is found by chance


def leaks(canaries: Mapping[str, str | bytes], places: Iterable[Place]) -> list[str]:
    """One line "I5 …" for every canary (by its name, never its value) found in a place.

    A place is a file, a folder with all in it, text, bytes, or (label, text or bytes).
    """
    hunted = [(name, disguises(value)) for name, value in canaries.items()]
    found = []
    for label, data in _contents(places):
        for name, looks in hunted:
            seen = [(disguise, data.find(look)) for disguise, look in looks.items()]
            found += [
                f"I5 {name} ({disguise}) is in {label} at byte {at}" for disguise, at in seen if at >= 0
            ][:1]
    return found


def disguises(value: str | bytes) -> dict[str, bytes]:
    """How a value may look in a log, a URL, a page, a header or a database, by name of disguise."""
    plain = value if isinstance(value, bytes) else value.encode()
    if len(plain) < SHORTEST:
        raise ValueError(f"a canary needs {SHORTEST} bytes or more")
    text = plain.decode("utf-8", "replace")
    looks = {
        "plain": plain,
        "percent-encoded": urllib.parse.quote(plain, safe="").encode(),
        "form-encoded": urllib.parse.quote_plus(plain).encode(),
        "JSON": json.dumps(text)[1:-1].encode(),
        "HTML": html.escape(text).encode(),
        "hex": plain.hex().encode(),
        "HEX": plain.hex().upper().encode(),
        "UTF-16": text.encode("utf-16-le"),
        "lower case": text.lower().encode(),
        "upper case": text.upper().encode(),
    }
    for shift in range(3):
        looks[f"base64+{shift}"] = _base64(plain, shift)
        looks[f"base64url+{shift}"] = _base64(plain, shift).translate(bytes.maketrans(b"+/", b"-_"))
    return looks


def _base64(plain: bytes, shift: int) -> bytes:
    """The characters of Base64 that depend on `plain` alone, when `shift` bytes stand before it."""
    whole = base64.b64encode(b"\0" * shift + plain)
    return whole[(0, 2, 3)[shift] : (len(plain) + shift) * 8 // 6]


def _contents(places: Iterable[Place]) -> Iterator[tuple[str, bytes]]:
    for number, place in enumerate(places):
        if isinstance(place, Path):
            yield from _files(place)
        elif isinstance(place, tuple):
            yield place[0], _bytes(place[1])
        else:
            yield f"place {number}", _bytes(place)


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    inside = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in inside:
        try:
            if file.is_file():
                yield str(file), file.read_bytes()
        except FileNotFoundError:  # a journal that came and went
            continue


def _bytes(value: bytes | str) -> bytes:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value

"""What guided fuzzing feeds is tried here without the guide: its corpus, and what chance makes of it."""

import random
from pathlib import Path

import pytest

from tests.conftest import SEED
from tests.guided.targets import TARGETS

CORPUS = Path(__file__).parent / "guided" / "corpus"
TRIES = 100


def changed(data: bytes, chance: random.Random) -> bytes:
    """A text with a few bytes replaced, cut out or doubled."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(found) + 1)
        end = min(len(found), at + chance.choice((0, 1, 1, 2, 8)))
        piece = chance.choice(
            (b"", bytes(found[at:end]) * 2, chance.randbytes(end - at), b"\r\n", b"\x00", b"+")
        )
        found[at:end] = piece
    return bytes(found)


@pytest.mark.parametrize("name", TARGETS)
def test_every_reader_keeps_its_promise_for_what_is_known_and_what_is_near_it(name: str) -> None:
    chance = random.Random(f"{SEED} {name}")
    texts = [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
    assert texts
    for text in (b"", *texts):
        TARGETS[name](text)
    for _ in range(TRIES):
        TARGETS[name](changed(chance.choice(texts), chance))

"""Whatever comes over a socket, in however many pieces: no answer blames the server, and it goes on serving.

``make fuzz`` throws more of it. A failure names its seed; ``TEST_SEED`` repeats it.
"""

import contextlib
import os
import random
import re
from collections.abc import Callable

import pytest

from tests.kit.client import Raw
from tests.kit.relay import RelayProcess
from tests.web.sent import FORM_SOURCE, HOOK_SOURCE, person

SOURCES = {"newsletter": FORM_SOURCE | {"wait": 0}, "hook": HOOK_SOURCE | {"wait": 0}}
COUNT = int(os.environ.get("TEST_FUZZ", "300"))
AT_ONCE = 20
pytestmark = pytest.mark.usefixtures("no_faults")

Change = Callable[[random.Random, bytes], bytes]

METHODS = [b"POST", b"GET", b"HEAD", b"OPTIONS", b"PUT", b"TRACE", b"P", b"post", b"\x00"]
PATHS = [b"/submit/newsletter", b"/submit/hook", b"//submit/newsletter/", b"/forms/newsletter", b"/", b"*"]
PATHS += [b"/receipts/" + b"0" * 32, b"/submit/%ff", b"/submit/a%00", b"/?" + b"x" * 3000, b"http://x/readyz"]
HEADERS = [
    b"Content-Length: 21",
    b"Content-Length: 0",
    b"Content-Length: 99999999999999999999",
    b"content-length:21",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Expect: 100-continue",
    b"Expect: miracles",
    b"Content-Type: application/x-www-form-urlencoded",
    b"Content-Type: application/json; charset=\xff",
    b"Content-Type: multipart/form-data; boundary=b",
    b"Content-Encoding: gzip",
    b"Connection: close",
    b"Connection: upgrade, HTTP2-Settings",
    b"Upgrade: h2c",
    b"Accept: text/html",
    b"Origin: null",
    b"X-Forwarded-For: [::1]:9, unknown, \xff",
    b"Authorization: Bearer \xff\xfe",
    b"Cookie: " + b"a=b;" * 500,
    b"X: " + b"y" * 9000,
    b"Host: other",
    b" folded: yes",
    b"bad name: 1",
    b"",
]
BODIES = [
    b"email=ada@example.com",
    b'{"email": "ada@example.com"}',
    b"15\r\nemail=ada@example.com\r\n0\r\n\r\n",
    b"1\r\nx\r\n" * 1500 + b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"5;" + b"a=b;" * 100 + b"\r\nemail\r\n0\r\nTrailer: x\r\n\r\n",
    b'--b\r\nContent-Disposition: form-data; name="email"\r\n\r\nx\r\n--b--\r\n',
    b"",
    b"\x00" * 200,
]
SPICE = [
    b"\r\n\r\n",
    b"\n\n",
    b"\x00",
    b"\xff",
    b"\r",
    b" ",
    b":",
    b"%",
    b"HTTP/1.1",
    b"0\r\n\r\n",
    b"9" * 40,
]


def request(chance: random.Random) -> bytes:
    """A request that is nearly right."""
    version = chance.choice([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/2.0", b""])
    line = chance.choice(METHODS[:1] * 8 + METHODS) + b" " + chance.choice(PATHS) + b" " + version
    headers = [b"Host: 127.0.0.1", *chance.sample(HEADERS, chance.randrange(5))]
    chance.shuffle(headers)
    return b"\r\n".join([line, *headers, b"", b""]) + chance.choice(BODIES)


def cut(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def spiced(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(SPICE) + data[at:]


def flipped(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data)) if data else 0
    return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]


def repeated(chance: random.Random, data: bytes) -> bytes:
    return data * chance.randrange(1, 4)


CHANGES: list[Change] = [cut, spiced, flipped, repeated]


def thrown(chance: random.Random) -> bytes:
    data = request(chance)
    for change in chance.choices(CHANGES, k=chance.randrange(4)):
        data = change(chance, data)
    return data


def sent(relay: RelayProcess, chance: random.Random, data: bytes) -> Raw:
    """Send some bytes in a few pieces, and say that no more will come."""
    raw = Raw(relay.port, timeout=15)
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(3)))
    with contextlib.suppress(OSError):  # hung up on in the middle of it
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            raw.send(data[start:end])
        raw.half_close()
    return raw


def test_no_bytes_make_the_server_stumble(relay: RelayProcess, seed: int) -> None:
    chance = random.Random(seed)
    workers = relay.worker_pids()
    for _ in range(COUNT // AT_ONCE):
        pieces = [thrown(chance) for _ in range(AT_ONCE)]
        clients = [sent(relay, chance, data) for data in pieces]
        for data, client in zip(pieces, clients, strict=True):
            with client:
                seen = client.read_all(15)
            statuses = [int(found) for found in re.findall(rb"^HTTP/1\.[01] (\d{3})", seen, re.MULTILINE)]
            assert all(status < 500 for status in statuses), (seed, statuses, data[:2000])
    assert relay.form({"email": person()}).status == 202
    assert relay.worker_pids() == workers

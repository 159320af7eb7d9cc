"""Requests that hide in requests."""

import re

import pytest

from tests.kit.client import Raw, encoded, head
from tests.kit.relay import RelayProcess
from tests.web.hostile import FORM_TYPE, person
from tests.web.hostile import SOURCES as SOURCES

pytestmark = pytest.mark.usefixtures("no_faults")

# --- smuggling ------------------------------------------------------------------------------------

HIDDEN = b"POST /submit/anyones HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
SMUGGLING = {
    "length and chunked": b"Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n",
    "chunked and length": b"Transfer-Encoding: chunked\r\nContent-Length: {n}\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: {n}\r\n",
    "lengths in a list": b"Content-Length: 0, {n}\r\n",
    "length with plus": b"Content-Length: +{n}\r\n",
    "length in hex": b"Content-Length: 0x{n}\r\n",
    "length with blank": b"Content-Length : {n}\r\n",
    "length with underscore": b"Content-Length: 1_0\r\n",
    "length in other digits": "Content-Length: ١٠\r\n".encode(),
    "negative length": b"Content-Length: -{n}\r\n",
    "empty length": b"Content-Length: \r\n",
    "xchunked": b"Transfer-Encoding: xchunked\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "chunked, identity": b"Transfer-Encoding: chunked, identity\r\n",
    "identity after": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "gzip, chunked": b"Transfer-Encoding: gzip, chunked\r\n",
    "tab before colon": b"Transfer-Encoding\t: chunked\r\n",
    "vertical tab": b"Transfer-Encoding: \x0bchunked\r\n",
    "quoted": b'Transfer-Encoding: "chunked"\r\n',
    "folded": b"Transfer-Encoding:\r\n chunked\r\n",
    "bare line feed": b"X: y\nTransfer-Encoding: chunked\r\n",
    "underscore": b"Transfer_Encoding: chunked\r\nContent-Length: 0\r\n",
}


@pytest.mark.parametrize("lines", SMUGGLING.values(), ids=SMUGGLING.keys())
def test_no_request_hides_another(relay: RelayProcess, lines: bytes) -> None:
    """What is ambiguous is refused and the connection closed, so that what follows is never a request."""
    hidden_email = person("hidden")
    content = encoded({"email": hidden_email})
    hidden = HIDDEN % (FORM_TYPE.encode(), len(content), content)
    body = b"0\r\n\r\n" + hidden
    start = head("POST", "/submit/anyones", {"Content-Type": FORM_TYPE})
    start = start[:-2] + lines.replace(b"{n}", b"%d" % len(body)) + b"\r\n"
    with Raw(relay.port) as raw:
        raw.send(start + body)
        seen = raw.read_all(1.5)
    statuses = [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})", seen)]
    assert len(statuses) <= 1, statuses
    assert all(400 <= found < 500 for found in statuses)
    assert not relay.rows(False, contact=hidden_email)


def test_honest_pipelining_works(relay: RelayProcess) -> None:
    emails = [person() for _ in range(3)]
    with Raw(relay.port) as raw:
        for email in emails:
            content = encoded({"email": email})
            raw.send(HIDDEN % (FORM_TYPE.encode(), len(content), content))
        answers = [raw.read() for _ in emails]
    assert [answer.status for answer in answers] == [202] * 3
    assert len({answer.receipt for answer in answers}) == 3


def test_an_unread_body_is_no_request(relay: RelayProcess) -> None:
    """A refusal before the body closes the connection: the body is not taken for what comes next."""
    hidden_email = person("hidden")
    content = encoded({"email": hidden_email})
    hidden = HIDDEN % (FORM_TYPE.encode(), len(content), content)
    for path, kind in (
        ("/submit/nobody", FORM_TYPE),
        ("/submit/anyones", "text/plain"),
        ("/nowhere", FORM_TYPE),
    ):
        with Raw(relay.port) as raw:
            raw.send(head("POST", path, {"Content-Type": kind, "Content-Length": str(len(hidden))}) + hidden)
            seen = raw.read_all(1.5)
        assert seen.count(b"HTTP/1.1 ") == 1, (path, seen)
    assert not relay.rows(False, contact=hidden_email)

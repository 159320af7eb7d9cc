"""Clients that are slow or hostile, straight against the server, without a proxy in front."""

import contextlib
import socket
import threading
import time

import pytest

from relay.server.framing import Arriving
from tests.kit.client import Raw, encoded
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config

HEAD = (
    b"POST /submit/newsletter HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n"
)
BODY = b"email=whole%40example.com"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%s\r\n" % (len(BODY), BODY)
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
HALVES = {
    "half a request line": b"POST /submit/news",
    "half the headers": HEAD,
    "headers without end": HEALTH + b"X: y\r\n" * 11_000,
    "half the body": HEAD + b"Content-Length: 60\r\n\r\nemail=half",
    "half a large body": HEAD + b"Content-Length: 200000\r\n\r\n" + b"email=half" * 100,
    "half of what only one source takes": HEAD.replace(b"newsletter", b"generous")
    + b"Content-Length: 600000\r\n\r\n",
    "a body nobody wants": HEALTH + b"Content-Length: 90000000\r\n\r\n",
    "a body that waits to be asked for": HEAD + b"Content-Length: 60\r\nExpect: 100-continue\r\n\r\n",
    "a length with many zeros": HEAD + b"Content-Length: " + b"0" * 20 + b"60\r\n\r\nemail=half",
    "an unfinished chunk": CHUNKED + b"10\r\nemail=",
    "a chunk that looks like the last": CHUNKED + b"64\r\n0\r\n\r\n",
    "a chunk size without end": CHUNKED + b"1" * 4000,
    "trailers without end": CHUNKED + b"0\r\nX-Checksum: 1\r\n",
}
ENDED_AT_ONCE = tuple(
    HALVES[name] for name in ("headers without end", "a body nobody wants", "a length with many zeros")
)
ENDED = {
    "asked to close": HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "of the old kind": HEALTH.replace(b"1.1", b"1.0") + b"\r\n",
    "no request": b"GET / HTTP/9.9\r\n\r\n",
    "too large": HEAD + b"Content-Length: 90000000\r\n\r\n" + b"x" * 1000,
}


@pytest.fixture(scope="module")
def relay():
    sources = {"newsletter": NEWSLETTER, "generous": NEWSLETTER | {"max_body": "1MiB"}}
    with RelayProcess(config("http://127.0.0.1:9/", sources)) as running:
        yield running


WHOLE, CUT, NOT_YET = "whole", "cut", "not yet"
REQUESTS = [
    (b"", NOT_YET),
    (b"GET / HTTP/1.1\r\nHost: x\r\n", NOT_YET),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", WHOLE),
    (b"GET / HTTP/1.1\nHost: x\n\n", CUT),
    (b"x" * 70_000, CUT),
    (HEAD + b"Content-Length: 3\r\n\r\nab", NOT_YET),
    (HEAD + b"Content-Length: %s3\r\n\r\nab" % (b"0" * 20), CUT),
    (HEAD + b"Content-Length: +3\r\n\r\nab", CUT),
    (HEAD + b"Content-Length: 3\r\n\r\nabc", WHOLE),
    (HEAD + b"Content-Length: 3\r\n\r\nabcPOST /", WHOLE),
    (HEAD + b"CONTENT-LENGTH:  3 \r\n\r\nab", NOT_YET),
    (HEAD + b"Content-Length: 99999999\r\n\r\n", CUT),
    (HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", NOT_YET),
    (HEAD + b"Content-Length: 5\r\nExpect: 100-Continue\r\n\r\nabcde", WHOLE),
    (HEAD + b"Content-Length: 5\r\nExpect: miracles\r\n\r\n", CUT),
    (HEAD + b"Transfer-Encoding: identity\r\n\r\n", CUT),
    (HEAD + b"Transfer-Encoding: \r\nContent-Length: 3\r\n\r\n", CUT),
    (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n", CUT),
    (HEAD + b"Transfer-Encoding:  Chunked \r\n\r\n0\r\n\r\n", WHOLE),
    (CHUNKED, NOT_YET),
    (CHUNKED + b"3\r\nabc\r\n", NOT_YET),
    (CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", WHOLE),
    (CHUNKED + b"3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n", WHOLE),
    (CHUNKED + b"3;a=b\r\nabc\r\n0;c=d\r\nX-Checksum: 1\r\n\r\n", WHOLE),
    (CHUNKED + b"64\r\n0\r\n\r\n", NOT_YET),
    (CHUNKED + b"0\r\nX-Checksum: 1\r\n", NOT_YET),
    (CHUNKED + b"zz\r\n", CUT),
    (CHUNKED + b"3\r\nabcXX0\r\n\r\n", CUT),
    (CHUNKED + b"1" * 9000, CUT),
    (CHUNKED + b"7fffffff\r\nabc", NOT_YET),
    (CHUNKED + b"7fffffff\r\n" + b"x" * 262_145, CUT),
    (CHUNKED + b"1;" + b"x" * 8000 + b"\r\nx\r\n", NOT_YET),
    (CHUNKED + (b"1;" + b"x" * 8000 + b"\r\nx\r\n") * 80, CUT),
]


@pytest.mark.parametrize(("received", "seen"), REQUESTS)
@pytest.mark.parametrize("size", [100_000_000, 4096, 7, 1], ids=str)
def test_a_request_gets_a_thread_when_it_is_whole_in_however_many_pieces_it_comes(received, seen, size):
    arriving = Arriving()
    step = size if len(received) < 5000 else max(size, 999)
    for start in range(0, max(1, len(received)), step):
        arriving.feed(received[start : start + step])
        if arriving.verdict is not None:
            assert seen == (WHOLE if arriving.verdict.is_whole else CUT)
            return
    assert seen == NOT_YET


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_half_sent_requests_keep_nobody_out(relay, half):
    with contextlib.ExitStack() as open_ones:
        clients = [open_ones.enter_context(Raw(relay.port)).send(half) for _ in range(40)]
        time.sleep(0.3)
        for number in range(3):
            answer = relay.form({"email": f"n{number}{len(half)}{half[-1]}@example.com"})
            assert answer.status == 202
        if half not in ENDED_AT_ONCE:
            assert not any(client.closed(0.001) for client in clients), "others were served beside them"


def test_half_sent_requests_are_ended(relay):
    with contextlib.ExitStack() as open_ones:
        clients = [open_ones.enter_context(Raw(relay.port)).send(half) for half in HALVES.values()]
        closed_by = time.monotonic() + 14
        for client in clients:
            assert client.closed(closed_by - time.monotonic())


@pytest.mark.parametrize("request_", ENDED.values(), ids=ENDED)
def test_clients_that_do_not_hang_up_keep_nobody_out(relay, request_):
    with contextlib.ExitStack() as open_ones:
        clients = [open_ones.enter_context(Raw(relay.port)) for _ in range(40)]
        for client in clients:
            client.send(request_)
        for number in range(3):
            assert relay.form({"email": f"e{number}{len(request_)}@example.com"}).status == 202
        for client in clients:
            assert client.read().status in (200, 202, 400, 413)
            assert client.closed(5)


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (CHUNK + b"0\r\nX-Checksum: 1\r\n\r\n", 202),
        (CHUNK + b"0;last=yes\r\n\r\n", 202),
        (CHUNK + b"0\r\n\r\n" + HEALTH, 202),
        (b"zz\r\n", 400),
        (CHUNK[:-2] + b"XX0\r\n\r\n", 400),
    ],
    ids=["trailers", "extension", "half a request behind it", "no size", "no end of line"],
)
def test_a_chunked_body_is_answered_when_it_ends_and_not_later(relay, rest, status):
    with Raw(relay.port) as raw:
        assert raw.send(CHUNKED + rest).read().status == status
        assert status != 202 or not raw.closed(0.001), "it is kept for the next request"


def test_a_body_is_asked_for_once_where_the_client_waits_for_that(relay):
    with Raw(relay.port) as raw:
        for number in range(3):
            body = encoded({"email": f"asked{number}@example.com"})
            raw.send(HEAD + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(body))
            assert raw.sock.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert raw.send(body).read().status == 202
        raw.send(HEAD + b"Content-Length: 90000000\r\nExpect: 100-continue\r\n\r\n")
        assert raw.sock.recv(4096).startswith(b"HTTP/1.1 413"), "not asked for what is not taken"


def test_what_follows_a_body_that_was_not_read_is_no_request(relay):
    inner = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    with Raw(relay.port) as raw:
        raw.send(HEALTH + b"Content-Length: 90000000\r\n\r\n" + inner)
        answer = raw.read()
        assert (answer.status, answer.header("Connection")) == (200, "close")
        assert raw.read_all() == b""


def test_one_byte_a_second_is_ended_by_the_deadline(relay):
    body = encoded({"email": "trickle@example.com"})
    with Raw(relay.port) as raw:
        begun = time.monotonic()
        with pytest.raises(OSError):
            for byte in HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body:
                raw.send(bytes([byte]))
                time.sleep(0.25)
        assert 8 < time.monotonic() - begun < 16


def test_idle_connections_keep_nobody_out_and_are_closed(relay):
    peers = [(f"127.0.5.{number % 4 + 1}", 0) for number in range(1500)]
    sockets = [socket.create_connection(("127.0.0.1", relay.port), 10, peer) for peer in peers]
    try:
        assert relay.form({"email": "idle@example.com"}).status == 202
        sockets[-1].settimeout(0.001)
        with pytest.raises(TimeoutError):
            sockets[-1].recv(1)
        for sock in sockets:
            sock.settimeout(12)
            assert sock.recv(1) == b""
    finally:
        for sock in sockets:
            sock.close()


def test_clients_that_never_read_keep_nobody_out(relay):
    sockets = []
    request = b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 400
    try:
        for _ in range(24):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.connect(("127.0.0.1", relay.port))
            threading.Thread(target=_send_all, args=(sock, request), daemon=True).start()
            sockets.append(sock)
        time.sleep(1)
        assert relay.form({"email": "reader@example.com"}).status == 202
        assert "did not read the answer" not in relay.output(), "nobody waited for them"
    finally:
        for sock in sockets:
            sock.close()


def test_who_reads_slowly_gets_all_of_it_and_who_does_not_is_let_go():
    sources = {"hook": HOOK | {"max_field": "256KiB"}}
    with RelayProcess(config("http://127.0.0.1:9/", sources)) as relay, contextlib.ExitStack() as open_ones:
        for number in range(12):
            assert relay.hook({"email": "none", "note": "x" * 250_000, "number": number}).receipt
        slow, _ = [open_ones.enter_context(_asking_for_all(relay)) for _ in range(2)]
        received = b""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            received += slow.recv(20_000)
            time.sleep(1)
        while not received.endswith(b"\r\n0\r\n\r\n"):
            piece = slow.recv(1_000_000)
            assert piece, "it was cut off"
            received = received[-10:] + piece
        assert eventually(lambda: "did not read the answer" in relay.output(), 20)
        assert relay.output().count("did not read the answer") == 1


def _asking_for_all(relay: RelayProcess) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", relay.port))
    head = "GET /api/export?people=true HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    sock.sendall(f"{head}Authorization: Bearer {relay.admin_token}\r\n\r\n".encode())
    return sock


def _send_all(sock: socket.socket, data: bytes) -> None:
    try:
        sock.sendall(data)
    except OSError:
        return


def test_pipelined_requests_are_all_answered(relay):
    posts = []
    for number in range(5):
        body = encoded({"email": f"pipe{number}@example.com"})
        posts.append(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    with Raw(relay.port) as raw:
        raw.send(b"".join(posts))
        assert [raw.read().status for _ in posts] == [202] * 5


@pytest.mark.parametrize("gap", [None, 0.1], ids=["at once", "later"])
def test_half_of_a_next_request_keeps_nobody_out(relay, gap):
    """The half comes with the first request, or when the thread that served it has gone."""
    body = b"email=next%40example.com"
    whole = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    half = HALVES["half the body"]
    with contextlib.ExitStack() as open_ones:
        for _ in range(40):  # one by one: who says nothing for five seconds is let go
            client = open_ones.enter_context(Raw(relay.port))
            client.send(whole + half if gap is None else whole)
            assert client.read().status in (200, 202)
            if gap is not None:
                time.sleep(gap)
                client.send(half)
        for number in range(3):
            assert relay.form({"email": f"next{number}.{gap}@example.com"}).status == 202
        client.send(b"%40example.com".ljust(50, b"&"))
        assert client.read().status in (200, 202)

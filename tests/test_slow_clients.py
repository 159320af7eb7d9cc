"""Clients that are slow or hostile, straight against the server, without a proxy in front."""

import contextlib
import socket
import threading
import time

import pytest

from relay.worker import is_whole
from tests.kit.client import Raw, encoded
from tests.kit.relay import RelayProcess, config

HEAD = (
    b"POST /submit/newsletter HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n"
)
HALVES = {
    "half a request line": b"POST /submit/news",
    "half the headers": HEAD,
    "half the body": HEAD + b"Content-Length: 60\r\n\r\nemail=half",
    "half a large body": HEAD + b"Content-Length: 200000\r\n\r\n" + b"email=half" * 100,
    "an unfinished chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n10\r\nemail=",
    "a chunk size without end": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 4000,
}


@pytest.fixture(scope="module")
def relay():
    with RelayProcess(config("http://127.0.0.1:9/")) as running:
        yield running


@pytest.mark.parametrize(
    ("received", "whole"),
    [
        (b"", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (b"x" * 70_000, True),
        (HEAD + b"Content-Length: 3\r\n\r\nab", False),
        (HEAD + b"Content-Length: 3\r\n\r\nabc", True),
        (HEAD + b"Content-Length: 3\r\n\r\nabcPOST /", True),
        (HEAD + b"CONTENT-LENGTH:  3 \r\n\r\nab", False),
        (HEAD + b"Content-Length: 99999999\r\n\r\n", True),
        (HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n", True),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", True),
        (HEAD + b"Content-Length: nonsense\r\n\r\n", True),
    ],
)
def test_a_request_gets_a_thread_when_it_is_whole(received, whole):
    assert is_whole(received) is whole


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_26_28_half_sent_requests_keep_nobody_out(relay, half):
    sockets = [socket.create_connection(("127.0.0.1", relay.port)) for _ in range(40)]
    try:
        for sock in sockets:
            sock.sendall(half)
        time.sleep(0.3)
        for number in range(3):
            begun = time.monotonic()
            answer = relay.form({"email": f"n{number}{len(half)}{half[-1]}@example.com"})
            assert answer.status == 202
            assert time.monotonic() - begun < 2
        closed_by = time.monotonic() + 14
        for sock in sockets:
            sock.settimeout(max(0.1, closed_by - time.monotonic()))
            while sock.recv(4096):
                pass
    finally:
        for sock in sockets:
            sock.close()


def test_26_one_byte_a_second_is_ended_by_the_deadline(relay):
    body = encoded({"email": "trickle@example.com"})
    with Raw(relay.port) as raw:
        begun = time.monotonic()
        with pytest.raises(OSError):
            for byte in HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body:
                raw.send(bytes([byte]))
                time.sleep(0.25)
        assert 8 < time.monotonic() - begun < 16


def test_27_idle_connections_keep_nobody_out_and_are_closed(relay):
    sockets = [socket.create_connection(("127.0.0.1", relay.port)) for _ in range(1500)]
    try:
        begun = time.monotonic()
        assert relay.form({"email": "idle@example.com"}).status == 202
        assert time.monotonic() - begun < 3
        for sock in sockets:
            sock.settimeout(12)
            assert sock.recv(1) == b""
    finally:
        for sock in sockets:
            sock.close()


def test_38_a_client_that_never_reads_frees_its_thread(relay):
    sockets = []
    request = b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 400
    try:
        for _ in range(24):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.connect(("127.0.0.1", relay.port))
            threading.Thread(target=_send_all, args=(sock, request), daemon=True).start()
            sockets.append(sock)
        begun = time.monotonic()
        time.sleep(1)
        assert relay.form({"email": "reader@example.com"}).status == 202
        assert time.monotonic() - begun < 40
    finally:
        for sock in sockets:
            sock.close()


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


@pytest.mark.parametrize("gap", [None, 0.0005, 0.1], ids=["at once", "soon", "later"])
def test_26_half_of_a_next_request_keeps_nobody_out(relay, gap):
    """The half comes with the first request, while its thread looks for it, or when the thread has gone."""
    body = b"email=next%40example.com"
    whole = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    half = HALVES["half the body"]
    with contextlib.ExitStack() as open_ones:
        clients = [open_ones.enter_context(Raw(relay.port)) for _ in range(40)]
        for client in clients:
            client.send(whole + half if gap is None else whole)
            assert client.read().status in (200, 202)
            if gap is not None:
                time.sleep(gap)
                client.send(half)
        begun = time.monotonic()
        for number in range(3):
            assert relay.form({"email": f"next{number}.{gap}@example.com"}).status == 202
        assert time.monotonic() - begun < 2
        clients[-1].send(b"%40example.com".ljust(50, b"&"))
        assert clients[-1].read().status in (200, 202)

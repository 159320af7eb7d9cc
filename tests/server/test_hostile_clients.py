"""What one client can take from the others: a share, and never the rest."""

import contextlib
import time

import pytest

from relay.server.framing import Arriving
from tests.kit.client import NoAnswer, Raw, request
from tests.kit.processes import eventually
from tests.kit.relay import NEWSLETTER, RelayProcess, config
from tests.server.test_slow_clients import BODY, CHUNKED, HEAD


@pytest.fixture(scope="module")
def relay():
    sources = {"newsletter": NEWSLETTER, "generous": NEWSLETTER | {"max_body": "2MiB"}}
    with RelayProcess(config("http://127.0.0.1:9/", sources)) as running:
        time.sleep(1.5)  # it learns once a second how much sources take
        yield running


def let_go(relay: RelayProcess, reason: str) -> int:
    lines = [line.data for line in relay.log_lines() if line.data and line.data["event"] == "client.let_go"]
    return sum(line["count"] for line in lines if reason in line["reason"])


def test_one_address_gets_a_quarter_of_all_connections(relay):
    with contextlib.ExitStack() as open_ones:
        crowd = [open_ones.enter_context(Raw(relay.port, source_address="127.0.7.1")) for _ in range(520)]
        refused = crowd[-1].read()
        assert (refused.status, refused.header("Connection")) == (503, "close")
        assert refused.header("Retry-After")
        assert relay.form({"email": "other@example.com"}, source_address="127.0.7.2").status == 202
        assert not crowd[0].closed(0.001)
    eventually(lambda: let_go(relay, "too many connections") == 20, 5, "the log")


def test_who_holds_the_most_and_is_silent_makes_room_for_the_others(relay):
    half = HEAD.replace(b"newsletter", b"generous") + b"Content-Length: 2000000\r\n\r\n"
    with contextlib.ExitStack() as open_ones:
        idle = [open_ones.enter_context(Raw(relay.port, source_address=f"127.0.8.{n}")) for n in range(1, 41)]
        for client in idle:
            client.send(half + b"x" * 1_900_000)
        large = b"email=large%40example.com&x=" + b"y" * 15_000
        answer = request(relay.port, "POST", "/submit/generous", large, {"Content-Type": FORM})
        assert answer.status == 202
        statuses = [client.read(20).status for client in idle]
        assert statuses.count(503) >= 5 and set(statuses) <= {503, 408}
        eventually(lambda: let_go(relay, "no room") >= statuses.count(503), 5, "the log")
        assert let_go(relay, "no room") == statuses.count(503)


FORM = "application/x-www-form-urlencoded"


def test_half_a_request_is_answered_when_its_time_is_over(relay):
    with Raw(relay.port) as raw:
        answer = raw.send(HEAD + b"Content-Length: 60\r\n\r\nemail=").read(14)
        assert (answer.status, answer.header("Connection")) == (408, "close")
        assert answer.json["status"] == 408 and answer.header("X-Request-ID")


def test_a_body_in_a_multitude_of_pieces_is_refused(relay):
    with Raw(relay.port) as raw:
        with contextlib.suppress(OSError):
            raw.send(CHUNKED + b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n")
        assert raw.read().status == 413
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY)
    with Raw(relay.port) as raw:
        assert raw.send(CHUNKED + pieces + b"0\r\n\r\n").read().status in (200, 202)


def test_a_body_in_pieces_costs_as_much_as_it_is_long(relay):
    """Twice as many chunks, twice the work: each byte is looked at once."""
    took = {}
    for count in (400, 800):
        data = CHUNKED + b"64\r\n" + b"x" * 100 + b"\r\n"
        sent = data + b"64\r\n%s\r\n" % (b"x" * 100) * count
        begun = time.process_time()
        for _ in range(5):
            arriving = Arriving()
            for start in range(0, len(sent), 97):
                arriving.feed(sent[start : start + 97])
        took[count] = time.process_time() - begun
    assert took[800] < 4 * took[400]


def test_who_says_nothing_is_let_go_with_a_reason(relay):
    before = let_go(relay, "said nothing")
    with Raw(relay.port) as raw, pytest.raises(NoAnswer):
        raw.read(8)
    eventually(lambda: let_go(relay, "said nothing") == before + 1, 5, "the log")


@pytest.fixture(scope="module")
def proxied():
    settings = config("http://127.0.0.1:9/", {"newsletter": NEWSLETTER})
    with RelayProcess(settings, env={"RELAY_TRUSTED_PROXIES": "1"}) as running:
        yield running


def half_sent(visitor: str) -> bytes:
    return HEAD + f"X-Forwarded-For: 192.0.2.1, {visitor}\r\nContent-Length: 60\r\n\r\nemail=".encode()


def test_behind_a_proxy_one_visitor_gets_a_quarter_of_all_connections(proxied):
    """A proxy that passes bodies on as they come lends its connections to whoever sends slowly."""
    with contextlib.ExitStack() as open_ones:

        def sends_half(visitor: str) -> Raw:
            client = open_ones.enter_context(Raw(proxied.port))
            client.send(half_sent(visitor))
            return client

        crowd = [sends_half("203.0.113.9") for _ in range(510)]
        refused = [client for client in crowd if client.closed(0.01)]
        assert len(refused) == 10
        others = [sends_half(f"198.51.100.{number}") for number in range(1, 20)]
        assert not any(client.closed(0.01) for client in others)
        headers = {"X-Forwarded-For": "198.51.100.99"}
        assert proxied.form({"email": "other@example.com"}, headers=headers).status == 202
    eventually(lambda: let_go(proxied, "too many connections") == 10, 5, "the log")


def test_who_was_answered_holds_no_seat_however_long_the_proxy_keeps_the_connection():
    """Each request comes in two pieces, one after the other, and the proxy keeps every connection."""
    none = {"client_limits": "none", "source_limits": "none", "recipient_limits": "none"}
    settings = config("http://127.0.0.1:9/", {"newsletter": NEWSLETTER | none})
    few_files = ("prlimit", "--nofile=456:456")  # 200 connections, of which one visitor may have 50
    with (
        RelayProcess(settings, env={"RELAY_TRUSTED_PROXIES": "1"}, wrap=few_files) as relay,
        contextlib.ExitStack() as open_ones,
    ):
        for number in range(60):
            client = open_ones.enter_context(Raw(relay.port))
            body = f"email=many{number}%40example.com".encode()
            head = f"X-Forwarded-For: 203.0.113.7\r\nContent-Length: {len(body)}\r\n\r\n"
            client.send(HEAD + head.encode())
            time.sleep(0.005)
            answer = client.send(body).read(20)
            assert (number, answer.status) == (number, 202)

"""The way to upstream: what the environment, redirects, certificates and endless answers can do."""

import time
from typing import Any

import pytest

from tests.dispatch.doors import LATE, Open, expect_misconfigured
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.tls import KINDS
from tests.kit.upstream import (
    Reaction,
    ScriptedUpstream,
    big_body,
    drip,
    endless_chunks,
    endless_interim,
    gzip_bomb,
    raw,
    redirect,
)


def test_netrc_and_proxies_of_the_environment_are_ignored() -> None:
    with ScriptedUpstream() as upstream, ScriptedUpstream() as proxy:
        through = f"http://user:password@127.0.0.1:{proxy.port}"
        names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        proxies = dict.fromkeys(names, through) | {"no_proxy": None, "NO_PROXY": None}
        with RelayProcess(config(upstream.url), start=False, env=proxies) as relay:
            netrc = relay.folder / ".netrc"
            netrc.write_text(
                "machine 127.0.0.1 login eve password stolen\ndefault login eve password stolen\n"
            )
            netrc.chmod(0o600)
            relay.env["NETRC"] = str(netrc)
            relay.start()
            assert relay.hook({"email": "ada@example.com"}).status == 201
            assert upstream.arrivals[0].headers["authorization"] == f"Bearer {relay.token}"
        assert proxy.connections == 0


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(door: Open, code: int) -> None:
    with ScriptedUpstream() as elsewhere:
        way = door(lambda _: redirect(elsewhere.url, code))
        row = way.attempted(way.submit())
        assert elsewhere.connections == 0
    expect_misconfigured(way, row, str(code))


@pytest.mark.parametrize("location", ["http://[", "http://\x80", "//", "https://user@:x:/", ""])
def test_nonsense_in_a_redirect_changes_nothing(door: Open, location: str) -> None:
    way = door(lambda _: redirect(location))
    expect_misconfigured(way, way.attempted(way.submit()), "302")


def test_the_body_of_a_redirect_is_not_read(door: Open) -> None:
    heads = {"Location": "http://127.0.0.1:9/"}
    way = door(lambda _: Reaction("big redirect", lambda talk: _endless(talk, 302, heads)), deadline=10)
    before = way.relay.rss()
    began = time.monotonic()
    expect_misconfigured(way, way.attempted(way.submit()), "302")
    assert time.monotonic() - began < 5
    assert way.relay.rss() - before < 20_000_000


def _endless(talk: Any, code: int, headers: dict[str, str]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    talk.raw(f"HTTP/1.1 {code} Odd\r\n{lines}Content-Length: 900000000\r\n\r\n".encode(), status=code)
    while True:
        talk.raw(b" " * 65536)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_sent_to_an_upstream_with_a_bad_certificate(door: Open, kind: str) -> None:
    """The fourth kind is sound in itself, but of an authority that nobody trusts."""
    way = door(server={"tls": kind})
    row = way.attempted(way.submit())
    assert way.upstream.arrivals == []
    assert way.upstream.failed_handshakes >= 1
    expect_misconfigured(way, row, "certificate")
    (held,) = eventually(lambda: way.logged("destination.held"), 5, "the log")
    assert held["level"] == "warning"


BAD_HEADS = {
    "two lengths": b"Content-Length: 2\r\nContent-Length: 5\r\n\r\n{}",
    "too many headers": b"X: y\r\n" * 200 + b"\r\n",
    "an endless header": b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    "a line that is no header": b"nonsense\r\n\r\n",
    "a reset": b"Content-Le",
}


@pytest.mark.parametrize("kind", BAD_HEADS)
def test_a_status_counts_whatever_is_wrong_with_what_follows(door: Open, kind: str) -> None:
    """Else somebody who was created would be sent again, and a wait cost an attempt."""

    def answer(code: int) -> Reaction:
        def play(talk: Any) -> None:
            if code == 201:
                talk.create()
            talk.raw(b"HTTP/1.1 %d Odd\r\n" % code + BAD_HEADS[kind], status=code)
            time.sleep(0.2)  # until it is read: a reset takes with it what is not
            talk.hang_up(reset=True)

        return Reaction(f"{kind} after {code}", play)

    way = door([answer(201), answer(429)])
    row = way.attempted(way.submit())
    assert (row["state"], row["may_be_duplicate"], row["history"][0]["status"]) == ("delivered", False, 201)
    row = way.attempted(way.submit())
    assert (row["attempts"], row["may_be_duplicate"], row["history"][0]["outcome"]) == (0, False, "wait")


SLOW = {
    "drip in the head": (drip(0.2, "head"), "delivered"),
    "half a head": (raw(b"HTTP/1.1 201 Created\r\nContent-Ty", creates=True, code=201), "delivered"),
    "drip in the body": (drip(0.2, "body"), "delivered"),
    "endless 100": (endless_interim(100), "unclear"),
    "endless 103": (endless_interim(103), "unclear"),
    "endless slow chunks": (endless_chunks(b"  ", 0.2), "delivered"),
}


@pytest.mark.parametrize("kind", SLOW)
def test_a_call_ends_at_its_deadline_and_delays_no_other(door: Open, kind: str) -> None:
    """Once the status line is there, what is missing changes nothing."""
    reaction, outcome = SLOW[kind]
    way = door([reaction], deadline=1.5)
    slow = way.submit()
    way.upstream.wait_for(1)
    assert way.call().status == 201
    if kind != "half a head":  # after which upstream hangs up
        assert way.relay.submission(slow)["state"] == "sending", "it is still being waited for"
    row = way.attempted(slow)
    last = row["history"][-1]
    assert last["outcome"] == outcome
    assert last["seconds"] <= 1.5 + LATE
    assert len(way.calls) == 2


BIG = {
    "gzip bomb": gzip_bomb(50_000_000),
    "200 MB": big_body(200_000_000),
    "endless chunks": endless_chunks(),
    "bomb in a 400": gzip_bomb(50_000_000, code=400),
}


@pytest.mark.parametrize("kind", BIG)
def test_of_a_huge_answer_only_the_beginning_is_read(door: Open, kind: str) -> None:
    way = door([BIG[kind]], deadline=8)
    before = way.relay.rss()
    row = way.attempted(way.submit())
    assert row["state"] == ("refused" if "400" in kind else "delivered")
    assert row["history"][-1]["seconds"] < 5
    assert way.relay.rss() - before < 20_000_000

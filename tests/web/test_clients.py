"""Who is counted as one client."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream
from tests.web.hostile import SOURCES as SOURCES
from tests.web.hostile import WIDE, person

pytestmark = pytest.mark.usefixtures("no_faults")


@pytest.fixture(scope="module")
def proxied(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    """A relay that believes one proxy in front of it."""
    with RelayProcess(config(upstream.url, SOURCES, **WIDE), env={"RELAY_TRUSTED_PROXIES": "1"}) as process:
        yield process


# --- who is counted ---------------------------------------------------------------------------

CLAIMS = [
    "203.0.113.7",
    "203.0.113.7, 198.51.100.2",
    ", ".join(f"203.0.113.{n}" for n in range(20)),
    "unknown",
    "fe80::1%eth0",
    "[2001:db8::1]:443",
    "203.0.113.7:8080",
    "999.1.1.1",
    ",,,",
    "\xff",
    "127.0.0.1",
    "a" * 4000,
]


def spoof(relay: RelayProcess, claim: str, source: str = "limited", **more: Any) -> int:
    return relay.form({"email": person()}, source, {"X-Forwarded-For": claim}, **more).status


def test_behind_an_unknown_proxy_all_share_a_looser_limit_and_the_owner_is_told(relay: RelayProcess) -> None:
    statuses = [spoof(relay, CLAIMS[n % len(CLAIMS)], source_address="127.0.3.1") for n in range(42)]
    assert statuses == [202] * 40 + [429] * 2, "twenty times what one client may"
    statuses = [
        relay.form({"email": person()}, "limited", source_address="127.0.3.2").status for _ in range(3)
    ]
    assert statuses == [202, 202, 429]
    warnings = relay.readiness().json["warnings"]
    assert [text for text in warnings if "RELAY_TRUSTED_PROXIES" in text]
    eventually(lambda: "RELAY_TRUSTED_PROXIES" in relay.output(), 5, "the log")
    assert sum("RELAY_TRUSTED_PROXIES" in line.raw for line in relay.log_lines()) == 1


def test_an_address_may_come_with_brackets_and_a_port(proxied: RelayProcess) -> None:
    claims = ["198.51.100.9:443", "198.51.100.9", "198.51.100.9:50000"]
    assert [spoof(proxied, claim) for claim in claims] == [202, 202, 429]
    claims = ["[2001:db8:77::1]:443", "2001:db8:77::2", "[2001:db8:77::3]"]
    assert [spoof(proxied, claim) for claim in claims] == [202, 202, 429]


def refused_clients(relay: RelayProcess) -> list[str]:
    return [line.data["client"] for line in relay.log_lines() if line.data and line.data.get("status") == 429]


def test_behind_one_proxy_only_what_the_proxy_says_counts(proxied: RelayProcess) -> None:
    for number, claim in enumerate(("", "1.2.3.4, ", "unknown, , ", ", ".join(["9.9.9.9"] * 20) + ", ")):
        last = f"203.0.113.{number}"
        statuses = [spoof(proxied, f"{claim}{last}") for _ in range(2)]
        statuses.append(spoof(proxied, f"8.8.{number}.8, {last}"))
        assert statuses == [202, 202, 429], claim
        eventually(lambda last=last: last in refused_clients(proxied), 5, "the log")


def test_what_cannot_be_read_counts_as_the_proxy(proxied: RelayProcess) -> None:
    unreadable = ["unknown", "999.1.1.1", "\xff", "a" * 4000, "<b>", "x, y", "1.2.3.4, "]
    statuses = [spoof(proxied, claim, source_address="127.0.3.9") for claim in unreadable]
    assert statuses == [202, 202] + [429] * (len(unreadable) - 2)


@pytest.mark.parametrize(("proxies", "too_few"), [("1", None), ("2", "203.0.113.7")])
def test_the_owner_is_told_where_trusted_proxies_name_nobody(
    upstream: ScriptedUpstream, proxies: str, too_few: str | None
) -> None:
    """As behind an nginx without the header, or one that sets it behind a CDN where both were counted."""
    enough = {"X-Forwarded-For": "203.0.113.7, 203.0.113.8"}
    with RelayProcess(config(upstream.url, SOURCES, **WIDE), env={"RELAY_TRUSTED_PROXIES": proxies}) as relay:
        assert relay.hook({"email": person()}).status == 202
        assert relay.form({"email": person()}, "anyones", enough).status == 202
        assert relay.readiness().json["warnings"] == []
        for _ in range(2):
            claim = {"X-Forwarded-For": too_few} if too_few else {}
            assert relay.form({"email": person()}, "anyones", claim).status == 202
        eventually(lambda: len(relay.readiness().json["warnings"]) == 1, 5, "readiness, which is cached")
        assert "X-Forwarded-For" in relay.readiness().json["warnings"][0]
        told = [line for line in relay.log_lines() if line.data and line.data["event"] == "proxy.nameless"]
        assert len(told) == 1


@pytest.mark.parametrize("claims", [["2001:db8:5:6::1", "2001:db8:5:6:ffff::2", "2001:0DB8:5:6::abcd"]])
def test_a_whole_network_of_ipv6_is_one_client(proxied: RelayProcess, claims: list[str]) -> None:
    assert [spoof(proxied, claim) for claim in claims] == [202, 202, 429]
    assert spoof(proxied, "2001:db8:5:7::1") == 202
    mapped = ["::ffff:192.0.2.55", "192.0.2.55", "::ffff:c000:237"]
    assert [spoof(proxied, claim) for claim in mapped] == [202, 202, 429]


def test_a_zone_makes_no_new_client(proxied: RelayProcess) -> None:
    zones = [f"fe80::1%eth{n}" for n in range(3)]
    assert [spoof(proxied, claim) for claim in zones] == [202, 202, 429]

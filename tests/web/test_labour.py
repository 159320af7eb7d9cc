"""Bodies and texts that could cost much."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.kit.client import encoded, request
from tests.kit.relay import RelayProcess
from tests.web.sent import FORM, JSON, largest, person, post
from tests.web.sent import SOURCES as SOURCES

pytestmark = pytest.mark.usefixtures("no_faults")

# --- what costs much --------------------------------------------------------------------------

LABOUR = {
    "labels": "a@" + "a-" * 50_000,
    "one label": "a@" + "a" * 100_000 + ".example.com",
    "dots": "a@" + "a." * 50_000 + "com",
    "local dots": "a." * 50_000 + "@example.com",
    "ats": "@" * 80_000,
    "quotes": '"' * 80_000 + "@example.com",
    "international": "a@" + "ü" * 40_000 + ".com",
    "punycode": "a@xn--" + "a" * 100_000 + ".com",
    "brackets": "(" * 80_000,
    "digits": "+49" + "1" * 100_000,
    "spaced digits": "+4 9 " * 20_000,
    "paths": "/../" * 25_000,
    "blanks": " " * 100_000,
    "line ends": "\r\n" * 40_000,
    "marks": "e" + "\u0301" * 40_000,
    "joined": "\u200d" * 25_000,
    "many words": "a b " * 25_000,
}


@pytest.mark.parametrize("name", LABOUR)
@pytest.mark.parametrize("source", ["newsletter", "long"])
def test_no_text_costs_more_than_its_length(relay: RelayProcess, source: str, name: str) -> None:
    """As every field of a form; the second source lets texts of this length through to what reads them."""
    for field in ("email", "phone", "first_name", "relay_ts"):
        whole = LABOUR[name]
        quarter = spent(relay, source, field, whole[: len(whole) // 4])
        assert spent(relay, source, field, whole) < 8 * quarter, "sixteen times, if it were the square"


def spent(relay: RelayProcess, source: str, field: str, text: str) -> int:
    """The relay's labour over a post with this text: the least of five, as it has chores, too."""
    return min(_spent_once(relay, source, field, text) for _ in range(5))


def _spent_once(relay: RelayProcess, source: str, field: str, text: str) -> int:
    before = relay.labour()
    for _ in range(2):
        body = encoded({"email": person(), "first_name": "Ada"} | {field: text})
        answer = request(
            relay.port, "POST", f"/submit/{source}", body, {"Content-Type": FORM, "Accept": JSON}
        )
        allowed = (413,) if source == "newsletter" else (201, 202, 422)
        assert answer.status in allowed, (field, answer.status, answer.text[:300])
    return relay.labour() - before


def test_fifty_of_the_largest_bodies_at_once_are_taken(relay: RelayProcess) -> None:
    worker = relay.worker_pids()
    bodies = [largest(person()) for _ in range(50)]
    most = [relay.rss()]
    with ThreadPoolExecutor(50) as crowd:
        waiting = [crowd.submit(post, relay, body, JSON, "hook") for body in bodies]
        while not all(one.done() for one in waiting):
            most.append(relay.rss())
            time.sleep(0.02)
    assert {one.result().status for one in waiting} <= {201, 202}
    assert max(most) < 300_000_000, max(most)
    assert relay.worker_pids() == worker

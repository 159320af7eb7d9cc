"""What can be learnt about people from outside: nothing."""

import http.client
import secrets
import statistics
import time
import uuid
from typing import Any

import pytest

from tests.kit.client import Answer
from tests.kit.relay import RelayProcess
from tests.web.hostile import (
    HTML,
    person,
)
from tests.web.hostile import SOURCES as SOURCES
from tests.web.hostile import mood as mood

pytestmark = pytest.mark.usefixtures("no_faults")

# --- what can be learnt -----------------------------------------------------------------------


def without_receipt(answer: Answer) -> tuple[Any, ...]:
    blank = answer.body.replace((answer.receipt or "?").encode(), b"RECEIPT")
    own = ("date", "x-request-id", "location")
    return answer.status, [h for h in answer.headers if h[0].lower() not in own], blank


@pytest.mark.parametrize("headers", [{}, HTML], ids=["JSON", "HTML"])
def test_new_and_unsubscribed_people_get_the_same_answer(
    relay: RelayProcess, headers: dict[str, str]
) -> None:
    seen: dict[str, list[float]] = {"ada": [], "unsubscribed": []}
    answers = []
    for tag in ["ada", "unsubscribed"] * 30:
        began = time.perf_counter()
        answers.append(relay.form({"email": person(tag)}, "form", headers))
        seen[tag].append(time.perf_counter() - began)
    assert len({repr(without_receipt(answer)) for answer in answers}) == 1
    new, old = (statistics.median(times) for times in seen.values())
    assert abs(new - old) < 0.01
    for answer, state in ((answers[-2], "delivered"), (answers[-1], "refused")):
        relay.wait_state(answer.receipt or "", state)
    pages = [relay.get(f"/receipts/{answer.receipt}", HTML) for answer in answers[-2:]]
    assert pages[0].body == pages[1].body
    states = [relay.get(f"/receipts/{answer.receipt}").json["state"] for answer in answers[-2:]]
    assert states == ["received", "received"]


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_receipts_cannot_be_guessed(relay: RelayProcess, count: int) -> None:
    link = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=10)
    for _ in range(count):
        link.request("GET", f"/receipts/{secrets.token_hex(16)}")
        answer = link.getresponse()
        answer.read()
        assert answer.status == 404
    link.close()


def test_a_receipt_shows_nobody(relay: RelayProcess) -> None:
    secret_name = f"Q{uuid.uuid4().hex}"
    email = person("private")
    answer = relay.form({"email": email, "phone": "0301234567", "first_name": secret_name}, "form")
    for headers in ({}, HTML):
        shown = relay.get(f"/receipts/{answer.receipt}", headers)
        assert shown.status == 200
        for text in (email, secret_name, "301234567"):
            assert text not in shown.text

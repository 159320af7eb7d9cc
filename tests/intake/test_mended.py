"""What was kept because the configuration was wrong is sent once after it is mended, whoever acts first."""

import gzip
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.kit.client import Answer, request
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
WRONG = {"fields": {"email": "mail"}}
UNREADABLE = {"on_failure": "accept", "json_fields": ["raw"]}


@dataclass(frozen=True)
class Case:
    """A source before and after it was mended, and what its sender posts."""

    before: dict[str, Any]
    after: dict[str, Any]
    body: bytes = json.dumps({"eid": 5, "email": "ada@example.com"}).encode()
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


FILE = b"CONTENT-OF-THE-FILE"
FILED = (
    b'--x\r\nContent-Disposition: form-data; name="raw"\r\n\r\nno JSON\r\n'
    b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\nada@example.com\r\n'
    b'--x\r\nContent-Disposition: form-data; name="cv"; filename="cv.txt"\r\n\r\n' + FILE + b"\r\n--x--\r\n"
)
CASES = {
    "fields": Case(WRONG, {}),
    "fields, the id known": Case(WRONG | {"id": "eid"}, {"id": "eid"}),
    "fields, and the id added": Case(WRONG, {"id": "eid"}),
    "fields, and the id corrected": Case(WRONG | {"id": "wrong"}, {"id": "eid"}),
    "fields, and the id left out": Case(WRONG | {"id": "eid"}, {}),
    "fields, and the id added beside a key": Case(WRONG, {"id": "eid"}, headers={"Idempotency-Key": "k1"}),
    "fields, and the id left out beside a key": Case(
        WRONG | {"id": "eid"}, {}, headers={"Idempotency-Key": "k1"}
    ),
    "unreadable": Case(UNREADABLE, {}, b"raw=no+JSON&eid=5&email=ada%40example.com", FORM),
    "unreadable, with an id": Case(
        UNREADABLE | {"id": "eid"}, {"id": "eid"}, b"raw=no+JSON&eid=5&email=ada%40example.com", FORM
    ),
    "unreadable and compressed": Case(
        UNREADABLE,
        {},
        gzip.compress(b"raw=no+JSON&email=ada%40example.com", mtime=0),
        FORM,
        {"Content-Encoding": "gzip"},
    ),
    "unreadable, with a file": Case(UNREADABLE, {}, FILED, "multipart/form-data; boundary=x"),
}


def post(relay: RelayProcess, case: Case) -> Answer:
    headers = {"Authorization": f"Bearer {relay.hook_secret}", "Content-Type": case.content_type}
    return request(relay.port, "POST", "/submit/hook", case.body, headers | case.headers)


def mend(relay: RelayProcess, upstream: ScriptedUpstream, more: dict[str, Any]) -> None:
    relay.configure(config(upstream.url, {"hook": HOOK | {"wait": 0} | more}, limits="100/second"))
    relay.hup()
    eventually(lambda: "config.reloaded" in relay.output(), 10, "the reload")


@pytest.mark.parametrize("first", ["the sender", "the operator"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_is_sent_once_whoever_acts_first(case: Case, first: str) -> None:
    with (
        ScriptedUpstream() as upstream,
        RelayProcess(
            config(upstream.url, {"hook": HOOK | {"wait": 0} | case.before}, limits="100/second")
        ) as relay,
    ):
        kept = post(relay, case)
        assert relay.submission(kept.receipt)["state"] == "invalid"
        mend(relay, upstream, case.after)
        if first == "the operator":
            replayed = relay.api("POST", f"/api/submissions/{kept.receipt}/replay")
            assert (replayed.status, replayed.json["state"]) == (200, "queued")
        again = post(relay, case)
        assert (again.status, again.json["receipt"], again.json["repeat"]) == (200, kept.receipt, True)
        relay.wait_state(kept.receipt, "delivered")
        late = relay.api("POST", f"/api/submissions/{kept.receipt}/replay")
        assert late.status == 409
        assert len(upstream.creates) == len(relay.rows()) == 1
        assert not relay.submission(kept.receipt)["may_be_duplicate"]


def test_of_an_unreadable_message_no_file_is_kept() -> None:
    case = CASES["unreadable, with a file"]
    with (
        ScriptedUpstream() as upstream,
        RelayProcess(config(upstream.url, {"hook": HOOK | case.before})) as relay,
    ):
        kept = post(relay, case)
        revealed = relay.api("POST", f"/api/submissions/{kept.receipt}/reveal").text
        assert "ada@example.com" in revealed and FILE.decode() not in revealed
        assert relay.submission(kept.receipt)["dropped"] == ["cv"]

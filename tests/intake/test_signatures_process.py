"""Proofs over real sockets: valid messages of every scheme, all that may be wrong with them, replays.

The messages are signed here, by code that shares nothing with the relay.
"""

import hashlib
import json
import re
import threading
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.intake.signing import (
    FIELDS,
    KEY,
    OTHER,
    PLAIN,
    PUBLIC_URL,
    SCHEMES,
    SECRET,
    SIGNED,
    STAMPED,
    WIDE,
    WRONG,
    Message,
    Scheme,
    b64,
    mac,
    made,
    post,
    somebody,
)
from tests.kit.client import Answer, request
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream


def source(scheme: Scheme, variable: str) -> dict[str, Any]:
    table = {"kind": "webhook", "secret": f"env:{variable}", "fields": FIELDS, "wait": 0}
    return table if scheme.verify is None else table | {"verify": scheme.verify}


def sources() -> dict[str, Any]:
    found = {name: source(scheme, f"SECRET_{name.upper()}") for name, scheme in SCHEMES.items()}
    found["inquery"] = found["hex"] | {"verify": {"scheme": "token", "query": "key"}}
    found["inbody"] = found["hex"] | {"verify": {"scheme": "token", "body": "auth.key"}}
    found["waiting"] = found["hex"] | {"wait": 8}
    found["identified"] = found["hex"] | {"id": "event_id"}
    found["identified2"] = found["identified"]
    found["shaking"] = found["hex"] | {"handshake": {"kind": "hmac", "query": "challengeCode"}}
    echo = {"kind": "echo", "query": "hub.challenge", "token_query": "hub.verify_token"}
    found["echoing"] = found["hex"] | {"handshake": echo}
    return found


def variables() -> dict[str, str]:
    secrets = {f"SECRET_{name.upper()}": scheme.secret for name, scheme in SCHEMES.items()}
    return {"RELAY_PUBLIC_URL": PUBLIC_URL, **secrets}


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    with RelayProcess(config(upstream.url, sources(), **WIDE), env=variables()) as process:
        yield process


def rejected(relay: RelayProcess) -> list[dict[str, Any]]:
    lines = (line.data for line in relay.log_lines())
    return [data for data in lines if data and data.get("event") == "submission.rejected"]


def newest(relay: RelayProcess) -> Any:
    rows = relay.api("GET", "/api/submissions?limit=1").json["submissions"]
    return rows[0]["receipt"] if rows else None


def refused_alike(relay: RelayProcess, messages: dict[str, Message]) -> None:
    """Every one of them is answered 401 in the same words, stored nowhere, and noted once."""
    before, lines = newest(relay), len(rejected(relay))
    answers = {what: post(relay, message) for what, message in messages.items()}
    assert {what: answer.status for what, answer in answers.items()} == dict.fromkeys(messages, 401)
    assert len({answer.body for answer in answers.values()}) == 1
    assert newest(relay) == before
    eventually(lambda: len(rejected(relay)) >= lines + len(messages), 10, "the log")
    noted = rejected(relay)[lines:]
    assert len(noted) == len(messages)
    sources_ = sorted(message.source for message in messages.values())
    assert sorted(line["source"] for line in noted) == sources_
    assert all(line["level"] == "warning" and line["client"] == "127.0.0.1" for line in noted)


# --- what is valid ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMES)
def test_a_valid_proof_is_taken(relay: RelayProcess, name: str) -> None:
    answer = post(relay, made(name, somebody()))
    assert answer.status == 202, answer.text
    relay.wait_state(answer.receipt or "", "delivered")


def test_a_token_may_stand_in_the_query_or_the_body(relay: RelayProcess) -> None:
    assert post(relay, Message("inquery", somebody(), {}, f"a=b&key={SECRET}")).status == 202
    assert post(relay, Message("bearer", somebody(), {}, f"token={SECRET}")).status == 202
    assert post(relay, Message("inbody", somebody(auth={"key": SECRET}), {})).status == 202


def test_a_caller_that_waits_learns_the_id(relay: RelayProcess) -> None:
    answer = post(relay, replace(made("hex", somebody()), source="waiting"))
    assert answer.status == 201 and answer.json["profile"]["id"]


def test_a_handshake_shows_that_we_know_the_secret(relay: RelayProcess) -> None:
    before = newest(relay)
    code = str(uuid.uuid4())
    answer = request(relay.port, "GET", f"/submit/shaking?challengeCode={code}")
    expected = mac(code.encode(), SECRET).hex()
    assert (answer.status, answer.json) == (200, {"challengeCode": code, "challengeResponse": expected})
    for source in ("shaking", "echoing"):
        assert request(relay.port, "HEAD", f"/submit/{source}").status == 200, "only that somebody is there"
    assert request(relay.port, "GET", "/submit/echoing?hub.challenge=x&hub.verify_token=wrong").status == 401
    told = request(relay.port, "GET", f"/submit/echoing?hub.challenge=%3Cb%3E&hub.verify_token={SECRET}")
    assert (told.status, told.text) == (200, "<b>") and (told.header("Content-Type") or "").startswith(
        "text/plain"
    )
    assert newest(relay) == before


@pytest.mark.parametrize(
    "body", ['{"email":"a@example.com"}', "email=a%40example.com", "1.{}", "", "a\r\nb", "é"]
)
def test_a_handshake_signs_nothing_that_could_be_a_message(relay: RelayProcess, body: str) -> None:
    answer = request(relay.port, "GET", f"/submit/shaking?challengeCode={urllib.parse.quote(body, safe='')}")
    assert answer.status == 400 and mac(body.encode(), SECRET).hex() not in answer.text


# --- what is not --------------------------------------------------------------------------------------


def spoiled(name: str) -> dict[str, Message]:
    """The valid message of a scheme with its proof spoiled in every way."""
    scheme, body = SCHEMES[name], somebody()
    message = made(name, body)
    header, proof = scheme.header, message.headers[scheme.header]
    empty = "whsec_" if scheme.secret.startswith("whsec_") else ""

    def proven(value: str | None) -> Message:
        return message.with_header(header, value)

    return {
        "missing": proven(None),
        "empty": proven(""),
        "blank": proven("  "),
        "wrong": proven(WRONG),
        "wrong, of the right length": proven("0" * len(proof)),
        "truncated": proven(proof[:-7]),
        "only its prefix": proven(proof[: max(proof.find("=", 0, 8), proof.find(" ", 0, 8)) + 1]),
        "one byte more": proven(proof + "0"),
        "not ASCII": proven("sïgnature-π-签"),
        "latin-1": proven("\xe9" * 64),
        "not ASCII within": proven(proof[:9] + "π" + proof[10:]),
        "another scheme": proven("Digest" + proof),
        "md5": proven("md5=" + hashlib.md5(body).hexdigest()),
        "a hundred candidates": proven(", ".join([WRONG] * 100)),
        "a hundred candidates, spaced": proven(" ".join(["v1," + WRONG] * 99 + [proof])),
        "very long": proven("A" * 7000),
        "another source's secret": made(name, body, secret=scheme.other),
        "an empty secret": proven("") if name == "jwt" else made(name, body, secret=empty),
    }


@pytest.mark.parametrize("name", SCHEMES)
def test_a_proof_that_is_wrong_is_refused(relay: RelayProcess, name: str) -> None:
    refused_alike(relay, spoiled(name))


@pytest.mark.parametrize("name", SIGNED)
def test_a_body_that_is_not_the_signed_one_is_refused(relay: RelayProcess, name: str) -> None:
    body = somebody()
    message = made(name, body)
    flipped = bytearray(body)
    flipped[body.index(b"@") - 1] ^= 1
    refused_alike(
        relay,
        {
            "serialised again": replace(message, body=json.dumps(json.loads(body)).encode()),
            "one byte flipped": replace(message, body=bytes(flipped)),
            "one byte more": replace(message, body=body + b"\n"),
            "one byte less": replace(message, body=body[:-1]),
            "no body": replace(message, body=b""),
            "another message's": replace(message, body=somebody()),
        },
    )


def test_what_is_signed_for_one_source_is_not_for_another(relay: RelayProcess) -> None:
    body = somebody()
    refused_alike(
        relay,
        {
            "another address": replace(made("addressed", body), source="hex"),
            "the address with a query": replace(made("addressed", body), query="a=1"),
            "another header": replace(made("bearer", body), source="hex"),
            "another id": made("standard", body).with_header("X-Id", "msg_2"),
            "no id": made("standard", body).with_header("X-Id", None),
        },
    )


@pytest.mark.parametrize(
    "query", ["", "key=", "key=%20", "key=wrong", "KEY=" + SECRET, "key=" + SECRET + "%00"]
)
def test_a_token_in_the_query_must_be_the_secret(relay: RelayProcess, query: str) -> None:
    refused_alike(relay, {"it": Message("inquery", somebody(), {}, query)})


@pytest.mark.parametrize(
    "auth",
    [None, {}, {"key": None}, {"key": ""}, {"key": [SECRET]}, {"key": {"a": SECRET}}, {"key": 7}, SECRET],
)
def test_a_token_in_the_body_must_be_the_secret(relay: RelayProcess, auth: Any) -> None:
    refused_alike(relay, {"it": Message("inbody", somebody(auth=auth), {})})


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b"\xff", b'{"auth": ' + b"[" * 500])
def test_a_body_without_a_proof_tells_nothing_more(relay: RelayProcess, body: bytes) -> None:
    refused_alike(relay, {"it": Message("inbody", body, {})})


# --- the time -----------------------------------------------------------------------------------------

TIMES = {
    "too early": lambda now: str(now - 301 - 5),
    "too late": lambda now: str(now + 301 + 5),
    "long ago": lambda now: "1",
    "no number": lambda now: "nan",
    "infinite": lambda now: "inf",
    "with an exponent": lambda now: "1e9",
    "other digits": lambda now: str(now).translate(str.maketrans("0123456789", "０１２３４５６７８９")),
    "grouped": lambda now: f"{now:_}",
    "thirteen digits": lambda now: str(now * 1000 + 1)[:13],
    "fourteen digits": lambda now: "9" * 14,
    "signed": lambda now: f"+{now}",
    "negative": lambda now: f"-{now}",
    "with a fraction": lambda now: f"{now}.0",
    "hexadecimal": hex,
    "empty": lambda now: "",
    "twice": lambda now: f"{now},{now}",
}


@pytest.mark.parametrize("name", ["pairs", "stamped"])
def test_a_time_that_is_odd_or_far_away_is_refused(relay: RelayProcess, name: str) -> None:
    """All of them rightly signed."""
    messages, now, body = {}, int(time.time()), somebody()
    for what, written in TIMES.items():
        text = written(now)
        signature = mac(text.encode() + b"." + body, SECRET).hex()
        if name == "pairs":
            headers = {"X-Signature": f"t={text},v1={signature}"}
        else:
            headers = {"X-Signature": signature, "X-Time": text}
        messages[what] = Message(name, body, headers)
    signature = mac(b"." + body, SECRET).hex()
    messages["missing"] = Message(
        name, body, {"X-Signature": f"v1={signature}" if name == "pairs" else signature}
    )
    if name == "pairs":
        signature = mac(b"%d." % now + body, SECRET).hex()
        messages["two times"] = Message(name, body, {"X-Signature": f"t={now},t={now - 1},v1={signature}"})
    refused_alike(relay, messages)


@pytest.mark.parametrize("name", STAMPED)
def test_a_time_within_the_tolerance_is_taken(relay: RelayProcess, name: str) -> None:
    for seconds in (-290, 290):
        assert post(relay, made(name, somebody(), now=time.time() + seconds)).status == 202
    refused_alike(relay, {"late": made(name, somebody(), now=time.time() - 310)})


def test_seconds_are_not_milliseconds(relay: RelayProcess) -> None:
    body, now = somebody(), int(time.time())
    signature = mac(b"%d." % now + body, SECRET).hex()
    refused_alike(relay, {"s": Message("millis", body, {"X-Signature": signature, "X-Time": str(now)})})


# --- the same again -----------------------------------------------------------------------------


def calls_for(upstream: ScriptedUpstream, body: bytes) -> int:
    email = json.loads(body)["email"]
    return sum((arrival.json or {}).get("email") == email for arrival in upstream.arrivals)


@pytest.mark.parametrize("name", ["pairs", "identified"])
def test_a_message_replayed_is_one_row_and_one_profile(
    relay: RelayProcess, upstream: ScriptedUpstream, name: str
) -> None:
    body = somebody(event_id=f"evt_{uuid.uuid4().hex}")
    message = made("pairs", body) if name == "pairs" else replace(made("hex", body), source=name)

    def again(attempt: int) -> Answer:
        return post(relay, message, **{"X-Attempt": str(attempt), "User-Agent": f"sender/{attempt}"})

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(again, range(10)))
    assert {answer.status for answer in answers} <= {200, 202}
    assert len({answer.receipt for answer in answers}) == 1
    assert sum(answer.json.get("repeat", False) for answer in answers) == 9
    receipt = answers[0].receipt or ""
    relay.wait_state(receipt, "delivered")
    relay.restart()
    later = again(11)
    assert later.status == 200 and later.receipt == receipt
    assert later.json["state"] == "delivered" and later.json["repeat"] is True
    assert calls_for(upstream, body) == 1


def test_the_same_id_with_other_content_is_kept_and_marked(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    identity = f"evt_{uuid.uuid4().hex}"
    bodies = [somebody(event_id=identity) for _ in range(3)]
    answers = [post(relay, replace(made("hex", body), source="identified")) for body in bodies]
    assert [answer.status for answer in answers] == [202, 202, 202]
    assert len({answer.receipt for answer in answers}) == 3
    rows = [relay.wait_state(answer.receipt or "", "delivered") for answer in answers]
    assert [row["reason"] for row in rows] == [None, "key_reused", "key_reused"]
    assert [calls_for(upstream, body) for body in bodies] == [1, 1, 1]

    def marked() -> set[Any]:
        noted = [line.data for line in relay.log_lines() if line.data]
        return {line.get("receipt") for line in noted if line["event"] == "submission.key_reused"}

    eventually(lambda: marked() >= {answers[1].receipt, answers[2].receipt}, 5, "the log")


def test_the_same_id_from_two_sources_is_two_sign_ups(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    body = somebody(event_id=f"evt_{uuid.uuid4().hex}")
    answers = [post(relay, replace(made("hex", body), source=name)) for name in ("identified", "identified2")]
    assert [answer.status for answer in answers] == [202, 202]
    assert answers[0].receipt != answers[1].receipt
    for answer in answers:
        assert relay.wait_state(answer.receipt or "", "delivered")["reason"] is None
    assert calls_for(upstream, body) == 2


# --- two secrets --------------------------------------------------------------------------------------


class Load:
    """Somebody signs up with this secret all the time."""

    def __init__(self, relay: RelayProcess, secret: str) -> None:
        self.statuses: list[tuple[float, int]] = []
        self._relay, self._secret = relay, secret
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            message = made("hex", somebody(), secret=self._secret)
            try:
                status = post(self._relay, message).status
            except OSError:
                status = 0
            self.statuses.append((time.monotonic(), status))

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def since(self, moment: float) -> set[int]:
        return {status for at, status in self.statuses if at > moment}


def test_of_two_secrets_one_is_taken_away_by_a_reload(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    for name, text in {"old": SECRET, "new": OTHER}.items():
        (tmp_path / name).write_text(text + "\n")
    both = [f"file:{tmp_path}/old", f"file:{tmp_path}/new"]
    table = {"kind": "webhook", "verify": PLAIN, "fields": FIELDS, "wait": 0}

    def configured(secrets: Any) -> dict[str, Any]:
        return config(upstream.url, {"hex": table | {"secret": secrets}}, **WIDE)

    with RelayProcess(configured(both)) as relay:
        pids = relay.worker_pids()
        with Load(relay, SECRET) as old, Load(relay, OTHER) as new, Load(relay, WRONG) as wrong:
            eventually(lambda: len(old.statuses) > 20 and len(new.statuses) > 20, 20, "some load")
            relay.configure(configured(both[1]))
            relay.hup()
            eventually(lambda: "config.reloaded" in relay.output(), 10, "the reload")
            reloaded = time.monotonic()
            eventually(lambda: len(old.since(reloaded)) and len(new.since(reloaded)), 20, "load")
            settled = time.monotonic() + 0.5
            eventually(lambda: old.since(settled) and new.since(settled), 20, "load after the reload")
        assert {status for at, status in old.statuses if at < reloaded} >= {202}
        assert {status for _, status in old.statuses} == {202, 401}
        assert old.since(settled) == {401}
        assert {status for _, status in new.statuses} == {202}, "without a gap"
        assert {status for _, status in wrong.statuses} == {401}
        assert relay.worker_pids() == pids, "without a restart"


# --- what is written down -----------------------------------------------------------------------------

FORGED = '"}\n{"level": "info", "event": "forged.line", "receipt": "'
NASTY = {
    "another line": "a\r\n" + FORGED,
    "JSON": FORGED.replace("\n", " "),
    "colours": "\x1b[2K\x1b[31mred\x1b[0m\x07",
    "direction": "\u202egnp.exe\u2066\u200f",
    "separators": "a\u2028b\u2029c\x85d",
    "templates": "%s%n{0.__class__}{{7*7}}${jndi:ldap://x}",
}


@pytest.mark.parametrize("what", NASTY)
def test_nothing_that_is_sent_breaks_a_line_of_the_log(relay: RelayProcess, what: str) -> None:
    text, before = NASTY[what], len(relay.log_lines())
    header = text.replace("\r", "").replace("\n", "").replace("\x1b", "").replace("\x07", "")
    names = (
        "X-Signature",
        "X-Id",
        "Idempotency-Key",
        "User-Agent",
        "Referer",
        "X-Forwarded-For",
        "X-Request-ID",
    )
    headers = dict.fromkeys(names, header)
    body = somebody(event_id=text, **{text: text})
    wrong = post(relay, Message("hex", body, headers))
    assert wrong.status == 401
    good = replace(made("hex", body), source="identified")
    kept = post(relay, good, **{name: value for name, value in headers.items() if name != "X-Signature"})
    assert kept.status == 202
    unmapped = made("hex", json.dumps({"email": text, "name": text}).encode())
    assert post(relay, unmapped).status == 422
    path = urllib.parse.quote(text, safe="")
    assert request(relay.port, "POST", f"/submit/{path}", b"{}").status in (400, 404)
    assert request(relay.port, "GET", f"/receipts/{path}?{path}={path}").status in (400, 404)
    relay.wait_state(kept.receipt or "", "delivered")
    eventually(lambda: kept.receipt in relay.output(), 10, "the log")
    lines = relay.log_lines()[before:]
    assert lines and all(line.data is not None for line in lines)
    assert not any(line.data["event"] == "forged.line" for line in lines if line.data)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\u200f]", relay.output())


def test_no_proof_and_no_secret_is_ever_written_down(relay: RelayProcess) -> None:
    """Runs last, over everything that was shown above."""
    text = relay.output()
    for canary in (SECRET, OTHER, WRONG, b64(KEY), b64(SECRET.encode())):
        assert canary not in text

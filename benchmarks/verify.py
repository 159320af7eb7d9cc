"""What a proof and a preset cost: ``python -m benchmarks.verify [--count N]``.

A Typeform message of 7 kB, signed and mapped by the preset, against the same message taken without a proof
and with one plain path. Both are posted in turns over kept-alive connections to one server, and both are
committed to disk, so that the difference of the medians is the HMAC, the event's id and the mapping; it
must be one millisecond at most. Beside it a tiny message, and the same work without a server.

Prints one JSON object and a verdict; exit status 1 if the target is missed.
"""

import argparse
import base64
import hashlib
import hmac
import http.client
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from relay.config import settings
from relay.sources import body as submission
from relay.sources.proof import Evidence
from tests.kit.relay import RelayProcess, toml

TARGET_MS = 1.0
BODY_BYTES = 7000
SECRET = "a secret of the benchmark's own"
CONFIG: dict[str, Any] = {
    "destinations": {"ocamba": {"url": "http://127.0.0.1:1/", "token": "env:OCAMBA_TOKEN"}},
    "sources": {
        "bare": {
            "kind": "webhook",
            "verify": "none",
            "client_limits": "none",
            "source_limits": "none",
            "recipient_limits": "none",
            "fields": {"email": "email"},
        },
        "typeform": {"kind": "webhook", "preset": "typeform", "secret": "env:TYPEFORM_SECRET", "wait": 0},
    },
}


def message(number: int) -> tuple[bytes, str]:
    """Return a Typeform message about a person nobody has heard of, and its signature."""
    questions, answers = [], []
    for at in range(14):
        kind = {3: "email", 4: "phone_number"}.get(at, "text")
        value = {"email": f"p{number}.{time.time_ns()}@example.com", "phone_number": "+4915112345678"}.get(
            kind
        )
        field = {"id": f"field{at:06d}", "ref": f"0b7c61f2-5b7e-4b6f-9e0a-{at:012d}", "type": kind}
        title = {0: "What is your first name?", 1: "And your last name?"}.get(
            at, f"Question {at} of fourteen?"
        )
        questions.append({**field, "title": title, "properties": {}})
        text = value or f"An answer of {at} that somebody took the time to write"
        answers.append({"type": kind, kind: text, "field": field})
    form = {"form_id": "kq8Zt2", "definition": {"title": "Sign up", "fields": questions}, "answers": answers}
    event = {"event_id": f"01{time.time_ns()}", "event_type": "form_response", "form_response": form}
    event["email"] = f"p{number}.{time.time_ns()}@example.com"  # for the source with one plain path
    padding = BODY_BYTES - len(json.dumps(event | {"hidden": ""}))
    body = json.dumps(event | {"hidden": "x" * max(0, padding)}).encode()
    mac = hmac.new(SECRET.encode(), body, hashlib.sha256).digest()
    return body, f"sha256={base64.b64encode(mac).decode()}"


class Client:
    """One kept-alive connection."""

    def __init__(self, port: int) -> None:
        self._link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def post(self, source: str, body: bytes, headers: dict[str, str]) -> float:
        """Return the milliseconds that a post took. Raises SystemExit unless it was accepted."""
        started = time.perf_counter()
        self._link.request("POST", f"/submit/{source}", body, {"Content-Type": "application/json", **headers})
        answer = self._link.getresponse()
        answer.read()
        took = time.perf_counter() - started
        if answer.status != 202:
            raise SystemExit(f"{source} answered {answer.status}")
        return took * 1000


def over_sockets(count: int) -> dict[str, list[float]]:
    """Return what tiny, bare and signed posts took, in milliseconds, made in turns."""
    times: dict[str, list[float]] = {"tiny": [], "bare": [], "signed": []}
    with RelayProcess(CONFIG, env={"TYPEFORM_SECRET": SECRET}) as relay:
        relay.api("POST", "/api/destinations/ocamba/pause")
        client = Client(relay.port)
        for number in range(count + 50):
            tiny = json.dumps({"email": f"t{number}.{time.time_ns()}@example.com"}).encode()
            times["tiny"].append(client.post("bare", tiny, {}))
            times["bare"].append(client.post("bare", message(number)[0], {}))
            body, signature = message(number)
            times["signed"].append(client.post("typeform", body, {"Typeform-Signature": signature}))
    return {name: taken[50:] for name, taken in times.items()}


def in_process(count: int) -> list[float]:
    """Return what proof, parsing and mapping take by themselves, in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "relay.toml"
        file.write_text(toml(CONFIG), encoding="utf-8")
        known = {"RELAY_CONFIG": str(file), "OCAMBA_TOKEN": "t", "TYPEFORM_SECRET": SECRET}
        source = settings.load(known, offline=True).sources["typeform"]
    times = []
    for number in range(count):
        body, signature = message(number)
        started = time.perf_counter()
        proven = source.admits(Evidence({"typeform-signature": signature}, {}, body), time.time())
        fields = submission.parse(body, "application/json", source.limits)
        mapped = source.mapping.apply(fields)
        times.append((time.perf_counter() - started) * 1000)
        if not proven or len(mapped.profile) != 3:
            raise SystemExit("the message was not understood")
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what a proof and a large message cost.")
    parser.add_argument("--count", type=int, default=1000, help="posts of each kind (default: %(default)s)")
    count = parser.parse_args().count
    medians = {name: statistics.median(times) for name, times in over_sockets(count).items()}
    more = medians["signed"] - medians["bare"]
    found = {
        "count": count,
        "body_bytes": len(message(0)[0]),
        **{f"{name}_ms": round(median, 3) for name, median in medians.items()},
        "difference_ms": round(more, 3),
        "ratio": round(medians["signed"] / medians["bare"], 2),
        "alone_ms": round(statistics.median(in_process(count)), 3),
        "target_ms": TARGET_MS,
    }
    print(json.dumps(found))
    verdict = "met" if more <= TARGET_MS else "MISSED"
    print(f"proof and preset add {more:.2f} ms to a message of 7 kB (≤ {TARGET_MS:g} ms, {verdict})")
    return 0 if more <= TARGET_MS else 1


if __name__ == "__main__":
    sys.exit(main())

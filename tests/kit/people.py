"""People who sign up and come to any state there is, and what an operator types then."""

import re
import threading
import uuid
from typing import Any

from tests.kit.canary import leaks
from tests.kit.client import Answer
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess
from tests.kit.upstream import Arrival, Reaction, created, drop, hold, problem_json, status

TRAP = "relay_leave_empty"
SOURCES: dict[str, Any] = {
    "newsletter": NEWSLETTER | {"honeypot": TRAP},
    "hook": HOOK | {"wait": 0, "region": "DE"},
    "other": HOOK | {"wait": 0},
    "boxes": NEWSLETTER | {"honeypot": TRAP, "consent": {"email": "news", "mobile_phone_number": "sms"}},
    "asking": HOOK | {"wait": 0, "consent": {"email": "news", "mobile_phone_number": "sms"}},
}
SETTINGS: dict[str, Any] = {
    "limits": "100/second; 5000/minute",
    "ambiguous": "park",
    "give_up_after": "1s",
    "retry": ["1s"],
}
UNKNOWN = "0" * 32
HINT = re.compile(r"[a-z]\*+@example\.com|\*+\d+")


class Moods:
    """How upstream takes somebody: by the name, and better once it is told to be kind."""

    def __init__(self) -> None:
        self.kind: set[str] = set()
        self.gate = threading.Event()

    def __call__(self, arrival: Arrival) -> Reaction:
        email = str((arrival.json or {}).get("email", ""))
        mood, _, _ = email.partition("-")
        if email in self.kind:
            return created()
        if mood == "slow":
            return hold(self.gate, create_first=True)
        moods = {"refused": status(400, json=problem_json(400)), "parked": drop(), "dead": status(503)}
        return moods.get(mood, created())


def email(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:12]}@example.com"


def receipt_of(answer: Answer) -> str:
    assert answer.receipt, (answer.status, answer.text)
    return answer.receipt


def in_state(relay: RelayProcess, state: str, source: str = "hook") -> tuple[str, str]:
    """Somebody signs up and comes to a state; returns the receipt and the address."""
    address = email(state)
    if state == "held":
        return receipt_of(relay.form({"email": address, TRAP: "bot"})), address
    if state == "invalid":
        return receipt_of(relay.hook({"mail": address}, source)), address
    receipt = receipt_of(relay.hook({"email": address}, source))
    relay.wait_state(receipt, state)
    if state in ("parked", "dead"):  # five in a row would hold the destination
        relay.wait_state(receipt_of(relay.hook({"email": email("fine")}, source)), "delivered")
    return receipt, address


def ran(relay: RelayProcess, *words: str, **more: Any) -> str:
    """What a command printed; it must have worked, and told no secret and nobody's address."""
    done = relay.command_line(*words, **more)
    assert (done.returncode, done.stderr) == (0, ""), (words, done.returncode, done.stderr)
    assert leaks(relay.secrets, [("output", done.stdout)]) == []
    return done.stdout


def failed(relay: RelayProcess, *words: str, code: int = 1, **more: Any) -> str:
    """What a command said on its one line when it failed."""
    done = relay.command_line(*words, **more)
    assert (done.returncode, done.stdout) == (code, ""), (words, done.returncode, done.stdout, done.stderr)
    assert re.fullmatch(r"[^\n]+\n", done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr

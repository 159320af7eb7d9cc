"""The sources of one server with a rule each, and what is asked of it."""

import uuid
from typing import Any

from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess
from tests.kit.upstream import Arrival, Reaction, ScriptedUpstream, created, delay, problem_json, status

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

SLOW_SECONDS = 2.0

FORM = NEWSLETTER | {"recipient_limits": "none"}

QUICK_HOOK = HOOK | {"wait": 0}

OPEN = {"kind": "webhook", "verify": "none", "fields": HOOK["fields"], "region": "DE"}

SOURCES: dict[str, Any] = {
    "form": FORM,
    "thanked": FORM | {"thanks": "https://www.example.com/thanks?from=relay"},
    "patient": FORM | {"wait": 8, "reply": ["id", "country_code"]},
    "hook": HOOK | {"region": "DE", "wait": 8},
    "talkative": HOOK | {"wait": 8, "reply": ["id", "country_code", "create_time"]},
    "hasty": HOOK | {"wait": 1},
    "unhurried": QUICK_HOOK,
    "accepting": HOOK | {"wait": 8, "on_failure": "accept"},
    "exact": HOOK | {"wait": 8, "success_status": 200, "on_failure": "accept", "only": "event != 'other'"},
    "picky": QUICK_HOOK | {"only": "event == 'signup'"},
    "pickyform": FORM | {"only": "event == 'signup'"},
    "tested": QUICK_HOOK | {"test": "is_test", "test_header": {"name": "X-Test", "values": ["true"]}},
    "pinged": QUICK_HOOK | {"ping": {"body": "webhook_id=[0-9]{1,12}"}},
    "off": FORM | {"enabled": False},
    "boxes": FORM | {"consent": {"email": "news_mail", "mobile_phone_number": "news_sms"}},
    "box": FORM | {"consent": {"field": "agree", "yes": ["I agree"]}},
    "pot": FORM | {"honeypot": "relay_leave_empty"},
    "patientpot": FORM | {"honeypot": "relay_leave_empty", "wait": 8},
    "identified": QUICK_HOOK | {"id": "event.id"},
    "headed": QUICK_HOOK | {"id_header": "X-Event-Id"},
    "forgetful": QUICK_HOOK | {"repeat_window": "1s"},
    "open": OPEN | {"client_limits": "none"},
    "mendable": QUICK_HOOK | {"fields": {"email": "contact.mail"}},
    "mistaken": FORM,
    "limited": FORM | {"client_limits": "2/minute"},
    "alsolimited": FORM | {"client_limits": "2/minute"},
    "counted": FORM
    | {"client_limits": "5/hour", "honeypot": "relay_leave_empty", "origins": ["https://a.example"]},
    "popular": FORM | {"source_limits": "3/hour"},
    "shaking": HOOK | {"handshake": {"kind": "ok"}},
    "echoing": HOOK
    | {"handshake": {"kind": "echo", "query": "hub.challenge", "token_query": "hub.verify_token"}},
}

WIDE = {"limits": "500/second; 100000/minute", "parallel": 16}


def mood(arrival: Arrival) -> Reaction:
    """How upstream takes somebody: by the name."""
    email = str((arrival.json or {}).get("email", ""))
    if email.startswith("refuse"):
        return status(400, json=problem_json(400))
    if email.startswith("slow"):
        return delay(SLOW_SECONDS)
    if email.startswith("later"):
        return delay(0.5)
    return created()


def person(tag: str = "ada") -> str:
    """An address nobody used before."""
    return f"{tag}-{uuid.uuid4().hex[:12]}@example.com"


def calls_for(upstream: ScriptedUpstream, email: str) -> list[Arrival]:
    return [arrival for arrival in upstream.arrivals if (arrival.json or {}).get("email") == email]


def newest(relay: RelayProcess) -> str | None:
    rows = relay.api("GET", "/api/submissions?limit=1").json["submissions"]
    return rows[0]["receipt"] if rows else None


def events(relay: RelayProcess, name: str, **fields: Any) -> list[dict[str, Any]]:
    """The log lines of an event with these fields."""
    lines = [line.data for line in relay.log_lines() if line.data and line.data.get("event") == name]
    return [line for line in lines if fields.items() <= line.items()]

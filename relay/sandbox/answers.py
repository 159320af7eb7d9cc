"""What the sandbox answers a call, as a value."""

import json
import secrets
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any

import phonenumbers

from relay.sandbox.limits import FixedWindows
from relay.sandbox.moods import Mood, mood_of

PROFILES = "/v1/hood/profiles"


MASK = "* * * * * * * * * *"


REMEMBERED = 100_000


CREATABLE = ("full_name", "email", "mobile_phone_number")


UPDATABLE: dict[str, tuple[type, ...]] = {
    "email": (str,),
    "mobile_phone_number": (str,),
    "full_name": (str,),
    "organization_id": (str, int),
    "lists": (list,),
    "comment": (str,),
    "custom_properties": (dict, str),
}


class Profiles:
    """The ids of the profiles created last; nothing else about them is remembered."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._lock = threading.Lock()
        self._ids: dict[str, None] = {}

    def add(self) -> str:
        """A new id of 20 digits: too large for a signed 64-bit number, not for an unsigned one."""
        with self._lock:
            id = str(10**19 + secrets.randbelow(2**64 - 10**19))
            self._ids[id] = None
            if len(self._ids) > self._remembered:
                del self._ids[next(iter(self._ids))]
            return id

    def __contains__(self, id: str) -> bool:
        return id in self._ids


@dataclass(frozen=True)
class Call:
    """One call as it was received."""

    method: str
    path: str
    authorization: str = ""
    mimetype: str = ""
    body: bytes = b""
    problem: int = 0
    """The status to answer with when the body could not be read, else 0."""

    @property
    def token(self) -> str:
        """The bearer token, "" if there is none."""
        scheme, _, token = self.authorization.strip().partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    @cached_property
    def data(self) -> Any:
        """The JSON body, or the text where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return self.body.decode("utf-8", "replace")


@dataclass(frozen=True)
class Reply:
    """What to answer, and what to write down about it."""

    status: int | None
    """None: close the connection without an answer."""
    word: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    created: bool = False
    id: str | None = None
    delay: float = 0.0


def problem(status: int, word: str = "refused", message: str = "The request is not valid.") -> Reply:
    """An error in the documented shape; a 5xx has no `message`."""
    try:
        title = HTTPStatus(status).phrase.capitalize() + "."
    except ValueError:
        title = "Error."
    body = {"code": status, "title": title, "message": message, "trace_id": str(uuid.uuid4())}
    if status >= 500:
        del body["message"]
    return Reply(status, word, json.dumps(body).encode())


def limited(retry_after: int) -> Reply:
    """A 429; -1 says that too many calls were under way at once."""
    reply = problem(429, "limited", "Too many requests.")
    return replace(reply, headers=(("Retry-After", str(retry_after)),))


def answer(call: Call, windows: FixedWindows, profiles: Profiles) -> Reply:
    """The reply to one call that found a free slot. Every call is counted, also one refused later
    (not documented)."""
    standing = windows.take(call.token)
    if not standing.allowed:
        return limited(standing.reset)
    reply = _authorized(call, profiles)
    if reply.status == 429:
        return reply
    headers = {"Limit": standing.limit, "Remaining": standing.remaining, "Reset": standing.reset}
    counts = tuple((f"X-RateLimit-{name}", str(value)) for name, value in headers.items())
    return replace(reply, headers=reply.headers + counts)


def _authorized(call: Call, profiles: Profiles) -> Reply:
    if not call.token or call.token == "wrong" or call.token.startswith("expired"):
        return problem(401, "unauthorized", "The token is not valid.")
    if call.path == PROFILES and call.method == "HEAD":
        # Not documented. It is answered as long as anything is: no body can ask for a mood.
        return Reply(200, "looked at")
    if call.path == PROFILES:
        allowed, act = "POST", _create
    elif call.path.startswith(f"{PROFILES}/"):
        allowed, act = "PATCH", _update
    else:
        return problem(404, "unknown")
    if call.method != allowed:
        return replace(problem(405), headers=(("Allow", allowed),))
    if call.problem:
        return problem(call.problem, "unreadable")
    if call.mimetype != "application/json" or not isinstance(call.data, dict):
        return problem(400)
    return act(call, profiles)


def _create(call: Call, profiles: Profiles) -> Reply:
    known = {key: call.data[key] for key in CREATABLE if key in call.data}
    if not all(isinstance(value, str) for value in known.values()):
        return problem(400)
    if not any(known.get(key, "").strip() for key in ("email", "mobile_phone_number")):
        return problem(400)

    def create() -> Reply:
        id = profiles.add()
        body = json.dumps(profile(id, known, datetime.now(UTC))).encode()
        return Reply(201, "created", body, created=True, id=id)

    return _in_mood(mood_of(known.get("full_name", "")), create)


def _update(call: Call, profiles: Profiles) -> Reply:
    id = call.path.removeprefix(f"{PROFILES}/")
    known = {key: call.data[key] for key in UPDATABLE if key in call.data}
    if not all(_fits(key, value) for key, value in known.items()):
        return problem(400)
    if all(value == "" for value in known.values()):
        return problem(400)
    if id not in profiles:
        return problem(404, "unknown")
    mood = mood_of(known.get("full_name", ""))
    return _in_mood(mood, lambda: Reply(204, "updated", id=id))


def _fits(key: str, value: Any) -> bool:
    if key == "lists" and isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return isinstance(value, UPDATABLE[key]) and not isinstance(value, bool)


def _in_mood(mood: Mood, act: Callable[[], Reply]) -> Reply:
    match mood.kind:
        case "status":
            reply = problem(mood.number)
        case "limit":
            reply = limited(mood.number)
        case "unsubscribed":
            # With which status and words is not documented; 400 is the one for "never will".
            reply = problem(400)
        case "redirect":
            reply = Reply(307, "redirected", headers=(("Location", "/v1/hood/elsewhere"),))
        case "drop":
            reply = Reply(None, "dropped")
        case "create drop":
            done = act()
            reply = replace(done, status=None, word=f"{done.word}, dropped", body=b"")
        case "empty":
            reply = replace(act(), body=b"")
        case "garbage":
            reply = replace(act(), body=b"<html>It works!</html>")
        case _:
            reply = act()
    return replace(reply, delay=mood.delay)


_BEFORE_COUNTRY = {
    "company_id": "1234567",
    "status": "1",
    "container_id": "0",
    "app_type": "web",
    "app_name": "",
}
_AFTER_COUNTRY = {
    "region": "0",
    "city": "0",
    "asn": "0",
    "os_id": "0",
    "browser_id": "0",
    "device_id": "0",
    "user_lang": "en",
    "timezone": "",
    "total_pageviews": "0",
    "total_goals": "0",
    "push_wokenup": "0",
    "push_clicks": "0",
    "ad_served": "0",
    "ad_impressions": "0",
    "ad_spam_impressions": "0",
    "ad_clicks": "0",
    "ad_spam_clicks": "0",
    "ad_conversions": "0",
}
"""What the documented object says of a profile that is new."""


def profile(id: str, known: dict[str, str], now: datetime) -> dict[str, Any]:
    """The documented 201 object, key by key in its order; contacts come back masked.

    How an absent contact looks is not documented: "" here.
    """
    email, phone = (known.get(key, "").strip() for key in ("email", "mobile_phone_number"))
    at = now.strftime("%Y-%m-%d %H:%M:%S")
    active = {"status": "active", "create_time": at}
    contacts = {"email": email, "mobile_phone_number": phone}
    channels = {"sms": phone, "email": email}
    return {
        "id": id,
        **_BEFORE_COUNTRY,
        "country_code": country_of(phone),
        **_AFTER_COUNTRY,
        "metadata": {"encrypted": [key for key, value in contacts.items() if value]},
        "mobile_phone_number": MASK if phone else "",
        "email": MASK if email else "",
        "subscription": {key: dict(active) for key, value in channels.items() if value},
        "engagement_score": 0,
        "conversion_score": "0",
        "first_session_date": at[:10],
        "income": "0",
        "cost": "0",
        "full_name": known.get("full_name", ""),
        "create_time": at,
        "update_time": at,
        "total_engagements": "0",
    }


def country_of(phone: str) -> str:
    """The region of an international number such as "+49234432234", "" where it has none."""
    try:
        number = phonenumbers.parse(phone, None)
    except phonenumbers.NumberParseException:
        return ""
    return phonenumbers.region_code_for_number(number) or ""

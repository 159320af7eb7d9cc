"""Outcome: what upstream's answer meant. Nobody else looks at status codes.

Upstream documents 201, 400, 500 and, in its rate-limit guide, 429 with ``Retry-After`` in seconds or
-1 for too many parallel calls; every other status here is inference, on the side of losing nothing.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

REFUSED = frozenset({400, 409, 413, 415, 422})
MISCONFIGURED = frozenset({401, 404, 405, *range(300, 400)})
FAILURES = frozenset({500, 502, 503, 504, *range(520, 530)})
"""Statuses by which upstream, or what stands before it, says that it does not work."""
MAX_WAIT_SECONDS = 6 * 3600.0
NEVER_STORED = ("email", "mobile_phone_number", "full_name", "metadata", "subscription")
"""Fields of upstream's answer that are about the person: shown to a waiting caller at most."""
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
# Documented is a UUID. Seven digits and no letter may be somebody's telephone number.
_TRACE = re.compile(r"(?!(?:[._:-]*[0-9]){7,}[._:-]*\Z)[0-9A-Za-z._:-]{1,64}")


@dataclass(frozen=True)
class Answer:
    """What upstream answered. Header names in lower case; the body may be cut or empty."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True)
class NoAnswer:
    """No status line came. ``why``: ``refused`` ``dns`` ``timeout`` ``reset`` ``certificate`` …"""

    why: str
    may_have_arrived: bool


@dataclass(frozen=True)
class Outcome:
    """``status`` is what upstream answered, None when it did not."""

    status: int | None = None
    trace_id: str | None = field(default=None, kw_only=True)
    exhausted_for: float | None = field(default=None, kw_only=True)
    """Seconds in which upstream says that none of the account's quota remains."""
    word = "unclear"


@dataclass(frozen=True)
class Delivered(Outcome):
    """Upstream has it. ``profile`` is its answer, which holds personal data."""

    profile: dict[str, Any] = field(default_factory=dict, repr=False)
    word = "delivered"

    @property
    def profile_id(self) -> str | None:
        """Upstream's id, as text: ids have 20 digits, more than many programs read exactly."""
        found = self.profile.get("id")
        text = str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""
        return text if _ID.fullmatch(text) else None


@dataclass(frozen=True)
class Refused(Outcome):
    """Upstream will never take it."""

    word = "refused"


@dataclass(frozen=True)
class Later(Outcome):
    """Surely not taken; again by the schedule, after ``after`` seconds at the earliest."""

    after: float | None = None
    why: str = ""
    word = "later"


@dataclass(frozen=True)
class Forbidden(Outcome):
    """403: about this submission or about us, which only the next answers tell."""

    word = "later"


@dataclass(frozen=True)
class Wait(Outcome):
    """429. The whole account waits ``seconds``; with ``parallel`` upstream named no time."""

    seconds: float = 0
    parallel: bool = False
    word = "wait"


@dataclass(frozen=True)
class Unclear(Outcome):
    """Nobody knows whether upstream took it. ``answered``: it did answer, with an error of its own."""

    answered: bool = False
    why: str = ""
    word = "unclear"


@dataclass(frozen=True)
class NotSent(Outcome):
    """Our own doing: the call was not made, as its time had passed. No attempt is counted."""

    word = "later"


@dataclass(frozen=True)
class Unreadable(Later):
    """Our own doing: what is stored could not be read, and no call was made. It says nothing of upstream."""


@dataclass(frozen=True)
class Misconfigured(Outcome):
    """The token, the address or the certificate is wrong: nothing about this submission."""

    why: str = ""
    word = "misconfigured"


@dataclass(frozen=True)
class Seen:
    """What a look at upstream showed: whether it answered with anything but a failure of its own."""

    answers: bool
    status: int | None = None
    after: float | None = None
    """In how many seconds a 503 asked to come back."""
    word = "seen"


def read_look(answer: Answer | NoAnswer, now: float) -> Seen | Wait:
    """Return what the answer to a look means. How upstream treats ``HEAD`` is not documented."""
    if isinstance(answer, NoAnswer):
        return Seen(False)
    if answer.status == 429:
        return _read_limit(answer, now)
    after = _retry_after(answer, now) if answer.status == 503 else None
    return Seen(answer.status not in FAILURES, answer.status, after)


def read(answer: Answer | NoAnswer, now: float, *, is_update: bool = False) -> Outcome:
    """Return what an answer means; ``now`` in seconds since 1970.

    ``is_update``: the call was about one profile, by its id. Then 404 and 405 say nothing about our
    settings: a new profile may not be known everywhere yet, or be gone already.
    """
    if isinstance(answer, NoAnswer):
        return _read_silence(answer)
    found = _read_status(answer, now)
    if is_update and answer.status == 404:
        found = Later(404, None, "404", trace_id=found.trace_id)
    elif is_update and answer.status == 405:
        found = Refused(405, trace_id=found.trace_id)
    return replace(found, exhausted_for=_exhausted_for(answer))


def _read_status(answer: Answer, now: float) -> Outcome:
    status, trace = answer.status, _trace_id(answer)
    if 200 <= status < 300:
        return Delivered(status, _json(answer), trace_id=trace)
    if status in REFUSED:
        return Refused(status, trace_id=trace)
    if status in MISCONFIGURED:
        return Misconfigured(status, str(status), trace_id=trace)
    if status == 403:
        return Forbidden(status, trace_id=trace)
    if status == 429:
        return _read_limit(answer, now)
    if status == 503:
        return Later(status, _retry_after(answer, now), "503", trace_id=trace)
    return Unclear(status, answered=True, why=str(status), trace_id=trace)


def _read_silence(answer: NoAnswer) -> Outcome:
    if answer.why == "certificate":
        return Misconfigured(None, "certificate")
    if answer.may_have_arrived:
        return Unclear(None, answered=False, why=answer.why)
    return Later(None, None, answer.why)


def _read_limit(answer: Answer, now: float) -> Wait:
    if "-1" in (part.strip() for part in answer.headers.get("retry-after", "").split(",")):
        return Wait(429, 0, parallel=True, trace_id=_trace_id(answer))
    seconds = _retry_after(answer, now) or max(1.0, 60 - now % 60)
    return Wait(429, seconds, trace_id=_trace_id(answer))


def _retry_after(answer: Answer, now: float) -> float | None:
    """Return the seconds to wait, or None if nothing usable is said.

    A date is read relative to the answer's own Date, so that a wrong clock on either side cancels out.
    Of two headers the longer wait counts.
    """
    text = answer.headers.get("retry-after", "").strip()
    numbers = [int(part) for part in re.split(r"\s*,\s*", text) if re.fullmatch(r"[0-9]{1,300}", part)]
    if numbers:
        seconds = float(max(numbers))
    elif (until := _date(text)) is not None:
        said_at = _date(answer.headers.get("date", ""))
        seconds = until - (now if said_at is None else said_at)
    else:
        return None
    return min(seconds, MAX_WAIT_SECONDS) if seconds > 0 else None


def _date(text: str) -> float | None:
    """Return an HTTP date in seconds since 1970, or None if it is none."""
    try:
        date = parsedate_to_datetime(text)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _exhausted_for(answer: Answer) -> float | None:
    """Return for how long nothing remains, by ``X-RateLimit-Remaining`` and ``-Reset`` (seconds left)."""
    remaining, reset = (answer.headers.get(f"x-ratelimit-{name}", "") for name in ("remaining", "reset"))
    if remaining.strip() != "0" or not re.fullmatch(r"[0-9]{1,4}", reset.strip()):
        return None
    return min(float(reset), 60.0) or None


def _json(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.body, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _no_number(_: str) -> None:
    """Read what JSON has no word for, but Python would write again as it came."""


def _finite(text: str) -> float | None:
    return number if math.isfinite(number := float(text)) else None


def _trace_id(answer: Answer) -> str | None:
    found = _json(answer).get("trace_id") if answer.status >= 300 else None
    return found if isinstance(found, str) and _TRACE.fullmatch(found) else None

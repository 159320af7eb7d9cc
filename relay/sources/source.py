"""Source: a named door: who may use it, how a submission is proven, and what it answers."""

import dataclasses
import re
from collections import abc
from dataclasses import dataclass
from typing import Any

from relay.sources.body import Body, Limits, read
from relay.sources.mapping import Mapping
from relay.sources.origin import ANY, canonical, covers
from relay.sources.outline import unfolded
from relay.sources.paths import Path, search
from relay.sources.proof import Evidence, Verifier
from relay.sources.text import is_blank

RETENTION_SECONDS = 30 * 86400.0
"""How long what waits for a person is kept, where a source says nothing, or is gone."""

_CHALLENGE = re.compile(rb"[A-Za-z0-9_-]{1,200}")
REPLY_FIELDS = (
    *("id", "company_id", "status", "container_id", "app_type", "app_name", "country_code", "region"),
    *("city", "asn", "os_id", "browser_id", "device_id", "user_lang", "timezone", "total_pageviews"),
    *("total_goals", "push_wokenup", "push_clicks", "ad_served", "ad_impressions", "ad_spam_impressions"),
    *("ad_clicks", "ad_spam_clicks", "ad_conversions", "metadata", "mobile_phone_number", "email"),
    *("subscription", "engagement_score", "conversion_score", "first_session_date", "income", "cost"),
    *("full_name", "create_time", "update_time", "total_engagements"),
)
"""What upstream's answer holds of a created profile."""


@dataclass(frozen=True)
class HeaderIs:
    """A header that must have one of some values."""

    name: str
    values: tuple[str, ...]

    def holds(self, headers: abc.Mapping[str, str]) -> bool:
        return headers.get(self.name.lower(), "").strip().lower() in self.values


@dataclass(frozen=True)
class Ping:
    """An unsigned message by which a sender tries the address out; nothing is stored for it."""

    body: Any = None  # a compiled pattern for the whole body
    header: HeaderIs | None = None

    def matches(self, raw: bytes, headers: abc.Mapping[str, str]) -> bool:
        if len(raw) > 1024 or (self.body is None and self.header is None):
            return False
        fits_body = self.body is None or self.body.fullmatch(raw.decode("latin-1")) is not None
        return fits_body and (self.header is None or self.header.holds(headers))


@dataclass(frozen=True)
class Handshake:
    """How a sender checks an address by GET before it uses it: ``ok``, ``echo`` or ``hmac``."""

    kind: str
    query: str = ""
    token_query: str = ""

    def signs(self, word: bytes) -> bool:
        """Whether whoever asks gets this word signed, so that a signature of it proves nothing."""
        return self.kind == "hmac" and _CHALLENGE.fullmatch(word) is not None


@dataclass(frozen=True)
class Captcha:
    """A check a third party makes of a visitor: Turnstile, hCaptcha, reCAPTCHA all fit."""

    url: str
    secret: str = dataclasses.field(repr=False)
    field: str = ""


@dataclass(frozen=True)
class Budget:
    """How much of a source may be ``held``."""

    rows: int = 10_000
    size: int = 64 * 1024**2
    """Bytes."""


@dataclass(frozen=True)
class Source:
    """One ``[sources.x]`` of the configuration, checked and made ready. Durations are in seconds."""

    name: str
    kind: str
    destination: str
    mapping: Mapping
    enabled: bool = True
    preset: str | None = None
    verifier: Verifier | None = None
    secrets: tuple[bytes, ...] = dataclasses.field(default=(), repr=False)
    origins: tuple[str, ...] = ()
    thanks: str | None = None
    region: str | None = None
    region_from: Path | None = None
    """Where a country or its dial code stands beside a phone number."""
    honeypot: str | None = None
    wait: float = 0
    reply: tuple[str, ...] = ()
    client_limits: str | None = None
    source_limits: str | None = None
    recipient_limits: str | None = None
    limits: Limits = dataclasses.field(default_factory=Limits)
    json_fields: tuple[str, ...] = ()
    outlined: bool = False
    """Whether the sender writes structure out as lines of text."""
    only: Any = None
    unless: Any = None
    """What is true of those who left or said no, whatever ``only`` asks for."""
    only_header: HeaderIs | None = None
    test: Any = None
    test_header: HeaderIs | None = None
    ping: Ping | None = None
    handshake: Handshake | None = None
    shape: Path | None = None
    """What every message of a known shape has; a proven one without it is kept ``invalid``."""
    id_path: Path | None = None
    id_header: str | None = None
    repeat_window: float = 600
    retention: float = RETENTION_SECONDS
    success_status: int | None = None
    on_failure: str = "report"
    min_seconds: float | None = None
    captcha: Captcha | None = None
    held_budget: Budget = Budget()
    expect_within: float | None = None
    """After how many seconds of silence somebody should be told."""
    disposable: frozenset[str] = frozenset()
    properties_as: str = "object"
    suggest: bool = False
    """Whether a mistyped common mail domain is asked about."""
    frame: bool = True
    """Whether the sites in ``origins`` may frame the form and its answers."""
    utm: abc.Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What a page tells of how its visitor came, and the hidden field that carries it."""
    page: abc.Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def is_form(self) -> bool:
        return self.kind == "form"

    @property
    def keeps_invalid(self) -> bool:
        """Whether what cannot be mapped is kept: only what a machine has proven."""
        return not self.is_form and self.verifier is not None

    @property
    def keeps_unreadable(self) -> bool:
        """Whether what is proven is kept although it cannot be read: its sender is told of no errors."""
        return self.keeps_invalid and self.on_failure == "accept"

    @property
    def is_signed(self) -> bool:
        """Whether its messages are signed, so that nothing beside what is signed can be believed."""
        return self.verifier is not None and self.verifier.signs

    @property
    def can_be_multiplied(self) -> bool:
        """Whether somebody who saw one signed message could send it again under another id."""
        return self.is_signed and self.verifier is not None and not self.verifier.covers_id(self.id_header)

    def read(self, raw: bytes, content_type: str) -> Body:
        """Return what a body holds. Raises BadBody."""
        body = read(raw, content_type, self.limits, self.json_fields, lenient=self.keeps_invalid)
        return dataclasses.replace(body, fields=unfolded(body.fields)) if self.outlined else body

    def as_named(self, headers: abc.Mapping[str, str]) -> abc.Mapping[str, str]:
        """Return headers under the names that this source knows."""
        return self.verifier.as_named(headers) if self.verifier else headers

    def admits(self, evidence: Evidence, now: float) -> bool:
        """Whether the sender has proven itself; a source without a verifier admits everybody."""
        if self.handshake and self.handshake.signs(evidence.body):
            return False  # anybody can have had it signed
        return self.verifier is None or self.verifier.proves(evidence, self.secrets, now)

    def is_only_untimely(self, evidence: Evidence, now: float) -> bool:
        """Whether a sender that was not admitted would have been at another time: a clock is wrong."""
        if self.handshake and self.handshake.signs(evidence.body):
            return False
        return self.verifier is not None and self.verifier.is_only_untimely(evidence, self.secrets, now)

    def why_not_admitted(self, evidence: Evidence, now: float) -> str:
        """Say why a sender was not admitted: for the log and the operator alone."""
        return self.verifier.why_not(evidence, self.secrets, now) if self.verifier else ""

    def allows_origin(self, origin: str | None, own: tuple[str, ...]) -> bool:
        """Whether a page of this origin may post here.

        Absent and ``null`` are allowed: browsers send ``null`` from pages with a strict
        Referrer-Policy. This is a filter against other people's pages, not a proof.
        """
        if origin is None or origin == "null" or not self.is_form:
            return True
        shown = canonical(origin)
        return ANY in self.origins or self.names(origin) or shown in map(canonical, own)

    def names(self, origin: str) -> bool:
        """Whether a site stands in ``origins`` by its name."""
        shown = canonical(origin)
        return any(covers(one, shown) for one in self.origins if one != ANY)

    def is_excluded(self, fields: abc.Mapping[str, Any], headers: abc.Mapping[str, str]) -> bool:
        """Whether this is no sign-up: a test of the sender, or an event nobody asked for."""
        if self.is_test(fields, headers):
            return True
        if self.only_header and not self.only_header.holds(headers):
            return True
        return self.leaves_out(fields)

    def leaves_out(self, fields: abc.Mapping[str, Any]) -> bool:
        """Whether ``only`` or ``unless`` says that these fields are no sign-up."""
        if self.tells_of_leaving(fields):
            return True
        return self.only is not None and not _is_true(search(self.only, fields))

    def tells_of_leaving(self, fields: abc.Mapping[str, Any]) -> bool:
        """Whether ``unless`` says that these fields are of somebody who left or said no."""
        return self.unless is not None and _is_true(search(self.unless, fields))

    @property
    def takes_who_left(self) -> bool:
        """Whether ``unless`` is the ``null`` by which an owner asks for everybody."""
        return self.unless is not None and self.unless.expression.strip("` ") == "null"

    def is_test(self, fields: abc.Mapping[str, Any], headers: abc.Mapping[str, str]) -> bool:
        """Whether the sender only tries the address out."""
        if self.test_header and self.test_header.holds(headers):
            return True
        return self.test is not None and _is_flagged(search(self.test, fields))

    def is_unknown(self, fields: abc.Mapping[str, Any], headers: abc.Mapping[str, str]) -> bool:
        """Whether what every message has (``shape``) is not there at all in what was proven.

        A sender that changes its format must not be told that its sign-ups are ignored.
        """
        if self.shape is None or not self.keeps_invalid or self.is_test(fields, headers):
            return False
        return is_blank(self.shape.find(fields))


def _is_true(found: Any) -> bool:
    """Whether JMESPath calls it true: all but null, false and what is empty; 0 is true."""
    return found is not None and found is not False and found not in ("", [], {})


def _is_flagged(found: Any) -> bool:
    """Whether a sender's flag is up: a text is, unless it says the contrary."""
    if isinstance(found, str):
        return found.strip().lower() not in ("", "0", "false", "no", "off")
    return bool(found)

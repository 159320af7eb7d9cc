"""Tables of sources become sources."""

from pathlib import Path as File
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, post_load

from relay.config.addresses import is_url
from relay.config.environment import Problem, Remark, suggest
from relay.config.fields import Consent, EntriesSchema, profile_rules, update_rules
from relay.config.pages import PageSchema
from relay.config.presets import with_preset
from relay.config.proofs import Proof, SecretReferences, Verify, read_proof
from relay.config.reading import SecretReference, Surroundings, name_problems
from relay.config.schemas import (
    Duration,
    Size,
    Strict,
    Text,
    choice,
    expression,
    limits_or_none,
    load,
    page_address,
    pattern,
    secure_address,
    texts,
    whole,
    yes_or_no,
)
from relay.sources.body import Limits
from relay.sources.consent import YES, Box
from relay.sources.mapping import CONTACTS, Mapping
from relay.sources.paths import Path
from relay.sources.source import Captcha, Handshake, HeaderIs, Ping, Source
from relay.sources.telephone import is_region


class HeaderSchema(Strict):
    """A header that must have one of some values."""

    name = fields.String(required=True)
    values = texts(required=True)

    @post_load
    def build(self, table: dict[str, Any], **_: Any) -> HeaderIs:
        return HeaderIs(table["name"], tuple(value.lower() for value in table["values"]))


class PingSchema(Strict):
    """An unsigned message by which a sender tries the address out."""

    body = Text(pattern)
    header = fields.Nested(HeaderSchema)

    @post_load
    def build(self, table: dict[str, Any], **_: Any) -> Ping:
        return Ping(**table)


class HandshakeSchema(Strict):
    """How a GET is answered."""

    kind = choice("ok", "echo", "hmac", required=True)
    query = fields.String()
    token_query = fields.String()

    @post_load
    def build(self, table: dict[str, Any], **_: Any) -> Handshake:
        return Handshake(**table)


class CaptchaSchema(Strict):
    """``[sources.x.captcha]``"""

    url = Text(secure_address, required=True)
    secret = SecretReference(required=True)
    field = fields.String(required=True)


def _region(code: str) -> str:
    if not is_region(code):
        raise ValueError(f'knows no "{code}"; use a code like "DE" or "US"')
    return code


class Origins(fields.List[Any]):
    """Sites, without their paths."""

    def __init__(self) -> None:
        super().__init__(texts().inner)

    def _deserialize(self, value: Any, *rest: Any, **options: Any) -> Any:
        origins = [str(one) for one in super()._deserialize(value, *rest, **options)]
        said = [
            f'"{origin}" is no origin; write https://www.example.com, without a path'
            for origin in origins
            if origin != "*" and not _is_origin(origin)
        ]
        if said:
            raise ValidationError(said)
        return tuple(origin.rstrip("/").lower() for origin in origins)


def _is_origin(text: str) -> bool:
    return is_url(text) and urlsplit(text).path in ("", "/") and not urlsplit(text).query


class SourceSchema(Strict):
    """``[sources.x]``"""

    kind = choice("form", "webhook", required=True)
    preset = fields.String()
    destination = fields.String()
    enabled = yes_or_no()
    origins = Origins()
    thanks = Text(page_address)
    region = Text(_region)
    honeypot = fields.String()
    consent = Consent()
    secret = SecretReferences()
    verify = Verify()
    wait = Duration(0, 30)
    reply = texts()
    client_limits = Text(limits_or_none)
    source_limits = Text(limits_or_none)
    recipient_limits = Text(limits_or_none)
    only_ = Text(expression, data_key="only", attribute="only")
    only_header = fields.Nested(HeaderSchema)
    test = Text(expression)
    test_header = fields.Nested(HeaderSchema)
    ping = fields.Nested(PingSchema)
    handshake = fields.Nested(HandshakeSchema)
    entries = fields.Nested(EntriesSchema)
    id = Text(Path, attribute="id_path")
    id_header = fields.String()
    repeat_window = Duration()
    retention = Duration()
    max_body = Size()
    max_fields = whole(1, 100_000)
    max_field = Size()
    json_fields = texts()
    success_status = whole(200, 299)
    on_failure = choice("report", "accept")
    min_seconds = Duration()
    captcha = fields.Nested(CaptchaSchema)
    disposable = fields.String()
    custom_properties_as = choice("object", "string", attribute="properties_as")
    page = fields.Nested(PageSchema)
    fields_ = profile_rules()
    update = update_rules()

    @post_load
    def freeze(self, source: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Lists become tuples: a source does not change."""
        return {key: tuple(one) if isinstance(one, list) else one for key, one in source.items()}


FORM = {
    "wait": 0.0,
    "reply": (),
    "client_limits": "5/second; 60/minute",
    "source_limits": "600/hour; 5000/day",
    "recipient_limits": "20/day",
    "repeat_window": 600.0,
}
"""The defaults of what anybody may post to."""

WEBHOOK = {
    "wait": 5.0,
    "reply": ("id",),
    "client_limits": None,
    "source_limits": None,
    "recipient_limits": None,
    "repeat_window": 7 * 86400.0,
}


def read_sources(
    tables: dict[str, Any], destinations: tuple[str, ...], around: Surroundings
) -> tuple[dict[str, Source], dict[str, str], list[Problem]]:
    """Return the sources that can be used, the secrets made up for them, and what is wrong."""
    found: dict[str, Source] = {}
    made_up: dict[str, str] = {}
    problems: list[Problem] = []
    for name, table in tables.items():
        source, secret, said = _read(name, table, destinations, around)
        problems += [*name_problems(name, f"sources.{name}"), *said]
        if source is not None:
            found[name] = source
        if secret is not None:
            made_up[name] = secret
    if not tables:
        problems.append(Problem("sources", "at least one is needed, like [sources.newsletter]"))
    return found, made_up, problems


def _read(
    name: str, table: Any, destinations: tuple[str, ...], around: Surroundings
) -> tuple[Source | None, str | None, list[Problem]]:
    where = f"sources.{name}"
    whole_table, problems = _whole(table, where)
    loaded, said = load(SourceSchema(), whole_table, where)
    problems += said
    if loaded is None:
        return None, None, problems
    destination, said = _destination(loaded, destinations, f"{where}.destination")
    problems += said
    proof, said = read_proof(name, whole_table, loaded, around)
    problems += said
    captcha, said = _captcha(loaded, f"{where}.captcha", around)
    problems += said
    disposable, said = _disposable(loaded, f"{where}.disposable")
    problems += [*said, *_contradictions(whole_table, loaded, proof, where)]
    if any(problem.is_fatal for problem in problems):
        return None, proof.made_up, problems
    loaded |= {"name": name, "destination": destination, "captcha": captcha, "disposable": disposable}
    return _source(loaded, proof), proof.made_up, problems


def _whole(table: Any, where: str) -> tuple[Any, list[Problem]]:
    """Return a table with what its preset knows."""
    if not isinstance(table, dict):
        return table, []
    merged, problem = with_preset(table)
    return merged, [Problem(f"{where}.preset", problem)] if problem else []


def _contradictions(table: dict[str, Any], loaded: dict[str, Any], proof: Proof, where: str) -> list[Problem]:
    """Return what is wrong between keys that are right by themselves."""
    found: list[Problem] = []
    if "rules" in loaded or "fields" not in table:
        if not any(contact in loaded.get("rules", {}) for contact in CONTACTS):
            found.append(Problem(f"{where}.fields", "must map email or mobile_phone_number"))
    handshake = loaded.get("handshake")
    if handshake is not None and handshake.kind in ("echo", "hmac") and "secret" not in table:
        found.append(Problem(f"{where}.handshake", 'of this kind needs a secret, like secret = "env:NAME"'))
    found += _unset_yes(loaded.get("consent", {}), where)
    if proof.is_open:
        found.append(Remark(f"{where}.verify", 'is "none": it takes submissions without proof'))
    return found


def _unset_yes(consent: dict[str, Box], where: str) -> list[Problem]:
    """Return a remark on each box whose own words for yes nobody has told."""
    boxes = {box.field: box for box in consent.values() if not box.yes}
    said = f"says only {', '.join(sorted(YES))} or its name; if it sends another value, write it down as yes"
    return [Remark(f"{where}.consent", f'the box "{field}" {said}') for field in boxes]


def _destination(
    loaded: dict[str, Any], destinations: tuple[str, ...], where: str
) -> tuple[str, list[Problem]]:
    name = str(loaded.get("destination", ""))
    if not destinations or name in destinations:
        return name, []
    if name:
        return name, [Problem(where, suggest(name, destinations, f'knows no "{name}"'))]
    if len(destinations) == 1:
        return destinations[0], []
    return name, [Problem(where, "is needed, as there are several")]


def _captcha(
    loaded: dict[str, Any], where: str, around: Surroundings
) -> tuple[Captcha | None, list[Problem]]:
    table = loaded.get("captcha")
    if table is None:
        return None, []
    secret, problems = around.secret(table["secret"], f"{where}.secret")
    return Captcha(table["url"], secret, table["field"]), problems


def _disposable(loaded: dict[str, Any], where: str) -> tuple[frozenset[str], list[Problem]]:
    """Return the domains of a file that has one a line."""
    if "disposable" not in loaded:
        return frozenset(), []
    try:
        text = File(loaded["disposable"]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError):
        return frozenset(), [Problem(where, f"cannot read {loaded['disposable']}")]
    lines = (line.strip().lower() for line in text.splitlines())
    return frozenset(line for line in lines if line and not line.startswith("#")), []


def _source(loaded: dict[str, Any], proof: Proof) -> Source:
    is_form = loaded["kind"] == "form"
    values = {**(FORM if is_form or proof.is_open else WEBHOOK), **loaded}
    most = {
        name: values.pop(f"max_{name}") for name in ("body", "fields", "field") if f"max_{name}" in values
    }
    extra = values.pop("extra", {})
    mapping = Mapping(
        values.pop("rules"),
        region=values.get("region"),
        consent=values.pop("consent", None),
        keep_good_contact=not is_form,
        entries=values.pop("entries", None),
        extra=extra,
    )
    for key in ("secret", "verify"):
        values.pop(key, None)
    return Source(
        mapping=mapping,
        limits=Limits(**most),
        verifier=proof.verifier,
        secrets=proof.keys,
        updates=bool(extra),
        **values,
    )

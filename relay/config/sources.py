"""Tables of sources become sources."""

import re
from typing import Any

from marshmallow import ValidationError, fields, post_load

from relay.config.contradictions import contradictions
from relay.config.environment import Problem, suggest
from relay.config.fields import Consent, EntriesSchema, profile_rules, update_rules
from relay.config.files import read_text
from relay.config.handshakes import HandshakeSchema, HeaderSchema, PingSchema
from relay.config.pages import PageSchema, Utm
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
    header_name,
    limits_or_none,
    load,
    page_address,
    secure_address,
    size_of,
    texts,
    whole,
    yes_or_no,
)
from relay.sources import origin
from relay.sources.body import MAX_BODY, Limits
from relay.sources.mapping import Mapping
from relay.sources.paths import Path
from relay.sources.source import REPLY_FIELDS, Budget, Captcha, Source
from relay.sources.telephone import is_region


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
        given = [str(one) for one in super()._deserialize(value, *rest, **options)]
        said = [f'"{one}" {problem}' for one in given if (problem := origin.problem(one))]
        if said:
            raise ValidationError(said)
        return tuple(origin.canonical(one.rstrip("/")) for one in given)


def _budget(text: str) -> Budget:
    """Return what ``"10000 rows; 64MiB"`` says, or one of both."""
    said: dict[str, int] = {}
    for part in text.split(";"):
        rows = re.fullmatch(r"\s*([1-9][0-9]{0,8})\s+rows?\s*", part)
        try:
            key, number = ("rows", int(rows[1])) if rows else ("size", size_of(part))
        except ValueError:
            key, number = "", 0
        if not key or key in said:
            raise ValueError('must be rows, bytes or both, like "10000 rows; 64MiB"')
        said[key] = number
    return Budget(**said)


def _reply_field(name: str) -> str:
    if name not in REPLY_FIELDS:
        known = "one of id, country_code, email and the like"
        raise ValueError(suggest(name, REPLY_FIELDS, f'"{name}" is no field of a profile', known))
    return name


def _reserved(_: Any) -> None:
    raise ValidationError("is not there yet (a person's click before anything is sent); leave it out")


class SourceSchema(Strict):
    """``[sources.x]``"""

    kind = choice("form", "webhook", required=True)
    preset = fields.String()
    destination = fields.String()
    enabled = yes_or_no()
    origins = Origins()
    thanks = Text(page_address)
    region = Text(_region)
    region_from = Text(Path)
    honeypot = fields.String()
    consent = Consent()
    secret = SecretReferences()
    verify = Verify()
    wait = Duration(0, 30)
    reply = fields.List(Text(_reply_field))
    client_limits = Text(limits_or_none)
    source_limits = Text(limits_or_none)
    recipient_limits = Text(limits_or_none)
    only_ = Text(expression, data_key="only", attribute="only")
    unless = Text(expression)
    only_header = fields.Nested(HeaderSchema)
    test = Text(expression)
    test_header = fields.Nested(HeaderSchema)
    ping = fields.Nested(PingSchema)
    handshake = fields.Nested(HandshakeSchema)
    shape = Text(Path)
    entries = fields.Nested(EntriesSchema)
    id = Text(Path, attribute="id_path")
    id_header = Text(header_name)
    repeat_window = Duration()
    retention = Duration()
    max_body = Size(MAX_BODY)
    max_fields = whole(1, 100_000)
    max_field = Size()
    json_fields = texts()
    outlined = yes_or_no()
    success_status = whole(200, 299)
    on_failure = choice("report", "accept")
    min_seconds = Duration()
    held_budget = Text(_budget)
    expect_within = Duration(60)
    captcha = fields.Nested(CaptchaSchema)
    disposable = fields.String()
    custom_properties_as = choice("object", "string", attribute="properties_as")
    suggest = yes_or_no()
    frame = yes_or_no()
    page = fields.Nested(PageSchema)
    utm = Utm()
    confirm = fields.Raw(validate=_reserved)
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
    problems += said
    logo, said = _logo(loaded.get("page", {}), f"{where}.page.logo", around)
    problems += [*said, *contradictions(whole_table, loaded, proof, where)]
    if any(problem.is_fatal for problem in problems):
        return None, proof.made_up, problems
    loaded |= {"name": name, "destination": destination, "captcha": captcha, "disposable": disposable}
    loaded["page"] = {**loaded.get("page", {}), **logo}
    return _source(loaded, proof), proof.made_up, problems


def _whole(table: Any, where: str) -> tuple[Any, list[Problem]]:
    """Return a table with what its preset knows."""
    if not isinstance(table, dict):
        return table, []
    merged, problem = with_preset(table)
    return merged, [Problem(f"{where}.preset", problem)] if problem else []


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
        text = read_text(loaded["disposable"])
    except (OSError, UnicodeDecodeError, ValueError):
        return frozenset(), [Problem(where, f"cannot read {loaded['disposable']}")]
    lines = (line.strip().lower() for line in text.splitlines())
    return frozenset(line for line in lines if line and not line.startswith("#")), []


_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg")


def _logo(page: dict[str, Any], where: str, around: Surroundings) -> tuple[dict[str, Any], list[Problem]]:
    """Return the path of a logo: a file beside relay.toml."""
    if "logo" not in page:
        return {}, []
    path = around.folder / page["logo"]
    if path.suffix.lower() not in _PICTURES:
        return {}, [Problem(where, f"must be a picture: {', '.join(_PICTURES)}")]
    if not path.is_file():
        return {}, [Problem(where, f"cannot read {path}; it stands beside relay.toml")]
    return {"logo": str(path)}, []


def _source(loaded: dict[str, Any], proof: Proof) -> Source:
    is_form = loaded["kind"] == "form"
    signed_id = {"id_header": proof.verifier.id_header} if proof.verifier else {}
    values = {"suggest": is_form, **(FORM if is_form or proof.is_open else WEBHOOK), **signed_id, **loaded}
    most = {
        name: values.pop(f"max_{name}") for name in ("body", "fields", "field") if f"max_{name}" in values
    }
    mapping = Mapping(
        values.pop("rules"),
        region=values.get("region"),
        region_from=values.get("region_from"),
        consent=values.pop("consent", None),
        keep_good_contact=not is_form,
        entries=values.pop("entries", None),
        extra=values.pop("extra", None),
    )
    for key in ("secret", "verify"):
        values.pop(key, None)
    return Source(
        mapping=mapping,
        limits=Limits(**most),
        verifier=proof.verifier,
        secrets=proof.keys,
        **values,
    )

"""What anybody may ask, as ``/openapi.json`` describes it: sources, their forms, receipts, health."""

from typing import Any

from apispec import APISpec
from marshmallow import fields, validate

from relay.sources.paths import Path
from relay.sources.source import Handshake, Source
from relay.web.described import (
    TEXT,
    Answers,
    Described,
    json_of,
    page_of,
    parameter,
    problems,
    text_of,
    with_header,
)
from relay.web.proving import schemes

_TOLD = ["received", "queued", "kept", "delivered"]
_MEDIA = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")


class Taken(Described):
    """The answer to a submission; without a receipt nothing was stored, as for a sender's test."""

    receipt = fields.String()
    state = fields.String(validate=validate.OneOf(_TOLD))
    eta_seconds = fields.Integer(allow_none=True)
    profile = fields.Dict(fields.String(), fields.Raw())
    dropped = fields.List(fields.String())
    ignored_files = fields.List(fields.String())
    repeat = fields.Boolean()


class Receipt(Described):
    """What anybody who has the receipt may know."""

    receipt = fields.String(required=True)
    state = fields.String(validate=validate.OneOf([*_TOLD, "refused"]), required=True)
    received_at = fields.DateTime(required=True)


class Health(Described):
    """Whether it is well; with a token also what is not."""

    status = fields.String(validate=validate.OneOf(["ok", "failing"]), required=True)
    failing = fields.Dict(fields.String(), fields.String(), metadata={"description": "why, by check"})
    warnings = fields.List(fields.String())
    sandbox = fields.Boolean()


class Stamp(Described):
    """What ``/relay.js`` needs for a form: a signed time, and what it tells visitors."""

    relay_ts = fields.String(required=True)
    seconds = fields.Float(required=True, metadata={"description": "what a person needs at least"})
    texts = fields.Dict(fields.String(), fields.Raw(), required=True)
    suggest = fields.Boolean(required=True)
    utm = fields.Raw(required=True)


def describe_public(spec: APISpec, *, has_metrics: bool) -> None:
    """Describe the addresses that belong to no source."""
    _get(spec, "/", {"200": page_of("in sandbox mode what to try next; else that this is a relay")})
    receipts = {"200": _json_or_page(json_of(Receipt, "known; a page for people"))}
    _get(spec, "/receipts/{receipt}", {**receipts, **problems(404)}, parameter("receipt", "path"))
    _get(spec, "/relay.js", {"200": text_of("text/javascript", "the script for forms of other pages")})
    _get(spec, "/healthz", {"200": json_of(Health, "the process works")})
    ready = {"200": json_of(Health, "could commit now"), "503": json_of(Health, "could not commit now")}
    _get(spec, "/readyz", ready, security=[{}, {"operator": []}, {"metrics": []}])
    if has_metrics:
        text = {"200": text_of("text/plain", "Prometheus text"), **problems(401)}
        _get(spec, "/metrics", text, security=[{"metrics": []}])
    about = {"description": "this description", "content": {"application/json": {"schema": {}}}}
    _get(spec, "/openapi.json", {"200": about})


def _get(spec: APISpec, path: str, answers: Answers, *parameters: dict[str, Any], **more: Any) -> None:
    operation = {"responses": {**problems(), **answers}, "parameters": list(parameters), **more}
    spec.path(path, operations={"get": operation})


def _json_or_page(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "content": {**answer["content"], "text/html": {"schema": TEXT}}}


# --- sources ------------------------------------------------------------------------------------------


def describe_source(spec: APISpec, source: Source) -> None:
    """Describe where a source is posted to, and what its senders and their pages ask before."""
    for name, scheme in schemes(source).items():
        spec.components.security_scheme(name, scheme)
    operations: dict[str, Any] = {"post": _submit(source)}
    if source.handshake is not None:
        operations["get"] = _greet(source.handshake)
        operations["head"] = {"responses": {"200": {"description": "here"}, **problems()}}
    elif source.is_form:
        there = {"303": with_header(303, {"description": "in a browser: to the form"})}
        operations["get"] = {"responses": {**there, **problems(405)}}
    if source.is_form:
        operations["options"] = {
            "summary": "A browser asks whether a page may post",
            "responses": {"204": {"description": "it may"}, **problems(_403="a page of another site")},
        }
    spec.path(f"/submit/{source.name}", operations=operations)
    if source.is_form:
        _describe_form(spec, f"/forms/{source.name}", has_logo=source.page.get("logo") is not None)


def _describe_form(spec: APISpec, path: str, *, has_logo: bool) -> None:
    _get(spec, path, {"200": page_of("the form, as a page of its own")})
    _get(spec, f"{path}/style.css", {"200": text_of("text/css", "its colours")})
    stamp = {"200": json_of(Stamp, "for the script")}
    _get(spec, f"{path}/timestamp", stamp, parameter("language", "query"))
    if has_logo:
        _get(spec, f"{path}/logo", {"200": text_of("image/*", "its picture"), **problems(404)})


def _greet(shake: Handshake) -> dict[str, Any]:
    """How a sender's GET is answered."""
    answers: Answers = {"200": text_of("text/plain", "the sender's word, or ok"), **problems()}
    names = [name for name in (shake.query, shake.token_query) if name]
    if shake.kind == "hmac":
        proof = {"application/json": {"schema": {"type": "object"}}}
        answers["200"] = {"description": "the sender's word, and its signature", "content": proof}
    if shake.kind == "echo":
        answers |= problems(401)
    return {
        "summary": "The sender tries the address out",
        "parameters": [parameter(name, "query") for name in names],
        "responses": answers,
    }


def _submit(source: Source) -> dict[str, Any]:
    body = {"schema": _body(source)}
    answers = problems(401, 411, 415, 422, 429, _403="a page of another site")
    for status in {source.success_status} if source.success_status else {200, 201, 202}:
        answers[str(status)] = json_of(Taken, "stored")
    if source.is_form:
        answers["303"] = with_header(303, {"description": "in a browser: to the thanks page"})
        answers["200"] = _json_or_page(answers.get("200") or json_of(Taken, "stored"))
    return {
        "summary": f"Submit to {source.name}",
        "security": [{name: []} for name in schemes(source)],
        "parameters": [parameter(name, "header") for name in _ids(source)],
        "requestBody": {"required": True, "content": dict.fromkeys(_MEDIA, body)},
        "responses": dict(sorted(answers.items())),
    }


def _ids(source: Source) -> list[str]:
    """Return the headers by which a sender may say which submission it is: what came with one is a repeat."""
    names = (source.id_header, None if source.is_signed else "Idempotency-Key")
    return [name for name in names if name]


def _body(source: Source) -> dict[str, Any]:
    """Return the schema of a body, by the names of the sender where they are plain keys."""
    names = [
        place.text
        for rule in source.mapping.rules.values()
        for place in rule.places
        if isinstance(place, Path) and place.text.replace("-", "_").isidentifier()
    ]
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}}

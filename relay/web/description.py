"""``/openapi.json``: what the other faces take and answer, made from the same schemas."""

from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Response, current_app
from marshmallow import EXCLUDE, Schema, fields, validate

from relay.config.settings import Settings
from relay.delivery import REPLAYABLE, STATES
from relay.sources.paths import Path
from relay.sources.source import Source

blueprint = Blueprint("description", __name__)
VERSION = "0.1.0"


class _Described(Schema):
    class Meta:
        unknown = EXCLUDE


class Problem(_Described):
    """RFC 9457, application/problem+json."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    errors = fields.Dict(fields.String(), fields.List(fields.String()))
    receipt = fields.String(metadata={"description": "with it, the submission was kept all the same"})
    state = fields.String()
    trace_id = fields.String()


class Taken(_Described):
    """The answer to a stored submission."""

    receipt = fields.String(required=True)
    state = fields.String(validate=validate.OneOf(["received", "queued", "kept", "delivered"]), required=True)
    eta_seconds = fields.Integer(allow_none=True)
    profile = fields.Dict(fields.String(), fields.Raw())
    dropped = fields.List(fields.String())
    ignored_files = fields.List(fields.String())
    repeat = fields.Boolean()


class Receipt(_Described):
    """What anybody who has the receipt may know."""

    receipt = fields.String(required=True)
    state = fields.String(
        validate=validate.OneOf(["received", "queued", "kept", "delivered", "refused"]), required=True
    )
    received_at = fields.DateTime(required=True)


class Send(_Described):
    """One call upstream."""

    kind = fields.String()
    started_at = fields.DateTime()
    seconds = fields.Float(allow_none=True)
    outcome = fields.String(allow_none=True)
    status = fields.Integer(allow_none=True)


class Submission(_Described):
    """What the operator sees: nothing that is personal but a hint."""

    receipt = fields.String()
    source = fields.String()
    state = fields.String(validate=validate.OneOf(STATES))
    reason = fields.String(allow_none=True)
    attempts = fields.Integer()
    may_be_duplicate = fields.Boolean()
    received_at = fields.DateTime()
    due_at = fields.DateTime(allow_none=True)
    delivered_at = fields.DateTime(allow_none=True)
    profile_id = fields.String(allow_none=True)
    trace_id = fields.String(allow_none=True)
    contact_hint = fields.String(allow_none=True)
    dropped = fields.List(fields.String())
    consent = fields.Dict(allow_none=True)
    history = fields.List(fields.Nested(Send))


class Page(_Described):
    """A page of submissions; ``next`` is the ``before`` of the next one."""

    submissions = fields.List(fields.Nested(Submission))
    next = fields.String(allow_none=True)


class Replay(_Described):
    """Which submissions to queue again."""

    state = fields.String(validate=validate.OneOf(REPLAYABLE))
    source = fields.String()
    dry_run = fields.Boolean()


class Count(_Described):
    """How many were, or would be, queued."""

    count = fields.Integer()


class DestinationStatus(_Described):
    """One destination."""

    hold_until = fields.DateTime(allow_none=True)
    hold_reason = fields.String(allow_none=True)
    backlog = fields.Integer()
    oldest_seconds = fields.Float(allow_none=True)
    eta_seconds = fields.Integer(allow_none=True)
    quota_used = fields.Dict(fields.String(), fields.Integer())


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """The OpenAPI 3.1 description, made once for a configuration: anybody may ask, as often as they like."""
    settings = current_app.relay.settings  # type: ignore[attr-defined]
    described_for, text = current_app.extensions.get("description", (None, ""))
    if described_for is not settings:
        text = current_app.json.dumps(_describe(settings))
        current_app.extensions["description"] = settings, text
    return Response(text, mimetype="application/json")


def _describe(settings: Settings) -> dict[str, Any]:
    spec = APISpec("Signup relay", VERSION, "3.1.0", plugins=[MarshmallowPlugin()])
    spec.components.security_scheme("admin", {"type": "http", "scheme": "bearer"})
    for source in settings.sources.values():
        if source.enabled:
            spec.path(f"/submit/{source.name}", operations={"post": _submit(source)})
    _describe_public(spec)
    if settings.operators:
        _describe_operator(spec)
    described: dict[str, Any] = spec.to_dict()
    return described


def _submit(source: Source) -> dict[str, Any]:
    media = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]
    body = {"schema": _body(source)}
    answers = {
        status: _problem(what)
        for status, what in (
            ("400", "malformed"),
            ("401", "not proven"),
            ("403", "a page of another site"),
            ("411", "no length"),
            ("413", "too large"),
            ("415", "another kind of content"),
            ("422", "unusable; see errors"),
            ("429", "too fast"),
            ("503", "not stored; nothing was accepted"),
        )
    }
    for status in {source.success_status} if source.success_status else {200, 201, 202}:
        answers[str(status)] = _json(Taken, "stored")
    return {
        "summary": f"Submit to {source.name}",
        "requestBody": {"required": True, "content": dict.fromkeys(media, body)},
        "responses": answers,
    }


def _body(source: Source) -> dict[str, Any]:
    """Return the schema of a body, by the names of the sender where they are plain keys."""
    names = [
        place.text
        for rule in source.mapping.rules.values()
        for place in rule.places
        if isinstance(place, Path) and place.text.replace("-", "_").isidentifier()
    ]
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}}


def _describe_public(spec: APISpec) -> None:
    spec.path(
        "/receipts/{receipt}",
        parameters=[_RECEIPT],
        operations={"get": {"responses": {"200": _json(Receipt, "known"), "404": _problem("unknown")}}},
    )
    spec.path("/healthz", operations={"get": {"responses": {"200": {"description": "the process works"}}}})
    ready = {"200": {"description": "could commit now"}, "503": {"description": "names what fails"}}
    spec.path("/readyz", operations={"get": {"responses": ready}})


def _describe_operator(spec: APISpec) -> None:
    names = ("state", "source", "contact", "before", "limit")
    query = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]
    one = {"200": _json(Submission, "it"), "404": _problem("unknown"), "409": _problem("not in this state")}
    listing = {"parameters": query, "responses": {"200": _json(Page, "a page")}}
    spec.path("/api/submissions", operations={"get": _guarded(listing)})
    path = "/api/submissions/{receipt}"
    spec.path(path, parameters=[_RECEIPT], operations={"get": _guarded({"responses": one})})
    for verb in ("replay", "discard"):
        operation = {"post": _guarded({"responses": one})}
        spec.path(f"{path}/{verb}", parameters=[_RECEIPT], operations=operation)
    body = {"content": {"application/json": {"schema": Replay}}}
    replay = {"requestBody": body, "responses": {"200": _json(Count, "how many")}}
    spec.path("/api/replay", operations={"post": _guarded(replay)})
    spec.components.schema("DestinationStatus", schema=DestinationStatus)
    each = {"$ref": "#/components/schemas/DestinationStatus"}
    by_name = {"schema": {"type": "object", "additionalProperties": each}}
    now = {"200": {"description": "by destination", "content": {"application/json": by_name}}}
    spec.path("/api/status", operations={"get": _guarded({"responses": now})})
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    for verb in ("pause", "resume"):
        responses = {"200": _json(DestinationStatus, "now"), "404": _problem("unknown")}
        operation = {"post": _guarded({"responses": responses})}
        spec.path(f"/api/destinations/{{name}}/{verb}", parameters=[name], operations=operation)


_RECEIPT = {"name": "receipt", "in": "path", "required": True, "schema": {"type": "string"}}


def _guarded(operation: dict[str, Any]) -> dict[str, Any]:
    responses = {**operation["responses"], "401": _problem("no admin token")}
    return {**operation, "responses": responses, "security": [{"admin": []}]}


def _json(schema: type[Schema], what: str) -> dict[str, Any]:
    return {"description": what, "content": {"application/json": {"schema": schema}}}


def _problem(what: str) -> dict[str, Any]:
    return {"description": what, "content": {"application/problem+json": {"schema": Problem}}}

"""``/openapi.json``: what the other faces take and answer, made from the same schemas."""

from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Response, current_app
from marshmallow import fields, validate

from relay.config.settings import Settings
from relay.sources.paths import Path
from relay.sources.source import Source
from relay.web.described import Described, json_of, problem_of
from relay.web.described_api import describe_api

blueprint = Blueprint("description", __name__)
VERSION = "0.1.0"


class Taken(Described):
    """The answer to a stored submission."""

    receipt = fields.String(required=True)
    state = fields.String(validate=validate.OneOf(["received", "queued", "kept", "delivered"]), required=True)
    eta_seconds = fields.Integer(allow_none=True)
    profile = fields.Dict(fields.String(), fields.Raw())
    dropped = fields.List(fields.String())
    ignored_files = fields.List(fields.String())
    repeat = fields.Boolean()


class Receipt(Described):
    """What anybody who has the receipt may know."""

    receipt = fields.String(required=True)
    state = fields.String(
        validate=validate.OneOf(["received", "queued", "kept", "delivered", "refused"]), required=True
    )
    received_at = fields.DateTime(required=True)


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
    spec.components.security_scheme("operator", {"type": "http", "scheme": "bearer"})
    for source in settings.sources.values():
        if source.enabled:
            spec.path(f"/submit/{source.name}", operations={"post": _submit(source)})
    _describe_public(spec)
    if settings.operators:
        describe_api(spec)
    described: dict[str, Any] = spec.to_dict()
    return described


def _submit(source: Source) -> dict[str, Any]:
    media = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]
    body = {"schema": _body(source)}
    answers = {
        status: problem_of(what)
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
        answers[str(status)] = json_of(Taken, "stored")
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
        operations={"get": {"responses": {"200": json_of(Receipt, "known"), "404": problem_of("unknown")}}},
    )
    spec.path("/healthz", operations={"get": {"responses": {"200": {"description": "the process works"}}}})
    ready = {"200": {"description": "could commit now"}, "503": {"description": "could not commit now"}}
    spec.path("/readyz", operations={"get": {"responses": ready}})


_RECEIPT = {"name": "receipt", "in": "path", "required": True, "schema": {"type": "string"}}

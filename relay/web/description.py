"""``/openapi.json``: what the other faces take and answer, made from the same schemas."""

from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Response, current_app

import relay
from relay.config.settings import Settings
from relay.web.application import the_relay
from relay.web.described_api import describe_api
from relay.web.described_public import describe_public, describe_source

blueprint = Blueprint("description", __name__)


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """The OpenAPI 3.1 description, made once for a configuration: anybody may ask, as often as they like."""
    settings = the_relay().settings
    described_for, text = current_app.extensions.get("description", (None, ""))
    if described_for is not settings:
        text = current_app.json.dumps(describe(settings))
        current_app.extensions["description"] = settings, text
    return Response(text, mimetype="application/json")


def describe(settings: Settings) -> dict[str, Any]:
    """Return the description of a relay with these settings."""
    spec = APISpec("Signup relay", relay.__version__, "3.1.0", plugins=[MarshmallowPlugin()])
    for name in ("operator", "metrics"):
        spec.components.security_scheme(name, {"type": "http", "scheme": "bearer"})
    for source in settings.sources.values():
        if source.enabled:
            describe_source(spec, source)
    describe_public(spec, has_metrics=bool(settings.metrics_token))
    if settings.operators:
        describe_api(spec)
    described: dict[str, Any] = spec.to_dict()
    return described

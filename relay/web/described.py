"""Parts of the description of the API: what a schema and an answer look like in it."""

from typing import Any

from marshmallow import EXCLUDE, Schema, fields


class Described(Schema):
    """A schema that is only described; nothing is loaded with it."""

    class Meta:
        unknown = EXCLUDE


class Problem(Described):
    """RFC 9457, application/problem+json."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    errors = fields.Dict(fields.String(), fields.List(fields.String()))
    receipt = fields.String(metadata={"description": "with it, the submission was kept all the same"})
    state = fields.String()
    trace_id = fields.String()


def json_of(schema: type[Schema], what: str) -> dict[str, Any]:
    return {"description": what, "content": {"application/json": {"schema": schema}}}


def problem_of(what: str) -> dict[str, Any]:
    return {"description": what, "content": {"application/problem+json": {"schema": Problem}}}

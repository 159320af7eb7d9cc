"""Parts of the description: what a schema, a parameter and an answer look like in it."""

from typing import Any

from marshmallow import EXCLUDE, RAISE, Schema, fields

from relay.delivery import STATES
from relay.operator.exports import FORMATS
from relay.operator.filter import MAX_ROWS
from relay.web.problems import PROBLEM

Answers = dict[str, Any]
TEXT: dict[str, Any] = {"type": "string"}


class Described(Schema):
    """A schema that is only described; nothing is loaded with it."""

    class Meta:
        unknown = EXCLUDE


class Asked(Described):
    """What is sent to the API: it refuses what it does not know."""

    class Meta:
        unknown = RAISE


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
    repeat = fields.Boolean()
    suggestion = fields.Dict(fields.String(), fields.String(), metadata={"description": "what was meant"})


_PROBLEMS = {
    400: "malformed",
    401: "not proven",
    403: "not allowed",
    404: "unknown",
    405: "another method is taken here",
    408: "the request took too long",
    409: "not possible as it is",
    411: "no length",
    413: "too large",
    414: "the address is too long",
    415: "another kind of content",
    422: "unusable; see errors",
    429: "too many; see Retry-After",
    431: "the headers are too long",
    503: "not available now; nothing was accepted",
}
_HEADERS = {
    "Allow": "the methods that are taken here",
    "Location": "where to go on",
    "Retry-After": "after how many seconds it may be tried again",
}
_WITH = {303: "Location", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}
ANYWHERE = (400, 408, 413, 414, 431, 503)
"""What the server itself answers, before it knows which address is meant."""


def problems(*statuses: int, **special: str) -> Answers:
    """Return refusals by status, with those that any address may give.

    ``special``: another description, like ``_409="changed since"``.
    """
    found = {status: _PROBLEMS[status] for status in sorted({*statuses, *ANYWHERE})}
    found |= {int(name[1:]): text for name, text in special.items()}
    return {str(status): with_header(status, problem_of(what)) for status, what in found.items()}


def with_header(status: int, answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer with the header that always comes with its status, if one does."""
    name = _WITH.get(status)
    if name is None:
        return answer
    return {**answer, "headers": {name: {"description": _HEADERS[name], "required": True, "schema": TEXT}}}


def problem_of(what: str, schema: type[Schema] = Problem) -> dict[str, Any]:
    """Return a refusal: a problem document, or a page for who would rather read one."""
    return {"description": what, "content": {PROBLEM: {"schema": schema}, **_PAGE}}


def json_of(schema: type[Schema], what: str) -> dict[str, Any]:
    return {"description": what, "content": {"application/json": {"schema": schema}}}


def text_of(kind: str, what: str) -> dict[str, Any]:
    """Return an answer that is a text of some kind."""
    return {"description": what, "content": {kind: {"schema": TEXT}}}


def page_of(what: str) -> dict[str, Any]:
    return text_of("text/html", what)


_PAGE = {"text/html": {"schema": TEXT}}
_FLAG = {"type": "string", "enum": ["true", "false"]}
_SCHEMAS: dict[str, dict[str, Any]] = {
    "receipt": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "state": {"type": "string", "enum": list(STATES)},
    "duplicate": _FLAG,
    "people": _FLAG,
    "format": {"type": "string", "enum": list(FORMATS)},
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_ROWS},
}


def parameter(name: str, where: str) -> dict[str, Any]:
    """Return a parameter of the path or the query, by its name."""
    found = {"name": name, "in": where, "required": where == "path", "schema": _SCHEMAS.get(name, TEXT)}
    if name == "contact":
        found |= {"deprecated": True, "description": "names a person in logs of proxies: use /api/find"}
    return found

"""The operator's API as ``/openapi.json`` describes it."""

from typing import Any

from apispec import APISpec
from marshmallow import Schema

from relay.config.operators import ROLES
from relay.operator.exports import FORMATS
from relay.web import described_rows as rows
from relay.web.asked import FILTERS, LISTED
from relay.web.described import TEXT, Answers, json_of, parameter, problem_of, problems

SECURITY: list[dict[str, list[str]]] = [{"operator": []}]
_SUBMISSION = "/api/submissions/{receipt}"
_PAGE = ("before", "limit")
Operation = tuple[str, str, tuple[str, ...], type[Schema] | None, int, type[Schema] | None]
OPERATIONS: tuple[Operation, ...] = (
    ("get", "/api/submissions", LISTED, None, 200, rows.Page),
    ("post", "/api/find", (), rows.Contact, 200, rows.Page),
    ("get", _SUBMISSION, (), None, 200, rows.SubmissionWithHistory),
    ("patch", _SUBMISSION, (), rows.Correction, 200, rows.Submission),
    ("post", f"{_SUBMISSION}/replay", (), rows.Acting, 200, rows.Submission),
    ("post", f"{_SUBMISSION}/discard", (), rows.Acting, 200, rows.Submission),
    ("post", f"{_SUBMISSION}/reveal", (), None, 200, rows.Personal),
    ("post", "/api/replay", (), rows.Replay, 200, rows.Count),
    ("post", "/api/jobs", (), rows.NewJob, 202, rows.MadeJob),
    ("get", "/api/jobs", _PAGE, None, 200, rows.JobPage),
    ("get", "/api/jobs/{name}", (), None, 200, rows.Job),
    ("post", "/api/jobs/{name}/cancel", (), None, 200, rows.Job),
    ("get", "/api/audit", ("receipt", *_PAGE), None, 200, rows.AuditPage),
    ("post", "/api/sources/{name}/test", (), rows.Test, 200, rows.Tested),
    ("post", "/api/destinations/{name}/pause", (), None, 200, rows.DestinationStatus),
    ("post", "/api/destinations/{name}/resume", (), None, 200, rows.DestinationStatus),
)
"""Method, address, query, what is sent, and what is answered with which status."""


def describe_api(spec: APISpec) -> None:
    """Describe every address of the API."""
    for method, path, query, sent, status, answered in OPERATIONS:
        found = {str(status): json_of(answered, "done") if answered else {"description": "done"}}
        operation = _operation(found, query)
        if sent is not None:
            needed = any(field.required for field in sent().fields.values())
            content = {"application/json": {"schema": sent}}
            operation["requestBody"] = {"required": needed, "content": content}
        _add(spec, path, method, operation)
    _add(spec, "/api/status", "get", _by_name(spec, rows.DestinationStatus, "by destination"))
    _add(spec, "/api/sources", "get", _by_name(spec, rows.SourceStatus, "by source"))
    kinds = {kind: {"schema": TEXT} for kind in set(FORMATS.values())}
    files = {"200": {"description": "a file", "content": kinds}}
    _add(spec, "/api/export", "get", _operation(files, (*FILTERS, "duplicate", "format", "people")))
    _add(spec, "/api/jobs/{name}/file", "get", _no_file())


def _add(spec: APISpec, path: str, method: str, operation: dict[str, Any]) -> None:
    inside = [parameter(name, "path") for name in ("receipt", "name") if f"{{{name}}}" in path]
    spec.path(path, parameters=inside, operations={method: operation})


def _operation(found: Answers, query: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "responses": {**found, **_refusals()},
        "security": SECURITY,
        "parameters": [parameter(name, "query") for name in query],
    }


def _no_file() -> dict[str, Any]:
    """The address was promised, and is kept: an export is streamed and no job, so no job has a file."""
    operation = _operation({})
    operation["responses"]["404"] = problem_of("no job makes a file; /api/export streams what a filter shows")
    return {**operation, "deprecated": True}


def _refusals() -> Answers:
    roles = ", ".join(ROLES)
    return {
        **problems(401, 404, 422, 429, _403=f"the role is too small; there are {roles}"),
        "409": problem_of("not possible as it is; with its fields where it has changed", rows.Changed),
    }


def _by_name(spec: APISpec, schema: type[Schema], what: str) -> dict[str, Any]:
    name = schema.__name__
    if name not in spec.components.schemas:
        spec.components.schema(name, schema=schema)
    each = {"type": "object", "additionalProperties": {"$ref": f"#/components/schemas/{name}"}}
    return _operation({"200": {"description": what, "content": {"application/json": {"schema": each}}}})

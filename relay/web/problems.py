"""Errors as people and machines can read them: problem+json (RFC 9457), or a page."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException

from relay import events
from relay.operator.errors import CannotDo, Changed, Missing, Nonsense, NotAllowed, Unfitting
from relay.outbox.errors import Unavailable

TITLES = {
    400: "The request is malformed",
    401: "The sender is not proven",
    403: "Not from this site",
    404: "Not found",
    405: "Wrong method",
    408: "The request took too long",
    409: "Conflict",
    411: "The length is missing",
    413: "Too large",
    414: "The address is too long",
    415: "Not a kind of content that is taken",
    417: "An expectation that is not met",
    422: "The submission cannot be used",
    429: "Too many requests",
    431: "The headers are too long",
    503: "Not available now",
}
_OF_VERBS: dict[type[CannotDo], int] = {
    CannotDo: 409,
    Changed: 409,
    Missing: 404,
    Nonsense: 400,
    NotAllowed: 403,
    Unfitting: 422,
}
RETRY_SECONDS = 30
_FOR_VISITORS = ("/submit/", "/forms/")
PROBLEM = "application/problem+json"


def document(status: int, detail: str, row: Mapping[str, Any] | None = None, **members: Any) -> bytes:
    """Return a problem document. ``members`` that are None are left out; of a ``row`` nothing is."""
    body = {
        "type": "about:blank",
        "title": TITLES.get(status, "The request failed"),
        "status": status,
        "detail": detail,
        **(row or {}),
        **{name: value for name, value in members.items() if value is not None},
    }
    return json.dumps(body).encode()


def problem(status: int, detail: str, row: Mapping[str, Any] | None = None, **members: Any) -> Response:
    """Answer with a problem document."""
    return _waiting(Response(document(status, detail, row, **members), status, mimetype=PROBLEM))


def unproven(detail: str) -> Response:
    """Answer whoever shows no token, or a wrong one."""
    response = problem(401, detail)
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def status_of(error: CannotDo) -> int:
    """Return the status that says why a verb did nothing."""
    return next(_OF_VERBS[kind] for kind in type(error).__mro__ if kind in _OF_VERBS)


def _waiting(response: Response) -> Response:
    if response.status_code in (429, 503):
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def wants_page() -> bool:
    """Whether the caller would rather read HTML than JSON."""
    if "text/" not in request.environ.get("HTTP_ACCEPT", ""):
        return False
    best = request.accept_mimetypes.best_match(["application/json", "text/html"])
    return best == "text/html"


def shown(status: int, detail: str, **members: Any) -> Response:
    """Return a problem as the caller wants it."""
    if not wants_page():
        return problem(status, detail, **members)
    title = TITLES.get(status, "The request failed")
    is_for_visitors = request.path.startswith(_FOR_VISITORS)
    page = render_template(
        "problem.html", status=status, title=title, detail=detail, is_for_visitors=is_for_visitors
    )
    return _waiting(Response(page, status, mimetype="text/html"))


def register(app: Flask) -> None:
    """Answer every error of the application in these terms."""

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        if original := getattr(error, "original_exception", None):  # raised before any view: by a session
            return unavailable(original) if isinstance(original, Unavailable) else fault(original)
        status = error.code or 500
        response = shown(status, _DETAILS.get(status, TITLES.get(status, "The request failed.")))
        for name, value in error.get_headers():
            if name in ("Allow", "Retry-After"):
                response.headers[name] = value
        return response

    @app.errorhandler(Unavailable)
    def unavailable(error: Unavailable) -> Response:
        events.note(
            "outbox.unavailable",
            level=logging.ERROR,
            problem=str(error),
            request_id=request.environ.get("relay.request_id"),
        )
        return shown(503, "It could not be stored; nothing was accepted. Please try again.")

    @app.errorhandler(Exception)
    def fault(error: Exception) -> Response:
        events.note(
            "request.fault",
            level=logging.ERROR,
            error=events.where_from(error),
            request_id=request.environ.get("relay.request_id"),
        )
        return shown(503, "Something went wrong; nothing was accepted. Please try again.")


_DETAILS = {
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
}

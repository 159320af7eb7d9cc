"""To the login, and back to where somebody was when their session was over."""

from typing import Any
from urllib.parse import urlsplit

from flask import Response, current_app, request, url_for
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect

from relay.web.application import see
from relay.web.problems import shown

PREFIX = "/dashboard"
LIVE = f"{PREFIX}/live/"
"""What a page asks for by itself: that does not keep a session going."""
_LONGEST = 2000


def to_login() -> Response:
    """Lead to the login, which knows where to go on, and whether something was not done."""
    if request.path.startswith(LIVE):  # a part of a page: the whole page must go
        response = shown(401, "The session is over; log in again.")
        response.headers["HX-Redirect"] = _login(page_of(request.headers.get("HX-Current-URL", "")))
        return response
    is_write = request.method == "POST"
    return see(_login(page_of(request.full_path), undone=is_write))


def _login(page: str, *, undone: bool = False) -> str:
    values: dict[str, Any] = {"next": page} if page != PREFIX else {}
    if undone:
        values["undone"] = 1
    return url_for("login.form", **values)


def from_act() -> Response | None:
    """Lead to its page whoever follows the address of an act, which the page after it stands at as well."""
    is_act = isinstance(request.routing_exception, MethodNotAllowed) and request.path.startswith(f"{PREFIX}/")
    return see(page_of(request.path)) if is_act and request.method == "GET" else None


def page_of(address: str) -> str:
    """Return the page of the dashboard that an address is, or belongs to; the overview for any other.

    No word of it leads elsewhere: only a path that is one of our pages is kept.
    """
    try:
        parts = urlsplit(address[:_LONGEST])
    except ValueError:
        return PREFIX
    path = parts.path.rstrip("/")
    while path.startswith(f"{PREFIX}/"):
        if _is_page(path):
            return f"{path}?{parts.query}" if parts.query and path == parts.path else path
        path = path.rpartition("/")[0].rstrip("/")
    return PREFIX


def _is_page(path: str) -> bool:
    try:
        endpoint, _ = current_app.url_map.bind("").match(path, "GET")
    except (HTTPException, RequestRedirect):
        return False
    return str(endpoint).startswith("dashboard.") and not path.startswith(LIVE)

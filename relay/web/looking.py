"""Who looks takes nothing from those who sign up: operators read through few connections of their own."""

from contextlib import ExitStack

from flask import Blueprint, Response, g, request

from relay.outbox.errors import Busy
from relay.outbox.looking import looking
from relay.web.problems import shown

_RETRY_SECONDS = 5


def bound(blueprint: Blueprint) -> None:
    """Have a blueprint's pages and lists read so. What acts does not queue behind those who look."""

    @blueprint.before_request
    def begin() -> None:
        if request.method in ("GET", "HEAD"):
            g.look = ExitStack()
            g.look.enter_context(looking())

    @blueprint.teardown_request
    def end(_: BaseException | None) -> None:
        if "look" in g:
            g.pop("look").close()

    @blueprint.errorhandler(Busy)
    def busy(_: Busy) -> Response:
        response = shown(503, "Too much is being looked at. Please try again in a few seconds.")
        response.headers["Retry-After"] = str(_RETRY_SECONDS)
        return response

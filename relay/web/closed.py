"""What is not there because its token is unset: whatever is asked of it is answered 404."""

from flask import Flask, abort, request

from relay.operator import actor
from relay.web.application import the_relay

_OF_OPERATORS = ("/api/", "/dashboard/")
_OF_METRICS = "/metrics/"


def install(app: Flask) -> None:
    """Look before every request, also one whose method no address takes: a 405 would tell that it exists."""
    app.before_request(_look)


def _look() -> None:
    relay = the_relay()
    path = request.path + "/"
    if path.startswith(_OF_OPERATORS) and not actor.known(relay.settings):
        abort(404)
    if path.startswith(_OF_METRICS) and not relay.settings.metrics_token:
        abort(404)

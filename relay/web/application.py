"""The application that answers: whose it is, in whose name, and the plainest answers."""

from typing import Any, cast

from flask import Flask, Response, current_app, g, redirect

from relay.operator.actor import Actor
from relay.operator.operator import Operator
from relay.process.relay import Relay


class RelayApp(Flask):
    """A Flask application that carries its relay."""

    relay: Relay


def the_relay() -> Relay:
    """Return the relay whose application this is."""
    return cast(RelayApp, current_app).relay


def the_actor() -> Actor:
    """Return who asks, once they have shown who they are."""
    actor: Actor = g.actor
    return actor


def the_operator() -> Operator:
    """Return the verbs, in the name of who asks."""
    return Operator(the_relay().settings, the_relay().outbox, the_actor())


def as_json(body: Any, status: int = 200) -> Response:
    """Answer with a value in JSON."""
    return Response(current_app.json.dumps(body), status, mimetype="application/json")


def see(address: str) -> Response:
    """Lead to another address, which is then asked for with GET."""
    return cast(Response, redirect(address, 303))

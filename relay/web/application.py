"""The application that answers: whose it is, and how it leads elsewhere."""

from typing import cast

from flask import Flask, Response, current_app, redirect

from relay.process.relay import Relay


class RelayApp(Flask):
    """A Flask application that carries its relay."""

    relay: Relay


def the_relay() -> Relay:
    """Return the relay whose application this is."""
    return cast(RelayApp, current_app).relay


def see(address: str) -> Response:
    """Lead to another address, which is then asked for with GET."""
    return cast(Response, redirect(address, 303))

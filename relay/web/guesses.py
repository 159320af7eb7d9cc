"""Guesses at operators' tokens and the metrics': few a minute from one client, at each door that asks."""

import logging
import time

from flask import request

from relay import events
from relay.process.relay import Relay
from relay.web.clients import client_key

_WRONG_TOKENS = "10/minute"
RETRY_SECONDS = 60


def are_too_many(relay: Relay, door: str) -> bool:
    """Whether this client has guessed too often at a door: then not even a right token is looked at.

    By client, so that an owner elsewhere is not locked out.
    """
    return relay.doorkeeper.is_over(_WRONG_TOKENS, *_key(relay, door))


def note_wrong(relay: Relay, door: str) -> None:
    """Count a wrong token; say so once, when they have become too many."""
    relay.doorkeeper.retry_after(_WRONG_TOKENS, *_key(relay, door))
    if are_too_many(relay, door):
        relay.guessed_at = time.monotonic()
        events.note("operator.guessing", level=logging.WARNING, client=_key(relay, door)[1])


def _key(relay: Relay, door: str) -> tuple[str, str]:
    return door, client_key(relay, request.environ) or request.environ.get("REMOTE_ADDR", "")

"""Calls to an upstream, made without the relay."""

import requests

from tests.kit import upstream as up
from tests.kit.client import head

ADA = {"email": "ada@example.com"}


def call(upstream: up.ScriptedUpstream, timeout: float = 2.0, **more: object) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.post(upstream.url, json=ADA, timeout=timeout, allow_redirects=False, **more)


def posted(body: bytes) -> bytes:
    return head("POST", up.PATH, {"Content-Length": str(len(body))}) + body

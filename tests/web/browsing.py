"""Somebody who looks at the dashboard, over real connections."""

import re
from collections.abc import Mapping

import requests

from tests.kit.relay import RelayProcess


class Person:
    """Somebody at a browser without script: follows no redirect by itself."""

    def __init__(self, relay: RelayProcess, token: str = "") -> None:
        self.relay = relay
        self.web = requests.Session()
        if token:
            assert self.post("/dashboard/login", {"token": token}, with_token=False).status_code == 303

    def get(self, path: str) -> requests.Response:
        return self.web.get(self.relay.url + path, allow_redirects=False, timeout=30)

    def csrf(self) -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get("/dashboard").text)
        return found[1] if found else ""

    def post(
        self,
        path: str,
        fields: Mapping[str, str] | None = None,
        *,
        with_token: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        given = {**(fields or {}), **({"csrf_token": self.csrf()} if with_token else {})}
        return self.web.post(
            self.relay.url + path, data=given, headers=dict(headers or {}), allow_redirects=False, timeout=30
        )

    def led(self, path: str, fields: Mapping[str, str]) -> requests.Response:
        """Post, and get the page that the answer leads to."""
        answer = self.post(path, fields)
        assert answer.status_code == 303, (answer.status_code, answer.text[:500])
        return self.get(answer.headers["Location"])

"""GitHub, and senders that sign like it: its messages, in the shape it documents."""

import json
from typing import Any

from tests.config.presets.case import FORM, JSON, Case, form_body, hex_mac, json_body

CASES: list[Case] = []


def _github(
    name: str,
    body: dict[str, Any],
    expect: dict[str, str] | None,
    event: str,
    delivery: str,
    as_form: bool = False,
) -> None:
    secret = "It's nobody's secret"
    raw = form_body({"payload": json.dumps(body)}) if as_form else json_body(body)
    CASES.append(
        Case(
            preset="github",
            name=name,
            body=raw,
            content_type=FORM if as_form else JSON,
            secret=secret,
            expect=expect,
            event_id=delivery,
            headers={
                "X-GitHub-Event": event,
                "X-GitHub-Delivery": delivery,
                "X-Hub-Signature-256": "sha256=" + hex_mac(secret, raw),
            },
        )
    )


_DISPATCH = {
    "action": "sign-up",
    "client_payload": {"email": "ryo@example.org", "name": "Ryo Tachibana", "phone": "+81 90-1234-5678"},
    "repository": {"id": 35129377, "name": "www", "owner": {"email": "owner@example.com"}},
    "sender": {"login": "octo", "id": 1},
}


_RYO = {"email": "ryo@example.org", "mobile_phone_number": "+819012345678", "full_name": "Ryo Tachibana"}


_github(
    "a sign-up dispatched to a repository",
    _DISPATCH,
    _RYO,
    "repository_dispatch",
    "72d3162e-cc78-11e3-81ab-4c9367dc0951",
)


_github(
    "the same as a form", _DISPATCH, _RYO, "repository_dispatch", "72d3162e-cc78-11e3-81ab-4c9367dc0952", True
)


_github(
    "a push signs nobody up",
    {
        "ref": "refs/heads/main",
        "pusher": {"name": "octo", "email": "octo@example.com"},
        "sender": {"login": "octo"},
    },
    None,
    "push",
    "72d3162e-cc78-11e3-81ab-4c9367dc0953",
)


_github(
    "a ping",
    {"zen": "Keep it logically awesome.", "hook_id": 1},
    None,
    "ping",
    "72d3162e-cc78-11e3-81ab-4c9367dc0954",
)

"""Paperform: its messages, in the shape it documents."""

from typing import Any

from tests.config.presets.case import Case, json_body

CASES: list[Case] = []


def _paperform(
    name: str, data: list[dict[str, Any]], expect: dict[str, str] | None, submission: str | None
) -> None:
    CASES.append(
        Case(
            preset="paperform",
            name=name,
            query="token=pf-token",
            secret="pf-token",
            expect=expect,
            event_id=submission,
            body=json_body(
                {
                    "data": data,
                    "form_id": "6924bccaef65",
                    "slug": "q59lu",
                    "submission_id": submission,
                    "created_at": "2026-09-20 15:00:00",
                    "ip_address": "203.0.113.21",
                    "charge": None,
                    "team_id": 505,
                    **({"trigger": "submission"} if submission else {}),
                }
            ),
        )
    )


_paperform(
    "types, and names by title",
    [
        {
            "title": "First name",
            "description": None,
            "type": "text",
            "key": "a1",
            "custom_key": None,
            "value": "Inés",
        },
        {
            "title": "Apellidos",
            "description": None,
            "type": "text",
            "key": "a2",
            "custom_key": None,
            "value": "Garrido Paz",
        },
        {
            "title": "Contact",
            "description": None,
            "type": "email",
            "key": "a3",
            "custom_key": "contact",
            "value": "ines@example.org",
        },
        {
            "title": "Número",
            "description": None,
            "type": "phone",
            "key": "a4",
            "custom_key": None,
            "value": "+34 612 345 678",
        },
        {
            "title": "Company name",
            "description": None,
            "type": "text",
            "key": "a5",
            "custom_key": None,
            "value": "Paz SL",
        },
    ],
    {"email": "ines@example.org", "mobile_phone_number": "+34612345678", "full_name": "Inés Garrido Paz"},
    "6924ca9a37b747c7b8020001",
)


_paperform(
    "a partial submission is no sign-up",
    [{"title": "Email", "type": "email", "key": "a3", "custom_key": None, "value": "almost@example.com"}],
    None,
    None,
)

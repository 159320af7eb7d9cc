"""Fillout: its messages, in the shape it documents."""

from typing import Any

from tests.config.presets.case import Case, json_body

CASES: list[Case] = []


def _fillout(
    name: str, questions: list[dict[str, Any]], expect: dict[str, str], submission: str, **more: Any
) -> None:
    CASES.append(
        Case(
            preset="fillout",
            name=name,
            query="token=fo-token",
            secret="fo-token",
            expect=expect,
            event_id=submission,
            body=json_body(
                {
                    "formId": "m5q5df45apus",
                    "formName": "Early access",
                    "submission": {
                        "submissionId": submission,
                        "submissionTime": "2026-09-20T15:20:05.324Z",
                        "lastUpdatedAt": "2026-09-20T15:20:05.324Z",
                        "questions": questions,
                        "calculations": [],
                        "urlParameters": [],
                        "quiz": {},
                        **more,
                    },
                }
            ),
        )
    )


_fillout(
    "types, and a name asked for in a sentence",
    [
        {"id": "q1", "name": "What's your name?", "type": "ShortAnswer", "value": "Timoteo Ruggieri"},
        {"id": "q2", "name": "Where do we send it?", "type": "EmailInput", "value": "timoteo@example.org"},
        {"id": "q3", "name": "In a hurry?", "type": "PhoneNumber", "value": "+39 312 345 6789"},
        {"id": "q4", "name": "Email", "type": "Checkbox", "value": True},
    ],
    {
        "email": "timoteo@example.org",
        "mobile_phone_number": "+393123456789",
        "full_name": "Timoteo Ruggieri",
    },
    "fo-0001",
)


_fillout(
    "contact only in a booking",
    [{"id": "q1", "name": "Topic", "type": "LongAnswer", "value": "Pricing"}],
    {"email": "ngozi@example.net", "full_name": "Ngozi Adeyemi"},
    "fo-0002",
    scheduling=[
        {"id": "s1", "name": "30 min", "value": {"fullName": "Ngozi Adeyemi", "email": "ngozi@example.net"}}
    ],
)

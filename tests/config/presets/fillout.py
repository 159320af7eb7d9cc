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


_FILLED_IN = [
    {"id": name, "name": name, "value": value}
    for name, value in (("email", "old@example.org"), ("name", "Old Name"), ("phone", "+393123456780"))
]


_fillout(
    "what was typed over what the address had filled in",
    [
        {"id": "q1", "name": "Where do we send it?", "type": "EmailInput", "value": "timoteo3@example.org"},
        {"id": "q2", "name": "First name", "type": "ShortAnswer", "value": "Timoteo"},
        {"id": "q3", "name": "Phone", "type": "PhoneNumber", "value": "+39 312 345 6789"},
    ],
    {"email": "timoteo3@example.org", "mobile_phone_number": "+393123456789", "full_name": "Timoteo"},
    "fo-0003",
    urlParameters=_FILLED_IN,
)


_fillout(
    "a usual name typed over what the address had filled in",
    [
        {"id": "q1", "name": "Email", "type": "EmailInput", "value": "timoteo4@example.org"},
        {"id": "q2", "name": "Name", "type": "ShortAnswer", "value": "Timoteo Ruggieri"},
        {"id": "q3", "name": "Mobile", "type": "PhoneNumber", "value": None},
    ],
    {"email": "timoteo4@example.org", "full_name": "Timoteo Ruggieri"},
    "fo-0004",
    urlParameters=_FILLED_IN,
)


_fillout(
    "who is known from the address only",
    [{"id": "q1", "name": "Topic", "type": "LongAnswer", "value": "Pricing"}],
    {"email": "old@example.org", "mobile_phone_number": "+393123456780", "full_name": "Old Name"},
    "fo-0005",
    urlParameters=_FILLED_IN,
)


_fillout(
    "who is known from the address only, under other usual names",
    [{"id": "q1", "name": "Topic", "type": "LongAnswer", "value": "Pricing"}],
    {"mobile_phone_number": "+393123456780", "full_name": "Old Name"},
    "fo-0006",
    urlParameters=[
        {"id": name, "name": name, "value": value}
        for name, value in (("first_name", "Old"), ("lastName", "Name"), ("tel", "+393123456780"))
    ],
)

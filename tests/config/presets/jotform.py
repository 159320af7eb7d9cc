"""Jotform: its messages, in the shape it documents."""

import json
from typing import Any

from tests.config.presets.case import Case, address, multipart_body

CASES: list[Case] = []


def _jotform(name: str, raw_request: dict[str, Any], expect: dict[str, str] | None, submission: str) -> None:
    boundary = "------------------------jfQ81xV0"
    fields = {
        "action": "",
        "webhookURL": address("jotform"),
        "username": "northwind",
        "formID": "242531117090047",
        "type": "WEB",
        "formTitle": "Open day",
        "submissionID": submission,
        "ip": "203.0.113.9",
        "pretty": "left out",
        "rawRequest": json.dumps(
            {
                "slug": "submit/242531117090047/",
                "path": "/submit/242531117090047",
                "submitDate": "1790000000000",
                **raw_request,
                "event_id": "1790000000_242531117090047_x@y/z",
            }
        ),
    }
    CASES.append(
        Case(
            preset="jotform",
            name=name,
            content_type=f"multipart/form-data; boundary={boundary}",
            body=multipart_body(fields, boundary),
            query="token=jf-token-20",
            secret="jf-token-20",
            expect=expect,
            event_id=submission,
        )
    )


_jotform(
    "a name field with its parts, a phone field in one",
    {
        "q3_name": {"first": "Saoirse", "last": "Ní Bhriain"},
        "q4_email": "saoirse@example.org",
        "q5_phoneNumber": {"full": "+353 20 914 9001"},
        "q6_message": "write to me @ home",
    },
    {
        "email": "saoirse@example.org",
        "mobile_phone_number": "+353209149001",
        "full_name": "Saoirse Ní Bhriain",
    },
    "6011223344556677889",
)


_jotform(
    "plain text fields, and a phone in area and number",
    {
        "q1_vorname": "Lotte",
        "q2_nachname": "Quast",
        "q3_ihreEmailadresse": "lotte.quast@example.com",
        "q9_telefon": {"area": "+49 30", "phone": "23125008"},
        "q10_newsletterPerEmail": ["Ja"],
    },
    {
        "email": "lotte.quast@example.com",
        "mobile_phone_number": "+493023125008",
        "full_name": "Lotte Quast",
    },
    "6011223344556677890",
)


_jotform(
    "an e-mail under an unusual name",
    {"q3_howCanWe": "call me", "q4_whereShall": "ottoline@example.net"},
    {"email": "ottoline@example.net"},
    "6011223344556677891",
)


_jotform(
    "a labelled phone goes before the first one",
    {
        "q3_emergencyContact": {"full": "+353 1 000 0000"},
        "q4_phoneNumber": {"full": "+353 85 012 3456"},
        "q5_email2": "second@example.org",
        "q6_email": "first@example.org",
    },
    {"email": "first@example.org", "mobile_phone_number": "+353850123456"},
    "5730000000000000777",
)


_jotform(
    "a preview by the owner is no sign-up", {"preview": "true", "q6_email": "owner@example.org"}, None, "prev"
)


_SIGNER = {"q9_typeB": {"first": "Aurel", "last": "Ionescu"}}

_jotform(
    "another name beside one that was asked for in two fields",
    {"q3_firstName": "Ines", "q4_lastName": "Duarte", "q5_email": "ines@example.org", **_SIGNER},
    {"email": "ines@example.org", "full_name": "Ines Duarte"},
    "6042000000000000071",
)


_jotform(
    "another name beside one that was left empty",
    {"q3_name": {"first": "", "last": ""}, "q5_email": "ines2@example.org", **_SIGNER},
    {"email": "ines2@example.org"},
    "6042000000000000072",
)

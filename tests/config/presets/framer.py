"""Framer forms: its messages, in the shape it documents."""

from typing import Any

from tests.config.presets.case import Case, hex_mac, json_body

CASES: list[Case] = []


def _framer(name: str, fields: dict[str, Any], expect: dict[str, str], submission: str) -> None:
    secret = "framer-secret-of-thirty-two-characters"
    body = json_body(fields)
    CASES.append(
        Case(
            preset="framer",
            name=name,
            body=body,
            secret=secret,
            expect=expect,
            event_id=submission,
            headers={
                "Framer-Signature": "sha256=" + hex_mac(secret, body + submission.encode()),
                "Framer-Webhook-Submission-Id": submission,
                "Framer-Webhook-Attempt": "1",
            },
        )
    )


_framer(
    "flat keys",
    {"Name": "Zsófia Kertész", "Email": "zsofia@example.org", "Phone": "+36 20 123 4567", "Newsletter": "on"},
    {"email": "zsofia@example.org", "mobile_phone_number": "+36201234567", "full_name": "Zsófia Kertész"},
    "a6f2c1de-7f33-4c8a-8b6c-4f7e6f0d3b21",
)


_framer(
    "name and surname apart, the phone null",
    {"Name": "Oisín", "Surname": "Mac Giolla", "Email": "oisin@example.com", "Phone": None},
    {"email": "oisin@example.com", "full_name": "Oisín Mac Giolla"},
    "a6f2c1de-7f33-4c8a-8b6c-4f7e6f0d3b22",
)

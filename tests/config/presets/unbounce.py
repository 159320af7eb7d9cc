"""Unbounce landing pages: its messages, in the shape it documents."""

import json

from tests.config.presets.case import FORM, Case, form_body

CASES: list[Case] = []


def _unbounce(name: str, data: dict[str, list[str]], expect: dict[str, str]) -> None:
    fields = {
        "page_id": "0b7a3c9e-1d8a-4b52-9f06-5c8f6a1f2f10",
        "page_name": "Spring offer",
        "page_url": "https://go.example.com/spring",
        "variant": "b",
        "data.json": json.dumps(data),
        "data.xml": '<?xml version="1.0"?><form_data><email>left.out@example.com</email></form_data>',
    }
    CASES.append(
        Case(
            preset="unbounce",
            name=name,
            content_type=FORM,
            body=form_body(fields),
            query="token=ub-token",
            secret="ub-token",
            expect=expect,
        )
    )


_unbounce(
    "every value in a list",
    {
        "first_name": ["Anouk"],
        "last_name": ["Desrosiers"],
        "email": ["anouk@example.org"],
        "phone_number": ["+1 613-555-0184"],
        "ip_address": ["203.0.113.77"],
        "page_name": ["Spring offer"],
    },
    {
        "email": "anouk@example.org",
        "mobile_phone_number": "+16135550184",
        "full_name": "Anouk Desrosiers",
    },
)


_unbounce(
    "an empty list and one name",
    {"name": ["Casimir Wolski"], "email_address": ["casimir@example.com"], "phone": [""]},
    {"email": "casimir@example.com", "full_name": "Casimir Wolski"},
)

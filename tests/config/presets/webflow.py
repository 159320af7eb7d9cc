"""Webflow forms: its messages, in the shape it documents."""

from typing import Any

from tests.config.presets.case import Case, hex_mac, json_body

CASES: list[Case] = []


def _webflow(
    name: str,
    data: dict[str, Any],
    expect: dict[str, str] | None,
    event_id: str,
    trigger: str = "form_submission",
) -> None:
    secret = "wf-4f1c6b0d"
    body = json_body(
        {
            "triggerType": trigger,
            "payload": {
                "name": "Sign-up",
                "siteId": "66aa10bd9f",
                "data": data,
                "schema": [{"fieldName": key, "fieldType": "FormTextInput"} for key in data],
                "submittedAt": "2026-09-20T10:00:00.000Z",
                "id": event_id,
                "formId": "66aa10bdff",
            },
        }
    )

    def sign(now: float) -> dict[str, str]:
        stamp = str(int(now * 1000) - 1200)
        mac = hex_mac(secret, stamp.encode() + b":" + body)
        return {"x-webflow-timestamp": stamp, "x-webflow-signature": mac}

    CASES.append(
        Case(
            preset="webflow",
            name=name,
            body=body,
            secret=secret,
            expect=expect,
            event_id=event_id,
            stamped=sign,
        )
    )


_webflow(
    "a phone number with 00; labels in any case",
    {
        "First Name": "Ximena",
        "Last Name": "Orellana",
        "Email Address": "Ximena.Orellana@Example.COM",
        "Mobile": "0044 7700 900123",
        "Company name": "Orellana Ltd",
    },
    {
        "email": "Ximena.Orellana@example.com",
        "mobile_phone_number": "+447700900123",
        "full_name": "Ximena Orellana",
    },
    "66ab0000000000000000001a",
)


_webflow(
    "one name field, the phone left empty",
    {"Name": "Bao Tran", "E-mail": "bao@example.net", "Phone": ""},
    {"email": "bao@example.net", "full_name": "Bao Tran"},
    "66ab0000000000000000001b",
)


_webflow(
    "another trigger is no sign-up",
    {"Email": "nobody@example.com"},
    None,
    "66ab0000000000000000001c",
    "ecomm_order_changed",
)


_webflow(
    "fields that Webflow numbered",
    {"Name 2": "Ottilie Brandt", "Email 2": "ottilie@example.org", "Phone Number 2": "+49 30 1234567"},
    {"email": "ottilie@example.org", "mobile_phone_number": "+49301234567", "full_name": "Ottilie Brandt"},
    "wf-numbered",
)


_webflow(
    "the only address, whatever its field is called",
    {"Kontaktweg": "ilse@example.org", "Betreff": "Info"},
    {"email": "ilse@example.org"},
    "wf-only",
)

"""Formstack Forms: its messages, in the shape it documents."""

from tests.config.presets.case import FORM, JSON, Case, form_body, hex_mac, json_body

CASES: list[Case] = []


def _formstack(
    name: str, body: bytes, expect: dict[str, str], event_id: str, content_type: str = FORM
) -> None:
    secret = "hmac key 9"
    CASES.append(
        Case(
            preset="formstack",
            name=name,
            content_type=content_type,
            body=body,
            secret=secret,
            headers={"X-FS-Signature": "sha256=" + hex_mac(secret, body)},
            expect=expect,
            event_id=event_id,
        )
    )


_formstack(
    "urlencoded, as it is by default",
    form_body(
        {
            "FormID": "6606399",
            "UniqueID": "1500879001",
            "Full Name": "Philippa Stokoe",
            "Email": "philippa@example.org",
            "Phone Number": "+44 7700 900 456",
            "Company Name": "Stokoe & Daughters",
        }
    ),
    {"email": "philippa@example.org", "mobile_phone_number": "+447700900456", "full_name": "Philippa Stokoe"},
    "1500879001",
)


_formstack(
    "JSON, with a big number for an id and the parts of a name",
    json_body(
        {
            "FormID": 6606399,
            "UniqueID": 1500879002,
            "Name (First)": "Amadou",
            "Name (Last)": "Sarr",
            "E-Mail": "amadou@example.net",
        }
    ),
    {"email": "amadou@example.net", "full_name": "Amadou Sarr"},
    "1500879002",
    JSON,
)


_formstack(
    "structure written out as text",
    form_body(
        {
            "FormID": "6606399",
            "UniqueID": "1500879003",
            "Name": "first = Johanna\nlast = Smit",
            "Email": "value = johanna.smit@example.org\nfield_type = email",
        }
    ),
    {"email": "johanna.smit@example.org", "full_name": "Johanna Smit"},
    "1500879003",
)


_formstack(
    "a value with its type",
    json_body(
        {
            "UniqueID": "1500879004",
            "Name": {"value": {"first": "Henk", "last": "de Wit"}, "field_type": "name"},
            "Email": {"value": "henk@example.org", "field_type": "email"},
        }
    ),
    {"email": "henk@example.org", "full_name": "Henk de Wit"},
    "1500879004",
    content_type=JSON,
)

"""Standard Webhooks (and Svix): its messages, in the shape it documents."""

import base64
from typing import Any

from tests.config.presets.case import Case, base64_mac, json_body

CASES: list[Case] = []


def _standard(name: str, body: dict[str, Any], expect: dict[str, str] | None, message: str) -> None:
    key = b"twenty-four bytes of key"
    secret = "whsec_" + base64.b64encode(key).decode()
    raw = json_body(body)

    def sign(now: float) -> dict[str, str]:
        stamp = str(int(now) + 200)
        mac = base64_mac(key, f"{message}.{stamp}.".encode() + raw)
        signatures = f"v1a,{base64_mac(b'other', raw)} v1,{base64_mac(b'old', raw)} v1,{mac}"
        return {"webhook-timestamp": stamp, "webhook-signature": signatures}

    CASES.append(
        Case(
            preset="standard-webhooks",
            name=name,
            body=raw,
            secret=secret,
            expect=expect,
            event_id=message,
            headers={"webhook-id": message},
            stamped=sign,
        )
    )


_standard(
    "a contact within data, an asymmetric signature beside",
    {
        "type": "contact.created",
        "timestamp": "2026-09-20T19:10:00Z",
        "data": {
            "email": "ludovica@example.net",
            "first_name": "Ludovica",
            "last_name": "Bassi",
            "phone": "+39 320 123 4567",
            "company_name": "Bassi",
        },
    },
    {"email": "ludovica@example.net", "mobile_phone_number": "+393201234567", "full_name": "Ludovica Bassi"},
    "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
)


_standard(
    "everything at the top, beside the name of the event",
    {"name": "lead.created", "full_name": "Osei Boateng", "email": "osei@example.com"},
    {"email": "osei@example.com", "full_name": "Osei Boateng"},
    "msg_2KWPBgLlAfxdpx2AI54pPJ85f4X",
)


def _clerk(number: int, **more: Any) -> dict[str, Any]:
    address = {"id": "idn_1", "object": "email_address", "email_address": f"sunniva{number}@example.org"}
    user = {
        "id": f"user_{number}",
        "object": "user",
        "first_name": "Sunniva",
        "last_name": "Aas",
        "username": None,
        "email_addresses": [address],
        "primary_email_address_id": "idn_1",
        "external_accounts": [],
        "phone_numbers": [],
        **more,
    }
    return {"type": "user.created", "object": "event", "data": user}


_standard(
    "a user of Clerk's",
    _clerk(1),
    {"email": "sunniva1@example.org", "full_name": "Sunniva Aas"},
    "msg_clerk1",
)


_standard(
    "a user of Clerk's with a number",
    _clerk(2, phone_numbers=[{"id": "idn_2", "phone_number": "+4741234567"}]),
    {"email": "sunniva2@example.org", "mobile_phone_number": "+4741234567", "full_name": "Sunniva Aas"},
    "msg_clerk2",
)


_standard(
    "a user of Clerk's with a number for a second factor",
    _clerk(3, phone_numbers=[{"phone_number": "+4741234567", "reserved_for_second_factor": True}]),
    {"email": "sunniva3@example.org", "full_name": "Sunniva Aas"},
    "msg_clerk3",
)


_standard(
    "a user of Clerk's with several numbers",
    _clerk(4, phone_numbers=[{"phone_number": "+4741234567"}, {"phone_number": "+4741234568"}]),
    {"email": "sunniva4@example.org", "full_name": "Sunniva Aas"},
    "msg_clerk4",
)


_standard(
    "a workspace, and who joined it",
    {
        "type": "member.added",
        "data": {
            "name": "Acme Workspace",
            "user": {"email": "ludovica2@example.net", "first_name": "Ludovica", "last_name": "Bassi"},
        },
    },
    {"email": "ludovica2@example.net", "full_name": "Ludovica Bassi"},
    "msg_member",
)


for number, left in enumerate(
    (
        {"type": "contact.deleted", "data": {"email": "gone@example.org"}},
        {"type": "contact.updated", "data": {"email": "gone@example.org", "unsubscribed": True}},
        {"type": "email.bounced", "data": {"email": "gone@example.org"}},
        {"type": "email.complained", "data": {"email": "gone@example.org"}},
        {"type": "user.deleted", "data": {"id": "user_1", "object": "user", "deleted": True}},
    )
):
    _standard(f"who left is no sign-up: {left['type']}", left, None, f"msg_left{number}")

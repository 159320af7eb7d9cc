"""ClickFunnels 2.0: its messages, in the shape it documents."""

from typing import Any

from tests.config.presets.case import Case, hex_mac, json_body

CASES: list[Case] = []


def _clickfunnels(
    name: str, data: dict[str, Any], expect: dict[str, str] | None, event: str, event_id: str
) -> None:
    secret = "839d0d645bedefbaf76e3269d1b1141e"
    body = json_body(
        {
            "data": {"id": 42, "public_id": "rKVqwU", "workspace_id": 42, "tags": [], **data},
            "event_id": event_id,
            "created_at": "2026-09-20T16:00:00.940Z",
            "event_type": event,
            "subject_id": 1234567,
            "subject_type": "Contact",
        }
    )

    def sign(now: float) -> dict[str, str]:
        stamp = str(int(now) - 599)
        mac = hex_mac(secret, stamp.encode() + b"." + body)
        return {"X-Webhook-ClickFunnels-Timestamp": stamp, "X-Webhook-ClickFunnels-Signature": mac}

    CASES.append(
        Case(
            preset="clickfunnels",
            name=name,
            body=body,
            secret=secret,
            expect=expect,
            event_id=event_id,
            stamped=sign,
        )
    )


_LEAD = {
    "email_address": "roland.keats@example.com",
    "first_name": "Roland",
    "last_name": "Keats",
    "phone_number": "+1 312-555-0117 x3310",
    "unsubscribed_at": None,
}


_clickfunnels(
    "a contact becomes known; the extension is dropped",
    _LEAD,
    {"email": "roland.keats@example.com", "mobile_phone_number": "+13125550117", "full_name": "Roland Keats"},
    "contact.identified",
    "61a4c32b-2bdf-4087-a137-00fe36534c01",
)


_clickfunnels(
    "a visitor nobody knows yet is no sign-up",
    {**_LEAD, "email_address": None, "phone_number": None},
    None,
    "contact.created",
    "61a4c32b-02",
)


_clickfunnels("an update is no sign-up", _LEAD, None, "contact.updated", "61a4c32b-03")


_clickfunnels(
    "who has unsubscribed is no sign-up",
    {**_LEAD, "unsubscribed_at": "2026-09-01T10:00:00.000Z"},
    None,
    "contact.identified",
    "61a4c32b-04",
)

"""Intercom: its messages, in the shape it documents."""

import hashlib
from typing import Any

from tests.config.presets.case import NOW, Case, hex_mac, json_body

CASES: list[Case] = []


def _intercom(
    name: str, topic: str, item: dict[str, Any], expect: dict[str, str] | None, event_id: str
) -> None:
    secret = "intercom-client-secret"
    body = json_body(
        {
            "type": "notification_event",
            "app_id": "a86dr8yl",
            "id": event_id,
            "topic": topic,
            "data": {"type": "notification_event_data", "item": item},
            "delivery_attempts": 1,
            "created_at": int(NOW),
        }
    )
    CASES.append(
        Case(
            preset="intercom",
            name=name,
            body=body,
            secret=secret,
            expect=expect,
            event_id=event_id,
            headers={"X-Hub-Signature": "sha1=" + hex_mac(secret, body, hashlib.sha1)},
        )
    )


_USER = {
    "type": "contact",
    "id": "530370b4",
    "role": "user",
    "email": "aurelio@example.org",
    "name": "Aurelio Tan",
    "phone": "+65 8123 4567",
    "unsubscribed_from_emails": False,
    "marked_email_as_spam": False,
}


_intercom(
    "a new user",
    "contact.user.created",
    _USER,
    {"email": "aurelio@example.org", "mobile_phone_number": "+6581234567", "full_name": "Aurelio Tan"},
    "notif_0001",
)


_intercom(
    "a visitor without a contact is no sign-up",
    "contact.lead.created",
    {**_USER, "role": "lead", "email": None, "phone": None},
    None,
    "notif_0002",
)


_intercom(
    "who has unsubscribed is no sign-up",
    "contact.user.created",
    {**_USER, "unsubscribed_from_emails": True},
    None,
    "notif_0004",
)


_intercom("a ping", "ping", {"type": "ping", "message": "something something interzen"}, None, "notif_0003")

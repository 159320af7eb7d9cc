"""Calendly: its messages, in the shape it documents."""

from typing import Any

from tests.config.presets.case import Case, json_body, pairs

CASES: list[Case] = []


def _calendly(
    name: str,
    event: str,
    payload: dict[str, Any],
    expect: dict[str, str] | None,
    invitee: str,
    age: int = 0,
) -> None:
    secret = "calendly signing key"
    uri = f"https://api.calendly.com/scheduled_events/EV01/invitees/{invitee}"
    body = json_body(
        {
            "created_at": "2026-09-20T17:00:00.000000Z",
            "created_by": "https://api.calendly.com/users/U01",
            "event": event,
            "payload": {
                "uri": uri,
                "status": "active",
                "timezone": "Europe/Dublin",
                "new_invitee": None,
                "old_invitee": None,
                "questions_and_answers": [],
                "text_reminder_number": None,
                "rescheduled": False,
                **payload,
            },
        }
    )
    CASES.append(
        Case(
            preset="calendly",
            name=name,
            body=body,
            secret=secret,
            expect=expect,
            event_id=uri,
            stamped=lambda now: {"Calendly-Webhook-Signature": pairs(secret, body, now - age)},
        )
    )


_calendly(
    "a booking with a number for reminders",
    "invitee.created",
    {"email": "deirdre@example.org", "name": "Deirdre Quill", "text_reminder_number": "+353 20 914 9002"},
    {"email": "deirdre@example.org", "mobile_phone_number": "+353209149002", "full_name": "Deirdre Quill"},
    "INV01",
    150,
)


_calendly(
    "name in two parts, the phone among the questions",
    "invitee.created",
    {
        "email": "emeka@example.com",
        "name": None,
        "first_name": "Emeka",
        "last_name": "Obi",
        "questions_and_answers": [
            {"question": "Company name", "answer": "Obi & Sons", "position": 0},
            {"question": "Phone Number", "answer": "+44 7700 900789", "position": 1},
        ],
    },
    {"email": "emeka@example.com", "mobile_phone_number": "+447700900789", "full_name": "Emeka Obi"},
    "INV02",
)


_calendly(
    "the host is to call",
    "invitee.created",
    {
        "email": "emeka@example.com",
        "scheduled_event": {
            "location": {"type": "outbound_call", "location": "+44 7700 900789"},
            "event_memberships": [{"user_email": "host@example.com"}],
            "event_guests": [{"email": "guest@example.com"}],
        },
    },
    {"email": "emeka@example.com", "mobile_phone_number": "+447700900789"},
    "INV04",
)


_calendly(
    "the guest is to call the host",
    "invitee.created",
    {
        "email": "emeka@example.com",
        "scheduled_event": {"location": {"type": "inbound_call", "location": "+44 7700 900111"}},
    },
    {"email": "emeka@example.com"},
    "INV05",
)


_calendly(
    "a cancellation is no sign-up",
    "invitee.canceled",
    {"email": "deirdre@example.org", "name": "Deirdre Quill"},
    None,
    "INV01",
)


_calendly(
    "a moved appointment is no new sign-up",
    "invitee.created",
    {
        "email": "deirdre@example.org",
        "name": "Deirdre Quill",
        "old_invitee": "https://api.calendly.com/x/INV01",
    },
    None,
    "INV03",
)


for kind in ("contact.created", "contact.deleted", "meeting_recap.created"):
    _calendly(f"{kind} is no sign-up", kind, {"email": "deirdre@example.org"}, None, "C01")

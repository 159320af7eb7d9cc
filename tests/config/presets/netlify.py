"""Netlify Forms: its messages, in the shape it documents."""

from typing import Any

from tests.config.presets.case import Case, json_body, netlify_token

CASES: list[Case] = []


def _netlify(name: str, body: dict[str, Any], expect: dict[str, str] | None, event_id: str) -> None:
    secret = "netlify-jws-secret-of-40-characters-0001"
    raw = json_body({"id": event_id, **body})
    CASES.append(
        Case(
            preset="netlify",
            name=name,
            body=raw,
            secret=secret,
            expect=expect,
            event_id=event_id,
            headers={
                "X-Webhook-Signature": netlify_token(secret, raw),
                "X-Netlify-Event": "submission_created",
            },
        )
    )


_netlify(
    "a submission: HTML names, Netlify's own summary beside",
    {
        "number": 12,
        "title": None,
        "email": "hana@example.net",
        "name": "Novotná",
        "summary": "Hi",
        "body": "Hi",
        "data": {
            "vorname": "Hana",
            "name": "Novotná",
            "email": "hana@example.net",
            "mobile": "+420 601 123 456",
            "message": "Hi",
            "ip": "203.0.113.4",
            "user_agent": "Mozilla/5.0",
        },
        "created_at": "2026-09-20T14:00:00.000Z",
        "human_fields": {"Vorname": "Hana", "Name": "Novotná", "Email": "hana@example.net"},
        "ordered_human_fields": [
            {"title": "Vorname", "name": "vorname", "value": "Hana"},
            {"title": "Name", "name": "name", "value": "Novotná"},
            {"title": "Email", "name": "email", "value": "hana@example.net"},
        ],
        "site_url": "https://www.example.com",
        "form_id": "66f1",
        "form_name": "newsletter",
    },
    {"email": "hana@example.net", "mobile_phone_number": "+420601123456", "full_name": "Hana Novotná"},
    "66f2d0a1b2c3",
)


_netlify(
    "a submission that does not name its form",
    {
        "data": {"name": "Ewa Nowak", "email": "ewa@example.net"},
        "ordered_human_fields": [{"title": "Email", "name": "email", "value": "ewa@example.net"}],
    },
    {"email": "ewa@example.net", "full_name": "Ewa Nowak"},
    "66f2d0a1b2c4",
)


_netlify(
    "a deploy notification is no sign-up",
    {"site_id": "fa4d", "state": "ready", "name": "www-example", "url": "https://www.example.com"},
    None,
    "5ebc34bf",
)

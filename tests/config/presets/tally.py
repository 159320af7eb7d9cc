"""Tally: its messages, in the shape it documents."""

from typing import Any

from tests.config.presets.case import Case, base64_mac, json_body

CASES: list[Case] = []


def _tally(name: str, fields: list[dict[str, Any]], expect: dict[str, str], event_id: str) -> None:
    secret = "7c0f6a52-tally"
    body = json_body(
        {
            "eventId": event_id,
            "eventType": "FORM_RESPONSE",
            "createdAt": "2026-09-20T09:12:31.000Z",
            "data": {
                "responseId": "2wgx4n",
                "submissionId": "2wgx4n",
                "respondentId": "dwQKYm",
                "formId": "VwbNEw",
                "formName": "Waiting list",
                "createdAt": "2026-09-20T09:12:30.000Z",
                "fields": fields,
            },
        }
    )
    CASES.append(
        Case(
            preset="tally",
            name=name,
            body=body,
            secret=secret,
            expect=expect,
            event_id=event_id,
            headers={"Tally-Signature": base64_mac(secret.encode(), body)},
        )
    )


_tally(
    "types before labels, an unanswered one skipped, options as ids",
    [
        {"key": "question_a", "label": "Friend's e-mail", "type": "INPUT_EMAIL", "value": None},
        {
            "key": "question_b",
            "label": "Where can we reach you?",
            "type": "INPUT_EMAIL",
            "value": "joao.teles@example.org",
        },
        {"key": "question_c", "label": "WhatsApp", "type": "INPUT_PHONE_NUMBER", "value": "+351 912 345 678"},
        {"key": "question_d", "label": "Nome completo", "type": "INPUT_TEXT", "value": "João Teles"},
        {
            "key": "question_e",
            "label": "Plan",
            "type": "MULTIPLE_CHOICE",
            "value": ["6db50481"],
            "options": [{"id": "6db50481", "text": "Free"}],
        },
        {"key": "question_f", "label": "Email me news", "type": "CHECKBOXES", "value": True},
    ],
    {
        "email": "joao.teles@example.org",
        "mobile_phone_number": "+351912345678",
        "full_name": "João Teles",
    },
    "a4cb511e-0001",
)


_tally(
    "German labels where everything is a text field: Vorname and Name",
    [
        {"key": "q1", "label": "Name\n", "type": "INPUT_TEXT", "value": "Brückner"},
        {"key": "q2", "label": "Vorname *", "type": "INPUT_TEXT", "value": "Jörn"},
        {"key": "q3", "label": "E-Mail-Adresse", "type": "INPUT_TEXT", "value": " joern@example.com "},
        {"key": "q4", "label": "Name der Firma", "type": "INPUT_TEXT", "value": "Brückner Bau"},
    ],
    {"email": "joern@example.com", "full_name": "Jörn Brückner"},
    "a4cb511e-0002",
)


_tally(
    "your own address and number go before a friend's",
    [
        {"key": "q1", "label": "Your friend's email", "type": "INPUT_EMAIL", "value": "friend@example.org"},
        {"key": "q2", "label": "Email", "type": "INPUT_EMAIL", "value": "own@example.org"},
        {"key": "q3", "label": "Emergency contact", "type": "INPUT_PHONE_NUMBER", "value": "+351910000000"},
        {"key": "q4", "label": "Phone 2", "type": "INPUT_PHONE_NUMBER", "value": "+351 912 345 679"},
    ],
    {"email": "own@example.org", "mobile_phone_number": "+351912345679"},
    "tally-own-1",
)

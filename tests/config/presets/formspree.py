"""Formspree: its messages, in the shape it documents."""

from typing import Any

from tests.config.presets.case import Case, json_body, pairs

CASES: list[Case] = []


def _formspree(name: str, submission: dict[str, Any], expect: dict[str, str], age: int = 20) -> None:
    secret = "fs_sig_1c2d"
    body = json_body({"form": "mqkvoppl", "submission": {"_date": "2026-09-20T14:30:00+00:00", **submission}})
    CASES.append(
        Case(
            preset="formspree",
            name=name,
            body=body,
            secret=secret,
            expect=expect,
            stamped=lambda now: {"Formspree-Signature": pairs(secret, body, now - age)},
        )
    )


_formspree(
    "the form's own names",
    {
        "name": "Mateus Brandão",
        "email": "mateus@example.org",
        "celular": "+55 11 91234-5678",
        "message": "Olá",
    },
    {"email": "mateus@example.org", "mobile_phone_number": "+5511912345678", "full_name": "Mateus Brandão"},
)


_formspree(
    "only a reply-to",
    {"_replyto": "wren@example.com", "nom": "Wren Galloway"},
    {"email": "wren@example.com", "full_name": "Wren Galloway"},
    299,
)

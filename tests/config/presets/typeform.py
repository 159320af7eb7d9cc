"""Typeform: its messages, in the shape it documents."""

from typing import Any

from tests.config.presets.case import Case, base64_mac, json_body

CASES: list[Case] = []


def _typeform(
    name: str, body: bytes, expect: dict[str, str] | None, event_id: str | None, secret: str = "tf-Secret/1"
) -> None:
    signature = "sha256=" + base64_mac(secret.encode(), body)
    CASES.append(
        Case(
            preset="typeform",
            name=name,
            body=body,
            headers={"Typeform-Signature": signature},
            secret=secret,
            expect=expect,
            event_id=event_id,
        )
    )


def _answer(kind: str, value: Any, ref: str, field_type: str, field_id: str) -> dict[str, Any]:
    return {"type": kind, kind: value, "field": {"id": field_id, "type": field_type, "ref": ref}}


def _typeform_body(
    event_id: str, questions: list[dict[str, Any]], answers: list[dict[str, Any]], **more: Any
) -> bytes:
    return json_body(
        {
            "event_id": event_id,
            "event_type": "form_response",
            "form_response": {
                "form_id": "kq8Zt2",
                "token": "5b1f0c0a9d7e4f26",
                "landed_at": "2026-09-20T07:58:03Z",
                "submitted_at": "2026-09-20T08:01:44Z",
                "definition": {"id": "kq8Zt2", "title": "Stay in touch", "fields": questions},
                "answers": answers,
                **more,
            },
        }
    )


_typeform(
    "types before titles, names by title, a consent box beside",
    _typeform_body(
        "01TFMIREILLE",
        [
            {"id": "aa1", "ref": "r1", "type": "short_text", "title": "What is your *first name*?"},
            {"id": "aa2", "ref": "r2", "type": "short_text", "title": "Last name"},
            {"id": "aa3", "ref": "r3", "type": "email", "title": "Where may we write to?"},
            {"id": "aa4", "ref": "r4", "type": "phone_number", "title": "And call?"},
            {"id": "aa5", "ref": "r5", "type": "legal", "title": "E-mail"},
        ],
        [
            _answer("text", "Mireille ", "r1", "short_text", "aa1"),
            _answer("text", "Aubry", "r2", "short_text", "aa2"),
            _answer("email", "mireille.aubry@example.org", "r3", "email", "aa3"),
            _answer("phone_number", "+33639981234", "r4", "phone_number", "aa4"),
            _answer("boolean", True, "r5", "legal", "aa5"),
        ],
    ),
    {
        "email": "mireille.aubry@example.org",
        "mobile_phone_number": "+33639981234",
        "full_name": "Mireille Aubry",
    },
    "01TFMIREILLE",
)


_typeform(
    "a contact-info block whose titles stand one level deeper",
    _typeform_body(
        "01TFKAYODE",
        [
            {
                "id": "bb0",
                "ref": "block",
                "type": "contact_info",
                "title": "About you",
                "properties": {
                    "fields": [
                        {"id": "bb1", "ref": "c1", "type": "short_text", "title": "First name"},
                        {"id": "bb2", "ref": "c2", "type": "short_text", "title": "Last name"},
                        {"id": "bb3", "ref": "c3", "type": "email", "title": "Email"},
                    ]
                },
            },
            {"id": "bb4", "ref": "r9", "type": "number", "title": "How many people?"},
        ],
        [
            _answer("text", "Kayode", "c1", "short_text", "bb1"),
            _answer("text", "Fashola", "c2", "short_text", "bb2"),
            _answer("email", "kayode@example.net", "c3", "email", "bb3"),
            _answer("number", 0, "r9", "number", "bb4"),
        ],
    ),
    {"email": "kayode@example.net", "full_name": "Kayode Fashola"},
    "01TFKAYODE",
)


_typeform(
    "the e-mail only in a hidden field",
    _typeform_body(
        "01TFHIDDEN",
        [{"id": "cc1", "ref": "r1", "type": "short_text", "title": "Your name"}],
        [_answer("text", "Tove Lindqvist", "r1", "short_text", "cc1")],
        hidden={"email": "tove@example.com", "campaign": "autumn"},
    ),
    {"email": "tove@example.com", "full_name": "Tove Lindqvist"},
    "01TFHIDDEN",
)


_typeform(
    "a partial response is no sign-up",
    json_body(
        {
            "event_id": "01TFPARTIAL",
            "event_type": "form_response_partial",
            "form_response": {"answers": [_answer("email", "half.way@example.com", "r3", "email", "aa3")]},
        }
    ),
    None,
    None,
)


_typeform(
    "your own address goes before a friend's, whatever its type",
    _typeform_body(
        "01TFFRIEND",
        [
            {"id": "dd1", "ref": "r1", "type": "email", "title": "Your friend's email"},
            {"id": "dd2", "ref": "r2", "type": "email", "title": "Your email *"},
            {"id": "dd3", "ref": "r3", "type": "phone_number", "title": "Your friend's phone"},
            {"id": "dd4", "ref": "r4", "type": "phone_number", "title": "Phone number (required)"},
            {"id": "dd5", "ref": "r5", "type": "short_text", "title": "Your friend's name"},
        ],
        [
            _answer("email", "friend@example.org", "r1", "email", "dd1"),
            _answer("email", "ines.prado@example.org", "r2", "email", "dd2"),
            _answer("phone_number", "+33639980000", "r3", "phone_number", "dd3"),
            _answer("phone_number", "+33639985678", "r4", "phone_number", "dd4"),
            _answer("text", "Somebody Else", "r5", "short_text", "dd5"),
        ],
    ),
    {"email": "ines.prado@example.org", "mobile_phone_number": "+33639985678"},
    "01TFFRIEND",
)


def _known(
    event_id: str, title: str, text: str, first: str = "Old", last: str = "Name", called: str = "lname"
) -> bytes:
    return _typeform_body(
        event_id,
        [
            {"id": "dd1", "ref": "r1", "type": "short_text", "title": title},
            {"id": "dd2", "ref": "r2", "type": "email", "title": "Email"},
        ],
        [
            _answer("text", text, "r1", "short_text", "dd1"),
            _answer("email", f"{event_id.lower()}@example.com", "r2", "email", "dd2"),
        ],
        hidden={"firstname": first, called: last, "email": "old@example.com"},
    )


_typeform(
    "a name typed by somebody whom the address names otherwise",
    _known("01TFTYPED", "Name", "Tove Lindqvist"),
    {"email": "01tftyped@example.com", "full_name": "Tove Lindqvist"},
    "01TFTYPED",
)


_typeform(
    "a first name typed by somebody whom the address names otherwise",
    _known("01TFFIRST", "First name", "Tove"),
    {"email": "01tffirst@example.com", "full_name": "Tove"},
    "01TFFIRST",
)


_typeform(
    "a name that is only in hidden fields",
    _known("01TFONLY", "How did you find us?", "by chance"),
    {"email": "01tfonly@example.com", "full_name": "Old Name"},
    "01TFONLY",
)


_typeform(
    "hidden fields that nobody filled in",
    _known("01TFLINK", "How did you find us?", "by chance", "xxxxx", "{{last_name}}"),
    {"email": "01tflink@example.com"},
    "01TFLINK",
)


_typeform(
    "a name that is only in hidden fields, called otherwise",
    _known("01TFSURNAME", "How did you find us?", "by chance", called="surname"),
    {"email": "01tfsurname@example.com", "full_name": "Old Name"},
    "01TFSURNAME",
)

"""Kajabi forms: its messages, in the shape it documents."""

from typing import Any

from tests.config.presets.case import Case, json_body

CASES: list[Case] = []


def _kajabi(
    name: str, event: str, attributes: dict[str, Any], expect: dict[str, str] | None, event_id: str
) -> None:
    relations = {"site": {"data": {"id": "2", "type": "sites"}}}
    CASES.append(
        Case(
            preset="kajabi",
            name=name,
            query="token=kj-token",
            secret="kj-token",
            expect=expect,
            event_id=event_id,
            body=json_body(
                {
                    "id": "hash_77f0",
                    "event": event,
                    "payload": [
                        {
                            "id": "31",
                            "type": "forms",
                            "attributes": {"title": "Free class", "default": False},
                        },
                        {
                            "id": event_id,
                            "type": "form_submissions",
                            "attributes": attributes,
                            "relationships": relations,
                        },
                    ],
                }
            ),
        )
    )


_SUBMITTED = {
    "name": "Fenella Cray",
    "email": "fenella@example.org",
    "phone_number": "+61 3 5550 1234",
    "business_number": None,
    "mobile_phone_number": "+61 491 570 156",
    "address_city": None,
}


_kajabi(
    "a form submission, not the first resource; the mobile number first",
    "form_submission",
    _SUBMITTED,
    {"email": "fenella@example.org", "mobile_phone_number": "+61491570156", "full_name": "Fenella Cray"},
    "9001",
)


_kajabi("a tag taken away is no sign-up", "tag_removed", _SUBMITTED, None, "9002")

"""Fluent Forms Pro (WordPress): its messages, in the shape it documents."""

from tests.config.presets.case import FORM, Case, form_body, json_body

CASES: list[Case] = []


CASES.append(
    Case(
        preset="fluent-forms",
        name="all fields, as JSON",
        body=json_body(
            {
                "names": {"first_name": "Dagny", "last_name": "Halvorsen"},
                "email": "dagny@example.net",
                "phone": "+4740612345",
                "message": "Hei",
                "__submission": {
                    "id": "311",
                    "form_id": "4",
                    "status": "unread",
                    "user_inputs": {"email": "x"},
                },
            }
        ),
        headers={"authorization": "bearer ff-token"},
        secret="ff-token",
        expect={
            "email": "dagny@example.net",
            "mobile_phone_number": "+4740612345",
            "full_name": "Dagny Halvorsen",
        },
        event_id="311",
    )
)


CASES.append(
    Case(
        preset="fluent-forms",
        name="as a form, with keys of the owner's choice",
        content_type=FORM,
        body=form_body(
            {
                "names[first_name]": "",
                "names[last_name]": "",
                "full_name": "Ilse Vandenberghe",
                "E-mailadres": "ilse@example.org",
                "__submission[id]": "312",
            }
        ),
        headers={"Authorization": "Bearer ff-token"},
        secret="ff-token",
        expect={"email": "ilse@example.org", "full_name": "Ilse Vandenberghe"},
        event_id="312",
    )
)

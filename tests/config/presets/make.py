"""Make (HTTP module): its messages, in the shape it documents."""

from tests.config.presets.case import FORM, Case, form_body, json_body

CASES: list[Case] = []


CASES.append(
    Case(
        preset="make",
        name="usual names as JSON",
        secret="mk-token",
        headers={"Authorization": "Bearer mk-token"},
        body=json_body(
            {
                "id": 88213,
                "email": "agnieszka@example.net",
                "phone": "+48512345678",
                "first_name": "Agnieszka",
                "last_name": "Lis",
                "company name": "Lis",
            }
        ),
        expect={
            "email": "agnieszka@example.net",
            "mobile_phone_number": "+48512345678",
            "full_name": "Agnieszka Lis",
        },
        event_id="88213",
    )
)


CASES.append(
    Case(
        preset="make",
        name="the fields of the how-to, with a quotation mark in one and nothing in another",
        content_type=FORM,
        secret="mk-token",
        headers={"Authorization": "Bearer mk-token"},
        body=form_body(
            {
                "id": "88214",
                "email": "jerzy@example.net",
                "phone": "",
                "first_name": 'Jerzy "Jurek"',
                "last_name": "Lis",
            }
        ),
        expect={"email": "jerzy@example.net", "full_name": 'Jerzy "Jurek" Lis'},
        event_id="88214",
    )
)

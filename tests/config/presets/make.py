"""Make (HTTP module): its messages, in the shape it documents."""

from tests.config.presets.case import Case, json_body

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

"""Google Forms (Apps Script): its messages, in the shape it documents."""

from tests.config.presets.case import Case, json_body

CASES: list[Case] = []


CASES.append(
    Case(
        preset="google-forms",
        name="the script of the preset",
        secret="gf-token",
        headers={"Authorization": "Bearer gf-token"},
        body=json_body(
            {
                "id": "2_ABaOnud1",
                "email": "",
                "answers": [
                    {"label": "Nombre y apellidos", "value": "Nicanor Ferrer"},
                    {"label": "Correo electrónico", "value": "nicanor@example.org"},
                    {"label": "Teléfono móvil", "value": "+34 655 123 456"},
                    {"label": "Nombre de la empresa", "value": "Ferrer SL"},
                    {"label": "Interests", "value": ["A", "B"]},
                ],
            }
        ),
        expect={
            "email": "nicanor@example.org",
            "mobile_phone_number": "+34655123456",
            "full_name": "Nicanor Ferrer",
        },
        event_id="2_ABaOnud1",
    )
)


CASES.append(
    Case(
        preset="google-forms",
        name="a script in the form's sheet: lists by title",
        secret="gf-token",
        query="token=gf-token",
        body=json_body(
            {
                "namedValues": {
                    "Timestamp": ["20/09/2026 19:00:00"],
                    "Email Address": ["ffion@example.com"],
                    "First name": ["Ffion"],
                    "Surname": ["Prydderch "],
                    "Phone number": [""],
                }
            }
        ),
        expect={"email": "ffion@example.com", "full_name": "Ffion Prydderch"},
    )
)

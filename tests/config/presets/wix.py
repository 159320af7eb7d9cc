"""Wix automations: its messages, in the shape it documents."""

from tests.config.presets.case import Case, json_body

CASES: list[Case] = []


CASES.append(
    Case(
        preset="wix",
        name="an automation, everything within data",
        query="token=wx-token",
        secret="wx-token",
        body=json_body(
            {
                "data": {
                    "formName": "Bookings",
                    "submissionId": "3bb431c8-668a-4fe3-b707-87bd6ed44001",
                    "contactId": "f36ba948-7c7e-42e6-8e10-be564698369a",
                    "contact": {
                        "name": {"first": "Marit", "last": "Enger"},
                        "email": "old@example.com",
                        "phone": "",
                        "locale": "no",
                    },
                    "submissions": [
                        {"label": "First name", "value": "Marit"},
                        {"label": "Last name", "value": "Enger"},
                        {"label": "Email", "value": "marit@example.org"},
                        {"label": "Phone", "value": "+47 412 34 567"},
                        {"label": "Company name", "value": "Enger AS"},
                    ],
                    "field:first_name_abae": "Marit",
                    "field:email_5139": "marit@example.org",
                }
            }
        ),
        expect={
            "email": "marit@example.org",
            "mobile_phone_number": "+4741234567",
            "full_name": "Marit Enger",
        },
        event_id="3bb431c8-668a-4fe3-b707-87bd6ed44001",
    )
)


CASES.append(
    Case(
        preset="wix",
        name="no list of answers, and no data around it",
        secret="wx-token",
        headers={"Authorization": "Bearer wx-token"},
        body=json_body(
            {
                "submissionId": "3bb431c8-668a-4fe3-b707-87bd6ed44002",
                "contact": {
                    "name": {"first": "Basil", "last": None},
                    "email": "basil@example.net",
                    "phone": "+30 691 234 5678",
                },
                "field:number_of_people": 4,
            }
        ),
        expect={"email": "basil@example.net", "mobile_phone_number": "+306912345678", "full_name": "Basil"},
        event_id="3bb431c8-668a-4fe3-b707-87bd6ed44002",
    )
)


for number, phone in enumerate(({}, {"phone": "020 7183 8750"})):
    CASES.append(
        Case(
            preset="wix",
            name=f"the number stands in the contact's list{', and as it was typed' if phone else ''}",
            query="token=wx-token",
            secret="wx-token",
            body=json_body(
                {
                    "data": {
                        "submissionId": f"3bb431c8-668a-4fe3-b707-87bd6ed4401{number}",
                        "contact": {
                            "name": {"first": "Olwen", "last": "Pryce"},
                            "email": f"olwen{number}@example.org",
                            "phones": [
                                {"e164Phone": "+442071838751", "primary": False},
                                {
                                    "tag": "UNTAGGED",
                                    "countryCode": "GB",
                                    "phone": "020 7183 8750",
                                    "e164Phone": "+442071838750",
                                    "primary": True,
                                },
                            ],
                            **phone,
                        },
                    }
                }
            ),
            expect={
                "email": f"olwen{number}@example.org",
                "mobile_phone_number": "+442071838750",
                "full_name": "Olwen Pryce",
            },
            event_id=f"3bb431c8-668a-4fe3-b707-87bd6ed4401{number}",
        )
    )


CASES.append(
    Case(
        preset="wix",
        name="a name typed by somebody whom the contacts know by another",
        query="token=wx-token",
        secret="wx-token",
        body=json_body(
            {
                "data": {
                    "submissionId": "3bb431c8-668a-4fe3-b707-87bd6ed44021",
                    "submissions": [
                        {"label": "First name", "value": "Ronja"},
                        {"label": "Last name", "value": "Enger"},
                        {"label": "Email", "value": "ronja@example.org"},
                    ],
                    "contact": {"name": {"first": "Office", "last": "Oslo"}, "email": "ronja@example.org"},
                }
            }
        ),
        expect={"email": "ronja@example.org", "full_name": "Ronja Enger"},
        event_id="3bb431c8-668a-4fe3-b707-87bd6ed44021",
    )
)

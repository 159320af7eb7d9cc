"""Zapier (Webhooks by Zapier): its messages, in the shape it documents."""

from tests.config.presets.case import FORM, Case, form_body, json_body

CASES: list[Case] = []


CASES.append(
    Case(
        preset="zapier",
        name="usual names as JSON",
        secret="zp-token",
        headers={"Authorization": "Bearer zp-token"},
        body=json_body(
            {
                "id": "row-1",
                "Email Address": "odalys@example.com",
                "Phone": "+53 5 1234567",
                "First Name": "Odalys",
                "Last Name": "Peña",
            }
        ),
        expect={
            "email": "odalys@example.com",
            "mobile_phone_number": "+5351234567",
            "full_name": "Odalys Peña",
        },
        event_id="row-1",
    )
)


CASES.append(
    Case(
        preset="zapier",
        name="as a form, nested, one name",
        content_type=FORM,
        secret="zp-token",
        query="token=zp-token",
        body=form_body(
            {
                "contact[email]": "petrus@example.org",
                "contact[name]": "Petrus Nel",
                "contact[mobile]": "+27 71 234 5678",
            }
        ),
        expect={
            "email": "petrus@example.org",
            "mobile_phone_number": "+27712345678",
            "full_name": "Petrus Nel",
        },
    )
)


for _number, _names in enumerate(
    (
        {"name": "Petrus Nel", "contact": {"first_name": "Petrus", "last_name": "Nel"}},
        {"first_name": "Petrus", "last_name": "Nel", "data": {"name": "Autumn campaign"}},
        {"data": {"name": "Autumn campaign"}, "contact": {"fname": "Petrus", "surname": "Nel"}},
    )
):
    CASES.append(
        Case(
            preset="zapier",
            name=f"names in two places are not joined: {'; '.join(_names)}",
            secret="zp-token",
            query="token=zp-token",
            body=json_body({"id": f"two-{_number}", "email": f"petrus{_number}@example.org", **_names}),
            expect={"email": f"petrus{_number}@example.org", "full_name": "Petrus Nel"},
            event_id=f"two-{_number}",
        )
    )


CASES.append(
    Case(
        preset="zapier",
        name="a whole name that a script made of nothing, beside its parts",
        secret="zp-token",
        query="token=zp-token",
        body=json_body(
            {
                "id": "nothing-1",
                "email": "petrus7@example.org",
                "full_name": "undefined undefined",
                "first_name": "Petrus",
                "last_name": "Nel",
            }
        ),
        expect={"email": "petrus7@example.org", "full_name": "Petrus Nel"},
        event_id="nothing-1",
    )
)

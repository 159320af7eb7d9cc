"""Contact Form 7 (plugin CF7 to Webhook): its messages, in the shape it documents."""

from tests.config.presets.case import Case, json_body

CASES: list[Case] = []


CASES.append(
    Case(
        preset="contact-form-7",
        name="the names of tags, a bearer token",
        body=json_body(
            {
                "your-name": "Gwenaël Le Bihan",
                "your-email": "gwen@example.org",
                "your-phone": "+33 6 39 98 55 01",
                "your-message": "Bonjour",
                "your-consent": "1",
            }
        ),
        headers={"Authorization": "Bearer cf7-token"},
        secret="cf7-token",
        expect={
            "email": "gwen@example.org",
            "mobile_phone_number": "+33639985501",
            "full_name": "Gwenaël Le Bihan",
        },
    )
)


CASES.append(
    Case(
        preset="contact-form-7",
        name="an older plugin: the token in the address",
        content_type="application/json; charset=UTF-8",
        body=json_body(
            {"first-name": "Yusra", "last-name": "Haddad", "email": "yusra@example.com", "tel": ""}
        ),
        query="token=cf7-token",
        secret="cf7-token",
        expect={"email": "yusra@example.com", "full_name": "Yusra Haddad"},
    )
)

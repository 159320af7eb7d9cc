"""Shopify (new customers): its messages, in the shape it documents."""

from typing import Any

from tests.config.presets.case import Case, base64_mac, json_body

CASES: list[Case] = []


def _shopify(
    name: str, body: dict[str, Any], expect: dict[str, str] | None, webhook_id: str, **headers: str
) -> None:
    secret = "shpss_9d0e"
    raw = json_body(body)
    CASES.append(
        Case(
            preset="shopify",
            name=name,
            body=raw,
            secret=secret,
            expect=expect,
            event_id=webhook_id,
            headers={
                "X-Shopify-Topic": "customers/create",
                "X-Shopify-Shop-Domain": "lantern-lane.myshopify.com",
                "X-Shopify-API-Version": "2026-07",
                "X-Shopify-Webhook-Id": webhook_id,
                "X-Shopify-Hmac-Sha256": base64_mac(secret.encode(), raw),
                **{key.replace("_", "-"): value for key, value in headers.items()},
            },
        )
    )


_CUSTOMER = {
    "id": 9007199254740993123,
    "email": "pilar.echeverri@example.org",
    "created_at": "2026-09-20T12:00:00-04:00",
    "first_name": "Pilar",
    "last_name": "Echeverri",
    "verified_email": True,
    "phone": None,
    "addresses": [],
    "email_marketing_consent": {"state": "subscribed", "opt_in_level": "single_opt_in"},
}


_shopify(
    "the phone only in the default address",
    {**_CUSTOMER, "default_address": {"phone": "+1 202-555-0143", "city": "Washington"}},
    {
        "email": "pilar.echeverri@example.org",
        "mobile_phone_number": "+12025550143",
        "full_name": "Pilar Echeverri",
    },
    "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
)


_shopify(
    "phone and no e-mail, no family name",
    {**_CUSTOMER, "email": None, "phone": "+12025550176", "last_name": None},
    {"mobile_phone_number": "+12025550176", "full_name": "Pilar"},
    "b54557e4-bdd9-4b37-8a5f-bf7d70bcd044",
)


_shopify(
    "a number whose owner wants no text messages",
    {**_CUSTOMER, "phone": "+12025550176", "sms_marketing_consent": {"state": "unsubscribed"}},
    {"email": "pilar.echeverri@example.org", "full_name": "Pilar Echeverri"},
    "b54557e4-bdd9-4b37-8a5f-bf7d70bcd045",
)


_shopify(
    "text messages yes, letters no",
    {
        **_CUSTOMER,
        "phone": "+12025550177",
        "email_marketing_consent": {"state": "unsubscribed"},
        "sms_marketing_consent": {"state": "subscribed"},
    },
    {"mobile_phone_number": "+12025550177", "full_name": "Pilar Echeverri"},
    "b54557e4-bdd9-4b37-8a5f-bf7d70bcd046",
)


_shopify(
    "who has unsubscribed is no sign-up",
    {**_CUSTOMER, "phone": "+12025550176", "email_marketing_consent": {"state": "unsubscribed"}},
    None,
    "b5-left",
)


_shopify("a test notification stores nothing", _CUSTOMER, None, "b5-test", X_Shopify_Test="true")


_shopify("an update is no sign-up", _CUSTOMER, None, "b5-update", X_Shopify_Topic="customers/update")

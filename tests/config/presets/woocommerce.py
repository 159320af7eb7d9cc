"""WooCommerce (new customers): its messages, in the shape it documents."""

from typing import Any

from tests.config.presets.case import FORM, Case, base64_mac, json_body

CASES: list[Case] = []


def _woocommerce(
    name: str, body: dict[str, Any], expect: dict[str, str] | None, topic: str = "customer.created"
) -> None:
    secret = "wc secret & more"
    raw = json_body(body)
    CASES.append(
        Case(
            preset="woocommerce",
            name=name,
            body=raw,
            secret=secret,
            expect=expect,
            event_id=str(body["id"]),
            headers={
                "X-WC-Webhook-Source": "https://shop.example.net/",
                "X-WC-Webhook-Topic": topic,
                "X-WC-Webhook-Resource": topic.split(".")[0],
                "X-WC-Webhook-Event": topic.split(".")[1],
                "X-WC-Webhook-ID": "7",
                "X-WC-Webhook-Delivery-ID": "8d6c2d8a1b7f5f0d2b8a9d0c4e6f7a1b",
                "X-WC-Webhook-Signature": base64_mac(secret.encode(), raw),
            },
        )
    )


_WOO_CUSTOMER = {
    "id": 1184,
    "date_created": "2026-09-20T13:00:00",
    "email": "teuila@example.com",
    "first_name": "",
    "last_name": "",
    "role": "customer",
    "username": "teuila",
    "billing": {"first_name": "Teuila", "last_name": "Faleafa", "email": "", "phone": "+64 21 555 0123"},
    "shipping": {"first_name": "", "last_name": "", "phone": ""},
    "is_paying_customer": False,
}


_woocommerce(
    "the name only in the billing address",
    _WOO_CUSTOMER,
    {"email": "teuila@example.com", "mobile_phone_number": "+64215550123", "full_name": "Teuila Faleafa"},
)


_woocommerce(
    "the account's own name first",
    {**_WOO_CUSTOMER, "id": 1185, "first_name": "Tina", "last_name": "F.", "billing": {"phone": ""}},
    {"email": "teuila@example.com", "full_name": "Tina F."},
)


_woocommerce(
    "a number written as in the country of its address",
    {**_WOO_CUSTOMER, "id": 1186, "billing": {"phone": "021 555 0123", "country": "NZ"}},
    {"email": "teuila@example.com", "mobile_phone_number": "+64215550123"},
)


for role in ("administrator", "shop_manager", "editor"):
    _woocommerce(f"a new {role} works there", {**_WOO_CUSTOMER, "role": role}, None)


_woocommerce("an update is no sign-up", _WOO_CUSTOMER, None, "customer.updated")


CASES.append(
    Case(
        preset="woocommerce",
        name="the unsigned ping that comes on saving",
        content_type=FORM,
        body=b"webhook_id=17",
        secret="wc secret & more",
    )
)

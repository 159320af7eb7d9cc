"""Stripe: its messages, in the shape it documents."""

import json
from typing import Any

from tests.config.presets.case import NOW, Case, hex_mac, stamped

CASES: list[Case] = []


def _stripe(
    name: str, kind: str, thing: dict[str, Any], expect: dict[str, str] | None, event_id: str
) -> None:
    secret = "whsec_kept_as_it_is"
    body = json.dumps(
        {
            "id": event_id,
            "object": "event",
            "api_version": "2026-06-30",
            "created": int(NOW),
            "data": {"object": thing},
            "livemode": True,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": kind,
        },
        indent=2,
    ).encode()
    stale = hex_mac("whsec_the_one_before", body)
    CASES.append(
        Case(
            preset="stripe",
            name=name,
            body=body,
            secret=secret,
            expect=expect,
            event_id=event_id,
            stamped=lambda now: {
                "Stripe-Signature": f"t={int(now)},v1={stale},v1={stamped(secret, body, now)},v0={stale}"
            },
        )
    )


_stripe(
    "a new customer, while the secret is being rotated",
    "customer.created",
    {
        "id": "cus_A",
        "object": "customer",
        "email": "wilhelmina@example.net",
        "name": "Wilhelmina Oster",
        "phone": None,
    },
    {"email": "wilhelmina@example.net", "full_name": "Wilhelmina Oster"},
    "evt_0001",
)


_stripe(
    "a finished checkout",
    "checkout.session.completed",
    {
        "id": "cs_B",
        "object": "checkout.session",
        "customer_email": None,
        "customer_details": {"email": "kofi@example.org", "name": "Kofi Mensah", "phone": "+233 24 123 4567"},
    },
    {"email": "kofi@example.org", "mobile_phone_number": "+233241234567", "full_name": "Kofi Mensah"},
    "evt_0002",
)


_stripe(
    "a deleted customer is no sign-up",
    "customer.deleted",
    {"id": "cus_A", "email": "wilhelmina@example.net"},
    None,
    "evt_0003",
)


_stripe(
    "who declined promotions is no sign-up",
    "checkout.session.completed",
    {
        "id": "cs_C",
        "consent": {"promotions": "opt_out", "terms_of_service": None},
        "customer_details": {"email": "kofi@example.org", "name": "Kofi Mensah"},
    },
    None,
    "evt_0004",
)


def _buyer(**more: Any) -> dict[str, Any]:
    return {"id": "cs_D", "customer_details": {"email": "kofi@example.org", "tax_ids": [], **more}}


_stripe(
    "a buyer for a business, whose name Stripe writes over theirs",
    "checkout.session.completed",
    _buyer(name="Mensah & Sons Ltd", tax_ids=[{"type": "gb_vat", "value": "GB123456789"}]),
    {"email": "kofi@example.org"},
    "evt_0005",
)


_stripe(
    "a buyer who was asked for both names",
    "checkout.session.completed",
    _buyer(name="Mensah & Sons", business_name="Mensah & Sons", individual_name="Kofi Mensah"),
    {"email": "kofi@example.org", "full_name": "Kofi Mensah"},
    "evt_0006",
)


_stripe(
    "a buyer who was asked for the business only",
    "checkout.session.completed",
    _buyer(name="Mensah & Sons", business_name="Mensah & Sons", individual_name=None),
    {"email": "kofi@example.org"},
    "evt_0007",
)


_stripe(
    "a buyer whose own name stands beside that of the business",
    "checkout.session.completed",
    _buyer(name="Kofi Mensah", business_name="Mensah & Sons"),
    {"email": "kofi@example.org", "full_name": "Kofi Mensah"},
    "evt_0008",
)


_stripe(
    "a new customer that is a business",
    "customer.created",
    {
        "id": "cus_E",
        "object": "customer",
        "email": "office@example.org",
        "name": "Mensah & Sons",
        "business_name": "Mensah & Sons",
        "individual_name": None,
    },
    {"email": "office@example.org"},
    "evt_0009",
)

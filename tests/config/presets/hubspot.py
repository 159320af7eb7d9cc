"""HubSpot workflows: its messages, in the shape it documents."""

from typing import Any

from tests.config.presets.case import Case, address, base64_mac, json_body

CASES: list[Case] = []


def _hubspot(
    name: str,
    body: dict[str, Any],
    expect: dict[str, str] | None,
    event_id: str,
    query: str = "",
    signed_query: str = "",
) -> None:
    secret = "6f1e2d3c-hubspot-client-secret"
    raw = json_body(body)

    def sign(now: float) -> dict[str, str]:
        stamp = str(int(now * 1000) + 4000)
        signed = b"POST" + address("hubspot", signed_query or query).encode() + raw + stamp.encode()
        mac = base64_mac(secret.encode(), signed)
        return {"X-HubSpot-Request-Timestamp": stamp, "X-HubSpot-Signature-v3": mac}

    CASES.append(
        Case(
            preset="hubspot",
            name=name,
            body=raw,
            secret=secret,
            query=query,
            expect=expect,
            event_id=event_id,
            headers={"X-HubSpot-Signature-Version": "v2"},
            stamped=sign,
        )
    )


def _property(value: str) -> dict[str, Any]:
    return {"value": value, "versions": [{"value": value, "source-type": "FORM", "timestamp": 1789999999000}]}


_hubspot(
    "the contact of a workflow, with its history",
    {
        "vid": 70251,
        "canonical-vid": 70251,
        "portal-id": 27145807,
        "is-contact": True,
        "properties": {
            "firstname": _property("Solveig"),
            "lastname": _property("Aune"),
            "email": _property("solveig@example.net"),
            "phone": _property("+47 22 12 34 56"),
            "mobilephone": _property("+47 406 99 123"),
            "company": _property("Aune AS"),
            "hs_email_optout": _property("false"),
        },
        "associated-owner": {"first-name": "Odd", "email": "owner@example.com"},
    },
    {"email": "solveig@example.net", "mobile_phone_number": "+4740699123", "full_name": "Solveig Aune"},
    "70251",
)


_hubspot(
    "properties as plain values",
    {
        "objectId": 70252,
        "properties": {"email": "arlo@example.org", "firstname": "Arlo", "lastname": None, "phone": ""},
    },
    {"email": "arlo@example.org", "full_name": "Arlo"},
    "70252",
)


_hubspot(
    "an address with escaped signs, of which HubSpot signs some as they are read",
    {"hs_object_id": 70255, "email": "beata@example.com"},
    {"email": "beata@example.com"},
    "70255",
    query="form=spring%2Ffair%20a&by=beata%40shop",
    signed_query="form=spring/fair%20a&by=beata@shop",
)


_hubspot(
    "a customised body",
    {
        "hs_object_id": 70253,
        "email": "beata@example.com",
        "firstname": "Beata",
        "lastname": "Król",
        "phone": "+48 601 234 567",
    },
    {"email": "beata@example.com", "mobile_phone_number": "+48601234567", "full_name": "Beata Król"},
    "70253",
)


for kind in ("COMPANY", "DEAL", "TICKET"):
    _hubspot(
        f"a {kind.lower()} is no person",
        {
            "objectType": kind,
            "objectId": 88,
            "properties": {"phone": {"value": "+1 202 555 0199"}, "email": {"value": "info@example.com"}},
        },
        None,
        "88",
    )


_hubspot(
    "who has unsubscribed from all e-mail is no sign-up",
    {
        "vid": 70254,
        "properties": {"email": _property("solveig@example.net"), "hs_email_optout": _property("true")},
    },
    None,
    "70254",
)

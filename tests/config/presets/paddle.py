"""Paddle Billing: its messages, in the shape it documents."""

from tests.config.presets.case import Case, json_body, stamped

CASES: list[Case] = []


def _paddle(name: str, kind: str, expect: dict[str, str] | None, event_id: str) -> None:
    secret = "pdl_ntfset_01test_secret+/"
    body = json_body(
        {
            "event_id": event_id,
            "event_type": kind,
            "occurred_at": "2026-09-20T18:00:00.000000Z",
            "notification_id": "ntf_01h8bzakzx3hm2fmen703n5q45",
            "data": {
                "id": "ctm_01h8441jn5pcwrfhwh78jqt8hk",
                "name": "Vasilisa Orlova",
                "email": "vasilisa@example.com",
                "locale": "en",
                "status": "active",
                "marketing_consent": True,
                "custom_data": None,
            },
        }
    )
    CASES.append(
        Case(
            preset="paddle",
            name=name,
            body=body,
            secret=secret,
            expect=expect,
            event_id=event_id,
            stamped=lambda now: {
                "Paddle-Signature": f"ts={int(now) - 3};h1={stamped(secret, body, now - 3, b':')}"
            },
        )
    )


_paddle(
    "a new customer",
    "customer.created",
    {"email": "vasilisa@example.com", "full_name": "Vasilisa Orlova"},
    "evt_01h8bzakzx3hm2fmen703n5q45",
)


_paddle("a simulated event stores nothing", "customer.created", None, "ntfsimevt_01h8bzakzx3hm2fmen703n5q45")


_paddle("an update is no sign-up", "customer.updated", None, "evt_01h8bzakzx3hm2fmen703n5q46")

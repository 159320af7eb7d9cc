"""Who left, and what is no person, is never signed up."""

import json
from pathlib import Path
from typing import Any

import pytest

from relay.sources.source import Source
from tests.config.senders import JSON, OWN, OWN_PHONE, every_preset, profile


def is_out(source: Source, body: dict[str, Any]) -> bool:
    fields = source.read(json.dumps(body).encode(), JSON).fields
    return not source.is_unknown(fields, {}) and source.is_excluded(fields, {})


@pytest.mark.parametrize(
    "told",
    [
        {"type": "contact_deleted"}, {"type": "a.DELETED"}, {"type": "contactDeleted"}, {"type": "a.erased"},
        {"type": "contact.delete"}, {"type": "contact.unsubscribe"}, {"type": "contact.deleted.v1"},
        {"type": "contact/deleted"}, {"type": "contact.opted_out"}, {"type": "user.deactivated"},
        {"event": "contact.deleted"}, {"event_type": "contact.removed"}, {"eventType": "contact.bounced"},
        {"data": {"email": OWN, "unsubscribed": True}}, {"data": {"object": {"unsubscribed": "true"}}},
        {"payload": {"email": OWN, "unsubscribed": 1}}, {"data": {"email": OWN, "subscribed": False}},
        {"data": {"email": OWN, "status": "unsubscribed"}}, {"data": {"email": OWN, "deleted": True}},
        {"data": {"user": {"email": OWN, "unsubscribed_at": "2026-01-01"}}},
        {"type": "subscription.canceled"}, {"type": "subscription.revoked"}, {"type": "contact.suppressed"},
        {"type": "contact.opt-out"}, {"type": "CONTACT_OPTED_OUT"}, {"event": {"type": "contact.deleted"}},
        {"eventName": "contact.unsubscribed"}, {"event_name": "user.deleted"}, {"topic": "user.removed"},
        {"data": {"email": OWN, "status": "canceled"}}, {"data": {"email": OWN, "opted_out": True}},
    ],
)  # fmt: skip
def test_who_left_is_not_signed_up(sources: dict[str, Source], told: dict[str, Any]) -> None:
    assert is_out(sources["standard-webhooks"], {"type": "contact.updated", "data": {"email": OWN}, **told})


@pytest.mark.parametrize(
    "told",
    [
        {"unsubscribed": "false"}, {"unsubscribed": "0"}, {"unsubscribed": 0}, {"unsubscribed": "no"},
        {"unsubscribed": None}, {"subscribed": True}, {"deleted": False}, {"status": "subscribed"},
        {"unsubscribed_at": None}, {"deleted_at": ""}, {},
    ],
)  # fmt: skip
def test_who_did_not_leave_is(sources: dict[str, Source], told: dict[str, Any]) -> None:
    for kind in ("contact.created", "user.updated", "cameras.ordered", 5, None):
        assert not is_out(sources["standard-webhooks"], {"type": kind, "data": {"email": OWN, **told}})


def test_what_an_event_tells_beside_is_not_taken_for_its_kind(sources: dict[str, Source]) -> None:
    for contact in ({"deleted": False}, {"unsubscribe_url": "https://example.org/unsubscribe"}):
        event = {"type": "contact.created", "contact": contact}
        for preset in ("standard-webhooks", "zapier", "make", "github"):
            assert not is_out(sources[preset], {"event": event, "email": OWN})


@pytest.mark.parametrize("preset", ["zapier", "make", "github"])
@pytest.mark.parametrize(
    "told",
    [
        {"unsubscribed": True}, {"unsubscribed": "1"}, {"status": "unsubscribed"}, {"status": "cleaned"},
        {"event": "contact.unsubscribed"}, {"type": "Unsubscribe"}, {"event": "contact.deleted"},
        {"event_type": "CONTACT_OPTED_OUT"}, {"eventName": "emailBounced"}, {"event": {"type": "a.removed"}},
        {"status": "Opted-Out"}, {"opted_out": "yes"}, {"deleted_at": "2026-01-01"}, {"subscribed": "no"},
        {"action": "unsubscribe"}, {"Contact Status": "Unsubscribed"}, {"unsubscribed": "on"},
    ],
)  # fmt: skip
def test_who_left_is_not_signed_up_by_who_passes_it_on(
    sources: dict[str, Source], preset: str, told: dict[str, Any]
) -> None:
    inside = {"github": "client_payload"}.get(preset, "contact")
    for body in ({"email": OWN, **told}, {inside: {"email": OWN, **told}}):
        assert is_out(sources[preset], body)
    assert not is_out(sources[preset], {"email": OWN, "unsubscribed": False, "status": "subscribed"})
    assert not is_out(sources[preset], {"email": OWN, "event": "Cancel culture, a talk in two parts"})


@pytest.mark.parametrize(
    "title", ["How to lower your unsubscribe rate", "Bounce House Party", "Cancel culture, a talk"]
)
def test_who_signs_up_for_something_with_such_a_name_has_not_left(
    sources: dict[str, Source], title: str
) -> None:
    for preset in ("zapier", "make", "github", "standard-webhooks"):
        for body in ({"event": title}, {"event": {"name": title}}, {"event_name": title}, {"topic": title}):
            assert not is_out(sources[preset], {"email": OWN, **body})
    for kind in ("Contact Unsubscribed", "Email unsubscribed", "EMAIL UNSUBSCRIBED", "contact.unsubscribed"):
        assert is_out(sources["standard-webhooks"], {"event": kind, "email": OWN})
    for kind in ("Contact Unsubscribed", "Unsubscribe of a contact", "contact.unsubscribed"):
        assert is_out(sources["zapier"], {"event": kind, "email": OWN})


@pytest.mark.parametrize("topic", ["Complaints", "Cancellation", "Removals", "hair-removal"])
def test_what_somebody_asks_about_leaves_nobody_out(sources: dict[str, Source], topic: str) -> None:
    """Contact forms offer topics to choose from, and Zapier and Make pass on what was chosen."""
    for preset in ("zapier", "make"):
        for body in ({"email": OWN, "topic": topic}, {"contact": {"email": OWN, "topic": topic}}):
            assert not is_out(sources[preset], body)


@pytest.mark.parametrize(
    "never", [0, "0", "0000-00-00 00:00:00", "", None, False, "null", "-", "n/a", "Never"]
)
def test_a_time_that_says_never_is_no_time_at_which_somebody_left(
    sources: dict[str, Source], never: Any
) -> None:
    for name in ("unsubscribed_at", "deleted_at", "Unsubscribed on"):
        user = {"type": "user.created", "data": {"email": OWN, name: never}}
        assert not is_out(sources["standard-webhooks"], user)
        for left in ("01/09/2026", "2026-09-01T00:00:00Z", 1790000000, {"seconds": 1790000000}, True):
            assert is_out(sources["standard-webhooks"], {"data": {"email": OWN, name: left}})


LEFT: dict[str, dict[str, Any]] = {
    "standard-webhooks": {"data": {"email": OWN, "unsubscribed": True}},
    "stripe": {"type": "t", "data": {"object": {"email": OWN, "consent": {"promotions": "opt_out"}}}},
    "clickfunnels": {"event_type": "t", "data": {"email_address": OWN, "unsubscribed_at": "2026-09-01"}},
    "intercom": {"topic": "contact.t", "data": {"item": {"email": OWN, "unsubscribed_from_emails": True}}},
    "hubspot": {"email": OWN, "hs_email_optout": "true"},
    "shopify": {"email": OWN, "email_marketing_consent": {"state": "unsubscribed"}},
    "zapier": {"email": OWN, "status": "unsubscribed"},
}


@pytest.mark.parametrize("preset", LEFT)
def test_who_left_stays_out_whatever_a_site_asks_for(preset: str, tmp_path: Path) -> None:
    source = every_preset(tmp_path, only="type(@) == 'object'")[preset]
    assert source.leaves_out(LEFT[preset]) and not source.leaves_out({"email": OWN})


@pytest.mark.parametrize(
    "state", ["subscribed", "not_subscribed", "pending", "unsubscribed", "invalid", None]
)
def test_of_shopifys_consents_only_a_yes_is_a_sign_up(sources: dict[str, Source], state: str | None) -> None:
    """Since 2025-01 they come in messages of their own, and no longer with the customer."""
    letters = {"customer_id": 7, "email_address": OWN, "email_marketing_consent": {"state": state}}
    texts = {"id": 7, "phone": OWN_PHONE, "sms_marketing_consent": {"state": state}}
    for body, found in ((letters, {"email": OWN}), (texts, {"mobile_phone_number": OWN_PHONE})):
        assert sources["shopify"].leaves_out(body) == (state != "subscribed")
        assert state != "subscribed" or profile(sources["shopify"], body) == found
    assert not sources["shopify"].leaves_out({"id": 7, "email": None, "phone": OWN_PHONE})


@pytest.mark.parametrize(
    "body",
    [
        *({"objectType": kind} for kind in ("company", "Company", "DEAL", "LINE_ITEM")),
        *({"objectType": "", "objectTypeId": kind} for kind in ("0-2", "0-7", "2-123456")),
        {"companyId": 7},
    ],
)
def test_what_is_no_contact_is_nobody(sources: dict[str, Source], body: dict[str, Any]) -> None:
    assert is_out(sources["hubspot"], {**body, "properties": {"phone": {"value": OWN_PHONE}}})


@pytest.mark.parametrize(
    "body", [{}, {"objectType": "contact"}, {"objectTypeId": "0-1"}, {"objectType": None}]
)
def test_a_contact_is_somebody(sources: dict[str, Source], body: dict[str, Any]) -> None:
    assert not is_out(sources["hubspot"], {**body, "properties": {"email": {"value": OWN}}})


@pytest.mark.parametrize(
    ("preset", "body"),
    [
        ("webflow", {"triggerType": None, "payload": {"data": {"Email": OWN}}}),
        ("typeform", {"event_type": "", "form_response": {"answers": []}}),
        ("clickfunnels", {"event_type": "contact.created", "data": {"email": OWN}}),
        ("clickfunnels", {"event_type": "contact.created", "data": None}),
        ("intercom", {"topic": "contact.user.created", "data": {"item": {"mail": OWN}}}),
        ("stripe", {"type": "customer.created", "data": {"object": {"mail": OWN}}}),
        ("stripe", {"type": "checkout.session.completed", "data": {"object": {"customer_details": {}}}}),
        ("paddle", {"event_type": "customer.created", "data": {"mail": OWN}}),
    ],
)
def test_what_the_sender_renamed_is_kept(
    sources: dict[str, Source], preset: str, body: dict[str, Any]
) -> None:
    assert not is_out(sources[preset], body)


def nobodies(email: Any, phone: Any) -> dict[str, list[dict[str, Any]]]:
    """What each shop tells of a customer with these contacts."""
    details = {"email": email, "phone": phone}
    return {
        "intercom": [{"topic": "contact.user.created", "data": {"item": details}}],
        "clickfunnels": [
            {"event_type": "contact.created", "data": {"email_address": email, "phone_number": phone}}
        ],
        "shopify": [{"id": 7, **details}, {"id": 7, "email": email, "default_address": {"phone": phone}}],
        "stripe": [
            {"type": "customer.created", "data": {"object": {"object": "customer", **details}}},
            {"type": "checkout.session.completed", "data": {"object": {"customer_details": details}}},
        ],
        "woocommerce": [{"id": 7, "email": email, "billing": details}],
        "paddle": [{"event_type": "customer.created", "data": {"email": email or phone}}],
    }


@pytest.mark.parametrize("preset", nobodies("", ""))
def test_a_customer_without_a_contact_is_nobody(
    sources: dict[str, Source], preset: str, tmp_path: Path
) -> None:
    own = every_preset(tmp_path, only="type(@) == 'object'")[preset]
    for blank in (None, ""):
        for body in nobodies(blank, blank)[preset]:
            assert sources[preset].leaves_out(body) and own.leaves_out(body), body
    for email, phone in ((OWN, None), ("", OWN_PHONE), (OWN, OWN_PHONE)):
        for body in nobodies(email, phone)[preset]:
            assert not sources[preset].leaves_out(body), body


def test_an_order_may_name_its_contact_where_a_site_looks_for_it(sources: dict[str, Source]) -> None:
    order = {"email": "", "phone": None, "line_items": [{}], "billing_address": {"phone": OWN_PHONE}}
    assert not sources["shopify"].leaves_out(order)
    assert not sources["woocommerce"].leaves_out({"billing": {"email": "", "phone": ""}, "meta_data": []})


def test_a_customer_with_no_contact_that_may_be_written_to_is_nobody(sources: dict[str, Source]) -> None:
    said_no = {"sms_marketing_consent": {"state": "unsubscribed"}}
    assert sources["shopify"].leaves_out({"email": None, "phone": OWN_PHONE, **said_no})
    assert not sources["shopify"].leaves_out({"email": OWN, "phone": OWN_PHONE, **said_no})

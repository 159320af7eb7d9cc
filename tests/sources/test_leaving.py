"""Who left: by what kind of event, and how a contact is marked."""

from typing import Any

import jmespath
import pytest

from relay.sources.leaving import has_left, tells_of_leaving
from relay.sources.paths import Path, search

LEAVING = [
    *(
        "contact.deleted",
        "contact_delete",
        "contactDeleted",
        "a.DELETED",
        "contact/removed",
        "Contact deleted",
    ),
    *("user.erased", "erasure.requested", "email.bounced", "email.complained", "subscription.cancelled"),
    *("consent.revoked", "contact.suppressed", "user.deactivated", "contact.archived", "opt-out", "opt out"),
    *("CONTACT_OPTED_OUT", "optOut", "OptedOut", "contact.opted_out.v1", "Somebody unsubscribed from a list"),
    *("Email bounced", "Subscription Cancelled", "Customer has opted out", "Unsubscribe from a list"),
    *("customer.redacted", "customers/redact", "user.anonymized", "consent.withdrawn", "contact.purged"),
    *("invitation.declined", "lead rejected", "contact.unsub", "SpamReport", "Marked as spam"),
    *("Abmeldung", "newsletter_abgemeldet", "Newsletter abbestellt", "Désinscription", "contact désabonné"),
    ["contact.created", "contact.deleted"],
    [None, 5, ["Unsubscribe"]],
]
STAYING = [
    *(
        "contact.created",
        "user.updated",
        "cameras.ordered",
        "subscription.renewed",
        "",
        "Cancel culture, a talk",
    ),
    *(
        None,
        5,
        True,
        {},
        {"type": "contact.deleted"},
        [],
        [None],
        "subscribed",
        "adopted",
        *(
            "Junk removal",
            "Debt cancellation",
            "Bounce House",
            "Lower your unsubscribe rate",
            "Data deletion 101",
            "Spam musubi workshop",
            "Spamalot",
            "Destroyer",
            "Rejected Records, the label",
            "Anmeldung",
            "inscription",
        ),
        "x" * 300 + "deleted",
    ),
]


@pytest.mark.parametrize("kind", LEAVING, ids=str)
def test_an_event_that_speaks_of_leaving_is_known(kind: Any) -> None:
    assert tells_of_leaving(kind)


@pytest.mark.parametrize("kind", STAYING, ids=str)
def test_any_other_event_is_not(kind: Any) -> None:
    assert not tells_of_leaving(kind)


@pytest.mark.parametrize(
    "marked",
    [
        *(
            {name: yes}
            for name in ("unsubscribed", "opted_out", "deleted")
            for yes in (True, "True", "1", 1, " yes")
        ),
        *({"subscribed": no} for no in (False, "FALSE", 0, "0", "no")),
        *({"status": state} for state in ("Unsubscribed", "opted_out", "OPTED-OUT", "cleaned", "canceled")),
        *({name: "2026-01-01"} for name in ("unsubscribed_at", "deleted_at")),
        {"deleted_at": 1790000000},
        *({name: "2026-01-01T00:00:00Z"} for name in ("unsubscribedAt", "Unsubscribed At", "deletedAt")),
        *(
            {name: True}
            for name in ("optedOut", "opt_out", "Is Deleted", "HasOptedOutOfEmail", "hs_email_optout")
        ),
        {"Status": "Opted Out"},
        *({"unsubscribed": yes} for yes in ("on", "Ja", "Sí", "checked")),
        *({"subscribed": no} for no in ("Nein", "off")),
        *({"isSubscribed": False}, {"archived": True}, {"do_not_email": "true"}),
        *({"status": state} for state in ("Archived", "removed", "Abgemeldet", "Hard bounce")),
        *({f"{what} Status": "Unsubscribed"} for what in ("Contact", "List", "Member", "Email Marketing")),
        *({name: "2026-01-01"} for name in ("Unsubscribed On", "Date unsubscribed", "unsubscribe_date")),
        {"state": "cancelled"},
        {"subscription_status": "UNSUBSCRIBED"},
        # As the exports of lists head their columns.
        {"UNSUB_TIME": "2021-05-05 10:10:10"},  # Mailchimp
        {"CLEAN_CAMPAIGN_ID": "4711"},
        {"Unsubscribed from all email": "Yes"},  # HubSpot
        {"Email Marketing Consent": "UNSUBSCRIBED"},  # Klaviyo
        *({"Email permission status": "Unsubscribed"}, {"Opt-out date": "2020-01-01"}),  # Constant Contact
        {"EMAIL_BLOCKLISTED": "true"},  # Brevo
        {"email_disabled": "true"},  # Substack
        {"subscribed_to_emails": "false"},  # Ghost
        {"Email Subscriber Status": "Unsubscribed"},  # Wix
        {"Email and SMS status": "unsubscribed"},
        {"Unsubscribed": "2021-01-01 10:00"},  # MailerLite
        *({"unsubscribed_at": at} for at in (1700001970, "2019-01-09T19:00:00Z", "01/02/2020 19:00")),
        {"Global Status": "Unsubscribed"},  # MailPoet
        {"Deaktiviert": "03.03.2021"},  # CleverReach
        *({"Abgemeldet am": "01.02.2020"}, {"Abmeldedatum": "01.02.2020"}, {"Abgemeldet": "x"}),
        *({"Désinscrit": "oui"}, {"Date de désinscription": "01/02/2020"}, {"Statut": "Désabonné"}),
        *({"Newsletter-Status": "abgemeldet"}, {"Estado": "Dado de baja"}, {"status": "blocklisted"}),
        *({"Unsubscribed": yes} for yes in ("WAHR", "VRAI", "VERO", "VERDADERO")),  # Excel's own
        *({"subscribed": no} for no in ("FALSCH", "FAUX", "FALSO")),
    ],
    ids=str,
)
def test_a_contact_that_is_marked_as_gone_has_left(marked: dict[str, Any]) -> None:
    assert has_left({"email": "ada@example.org", **marked})


@pytest.mark.parametrize(
    "marked",
    [
        *(
            {name: no}
            for name in ("unsubscribed", "opted_out", "deleted")
            for no in (False, "false", "0", 0, None, [])
        ),
        *({"subscribed": yes} for yes in (True, "true", "", None)),
        *({"status": state} for state in ("subscribed", "active", "", None, 1, ["unsubscribed"])),
        *({"deleted_at": at} for at in ("", None, 0, "0", False, "null", [])),
        {"state": "CA", "hs_email_optout": "", "opt_out": "no", "HasOptedOutOfEmail": False},
        {"unsubscribe": "https://example.com/u/1"},
        {"unsubscribe": "2026-link"},
        {"Unsubscribed": "FALSCH", "Deaktiviert": "", "Abgemeldet": "00.00.0000", "UNSUB_TIME": ""},
        *({"Unsubscribed": at} for at in ("1970-01-01 00:00:00", "01.01.1970", "0/0/0000")),
        *(
            {"deleted_at": at}
            for at in ("1/0/1900", "30.12.1899", "9999-12-31", "1969-12-31T19:00:00-05:00", 0.0)
        ),
        {"Statut": "Inscrit", "Clean Time": "10:00", "Opt-out reason": "none", "SMS opt out": "yes"},
        {"SMS status": "unsubscribed", "Email status": "subscribed"},
        *({"Web push status": "unsubscribed"}, {"Marketing SMS status": "unsubscribed"}),
        {"Newsletter Status": "cancelled", "Marketing opt in": "yes", "Deactivated": "alarm"},
        {"archived": False, "is_subscribed": "ja", "unsubscribed": "nein", "Order Status": "cancelled"},
        {},
    ],
    ids=str,
)
def test_any_other_contact_has_not(marked: dict[str, Any]) -> None:
    assert not has_left({"email": "ada@example.org", **marked})


@pytest.mark.parametrize("what", [None, "unsubscribed", ["unsubscribed"], 1])
def test_what_is_no_contact_has_not_left(what: Any) -> None:
    assert not has_left(what)


def test_expressions_may_ask_for_both() -> None:
    body = {"event": "contact.deleted", "contact": {"status": "bounced"}}
    for text in ("tells_of_leaving(event)", "has_left(contact)", "[@, contact][?has_left(@)] | [0]"):
        assert search(jmespath.compile(text), body)
        assert Path(text).fault is None
    assert Path("has_gone(contact)").fault == "knows no function has_gone()"

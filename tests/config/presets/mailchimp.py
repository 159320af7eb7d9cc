"""Mailchimp audiences: its messages, in the shape it documents."""

from tests.config.presets.case import FORM, Case, form_body

CASES: list[Case] = []


def _mailchimp(name: str, kind: str, merges: dict[str, str], expect: dict[str, str] | None) -> None:
    email = merges["EMAIL"]
    CASES.append(
        Case(
            preset="mailchimp",
            name=name,
            content_type=FORM,
            query="token=mc-token",
            secret="mc-token",
            expect=expect,
            body=form_body(
                {
                    "type": kind,
                    "fired_at": "2026-09-20 21:35:57",
                    "data[id]": "8a25ff1d98",
                    "data[list_id]": "a6b5da1054",
                    "data[email]": email,
                    "data[email_type]": "html",
                    **{f"data[merges][{tag}]": value for tag, value in merges.items()},
                    "data[ip_opt]": "203.0.113.30",
                }
            ),
        )
    )


_MERGES = {
    "EMAIL": "leocadia@example.org",
    "FNAME": "Leocadia",
    "LNAME": "Prim",
    "PHONE": "+34 699 111 222",
    "INTERESTS": "A,B",
}


_mailchimp(
    "a subscription",
    "subscribe",
    _MERGES,
    {"email": "leocadia@example.org", "mobile_phone_number": "+34699111222", "full_name": "Leocadia Prim"},
)


_mailchimp(
    "other merge tags, an empty name",
    "subscribe",
    {"EMAIL": "sibling@example.com", "FNAME": "", "LNAME": "", "SMSPHONE": "+1 202-555-0119"},
    {"email": "sibling@example.com", "mobile_phone_number": "+12025550119"},
)


_mailchimp("who unsubscribes must not come back", "unsubscribe", _MERGES, None)


_mailchimp("a changed profile is no sign-up", "profile", _MERGES, None)

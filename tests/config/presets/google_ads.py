"""Google Ads lead forms: its messages, in the shape it documents."""

from typing import Any

from tests.config.presets.case import Case, json_body

CASES: list[Case] = []


def _google(
    name: str, columns: list[dict[str, str]], expect: dict[str, str] | None, lead_id: str, **more: Any
) -> None:
    CASES.append(
        Case(
            preset="google-ads",
            name=name,
            secret="ga-key-77",
            expect=expect,
            event_id=lead_id,
            body=json_body(
                {
                    "lead_id": lead_id,
                    "user_column_data": columns,
                    "api_version": "1.0",
                    "form_id": 42018698608977,
                    "campaign_id": 20991214827,
                    "google_key": "ga-key-77",
                    "gcl_id": "EAIaIQobChMI",
                    "adgroup_id": 20000000000,
                    "creative_id": 30000000000,
                    **more,
                }
            ),
        )
    )


_google(
    "full name, phone, e-mail; one column without a name",
    [
        {"column_name": "Full Name", "string_value": "Nilufar Rashidova", "column_id": "FULL_NAME"},
        {"column_name": "User Phone", "string_value": "+998901234567", "column_id": "PHONE_NUMBER"},
        {"string_value": "nilufar@example.com", "column_id": "EMAIL"},
        {"string_value": "Roofing", "column_id": "what_do_you_need"},
    ],
    {
        "email": "nilufar@example.com",
        "mobile_phone_number": "+998901234567",
        "full_name": "Nilufar Rashidova",
    },
    "CjwKCAlead0001",
    is_test=False,
)


_google(
    "first and last name, only a work address",
    [
        {"column_id": "FIRST_NAME", "string_value": "Ewan"},
        {"column_id": "LAST_NAME", "string_value": "Ballantyne"},
        {"column_id": "WORK_EMAIL", "string_value": "ewan@example.org"},
    ],
    {"email": "ewan@example.org", "full_name": "Ewan Ballantyne"},
    "CjwKCAlead0002",
)


_google(
    "a test lead stores nothing",
    [{"column_id": "EMAIL", "string_value": "probe@example.com"}],
    None,
    "TeSter-0003",
    is_test=True,
)

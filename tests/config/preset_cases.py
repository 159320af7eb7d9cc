"""What each sender's message looks like, and signatures the senders themselves published.

``CASES`` are payloads in the shape each sender documents, about people who do not exist. They are
signed here, by code that shares nothing with the relay, so that they test its verifier too.
``VECTORS`` were signed by others.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

NOW = 1_790_000_000.0
"""When the requests of CASES arrive in tests that choose the time, in Unix time."""
PUBLIC_URL = "https://relay.example.com"
"""Where the relay of CASES is reached; signatures that cover the address cover this one."""

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One request to a source that is named like its preset, with this secret and nothing else set."""

    preset: str
    name: str
    content_type: str = JSON
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    stamped: Callable[[float], dict[str, str]] | None = None
    """The headers that depend on when it is sent."""
    secret: str
    query: str = ""
    expect: dict[str, str] | None = None
    """The profile that is sent on; None: answered 2xx, and nothing is stored."""
    event_id: str | None = None
    """The key that makes a repeat recognisable; None: the sender has none."""

    @property
    def url(self) -> str:
        return address(self.preset, self.query)

    def headers_at(self, now: float) -> dict[str, str]:
        """The headers of the message when it is sent at this time."""
        return {**self.headers, **(self.stamped(now) if self.stamped else {})}


@dataclass(frozen=True)
class Vector:
    """A signature somebody else made: it must verify, and must not with anything changed."""

    source_of_fact: str
    verify: dict[str, Any]
    secret: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"
    url: str = ""
    now: float = NOW


# --- signing, in plain hmac ---------------------------------------------------------------------


def address(preset: str, query: str = "") -> str:
    return f"{PUBLIC_URL}/submit/{preset}" + (f"?{query}" if query else "")


def hex_mac(secret: str, message: bytes, digest: Any = hashlib.sha256) -> str:
    return hmac.new(secret.encode(), message, digest).hexdigest()


def base64_mac(key: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def stamped(secret: str, body: bytes, at: float, mark: bytes = b".") -> str:
    """Return the hex MAC over ``<seconds><mark><body>``."""
    return hex_mac(secret, str(int(at)).encode() + mark + body)


def pairs(secret: str, body: bytes, at: float) -> str:
    """Return a header like ``t=…,v1=…``."""
    return f"t={int(at)},v1={stamped(secret, body, at)}"


def netlify_token(secret: str, body: bytes, issuer: str = "netlify") -> str:
    """Return the HS256 JWT that Netlify sends: its issuer and the SHA-256 of the body."""
    claims = {"iss": issuer, "sha256": hashlib.sha256(body).hexdigest()}
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    mac = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    return (text + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _form(fields: dict[str, str]) -> bytes:
    return urlencode(fields).encode()


def _multipart(fields: dict[str, str], boundary: str) -> bytes:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return "".join([*parts, f"--{boundary}--\r\n"]).encode()


CASES: list[Case] = []


# --- Typeform -------------------------------------------------------------------------------------


def _typeform(
    name: str, body: bytes, expect: dict[str, str] | None, event_id: str | None, secret: str = "tf-Secret/1"
) -> None:
    signature = "sha256=" + base64_mac(secret.encode(), body)
    CASES.append(
        Case(
            preset="typeform",
            name=name,
            body=body,
            headers={"Typeform-Signature": signature},
            secret=secret,
            expect=expect,
            event_id=event_id,
        )
    )


def _answer(kind: str, value: Any, ref: str, field_type: str, field_id: str) -> dict[str, Any]:
    return {"type": kind, kind: value, "field": {"id": field_id, "type": field_type, "ref": ref}}


def _typeform_body(
    event_id: str, questions: list[dict[str, Any]], answers: list[dict[str, Any]], **more: Any
) -> bytes:
    return _json(
        {
            "event_id": event_id,
            "event_type": "form_response",
            "form_response": {
                "form_id": "kq8Zt2",
                "token": "5b1f0c0a9d7e4f26",
                "landed_at": "2026-09-20T07:58:03Z",
                "submitted_at": "2026-09-20T08:01:44Z",
                "definition": {"id": "kq8Zt2", "title": "Stay in touch", "fields": questions},
                "answers": answers,
                **more,
            },
        }
    )


_typeform(
    "types before titles, names by title, a consent box beside",
    _typeform_body(
        "01TFMIREILLE",
        [
            {"id": "aa1", "ref": "r1", "type": "short_text", "title": "What is your *first name*?"},
            {"id": "aa2", "ref": "r2", "type": "short_text", "title": "Last name"},
            {"id": "aa3", "ref": "r3", "type": "email", "title": "Where may we write to?"},
            {"id": "aa4", "ref": "r4", "type": "phone_number", "title": "And call?"},
            {"id": "aa5", "ref": "r5", "type": "legal", "title": "E-mail"},
        ],
        [
            _answer("text", "Mireille ", "r1", "short_text", "aa1"),
            _answer("text", "Aubry", "r2", "short_text", "aa2"),
            _answer("email", "mireille.aubry@example.org", "r3", "email", "aa3"),
            _answer("phone_number", "+33639981234", "r4", "phone_number", "aa4"),
            _answer("boolean", True, "r5", "legal", "aa5"),
        ],
    ),
    {
        "email": "mireille.aubry@example.org",
        "mobile_phone_number": "+33639981234",
        "full_name": "Mireille Aubry",
    },
    "01TFMIREILLE",
)
_typeform(
    "a contact-info block whose titles stand one level deeper",
    _typeform_body(
        "01TFKAYODE",
        [
            {
                "id": "bb0",
                "ref": "block",
                "type": "contact_info",
                "title": "About you",
                "properties": {
                    "fields": [
                        {"id": "bb1", "ref": "c1", "type": "short_text", "title": "First name"},
                        {"id": "bb2", "ref": "c2", "type": "short_text", "title": "Last name"},
                        {"id": "bb3", "ref": "c3", "type": "email", "title": "Email"},
                    ]
                },
            },
            {"id": "bb4", "ref": "r9", "type": "number", "title": "How many people?"},
        ],
        [
            _answer("text", "Kayode", "c1", "short_text", "bb1"),
            _answer("text", "Fashola", "c2", "short_text", "bb2"),
            _answer("email", "kayode@example.net", "c3", "email", "bb3"),
            _answer("number", 0, "r9", "number", "bb4"),
        ],
    ),
    {"email": "kayode@example.net", "full_name": "Kayode Fashola"},
    "01TFKAYODE",
)
_typeform(
    "the e-mail only in a hidden field",
    _typeform_body(
        "01TFHIDDEN",
        [{"id": "cc1", "ref": "r1", "type": "short_text", "title": "Your name"}],
        [_answer("text", "Tove Lindqvist", "r1", "short_text", "cc1")],
        hidden={"email": "tove@example.com", "campaign": "autumn"},
    ),
    {"email": "tove@example.com", "full_name": "Tove Lindqvist"},
    "01TFHIDDEN",
)
_typeform(
    "a partial response is no sign-up",
    _json(
        {
            "event_id": "01TFPARTIAL",
            "event_type": "form_response_partial",
            "form_response": {"answers": [_answer("email", "half.way@example.com", "r3", "email", "aa3")]},
        }
    ),
    None,
    None,
)


# --- Tally ------------------------------------------------------------------------------------------


def _tally(name: str, fields: list[dict[str, Any]], expect: dict[str, str], event_id: str) -> None:
    secret = "7c0f6a52-tally"
    body = _json(
        {
            "eventId": event_id,
            "eventType": "FORM_RESPONSE",
            "createdAt": "2026-09-20T09:12:31.000Z",
            "data": {
                "responseId": "2wgx4n",
                "submissionId": "2wgx4n",
                "respondentId": "dwQKYm",
                "formId": "VwbNEw",
                "formName": "Waiting list",
                "createdAt": "2026-09-20T09:12:30.000Z",
                "fields": fields,
            },
        }
    )
    CASES.append(
        Case(
            preset="tally",
            name=name,
            body=body,
            secret=secret,
            expect=expect,
            event_id=event_id,
            headers={"Tally-Signature": base64_mac(secret.encode(), body)},
        )
    )


_tally(
    "types before labels, an unanswered one skipped, options as ids",
    [
        {"key": "question_a", "label": "Friend's e-mail", "type": "INPUT_EMAIL", "value": None},
        {
            "key": "question_b",
            "label": "Where can we reach you?",
            "type": "INPUT_EMAIL",
            "value": "joao.teles@example.org",
        },
        {"key": "question_c", "label": "WhatsApp", "type": "INPUT_PHONE_NUMBER", "value": "+351 912 345 678"},
        {"key": "question_d", "label": "Nome completo", "type": "INPUT_TEXT", "value": "João Teles"},
        {
            "key": "question_e",
            "label": "Plan",
            "type": "MULTIPLE_CHOICE",
            "value": ["6db50481"],
            "options": [{"id": "6db50481", "text": "Free"}],
        },
        {"key": "question_f", "label": "Email me news", "type": "CHECKBOXES", "value": True},
    ],
    {
        "email": "joao.teles@example.org",
        "mobile_phone_number": "+351912345678",
        "full_name": "João Teles",
    },
    "a4cb511e-0001",
)
_tally(
    "German labels where everything is a text field: Vorname and Name",
    [
        {"key": "q1", "label": "Name\n", "type": "INPUT_TEXT", "value": "Brückner"},
        {"key": "q2", "label": "Vorname *", "type": "INPUT_TEXT", "value": "Jörn"},
        {"key": "q3", "label": "E-Mail-Adresse", "type": "INPUT_TEXT", "value": " joern@example.com "},
        {"key": "q4", "label": "Name der Firma", "type": "INPUT_TEXT", "value": "Brückner Bau"},
    ],
    {"email": "joern@example.com", "full_name": "Jörn Brückner"},
    "a4cb511e-0002",
)


# --- Jotform ----------------------------------------------------------------------------------------


def _jotform(name: str, raw_request: dict[str, Any], expect: dict[str, str], submission: str) -> None:
    boundary = "------------------------jfQ81xV0"
    fields = {
        "action": "",
        "webhookURL": address("jotform"),
        "username": "northwind",
        "formID": "242531117090047",
        "type": "WEB",
        "formTitle": "Open day",
        "submissionID": submission,
        "ip": "203.0.113.9",
        "pretty": "left out",
        "rawRequest": json.dumps(
            {
                "slug": "submit/242531117090047/",
                "path": "/submit/242531117090047",
                "submitDate": "1790000000000",
                **raw_request,
                "event_id": "1790000000_242531117090047_x@y/z",
            }
        ),
    }
    CASES.append(
        Case(
            preset="jotform",
            name=name,
            content_type=f"multipart/form-data; boundary={boundary}",
            body=_multipart(fields, boundary),
            query="token=jf-token-20",
            secret="jf-token-20",
            expect=expect,
            event_id=submission,
        )
    )


_jotform(
    "a name field with its parts, a phone field in one",
    {
        "q3_name": {"first": "Saoirse", "last": "Ní Bhriain"},
        "q4_email": "saoirse@example.org",
        "q5_phoneNumber": {"full": "+353 20 914 9001"},
        "q6_message": "write to me @ home",
    },
    {
        "email": "saoirse@example.org",
        "mobile_phone_number": "+353209149001",
        "full_name": "Saoirse Ní Bhriain",
    },
    "6011223344556677889",
)
_jotform(
    "plain text fields, and a phone in area and number",
    {
        "q1_vorname": "Lotte",
        "q2_nachname": "Quast",
        "q3_ihreEmailadresse": "lotte.quast@example.com",
        "q9_telefon": {"area": "+49 30", "phone": "23125008"},
        "q10_newsletterPerEmail": ["Ja"],
    },
    {
        "email": "lotte.quast@example.com",
        "mobile_phone_number": "+493023125008",
        "full_name": "Lotte Quast",
    },
    "6011223344556677890",
)
_jotform(
    "an e-mail under an unusual name",
    {"q3_howCanWe": "call me", "q4_whereShall": "ottoline@example.net"},
    {"email": "ottoline@example.net"},
    "6011223344556677891",
)


# --- Google Ads ---------------------------------------------------------------------------------------


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
            body=_json(
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


# --- Webflow ------------------------------------------------------------------------------------------


def _webflow(
    name: str,
    data: dict[str, Any],
    expect: dict[str, str] | None,
    event_id: str,
    trigger: str = "form_submission",
) -> None:
    secret = "wf-4f1c6b0d"
    body = _json(
        {
            "triggerType": trigger,
            "payload": {
                "name": "Sign-up",
                "siteId": "66aa10bd9f",
                "data": data,
                "schema": [{"fieldName": key, "fieldType": "FormTextInput"} for key in data],
                "submittedAt": "2026-09-20T10:00:00.000Z",
                "id": event_id,
                "formId": "66aa10bdff",
            },
        }
    )

    def sign(now: float) -> dict[str, str]:
        stamp = str(int(now * 1000) - 1200)
        mac = hex_mac(secret, stamp.encode() + b":" + body)
        return {"x-webflow-timestamp": stamp, "x-webflow-signature": mac}

    CASES.append(
        Case(
            preset="webflow",
            name=name,
            body=body,
            secret=secret,
            expect=expect,
            event_id=event_id,
            stamped=sign,
        )
    )


_webflow(
    "a phone number that is a number; labels in any case",
    {
        "First Name": "Ximena",
        "Last Name": "Orellana",
        "Email Address": "Ximena.Orellana@Example.COM",
        "Mobile": 447700900123,
        "Company name": "Orellana Ltd",
    },
    {
        "email": "Ximena.Orellana@example.com",
        "mobile_phone_number": "+447700900123",
        "full_name": "Ximena Orellana",
    },
    "66ab0000000000000000001a",
)
_webflow(
    "one name field, the phone left empty",
    {"Name": "Bao Tran", "E-mail": "bao@example.net", "Phone": ""},
    {"email": "bao@example.net", "full_name": "Bao Tran"},
    "66ab0000000000000000001b",
)
_webflow(
    "another trigger is no sign-up",
    {"Email": "nobody@example.com"},
    None,
    "66ab0000000000000000001c",
    "ecomm_order_changed",
)


# --- Shopify, WooCommerce ---------------------------------------------------------------------------------


def _shopify(
    name: str, body: dict[str, Any], expect: dict[str, str] | None, webhook_id: str, **headers: str
) -> None:
    secret = "shpss_9d0e"
    raw = _json(body)
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
_shopify("a test notification stores nothing", _CUSTOMER, None, "b5-test", X_Shopify_Test="true")
_shopify("an update is no sign-up", _CUSTOMER, None, "b5-update", X_Shopify_Topic="customers/update")


def _woocommerce(
    name: str, body: dict[str, Any], expect: dict[str, str] | None, topic: str = "customer.created"
) -> None:
    secret = "wc secret & more"
    raw = _json(body)
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


# --- WordPress forms ------------------------------------------------------------------------------------


def _elementor(name: str, fields: dict[str, str], expect: dict[str, str]) -> None:
    CASES.append(
        Case(
            preset="elementor",
            name=name,
            content_type=FORM,
            body=_form(fields),
            query="token=el%2Dtoken",
            secret="el-token",
            expect=expect,
        )
    )


_elementor(
    "plain labels, one with a trailing blank",
    {
        "Your Name": "Rosalind Achterberg",
        "Email ": "rosalind@example.org",
        "Phone": "+31 6 12345678",
        "Message": "Hello",
        "Company name": "Achterberg BV",
        "Date": "September 20, 2026",
        "Time": "8:25 am",
        "Page URL": "https://www.example.com/contact/",
        "form_id": "90ad4c1",
        "form_name": "Contact",
    },
    {
        "email": "rosalind@example.org",
        "mobile_phone_number": "+31612345678",
        "full_name": "Rosalind Achterberg",
    },
)
_elementor(
    "advanced data: types in any language",
    {
        "form[id]": "5f00d1",
        "form[name]": "Inscription",
        **{
            f"fields[{key}][{part}]": text
            for key, parts in {
                "name": ("text", "Nom", "Nguyễn"),
                "field_a1": ("text", "Prénom", "Thảo"),
                "email": ("email", "Où vous écrire ?", "thao@example.net"),
                "field_b2": ("tel", "Où vous appeler ?", "+33 6 39 98 00 11"),
                "field_c3": ("acceptance", "E-mail", "on"),
            }.items()
            for part, text in zip(
                ("id", "type", "title", "value", "raw_value", "required"),
                (key, parts[0], parts[1], parts[2], parts[2], "0"),
                strict=True,
            )
        },
        "meta[date][title]": "Date",
        "meta[date][value]": "20 septembre 2026",
    },
    {
        "email": "thao@example.net",
        "mobile_phone_number": "+33639980011",
        "full_name": "Thảo Nguyễn",
    },
)

CASES += [
    Case(
        preset="contact-form-7",
        name="the names of tags, a bearer token",
        body=_json(
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
    ),
    Case(
        preset="contact-form-7",
        name="an older plugin: the token in the address",
        content_type="application/json; charset=UTF-8",
        body=_json({"first-name": "Yusra", "last-name": "Haddad", "email": "yusra@example.com", "tel": ""}),
        query="token=cf7-token",
        secret="cf7-token",
        expect={"email": "yusra@example.com", "full_name": "Yusra Haddad"},
    ),
    Case(
        preset="fluent-forms",
        name="all fields, as JSON",
        body=_json(
            {
                "names": {"first_name": "Dagny", "last_name": "Halvorsen"},
                "email": "dagny@example.net",
                "phone": "+4740612345",
                "message": "Hei",
                "__submission": {
                    "id": "311",
                    "form_id": "4",
                    "status": "unread",
                    "user_inputs": {"email": "x"},
                },
            }
        ),
        headers={"authorization": "bearer ff-token"},
        secret="ff-token",
        expect={
            "email": "dagny@example.net",
            "mobile_phone_number": "+4740612345",
            "full_name": "Dagny Halvorsen",
        },
        event_id="311",
    ),
    Case(
        preset="fluent-forms",
        name="as a form, with keys of the owner's choice",
        content_type=FORM,
        body=_form(
            {
                "names[first_name]": "",
                "names[last_name]": "",
                "full_name": "Ilse Vandenberghe",
                "E-mailadres": "ilse@example.org",
                "__submission[id]": "312",
            }
        ),
        headers={"Authorization": "Bearer ff-token"},
        secret="ff-token",
        expect={"email": "ilse@example.org", "full_name": "Ilse Vandenberghe"},
        event_id="312",
    ),
]


# --- landing pages and site builders ------------------------------------------------------------------


def _unbounce(name: str, data: dict[str, list[str]], expect: dict[str, str]) -> None:
    fields = {
        "page_id": "0b7a3c9e-1d8a-4b52-9f06-5c8f6a1f2f10",
        "page_name": "Spring offer",
        "page_url": "https://go.example.com/spring",
        "variant": "b",
        "data.json": json.dumps(data),
        "data.xml": '<?xml version="1.0"?><form_data><email>left.out@example.com</email></form_data>',
    }
    CASES.append(
        Case(
            preset="unbounce",
            name=name,
            content_type=FORM,
            body=_form(fields),
            query="token=ub-token",
            secret="ub-token",
            expect=expect,
        )
    )


_unbounce(
    "every value in a list",
    {
        "first_name": ["Anouk"],
        "last_name": ["Desrosiers"],
        "email": ["anouk@example.org"],
        "phone_number": ["+1 613-555-0184"],
        "ip_address": ["203.0.113.77"],
        "page_name": ["Spring offer"],
    },
    {
        "email": "anouk@example.org",
        "mobile_phone_number": "+16135550184",
        "full_name": "Anouk Desrosiers",
    },
)
_unbounce(
    "an empty list and one name",
    {"name": ["Casimir Wolski"], "email_address": ["casimir@example.com"], "phone": [""]},
    {"email": "casimir@example.com", "full_name": "Casimir Wolski"},
)


def _framer(name: str, fields: dict[str, Any], expect: dict[str, str], submission: str) -> None:
    secret = "framer-secret-of-thirty-two-characters"
    body = _json(fields)
    CASES.append(
        Case(
            preset="framer",
            name=name,
            body=body,
            secret=secret,
            expect=expect,
            event_id=submission,
            headers={
                "Framer-Signature": "sha256=" + hex_mac(secret, body + submission.encode()),
                "Framer-Webhook-Submission-Id": submission,
                "Framer-Webhook-Attempt": "1",
            },
        )
    )


_framer(
    "flat keys",
    {"Name": "Zsófia Kertész", "Email": "zsofia@example.org", "Phone": "+36 20 123 4567", "Newsletter": "on"},
    {"email": "zsofia@example.org", "mobile_phone_number": "+36201234567", "full_name": "Zsófia Kertész"},
    "a6f2c1de-7f33-4c8a-8b6c-4f7e6f0d3b21",
)
_framer(
    "name and surname apart, the phone null",
    {"Name": "Oisín", "Surname": "Mac Giolla", "Email": "oisin@example.com", "Phone": None},
    {"email": "oisin@example.com", "full_name": "Oisín Mac Giolla"},
    "a6f2c1de-7f33-4c8a-8b6c-4f7e6f0d3b22",
)


def _netlify(name: str, body: dict[str, Any], expect: dict[str, str] | None, event_id: str) -> None:
    secret = "netlify-jws-secret-of-40-characters-0001"
    raw = _json({"id": event_id, **body})
    CASES.append(
        Case(
            preset="netlify",
            name=name,
            body=raw,
            secret=secret,
            expect=expect,
            event_id=event_id,
            headers={
                "X-Webhook-Signature": netlify_token(secret, raw),
                "X-Netlify-Event": "submission_created",
            },
        )
    )


_netlify(
    "a submission: HTML names, Netlify's own summary beside",
    {
        "number": 12,
        "title": None,
        "email": "hana@example.net",
        "name": "Novotná",
        "summary": "Hi",
        "body": "Hi",
        "data": {
            "vorname": "Hana",
            "name": "Novotná",
            "email": "hana@example.net",
            "mobile": "+420 601 123 456",
            "message": "Hi",
            "ip": "203.0.113.4",
            "user_agent": "Mozilla/5.0",
        },
        "created_at": "2026-09-20T14:00:00.000Z",
        "human_fields": {"Vorname": "Hana", "Name": "Novotná", "Email": "hana@example.net"},
        "ordered_human_fields": [
            {"title": "Vorname", "name": "vorname", "value": "Hana"},
            {"title": "Name", "name": "name", "value": "Novotná"},
            {"title": "Email", "name": "email", "value": "hana@example.net"},
        ],
        "site_url": "https://www.example.com",
        "form_id": "66f1",
        "form_name": "newsletter",
    },
    {"email": "hana@example.net", "mobile_phone_number": "+420601123456", "full_name": "Hana Novotná"},
    "66f2d0a1b2c3",
)
_netlify(
    "a deploy notification is no sign-up",
    {"site_id": "fa4d", "state": "ready", "name": "www-example", "url": "https://www.example.com"},
    None,
    "5ebc34bf",
)


def _formspree(name: str, submission: dict[str, Any], expect: dict[str, str], age: int = 20) -> None:
    secret = "fs_sig_1c2d"
    body = _json({"form": "mqkvoppl", "submission": {"_date": "2026-09-20T14:30:00+00:00", **submission}})
    CASES.append(
        Case(
            preset="formspree",
            name=name,
            body=body,
            secret=secret,
            expect=expect,
            stamped=lambda now: {"Formspree-Signature": pairs(secret, body, now - age)},
        )
    )


_formspree(
    "the form's own names",
    {
        "name": "Mateus Brandão",
        "email": "mateus@example.org",
        "celular": "+55 11 91234-5678",
        "message": "Olá",
    },
    {"email": "mateus@example.org", "mobile_phone_number": "+5511912345678", "full_name": "Mateus Brandão"},
)
_formspree(
    "only a reply-to",
    {"_replyto": "wren@example.com", "nom": "Wren Galloway"},
    {"email": "wren@example.com", "full_name": "Wren Galloway"},
    299,
)


def _formstack(
    name: str, body: bytes, expect: dict[str, str], event_id: str, content_type: str = FORM
) -> None:
    secret = "hmac key 9"
    CASES.append(
        Case(
            preset="formstack",
            name=name,
            content_type=content_type,
            body=body,
            secret=secret,
            headers={"X-FS-Signature": "sha256=" + hex_mac(secret, body)},
            expect=expect,
            event_id=event_id,
        )
    )


_formstack(
    "urlencoded, as it is by default",
    _form(
        {
            "FormID": "6606399",
            "UniqueID": "1500879001",
            "Full Name": "Philippa Stokoe",
            "Email": "philippa@example.org",
            "Phone Number": "+44 7700 900 456",
            "Company Name": "Stokoe & Daughters",
        }
    ),
    {"email": "philippa@example.org", "mobile_phone_number": "+447700900456", "full_name": "Philippa Stokoe"},
    "1500879001",
)
_formstack(
    "JSON, with a big number for an id and the parts of a name",
    _json(
        {
            "FormID": 6606399,
            "UniqueID": 1500879002,
            "Name (First)": "Amadou",
            "Name (Last)": "Sarr",
            "E-Mail": "amadou@example.net",
        }
    ),
    {"email": "amadou@example.net", "full_name": "Amadou Sarr"},
    "1500879002",
    JSON,
)


def _paperform(
    name: str, data: list[dict[str, Any]], expect: dict[str, str] | None, submission: str | None
) -> None:
    CASES.append(
        Case(
            preset="paperform",
            name=name,
            query="token=pf-token",
            secret="pf-token",
            expect=expect,
            event_id=submission,
            body=_json(
                {
                    "data": data,
                    "form_id": "6924bccaef65",
                    "slug": "q59lu",
                    "submission_id": submission,
                    "created_at": "2026-09-20 15:00:00",
                    "ip_address": "203.0.113.21",
                    "charge": None,
                    "team_id": 505,
                    **({"trigger": "submission"} if submission else {}),
                }
            ),
        )
    )


_paperform(
    "types, and names by title",
    [
        {
            "title": "First name",
            "description": None,
            "type": "text",
            "key": "a1",
            "custom_key": None,
            "value": "Inés",
        },
        {
            "title": "Apellidos",
            "description": None,
            "type": "text",
            "key": "a2",
            "custom_key": None,
            "value": "Garrido Paz",
        },
        {
            "title": "Contact",
            "description": None,
            "type": "email",
            "key": "a3",
            "custom_key": "contact",
            "value": "ines@example.org",
        },
        {
            "title": "Número",
            "description": None,
            "type": "phone",
            "key": "a4",
            "custom_key": None,
            "value": "+34 612 345 678",
        },
        {
            "title": "Company name",
            "description": None,
            "type": "text",
            "key": "a5",
            "custom_key": None,
            "value": "Paz SL",
        },
    ],
    {"email": "ines@example.org", "mobile_phone_number": "+34612345678", "full_name": "Inés Garrido Paz"},
    "6924ca9a37b747c7b8020001",
)
_paperform(
    "a partial submission is no sign-up",
    [{"title": "Email", "type": "email", "key": "a3", "custom_key": None, "value": "almost@example.com"}],
    None,
    None,
)


def _fillout(
    name: str, questions: list[dict[str, Any]], expect: dict[str, str], submission: str, **more: Any
) -> None:
    CASES.append(
        Case(
            preset="fillout",
            name=name,
            query="token=fo-token",
            secret="fo-token",
            expect=expect,
            event_id=submission,
            body=_json(
                {
                    "formId": "m5q5df45apus",
                    "formName": "Early access",
                    "submission": {
                        "submissionId": submission,
                        "submissionTime": "2026-09-20T15:20:05.324Z",
                        "lastUpdatedAt": "2026-09-20T15:20:05.324Z",
                        "questions": questions,
                        "calculations": [],
                        "urlParameters": [],
                        "quiz": {},
                        **more,
                    },
                }
            ),
        )
    )


_fillout(
    "types, and a name asked for in a sentence",
    [
        {"id": "q1", "name": "What's your name?", "type": "ShortAnswer", "value": "Timoteo Ruggieri"},
        {"id": "q2", "name": "Where do we send it?", "type": "EmailInput", "value": "timoteo@example.org"},
        {"id": "q3", "name": "In a hurry?", "type": "PhoneNumber", "value": "+39 312 345 6789"},
        {"id": "q4", "name": "Email", "type": "Checkbox", "value": True},
    ],
    {
        "email": "timoteo@example.org",
        "mobile_phone_number": "+393123456789",
        "full_name": "Timoteo Ruggieri",
    },
    "fo-0001",
)
_fillout(
    "contact only in a booking",
    [{"id": "q1", "name": "Topic", "type": "LongAnswer", "value": "Pricing"}],
    {"email": "ngozi@example.net", "full_name": "Ngozi Adeyemi"},
    "fo-0002",
    scheduling=[
        {"id": "s1", "name": "30 min", "value": {"fullName": "Ngozi Adeyemi", "email": "ngozi@example.net"}}
    ],
)


def _clickfunnels(
    name: str, data: dict[str, Any], expect: dict[str, str] | None, event: str, event_id: str
) -> None:
    secret = "839d0d645bedefbaf76e3269d1b1141e"
    body = _json(
        {
            "data": {"id": 42, "public_id": "rKVqwU", "workspace_id": 42, "tags": [], **data},
            "event_id": event_id,
            "created_at": "2026-09-20T16:00:00.940Z",
            "event_type": event,
            "subject_id": 1234567,
            "subject_type": "Contact",
        }
    )

    def sign(now: float) -> dict[str, str]:
        stamp = str(int(now) - 599)
        mac = hex_mac(secret, stamp.encode() + b"." + body)
        return {"X-Webhook-ClickFunnels-Timestamp": stamp, "X-Webhook-ClickFunnels-Signature": mac}

    CASES.append(
        Case(
            preset="clickfunnels",
            name=name,
            body=body,
            secret=secret,
            expect=expect,
            event_id=event_id,
            stamped=sign,
        )
    )


_LEAD = {
    "email_address": "roland.keats@example.com",
    "first_name": "Roland",
    "last_name": "Keats",
    "phone_number": "+1 312-555-0117 x3310",
}
_clickfunnels(
    "a contact becomes known; the extension is dropped",
    _LEAD,
    {"email": "roland.keats@example.com", "mobile_phone_number": "+13125550117", "full_name": "Roland Keats"},
    "contact.identified",
    "61a4c32b-2bdf-4087-a137-00fe36534c01",
)
_clickfunnels(
    "a visitor nobody knows yet is no sign-up",
    {**_LEAD, "email_address": None, "phone_number": None},
    None,
    "contact.created",
    "61a4c32b-02",
)
_clickfunnels("an update is no sign-up", _LEAD, None, "contact.updated", "61a4c32b-03")


def _kajabi(
    name: str, event: str, attributes: dict[str, Any], expect: dict[str, str] | None, event_id: str
) -> None:
    relations = {"site": {"data": {"id": "2", "type": "sites"}}}
    CASES.append(
        Case(
            preset="kajabi",
            name=name,
            query="token=kj-token",
            secret="kj-token",
            expect=expect,
            event_id=event_id,
            body=_json(
                {
                    "id": "hash_77f0",
                    "event": event,
                    "payload": [
                        {
                            "id": "31",
                            "type": "forms",
                            "attributes": {"title": "Free class", "default": False},
                        },
                        {
                            "id": event_id,
                            "type": "form_submissions",
                            "attributes": attributes,
                            "relationships": relations,
                        },
                    ],
                }
            ),
        )
    )


_SUBMITTED = {
    "name": "Fenella Cray",
    "email": "fenella@example.org",
    "phone_number": "+61 3 5550 1234",
    "business_number": None,
    "mobile_phone_number": "+61 491 570 156",
    "address_city": None,
}
_kajabi(
    "a form submission, not the first resource; the mobile number first",
    "form_submission",
    _SUBMITTED,
    {"email": "fenella@example.org", "mobile_phone_number": "+61491570156", "full_name": "Fenella Cray"},
    "9001",
)
_kajabi("a tag taken away is no sign-up", "tag_removed", _SUBMITTED, None, "9002")


# --- bookings, CRM, newsletters -------------------------------------------------------------------------


def _calendly(
    name: str,
    event: str,
    payload: dict[str, Any],
    expect: dict[str, str] | None,
    invitee: str,
    age: int = 0,
) -> None:
    secret = "calendly signing key"
    uri = f"https://api.calendly.com/scheduled_events/EV01/invitees/{invitee}"
    body = _json(
        {
            "created_at": "2026-09-20T17:00:00.000000Z",
            "created_by": "https://api.calendly.com/users/U01",
            "event": event,
            "payload": {
                "uri": uri,
                "status": "active",
                "timezone": "Europe/Dublin",
                "new_invitee": None,
                "old_invitee": None,
                "questions_and_answers": [],
                "text_reminder_number": None,
                "rescheduled": False,
                **payload,
            },
        }
    )
    CASES.append(
        Case(
            preset="calendly",
            name=name,
            body=body,
            secret=secret,
            expect=expect,
            event_id=uri,
            stamped=lambda now: {"Calendly-Webhook-Signature": pairs(secret, body, now - age)},
        )
    )


_calendly(
    "a booking with a number for reminders",
    "invitee.created",
    {"email": "deirdre@example.org", "name": "Deirdre Quill", "text_reminder_number": "+353 20 914 9002"},
    {"email": "deirdre@example.org", "mobile_phone_number": "+353209149002", "full_name": "Deirdre Quill"},
    "INV01",
    150,
)
_calendly(
    "name in two parts, the phone among the questions",
    "invitee.created",
    {
        "email": "emeka@example.com",
        "name": None,
        "first_name": "Emeka",
        "last_name": "Obi",
        "questions_and_answers": [
            {"question": "Company name", "answer": "Obi & Sons", "position": 0},
            {"question": "Phone Number", "answer": "+44 7700 900789", "position": 1},
        ],
    },
    {"email": "emeka@example.com", "mobile_phone_number": "+447700900789", "full_name": "Emeka Obi"},
    "INV02",
)
_calendly(
    "a cancellation is no sign-up",
    "invitee.canceled",
    {"email": "deirdre@example.org", "name": "Deirdre Quill"},
    None,
    "INV01",
)
_calendly(
    "a moved appointment is no new sign-up",
    "invitee.created",
    {
        "email": "deirdre@example.org",
        "name": "Deirdre Quill",
        "old_invitee": "https://api.calendly.com/x/INV01",
    },
    None,
    "INV03",
)


def _hubspot(name: str, body: dict[str, Any], expect: dict[str, str], event_id: str) -> None:
    secret = "6f1e2d3c-hubspot-client-secret"
    raw = _json(body)

    def sign(now: float) -> dict[str, str]:
        stamp = str(int(now * 1000) + 4000)
        signed = b"POST" + address("hubspot").encode() + raw + stamp.encode()
        mac = base64_mac(secret.encode(), signed)
        return {"X-HubSpot-Request-Timestamp": stamp, "X-HubSpot-Signature-v3": mac}

    CASES.append(
        Case(
            preset="hubspot",
            name=name,
            body=raw,
            secret=secret,
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
            body=_form(
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


# --- payments, support ----------------------------------------------------------------------------------


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


def _paddle(name: str, kind: str, expect: dict[str, str] | None, event_id: str) -> None:
    secret = "pdl_ntfset_01test_secret+/"
    body = _json(
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


def _intercom(
    name: str, topic: str, item: dict[str, Any], expect: dict[str, str] | None, event_id: str
) -> None:
    secret = "intercom-client-secret"
    body = _json(
        {
            "type": "notification_event",
            "app_id": "a86dr8yl",
            "id": event_id,
            "topic": topic,
            "data": {"type": "notification_event_data", "item": item},
            "delivery_attempts": 1,
            "created_at": int(NOW),
        }
    )
    CASES.append(
        Case(
            preset="intercom",
            name=name,
            body=body,
            secret=secret,
            expect=expect,
            event_id=event_id,
            headers={"X-Hub-Signature": "sha1=" + hex_mac(secret, body, hashlib.sha1)},
        )
    )


_USER = {
    "type": "contact",
    "id": "530370b4",
    "role": "user",
    "email": "aurelio@example.org",
    "name": "Aurelio Tan",
    "phone": "+65 8123 4567",
}
_intercom(
    "a new user",
    "contact.user.created",
    _USER,
    {"email": "aurelio@example.org", "mobile_phone_number": "+6581234567", "full_name": "Aurelio Tan"},
    "notif_0001",
)
_intercom(
    "a visitor without a contact is no sign-up",
    "contact.lead.created",
    {**_USER, "role": "lead", "email": None, "phone": None},
    None,
    "notif_0002",
)
_intercom("a ping", "ping", {"type": "ping", "message": "something something interzen"}, None, "notif_0003")


# --- whatever the owner maps ------------------------------------------------------------------------------

CASES += [
    Case(
        preset="wix",
        name="an automation, everything within data",
        query="token=wx-token",
        secret="wx-token",
        body=_json(
            {
                "data": {
                    "formName": "Bookings",
                    "submissionId": "3bb431c8-668a-4fe3-b707-87bd6ed44001",
                    "contactId": "f36ba948-7c7e-42e6-8e10-be564698369a",
                    "contact": {
                        "name": {"first": "Marit", "last": "Enger"},
                        "email": "old@example.com",
                        "phone": "",
                        "locale": "no",
                    },
                    "submissions": [
                        {"label": "First name", "value": "Marit"},
                        {"label": "Last name", "value": "Enger"},
                        {"label": "Email", "value": "marit@example.org"},
                        {"label": "Phone", "value": "+47 412 34 567"},
                        {"label": "Company name", "value": "Enger AS"},
                    ],
                    "field:first_name_abae": "Marit",
                    "field:email_5139": "marit@example.org",
                }
            }
        ),
        expect={
            "email": "marit@example.org",
            "mobile_phone_number": "+4741234567",
            "full_name": "Marit Enger",
        },
        event_id="3bb431c8-668a-4fe3-b707-87bd6ed44001",
    ),
    Case(
        preset="wix",
        name="no list of answers, and no data around it",
        secret="wx-token",
        headers={"Authorization": "Bearer wx-token"},
        body=_json(
            {
                "submissionId": "3bb431c8-668a-4fe3-b707-87bd6ed44002",
                "contact": {
                    "name": {"first": "Basil", "last": None},
                    "email": "basil@example.net",
                    "phone": "+30 691 234 5678",
                },
                "field:number_of_people": 4,
            }
        ),
        expect={"email": "basil@example.net", "mobile_phone_number": "+306912345678", "full_name": "Basil"},
        event_id="3bb431c8-668a-4fe3-b707-87bd6ed44002",
    ),
    Case(
        preset="zapier",
        name="usual names as JSON",
        secret="zp-token",
        headers={"Authorization": "Bearer zp-token"},
        body=_json(
            {
                "id": "row-1",
                "Email Address": "odalys@example.com",
                "Phone": "+53 5 1234567",
                "First Name": "Odalys",
                "Last Name": "Peña",
            }
        ),
        expect={
            "email": "odalys@example.com",
            "mobile_phone_number": "+5351234567",
            "full_name": "Odalys Peña",
        },
        event_id="row-1",
    ),
    Case(
        preset="zapier",
        name="as a form, nested, one name",
        content_type=FORM,
        secret="zp-token",
        query="token=zp-token",
        body=_form(
            {
                "contact[email]": "petrus@example.org",
                "contact[name]": "Petrus Nel",
                "contact[mobile]": "+27 71 234 5678",
            }
        ),
        expect={
            "email": "petrus@example.org",
            "mobile_phone_number": "+27712345678",
            "full_name": "Petrus Nel",
        },
    ),
    Case(
        preset="make",
        name="usual names as JSON",
        secret="mk-token",
        headers={"Authorization": "Bearer mk-token"},
        body=_json(
            {
                "id": 88213,
                "email": "agnieszka@example.net",
                "phone": 48512345678,
                "first_name": "Agnieszka",
                "last_name": "Lis",
                "company name": "Lis",
            }
        ),
        expect={
            "email": "agnieszka@example.net",
            "mobile_phone_number": "+48512345678",
            "full_name": "Agnieszka Lis",
        },
        event_id="88213",
    ),
    Case(
        preset="google-forms",
        name="the script of the preset",
        secret="gf-token",
        headers={"Authorization": "Bearer gf-token"},
        body=_json(
            {
                "id": "2_ABaOnud1",
                "email": "",
                "answers": [
                    {"label": "Nombre y apellidos", "value": "Nicanor Ferrer"},
                    {"label": "Correo electrónico", "value": "nicanor@example.org"},
                    {"label": "Teléfono móvil", "value": "+34 655 123 456"},
                    {"label": "Nombre de la empresa", "value": "Ferrer SL"},
                    {"label": "Interests", "value": ["A", "B"]},
                ],
            }
        ),
        expect={
            "email": "nicanor@example.org",
            "mobile_phone_number": "+34655123456",
            "full_name": "Nicanor Ferrer",
        },
        event_id="2_ABaOnud1",
    ),
    Case(
        preset="google-forms",
        name="a script in the form's sheet: lists by title",
        secret="gf-token",
        query="token=gf-token",
        body=_json(
            {
                "namedValues": {
                    "Timestamp": ["20/09/2026 19:00:00"],
                    "Email Address": ["ffion@example.com"],
                    "First name": ["Ffion"],
                    "Surname": ["Prydderch "],
                    "Phone number": [""],
                }
            }
        ),
        expect={"email": "ffion@example.com", "full_name": "Ffion Prydderch"},
    ),
]


def _standard(name: str, body: dict[str, Any], expect: dict[str, str], message: str) -> None:
    key = b"twenty-four bytes of key"
    secret = "whsec_" + base64.b64encode(key).decode()
    raw = _json(body)

    def sign(now: float) -> dict[str, str]:
        stamp = str(int(now) + 200)
        mac = base64_mac(key, f"{message}.{stamp}.".encode() + raw)
        signatures = f"v1a,{base64_mac(b'other', raw)} v1,{base64_mac(b'old', raw)} v1,{mac}"
        return {"webhook-timestamp": stamp, "webhook-signature": signatures}

    CASES.append(
        Case(
            preset="standard-webhooks",
            name=name,
            body=raw,
            secret=secret,
            expect=expect,
            event_id=message,
            headers={"webhook-id": message},
            stamped=sign,
        )
    )


_standard(
    "a contact within data, an asymmetric signature beside",
    {
        "type": "contact.created",
        "timestamp": "2026-09-20T19:10:00Z",
        "data": {
            "email": "ludovica@example.net",
            "first_name": "Ludovica",
            "last_name": "Bassi",
            "phone": "+39 320 123 4567",
            "company_name": "Bassi",
        },
    },
    {"email": "ludovica@example.net", "mobile_phone_number": "+393201234567", "full_name": "Ludovica Bassi"},
    "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
)
_standard(
    "everything at the top, beside the name of the event",
    {"name": "lead.created", "full_name": "Osei Boateng", "email": "osei@example.com"},
    {"email": "osei@example.com", "full_name": "Osei Boateng"},
    "msg_2KWPBgLlAfxdpx2AI54pPJ85f4X",
)


def _github(
    name: str,
    body: dict[str, Any],
    expect: dict[str, str] | None,
    event: str,
    delivery: str,
    as_form: bool = False,
) -> None:
    secret = "It's nobody's secret"
    raw = _form({"payload": json.dumps(body)}) if as_form else _json(body)
    CASES.append(
        Case(
            preset="github",
            name=name,
            body=raw,
            content_type=FORM if as_form else JSON,
            secret=secret,
            expect=expect,
            event_id=delivery,
            headers={
                "X-GitHub-Event": event,
                "X-GitHub-Delivery": delivery,
                "X-Hub-Signature-256": "sha256=" + hex_mac(secret, raw),
            },
        )
    )


_DISPATCH = {
    "action": "sign-up",
    "client_payload": {"email": "ryo@example.org", "name": "Ryo Tachibana", "phone": "+81 90-1234-5678"},
    "repository": {"id": 35129377, "name": "www", "owner": {"email": "owner@example.com"}},
    "sender": {"login": "octo", "id": 1},
}
_RYO = {"email": "ryo@example.org", "mobile_phone_number": "+819012345678", "full_name": "Ryo Tachibana"}
_github(
    "a sign-up dispatched to a repository",
    _DISPATCH,
    _RYO,
    "repository_dispatch",
    "72d3162e-cc78-11e3-81ab-4c9367dc0951",
)
_github(
    "the same as a form", _DISPATCH, _RYO, "repository_dispatch", "72d3162e-cc78-11e3-81ab-4c9367dc0952", True
)
_github(
    "a push signs nobody up",
    {
        "ref": "refs/heads/main",
        "pusher": {"name": "octo", "email": "octo@example.com"},
        "sender": {"login": "octo"},
    },
    None,
    "push",
    "72d3162e-cc78-11e3-81ab-4c9367dc0953",
)
_github(
    "a ping",
    {"zen": "Keep it logically awesome.", "hook_id": 1},
    None,
    "ping",
    "72d3162e-cc78-11e3-81ab-4c9367dc0954",
)


# --- signatures others made -----------------------------------------------------------------------------

_STANDARD = {
    "scheme": "hmac-sha256",
    "header": "webhook-signature",
    "prefix": "v1,",
    "separator": " ",
    "encoding": "base64",
    "signed": "{id}.{timestamp}.{body}",
    "id_header": "webhook-id",
    "timestamp_header": "webhook-timestamp",
    "tolerance": 300,
    "secret_encoding": "whsec",
}
_SVIX = {
    **_STANDARD,
    "header": "svix-signature",
    "id_header": "svix-id",
    "timestamp_header": "svix-timestamp",
}
_HUB = {"scheme": "hmac-sha256", "header": "X-Hub-Signature-256", "prefix": "sha256=", "encoding": "hex"}

_STRIPE_EVENT = b"""{
  "id": "evt_123",
  "object": "event",
  "account": "acct_123",
  "api_version": "2017-05-25",
  "created": 1533204620,
  "data": {
    "object": {
      "id": "cus_123",
      "object": "customer",
      "created": 123456789,
      "email": "test@stripe.com",
      "livemode": false,
      "metadata": {}
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {
    "id": "req_123",
    "idempotency_key": "idempotency-key-123"
  },
  "type": "customer.created"
}
"""

_SLACK_COMMAND = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554"
    b"%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)

VECTORS = [
    Vector(
        # The specification's reference library, test_sign_function; also in Svix's documentation.
        "github.com/standard-webhooks/standard-webhooks libraries/python/tests/test_webhooks.py",
        _STANDARD,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        b'{"test": 2432232314}',
        now=1614265330,
    ),
    Vector(
        # The same, with the wrong signatures of test_multi_sig_payload_is_valid round it.
        "github.com/standard-webhooks/standard-webhooks libraries/python/tests/test_webhooks.py",
        _STANDARD,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= "
            "v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= "
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= "
            "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=",
        },
        b'{"test": 2432232314}',
        now=1614265330 + 299,
    ),
    Vector(
        # The example of Svix's "Verifying webhooks manually", under Svix's own header names.
        "docs.svix.com/receiving/verifying-payloads/how-manual",
        _SVIX,
        "whsec_plJ3nmyCDGBKInavdOK15jsl",
        {
            "svix-id": "msg_loFOjxBNrRLzqYUf",
            "svix-timestamp": "1731705121",
            "svix-signature": "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
        },
        b'{"event_type":"ping","data":{"success":true}}',
        now=1731705121,
    ),
    Vector(
        # "Testing the webhook payload validation" of GitHub's documentation.
        "docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
        _HUB,
        "It's a Secret to Everybody",
        {"X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
        b"Hello, World!",
    ),
    Vector(
        # The worked example of Slack's documentation.
        "docs.slack.dev/authentication/verifying-requests-from-slack",
        {
            "scheme": "hmac-sha256",
            "header": "X-Slack-Signature",
            "prefix": "v0=",
            "encoding": "hex",
            "signed": "v0:{timestamp}:{body}",
            "timestamp_header": "X-Slack-Request-Timestamp",
            "tolerance": 300,
        },
        "8f742231b10e8888abcd99yyyzzz85a5",
        {
            "X-Slack-Request-Timestamp": "1531420618",
            "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        },
        _SLACK_COMMAND,
        now=1531420618 + 60,
    ),
    Vector(
        # EventUtilityTest.cs and its resource event_test_signature.json; v0 is not to be trusted.
        "github.com/stripe/stripe-dotnet src/StripeTests/Services/Events/EventUtilityTest.cs",
        {
            "scheme": "hmac-sha256",
            "header": "Stripe-Signature",
            "pairs": ",",
            "timestamp_key": "t",
            "signature_key": "v1",
            "encoding": "hex",
            "signed": "{timestamp}.{body}",
            "tolerance": 300,
        },
        "webhook_secret",
        {
            "Stripe-Signature": "t=1533204620,"
            "v1=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7,"
            "v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"
        },
        _STRIPE_EVENT,
        now=1533204620 + 100,
    ),
    Vector(
        # test_validate_paddle_signature_header_integrity: a wrong signature stands before the right one.
        "github.com/PaddleHQ/paddle-python-sdk tests/Unit/Notification/test_Verifier.py",
        {
            "scheme": "hmac-sha256",
            "header": "Paddle-Signature",
            "pairs": ";",
            "timestamp_key": "ts",
            "signature_key": "h1",
            "encoding": "hex",
            "signed": "{timestamp}:{body}",
            "tolerance": 5,
        },
        "pdl_ntf_01hbpjmytsa32fhr36nqgc3kgb_WvRO0eL4Bj9rgYYIBZY6wZhG4EHy9jzh",
        {
            "Paddle-Signature": "ts=1696195954;h1=dummy;"
            "h1=d96299976a6eb066f484d7fde011ac56fc32b38fc9940bc419d6e537fdc6ef02"
        },
        b"hello-world",
        now=1696195954 + 5,
    ),
    Vector(
        # test_get_signature__v3; the timestamp is in milliseconds.
        "github.com/HubSpot/hubspot-api-python tests/spec/utils/test_signature.py",
        {
            "scheme": "hmac-sha256",
            "header": "X-HubSpot-Signature-v3",
            "encoding": "base64",
            "signed": "{method}{url}{body}{timestamp}",
            "timestamp_header": "X-HubSpot-Request-Timestamp",
            "timestamp_unit": "ms",
            "tolerance": 300,
        },
        "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy",
        {
            "X-HubSpot-Request-Timestamp": "15000000",
            "X-HubSpot-Signature-v3": "HPW73RUtKmcYoEDADG0s6MmGFWUzWJKAW07r8RDgcQw=",
        },
        b"{'example_field':'example_value'}",
        url="https://www.example.com/webhook_uri",
        now=15000,
    ),
    Vector(
        # TestVerifyWebhookRequest: its client sends the message as JSON, so with the quotes.
        "github.com/bold-commerce/go-shopify oauth_test.go",
        {"scheme": "hmac-sha256", "header": "X-Shopify-Hmac-Sha256", "encoding": "base64"},
        "hush",
        {"X-Shopify-Hmac-Sha256": "hMTq0K2x7oyOjoBwGYeTj5oxfnaVYXzbanUG9aajpKI="},
        b'"my secret message"',
    ),
    Vector(
        # A real delivery of 2026-09-25, written down with its key.
        "github.com/hookdeck/webhook-skills skills/formstack-webhooks/references/verification.md",
        {"scheme": "hmac-sha256", "header": "X-FS-Signature", "prefix": "sha256=", "encoding": "hex"},
        "test1",
        {"X-FS-Signature": "sha256=30dff7f180b6d69eab397a5d51719474df490b730514c253e8b5832d3b51b970"},
        b"FormID=6606394&UniqueID=1500878955&HandshakeKey=test",
    ),
    Vector(
        # No sender of SHA-1 publishes a signature with its key, so the standard's own (test case 2).
        "RFC 2202, section 3",
        {"scheme": "hmac-sha1", "header": "X-Hub-Signature", "prefix": "sha1=", "encoding": "hex"},
        "Jefe",
        {"X-Hub-Signature": "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
        b"what do ya want for nothing?",
    ),
    Vector(
        # Test case 2, as for SHA-1.
        "RFC 4231, section 4.3",
        {"scheme": "hmac-sha512", "header": "X-Signature", "encoding": "hex"},
        "Jefe",
        {
            "X-Signature": "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549"
            "758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
        },
        b"what do ya want for nothing?",
    ),
]

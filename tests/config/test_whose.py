"""Whose contact it is: a friend's or an owner's is never signed up."""

import json
from pathlib import Path
from typing import Any

import pytest

from relay.sources.source import Source
from relay.sources.whose import names_another
from tests.config.senders import OWN, OWN_PHONE, every_preset, profile

FRIEND = "freddy@example.net"
BRITISH = "+447700900123"
FRIENDS_PHONE = "+4915187654321"


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    return every_preset(tmp_path_factory.mktemp("german"), region="DE")


# --- how each sender lists its fields ---------------------------------------------------------------------


def typeform(*fields: tuple[str, str, Any]) -> dict[str, Any]:
    """Every question is defined; one that was left empty has no answer."""
    kinds = {"email": "email", "phone": "phone_number", "text": "text"}
    listed = [{"id": str(at), "title": title} for at, (title, _, _) in enumerate(fields)]
    answers = [
        {"type": kinds[kind], kinds[kind]: value, "field": {"id": str(at)}}
        for at, (_, kind, value) in enumerate(fields)
        if value
    ]
    return {"form_response": {"definition": {"fields": listed}, "answers": answers}}


def tally(*fields: tuple[str, str, Any]) -> dict[str, Any]:
    kinds = {"email": "INPUT_EMAIL", "phone": "INPUT_PHONE_NUMBER", "text": "INPUT_TEXT"}
    listed = [
        {"key": f"q{at}", "label": label, "type": kinds[kind], "value": value}
        for at, (label, kind, value) in enumerate(fields)
    ]
    return {"data": {"fields": listed}}


def elementor(*fields: tuple[str, str, Any]) -> dict[str, Any]:
    kinds = {"email": "email", "phone": "tel", "text": "text"}
    return {
        "fields": {
            f"f{at}": {"id": f"f{at}", "title": title, "type": kinds[kind], "value": value}
            for at, (title, kind, value) in enumerate(fields)
        }
    }


def fillout(*fields: tuple[str, str, Any]) -> dict[str, Any]:
    kinds = {"email": "EmailInput", "phone": "PhoneNumber", "text": "ShortAnswer"}
    return {
        "submission": {
            "questions": [
                {"id": f"q{at}", "name": name, "type": kinds[kind], "value": value}
                for at, (name, kind, value) in enumerate(fields)
            ]
        }
    }


def paperform(*fields: tuple[str, str, Any]) -> dict[str, Any]:
    return {
        "data": [
            {"title": title, "type": kind, "key": f"k{at}", "value": value}
            for at, (title, kind, value) in enumerate(fields)
        ]
    }


def jotform(*fields: tuple[str, str, Any]) -> dict[str, Any]:
    whole = {
        f"q{at}_{label}": {"full": value} if kind == "phone" else value
        for at, (label, kind, value) in enumerate(fields)
    }
    return {"rawRequest": json.dumps(whole), "username": "owner@example.com"}


def plain(*fields: tuple[str, str, Any]) -> dict[str, Any]:
    return {label: value for label, _, value in fields}


SHAPES = {
    "typeform": typeform,
    "tally": tally,
    "elementor": elementor,
    "fillout": fillout,
    "paperform": paperform,
    "jotform": jotform,
    "contact-form-7": plain,
    "framer": plain,
    "formstack": plain,
}
by_kind = pytest.mark.parametrize("preset", [name for name, shape in SHAPES.items() if shape is not plain])
every_shape = pytest.mark.parametrize("preset", SHAPES)


@every_shape
@pytest.mark.parametrize(
    "friends", ["Friend's email", "friendEmail", "Partner e-mail", "E-Mail der Freundin"]
)
def test_who_left_the_own_address_empty_is_not_given_another_persons(
    sources: dict[str, Source], preset: str, friends: str
) -> None:
    body = SHAPES[preset](("email", "email", ""), (friends, "email", FRIEND), ("phone", "phone", OWN_PHONE))
    assert profile(sources[preset], body) == {"mobile_phone_number": OWN_PHONE}


@by_kind
def test_a_question_left_empty_stays_empty_whatever_the_other_is_called(
    sources: dict[str, Source], preset: str
) -> None:
    """Typeform sends no answer at all for it: it stands among the questions only."""
    email, phone = "Who comes along? Address", "Where to ring there"
    body = SHAPES[preset](("email", "email", ""), (email, "email", FRIEND), ("phone", "phone", OWN_PHONE))
    assert profile(sources[preset], body) == {"mobile_phone_number": OWN_PHONE}
    body = SHAPES[preset](("phone", "phone", ""), (phone, "phone", FRIENDS_PHONE), ("email", "email", OWN))
    assert profile(sources[preset], body) == {"email": OWN}


@every_shape
@pytest.mark.parametrize("theirs", ["Emergency phone", "emergencyContact", "Telefon der Kollegin"])
def test_who_left_the_own_number_empty_is_not_given_another_persons(
    sources: dict[str, Source], preset: str, theirs: str
) -> None:
    for blank in ("", None, "+49"):
        body = SHAPES[preset](
            ("phone", "phone", blank), (theirs, "phone", FRIENDS_PHONE), ("email", "email", OWN)
        )
        assert profile(sources[preset], body) == {"email": OWN}


@every_shape
def test_another_persons_address_is_never_the_only_one(sources: dict[str, Source], preset: str) -> None:
    body = SHAPES[preset](
        ("recipient", "email", FRIEND), ("friendPhone", "phone", FRIENDS_PHONE), ("city", "text", "Ulm")
    )
    assert profile(sources[preset], body) == {}


@by_kind
def test_a_field_that_nothing_names_is_found_beside_another_persons(
    sources: dict[str, Source], preset: str
) -> None:
    body = SHAPES[preset](
        ("friendEmail", "email", FRIEND),
        ("where", "email", OWN),
        ("emergencyContact", "phone", FRIENDS_PHONE),
        ("reach", "phone", OWN_PHONE),
    )
    assert profile(sources[preset], body) == {"email": OWN, "mobile_phone_number": OWN_PHONE}


@every_shape
@pytest.mark.parametrize(
    "theirs",
    [
        *("Your agent's email", "listing-agent", "Agent", "realtor", "sales_rep_email"),
        *("Makler E-Mail", "Votre conseiller", "Who do you nominate?", "ref", "affiliate_email"),
        *("_cc", "bcc", "send_to", "to-email", "Copy to:", "notification_email"),
        *("Physician's contact", "Hausarzt", "landlord_email", "sales_email", "_post_author_email"),
        *("your-department", "Abteilung", "sendto", "Subject", "menu-branch"),
        *("Your roommate's e-mail", "Plus one", "Guest 2", "attendee3", "Begleitperson"),
    ],
)
def test_who_looks_after_the_visitor_or_gets_a_copy_is_nobody_who_signed_up(
    sources: dict[str, Source], preset: str, theirs: str
) -> None:
    body = SHAPES[preset]((theirs, "email", FRIEND), ("phone", "phone", OWN_PHONE))
    assert profile(sources[preset], body) == {"mobile_phone_number": OWN_PHONE}


def test_what_a_page_adds_of_others_is_nobody_who_signed_up(sources: dict[str, Source]) -> None:
    whole = typeform(("Phone", "phone", OWN_PHONE))
    whole["form_response"]["hidden"] = {"agent_email": FRIEND}
    assert profile(sources["typeform"], whole) == {"mobile_phone_number": OWN_PHONE}
    whole = fillout(("Phone", "phone", OWN_PHONE))
    whole["submission"]["urlParameters"] = [{"id": "agent", "name": "agent", "value": FRIEND}]
    assert profile(sources["fillout"], whole) == {"mobile_phone_number": OWN_PHONE}


def test_two_fields_of_one_title_and_different_addresses_are_nobodys(sources: dict[str, Source]) -> None:
    body = typeform(("Email", "email", FRIEND), ("Email", "email", OWN), ("Phone", "phone", OWN_PHONE))
    assert profile(sources["typeform"], body) == {"mobile_phone_number": OWN_PHONE}
    numbered = {"payload": {"data": {"Email 2": FRIEND, "Email 3": OWN, "Phone": OWN_PHONE}}}
    assert profile(sources["webflow"], numbered) == {"mobile_phone_number": OWN_PHONE}
    same = typeform(("Email", "email", OWN), ("Email", "email", OWN), ("Email", "email", ""))
    assert profile(sources["typeform"], same) == {"email": OWN}


@pytest.mark.parametrize(
    "boxes",
    [
        {"Handy": "ja"},
        {"Mobile": "yes"},
        {"Mobile": "on"},
        {"Portable": "oui"},
        {"Mobile": "iPhone 15"},
        {"cell": 1},
    ],
)
def test_a_box_called_like_a_number_does_not_hide_it(sources: dict[str, Source], boxes: Any) -> None:
    for body in ({**boxes, "phone": OWN_PHONE}, {"phone": OWN_PHONE, **boxes}):
        assert profile(sources["contact-form-7"], body) == {"mobile_phone_number": OWN_PHONE}


# --- Jotform's telephones and names -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "own", "number"),
    [
        ({"country": "49", "phone": "1701111111"}, {"country": "44", "phone": "7700900123"}, BRITISH),
        ({"country": "+49", "area": "030", "phone": "123456"}, {"area": "202", "phone": "5550123"}, None),
        ({"full": "+491701111111"}, {"country": "1", "area": "202", "phone": "5550123"}, "+12025550123"),
        ({"country": "49", "phone": "3012345"}, {"country": "", "area": "202", "phone": "5550123"}, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("label", ["phoneNumber", "unusual"])
def test_a_number_is_read_with_its_own_country(
    sources: dict[str, Source], others: Any, own: Any, number: str | None, label: str
) -> None:
    whole = {"q1_email": OWN, "q2_emergencyContact": others, f"q3_{label}": own}
    found = profile(sources["jotform"], {"rawRequest": json.dumps(whole)})
    assert found == {"email": OWN, **({"mobile_phone_number": number} if number else {})}


def test_parts_are_read_where_the_whole_number_is_blank(sources: dict[str, Source]) -> None:
    for own in (
        {"full": "", "country": "49", "area": "151", "phone": "12345678"},
        {"full": "0151 12345678", "country": "DE"},
    ):
        whole = {"q1_email": OWN, "q5_phone": own}
        found = profile(sources["jotform"], {"rawRequest": json.dumps(whole)})
        assert found == {"email": OWN, "mobile_phone_number": OWN_PHONE}


def test_a_friends_name_is_not_the_visitors(sources: dict[str, Source]) -> None:
    friends, own = {"first": "Fred", "last": "Foe"}, {"first": "Ilse", "last": "Ohm"}
    for label, name in (("name", "Ilse Ohm"), ("whoAreYou", "Ilse Ohm")):
        whole = {"q1_email": OWN, "q2_friendsName": friends, f"q3_{label}": own}
        assert profile(sources["jotform"], {"rawRequest": json.dumps(whole)})["full_name"] == name
    whole = {"q1_email": OWN, "q2_friendsName": friends}
    assert "full_name" not in profile(sources["jotform"], {"rawRequest": json.dumps(whole)})


def test_what_a_program_says_of_its_own_users_is_nobody_who_signed_up(sources: dict[str, Source]) -> None:
    meta = {"__submission": {"user": {"email": "admin@example.com"}}, "email": "", "phone": OWN_PHONE}
    assert profile(sources["fluent-forms"], meta) == {"mobile_phone_number": OWN_PHONE}
    del meta["email"]
    assert profile(sources["fluent-forms"], meta) == {"mobile_phone_number": OWN_PHONE}


def customers(phone: str, country: str | None) -> dict[str, dict[str, Any]]:
    """A customer as each shop tells of one: the number, and the country of the address it belongs to."""
    stripes = {"email": OWN, "phone": phone, "address": {"country": country}}
    return {
        "woocommerce": {"id": 1, "email": OWN, "billing": {"phone": phone, "country": country}},
        "shopify": {"email": OWN, "default_address": {"phone": phone, "country_code": country}},
        "stripe": {"type": "customer.created", "data": {"object": stripes}},
        "hubspot": {
            "properties": {
                "email": {"value": OWN},
                "phone": {"value": phone},
                "hs_country_region_code": {"value": country},
            }
        },
    }


@pytest.mark.parametrize("shop", customers("", ""))
@pytest.mark.parametrize(
    ("phone", "country", "number"),
    [
        ("0664 1234567", "AT", "+436641234567"),
        ("+43 664 1234567", "DE", "+436641234567"),
        ("0151 12345678", None, OWN_PHONE),
        ("0151 12345678", "", OWN_PHONE),
        ("(202) 555-0143", "US", "+12025550143"),
        ("0151 12345678", "US", None),
    ],
)
def test_a_customers_number_is_one_of_the_country_of_its_address(
    german: dict[str, Source], shop: str, phone: str, country: str | None, number: str | None
) -> None:
    found = profile(german[shop], customers(phone, country)[shop])
    assert found == {"email": OWN, **({"mobile_phone_number": number} if number else {})}


VIENNA, PARIS = {"city": "Wien", "country": "Austria"}, {"city": "Paris", "country": "France"}
AUSTRIAN, GERMAN = "+436641234567", "+496641234567"


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({"q6_address": VIENNA}, AUSTRIAN),
        ({"q6_address": {"postal": "1010", "country": "Österreich"}, "q7_friendsAddress": PARIS}, AUSTRIAN),
        ({"q6_recipientAddress": PARIS}, GERMAN),
        ({"q6_address": VIENNA, "q7_billing": PARIS}, GERMAN),
        ({"q6_address": {"city": "Vaduz", "country": ""}}, GERMAN),
        ({"q6_address": {"city": "Strelsau", "country": "Ruritania"}}, None),
        ({"q6_address": {"city": "Kairo", "country": "Egypt"}}, "+206641234567"),
        ({"q6_address": {"city": "Accra", "country": "Ghana"}}, None),
        ({"q6_address": {"city": "Berlin", "country": "Please Select"}}, None),
        ({"q6_address": {"city": "Berlin", "country": ["Germany"]}}, GERMAN),
    ],
)
def test_jotforms_numbers_are_of_the_country_of_the_one_address(
    german: dict[str, Source], fields: dict[str, Any], number: str
) -> None:
    for phone in ({"full": "0664 1234567"}, "0664 1234567", {"area": "0664", "phone": "1234567"}):
        raw = json.dumps({"q1_email": OWN, "q2_phone": phone, **fields})
        sent = {"email": OWN, **({"mobile_phone_number": number} if number else {})}
        assert profile(german["jotform"], {"rawRequest": raw}) == sent
    raw = json.dumps({"q1_email": OWN, "q2_phone": {"full": "0151 12345678", "country": "DE"}, **fields})
    assert profile(german["jotform"], {"rawRequest": raw})["mobile_phone_number"] == OWN_PHONE


def with_hidden(preset: str, *fields: tuple[str, str, Any]) -> dict[str, Any]:
    """A form with fields of which a link fills in those that are called hidden."""
    kinds = {"tally": "HIDDEN_FIELDS", "elementor": "hidden"}
    body = SHAPES[preset](
        *((label, "text" if kind == "hidden" else kind, value) for label, kind, value in fields)
    )
    listed = body["data"]["fields"] if preset == "tally" else [*body["fields"].values()]
    for one, (_, kind, _) in zip(listed, fields, strict=True):
        one["type"] = kinds[preset] if kind == "hidden" else one["type"]
    return body


OLD, OLD_PHONE = "forwarded@example.net", "+4915199999999"
LINK = (
    ("email", "hidden", OLD),
    ("phone", "hidden", OLD_PHONE),
    ("first_name", "hidden", "Old"),
    ("name", "hidden", "Old Name"),
)


@pytest.mark.parametrize("preset", ["tally", "elementor"])
@pytest.mark.parametrize(
    "labels",
    [
        ("Where may we write to you?", "Where may we ring you?", "Vorname"),
        ("Email", "Phone", "Name"),
        ("email", "phone", "name"),
    ],
)
def test_what_was_typed_goes_before_what_a_link_filled_in(
    sources: dict[str, Source], preset: str, labels: tuple[str, str, str]
) -> None:
    typed = [*zip(labels, ("email", "phone", "text"), (OWN, OWN_PHONE, "Ilse"), strict=True)]
    sent = {"email": OWN, "mobile_phone_number": OWN_PHONE, "full_name": "Ilse"}
    for fields in ((*LINK, *typed), (*typed, *LINK)):
        assert profile(sources[preset], with_hidden(preset, *fields)) == sent
    blank = [(label, kind, "") for label, kind, _ in LINK]
    assert profile(sources[preset], with_hidden(preset, *blank, *typed)) == sent


@pytest.mark.parametrize("label", ["sales", "src", "campaign"])
def test_an_address_that_a_link_carries_for_itself_is_not_the_visitors(
    sources: dict[str, Source], label: str
) -> None:
    """Whose letter or shop somebody came from stands there, and is the only address of the message."""
    fields = (("Phone", "phone", OWN_PHONE), (label, "hidden", FRIEND))
    known = typeform(("Phone", "phone", OWN_PHONE))
    known["form_response"]["hidden"] = {label: FRIEND}
    for preset, body in (
        *((preset, with_hidden(preset, *fields)) for preset in ("tally", "elementor")),
        ("typeform", known),
    ):
        assert profile(sources[preset], body) == {"mobile_phone_number": OWN_PHONE}, preset
    odd = (("Adres e-mail", "text", OWN), (label, "hidden", FRIEND))
    for preset in ("tally", "elementor"):
        assert profile(sources[preset], with_hidden(preset, *odd)) == {"email": OWN}


@pytest.mark.parametrize("preset", ["tally", "elementor"])
def test_what_nobody_was_asked_for_is_taken_from_the_link(sources: dict[str, Source], preset: str) -> None:
    names = (("first_name", "hidden", "Ilse"), ("last_name", "hidden", "Aichinger"))
    link = (("email", "hidden", OWN), ("phone", "hidden", OWN_PHONE))
    sent = {"email": OWN, "mobile_phone_number": OWN_PHONE}
    for fields, name in ((names, "Ilse Aichinger"), ((("name", "hidden", "Ilse A."),), "Ilse A.")):
        assert profile(sources[preset], with_hidden(preset, *link, *fields)) == {**sent, "full_name": name}
    reached = with_hidden(preset, *link, ("campaign", "hidden", "autumn"))
    assert sources[preset].mapping.body(reached)["entry"]["campaign"] == "autumn"


@pytest.mark.parametrize(
    "names",
    [
        {"name": "Ilse", "last_name": "Aichinger"},
        {"name": "Ilse", "surname": "Aichinger"},
        {"vorname": "Ilse", "name": "Aichinger"},
        {"vorname": "Ilse", "nachname": "Aichinger"},
        {"full_name": "Ilse Aichinger", "last_name": "Aichinger"},
        {"name": "Ilse Aichinger"},
    ],
)
def test_a_name_is_whole_that_a_link_carries_in_parts(
    sources: dict[str, Source], names: dict[str, str]
) -> None:
    """A "name" is the given one beside a surname, the family's beside a "vorname", as with typed ones."""
    link = [(name, "hidden", value) for name, value in names.items()]
    known = typeform(("Email", "email", OWN))
    known["form_response"]["hidden"] = names
    for preset, body in (
        *((preset, with_hidden(preset, ("Email", "email", OWN), *link)) for preset in ("tally", "elementor")),
        ("typeform", known),
    ):
        assert profile(sources[preset], body) == {"email": OWN, "full_name": "Ilse Aichinger"}, preset


@pytest.mark.parametrize(
    "titles",
    [("Full name",), ("Name",), ("First Name", "Last Name"), ("Vorname", "Name"), ("Name", "Surname")],
)
def test_hidden_fields_of_elementors_are_called_as_people_read_them(
    sources: dict[str, Source], titles: tuple[str, ...]
) -> None:
    parts = ("Ilse", "Aichinger") if len(titles) == 2 else ("Ilse Aichinger",)
    hidden = [(title, "hidden", part) for title, part in zip(titles, parts, strict=True)]
    body = with_hidden("elementor", ("Email", "email", OWN), *hidden)
    assert profile(sources["elementor"], body) == {"email": OWN, "full_name": "Ilse Aichinger"}


def test_a_gift_is_sent_to_somebody_else(sources: dict[str, Source]) -> None:
    body = {"email": OWN, "billing": {"phone": ""}, "shipping": {"phone": FRIENDS_PHONE}}
    assert profile(sources["woocommerce"], body) == {"email": OWN}


@pytest.mark.parametrize("preset", ["zapier", "make"])
def test_what_metas_tool_makes_up_for_a_test_is_nobody(sources: dict[str, Source], preset: str) -> None:
    """Zapier and Make are how leads of Meta's come here, and this is how everybody tries them."""
    name = "<test lead: dummy data for full_name>"
    made_up = (
        {"email": "test@meta.com"},
        {"Email": "test@fb.com", "id": 7},
        {"Full name": name, "email": OWN},
    )
    for lead in made_up:
        for body in (lead, {"contact": lead}, {"data": lead}):
            assert sources[preset].is_excluded(body, {})
    for lead in ({"email": OWN, "name": "Test Lead"}, {"email": OWN, "tags": ["a"], "contact": None}):
        assert not sources[preset].is_excluded(lead, {})


def test_what_typeform_makes_up_for_a_test_is_nobody(sources: dict[str, Source]) -> None:
    made_up = typeform(("Email", "email", "an_account@example.com"), ("Name", "text", "Lorem ipsum dolor"))
    assert sources["typeform"].is_excluded({"event_type": "form_response", **made_up}, {})
    own = typeform(("Email", "email", OWN), ("Name", "text", "Lorem ipsum dolor"))
    assert not sources["typeform"].is_excluded({"event_type": "form_response", **own}, {})


@pytest.mark.parametrize(
    ("choices", "agrees"),
    [
        ({"labels": ["Yes"]}, True),
        ({"labels": ["Yes"], "other": None}, True),
        ({"labels": ["Yes"], "other": "but only about my order"}, False),
        ({"labels": ["Yes", "No"]}, False),
        ({"other": "rather not"}, False),
    ],
)
def test_what_somebody_adds_to_a_yes_of_typeforms_is_heard(
    tmp_path: Path, choices: dict[str, Any], agrees: bool
) -> None:
    source = every_preset(tmp_path, consent='entry."May we write?"')["typeform"]
    body = typeform(("Email", "email", OWN), ("May we write?", "text", "-"))
    body["form_response"]["answers"][1] = {"type": "choices", "choices": choices, "field": {"id": "1"}}
    assert profile(source, body) == ({"email": OWN} if agrees else {})


def test_an_order_that_nobody_placed_is_no_sign_up(sources: dict[str, Source]) -> None:
    """WooCommerce tells of what stands in a checkout, while its visitor types or after they left."""
    for status in ("checkout-draft", "auto-draft", "draft", "trash"):
        order = {"id": 7, "status": status, "billing": {"email": OWN, "phone": OWN_PHONE}}
        assert sources["woocommerce"].leaves_out(order)
    for status in ("pending", "processing", "on-hold", "completed"):
        order = {"id": 7, "status": status, "billing": {"email": OWN}}
        assert not sources["woocommerce"].leaves_out(order)


@pytest.mark.parametrize(
    "label",
    [
        *("Your email", "E-mail", "contact", "Company", "Where may we write you?", "family", "amount"),
        *("Mailingliste", "ehemaliger Name", "chemical", "parents", "kontakt", "address", "ort"),
        *("Guest email", "Attendee 1", "person", "member 12", "mother tongue", "Author", "location"),
        *("Email to contact you", "access", "accent", "agency", "Wohin?", "preference", "sales news"),
        *(
            "your e-mail address",
            "Nombre",
            "Nominativo",
            "Denominazione",
            "toe-mail",
            "agenda",
            "readable_ref_email",
        ),
        *(
            "Where shall we send it to?",
            "Which address may we send notifications to?",
            "total",
            "Whom to e-mail?",
        ),
    ],
)
def test_most_fields_are_the_visitors(label: str) -> None:
    assert not names_another(label)

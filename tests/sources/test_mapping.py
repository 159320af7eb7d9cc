"""Fields in, a profile or errors out: the rules, the contact rule, consent."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.sources.consent import Box
from relay.sources.fields import NEEDED
from relay.sources.mapping import NO_CONTACT, Mapping
from relay.sources.paths import Entries, Labels, Path
from relay.sources.rules import Rule
from relay.sources.text import clean

MAIL = Labels(("emailaddress", "email", "mail"))
JANE = {"email": "jane@example.com", "phone": "+49301234567", "first_name": "Jane", "last_name": "Doe"}


def at(*paths: str, type: str = "text", **more: Any) -> Rule:
    """A rule for one place, or for several that are joined."""
    return Rule(type, joined=tuple(Path(path) for path in paths), **more)


RULES = {
    "email": at("email", type="email"),
    "mobile_phone_number": at("phone", type="phone"),
    "full_name": at("first_name", "last_name"),
}


def form(**more: Any) -> Mapping:
    return Mapping({**RULES, **more.pop("rules", {})}, **more)


def webhook(**more: Any) -> Mapping:
    return form(keep_good_contact=True, **more)


def only(rule: Rule, **more: Any) -> Mapping:
    """A mapping whose e-mail is always there, so that one other rule can be looked at."""
    return Mapping({"email": Rule("email", value="jane@example.com"), "full_name": rule}, **more)


def name_of(value: Any) -> str | None:
    """The name that comes of a value, or None."""
    return only(at("name")).apply({"name": value}).profile.get("full_name")


# --- paths ------------------------------------------------------------------------------------------

PATHS: list[tuple[str, dict[str, Any], Any]] = [
    ("email", {"email": "a"}, "a"),
    ("email", {"Email": "a"}, None),
    ("Email ", {"Email ": "a"}, "a"),
    ("your-email", {"your-email": "a"}, "a"),
    ("your-email", {}, None),
    ("data[merges][EMAIL]", {"data[merges][EMAIL]": "a"}, "a"),
    ("data.merges.EMAIL", {"data": {"merges": {"EMAIL": "a"}}}, "a"),
    ("data.merges.EMAIL", {"data.merges.EMAIL": "a", "data": {"merges": {"EMAIL": "b"}}}, "a"),
    ("answers[?type=='email'].email | [0]", {"answers": [{"type": "email", "email": "a"}]}, "a"),
    ("answers[?type=='email'].email | [0]", {"answers": []}, None),
    ("answers[?type=='email'].email | [0]", {"answers": "x"}, None),
    ("length(@)", {"a": 1}, 1),
    ("join(', ', names)", {"names": [1]}, None),
    ("a[::0]", {"a": [1]}, None),
    ("a[", {"a[": 1}, 1),
    ("a[", {}, None),
    ('"two words"', {"two words": 1}, 1),
    ("two words", {"two words": 1}, 1),
    ("", {"": 1}, 1),
    ("E-Mail: *", {"E-Mail: *": 1}, 1),
    ("a", {"a": ""}, ""),
    ("a", {"a": None}, None),
]


@pytest.mark.parametrize(("path", "body", "found"), PATHS)
def test_a_path_is_a_key_else_an_expression_else_a_literal_key(path: str, body: Any, found: Any) -> None:
    assert Path(path).find(body) == found


@pytest.mark.parametrize(
    ("path", "body", "there"),
    [
        ("email", {"email": ""}, True),
        ("email", {"email": None}, True),
        ("email", {"mail": "a"}, False),
        ("a.b", {"a": {"b": ""}}, True),
        ("a.b", {"a": {}}, False),
    ],
)
def test_a_field_that_is_empty_is_there(path: str, body: Any, there: bool) -> None:
    assert Path(path).exists(body) is there


# --- entries ------------------------------------------------------------------------------------------

ENTRIES = Entries("data.fields", ("label", "key"), "value")


def test_listed_fields_are_reached_by_any_of_their_names() -> None:
    mapping = Mapping({"email": at('entry."Your E-mail"', type="email")}, entries=ENTRIES)
    body = {"data": {"fields": [{"label": "Your E-mail", "key": "q1", "value": "jane@example.com"}]}}
    assert mapping.apply(body).profile == {"email": "jane@example.com"}
    by_key = Mapping({"email": at("entry.q1", type="email")}, entries=ENTRIES)
    assert by_key.apply(body).profile == {"email": "jane@example.com"}
    by_label = Mapping({"email": Rule("email", first=(Labels(("youremail",)),))}, entries=ENTRIES)
    assert by_label.apply(body).profile == {"email": "jane@example.com"}


def test_entries_with_one_name_are_what_those_with_a_value_agree_on() -> None:
    listed = [{"label": "a", "value": None}, {"label": "a", "value": "1"}, {"label": "a", "value": "1"}]
    assert ENTRIES.read({"data": {"fields": listed}}) == {"a": "1"}
    assert ENTRIES.read({"data": {"fields": listed[:1]}}) == {"a": None}
    assert ENTRIES.read({"data": {"fields": [*listed, {"label": "a", "value": "2"}]}}) == {
        "a": ["1", "1", "2"]
    }


@pytest.mark.parametrize(
    "listed",
    [None, {}, "text", [1, None, "x", []], [{"value": "v"}], [{"label": 7, "value": "v"}], [{"label": ""}]],
)
def test_entries_of_another_shape_are_none(listed: Any) -> None:
    assert ENTRIES.read({"data": {"fields": listed}}) == {}


def test_entries_may_be_named_by_titles_that_stand_elsewhere() -> None:
    titled = Entries(
        "answers", ("field.ref",), "email", {"list": "form.fields", "id": "id", "title": "title"}, "field.id"
    )
    body = {
        "answers": [{"field": {"id": "f1", "ref": "r1"}, "email": "a"}],
        "form": {"fields": [{"id": "f1", "title": "Your e-mail"}]},
    }
    assert titled.read(body) == {"r1": "a", "Your e-mail": "a"}
    assert titled.read({**body, "form": None}) == {"r1": "a"}


# --- what is found ------------------------------------------------------------------------------------


def test_joined_values_are_joined_by_one_blank_without_empties() -> None:
    rule = at("first_name", "middle", "last_name")
    assert rule.find({"first_name": " Jane ", "middle": "", "last_name": "Doe"}) == "Jane Doe"
    assert rule.find({"last_name": "Doe"}) == "Doe"
    assert rule.find({"first_name": " "}) is None


def test_of_alternatives_the_first_with_a_value_counts_then_what_is_joined() -> None:
    rule = Rule("text", first=(Path("name"), Path("full")), joined=(Path("first"), Path("last")))
    assert rule.find({"name": "a", "full": "b"}) == "a"
    assert rule.find({"name": " ", "full": "b"}) == "b"
    assert rule.find({"name": None, "first": "c", "last": "d"}) == "c d"
    assert rule.find({}) is None


def test_a_label_answers_once_in_what_is_joined() -> None:
    first, last = Labels(("firstname", "name")), Labels(("lastname", "name"))
    rule = Rule("text", joined=(first, last))
    assert rule.find({"Name": "Jane", "Last name": "Doe"}) == "Jane Doe"
    assert rule.find({"Name": "Jane"}) == "Jane"


def test_a_constant_is_always_found() -> None:
    assert Rule("text", value="x").find({"anything": 1}) == "x"


# --- types ------------------------------------------------------------------

NAMES: list[tuple[Any, str | None]] = [
    ("Jane", "Jane"),
    ("  Jane \t\n Doe  ", "Jane Doe"),
    ("Jane\r\nBcc: x", "Jane Bcc: x"),
    ("Jane\x00\x1b[31m\x7f", "Jane [31m"),
    ("Jane\u202eeoD", "JaneeoD"),
    ("\ufeffJane\u200b", "Jane"),
    ("Jane\u2028Doe", "Jane Doe"),
    ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ("'; DROP TABLE--", "'; DROP TABLE--"),
    ("{{7*7}} %s {0.__class__}", "{{7*7}} %s {0.__class__}"),
    ("👩\u200d👩\u200d👧", "👩\u200d👩\u200d👧"),
    ("e\u0301", "é"),
    ("x" * 255, "x" * 255),
    (42, "42"),
    (42.0, "42"),
    (4.5, "4.5"),
    (17430755068336100383, "17430755068336100383"),
    (["Jane"], "Jane"),
    (["Jane", "Jane"], "Jane"),
    (["Jane", " Jane ", "", None], "Jane"),
    ([["", "Jane"], "Jane"], "Jane"),
    ({"first": "Jane", "last": "Doe"}, "Jane Doe"),
    ({"first_name": "Jane", "last_name": None}, "Jane"),
    ({"firstName": " ", "lastName": "Doe"}, "Doe"),
    ([{"first": ["Jane"], "last": "Doe"}], "Jane Doe"),
    ("", None),
    (" \t", None),
    ("\u00a0", None),
    ("\u200b", None),
    (None, None),
    ([], None),
    (["", ""], None),
    ([None], None),
]


@pytest.mark.parametrize(("value", "name"), NAMES, ids=lambda value: ascii(value)[:40])
def test_a_text_is_one_clean_line(value: Any, name: str | None) -> None:
    assert name_of(value) == name


BAD_NAMES: list[Any] = [
    True,
    {"a": "b"},
    {},
    ["a", "b"],
    [["a"], ["b"]],
    [{}],
    {"first": {"x": 1}},
    {"first": [True]},
    "x" * 256,
    "😀" * 256,
    "e\u0301\u0301" * 200,
]


@pytest.mark.parametrize("value", BAD_NAMES, ids=lambda value: ascii(value)[:40])
def test_what_is_no_short_text_is_an_error_of_its_field(value: Any) -> None:
    mapped = only(at("name")).apply({"name": value})
    assert list(mapped.errors) == ["name"]
    assert mapped.profile == {}


def test_cleaning_again_changes_nothing() -> None:
    for value, _ in NAMES:
        if isinstance(value, str):
            assert clean(clean(value)) == clean(value)


EMAILS: list[tuple[Any, str | None]] = [
    (" Jane@Example.COM ", "Jane@example.com"),
    (["jane@example.com"], "jane@example.com"),
    (["jane@example.com", "jane@example.com"], "jane@example.com"),
    (["jane@example.com", "joe@example.com"], None),
    (["jane@example.com", ""], "jane@example.com"),
    (["Jane@Example.com ", "jane@example.com"], "Jane@example.com"),
    ({"address": "jane@example.com"}, None),
    (42, None),
    (True, None),
    (["jane@example.com", 1], None),
    ([["jane@example.com"]], "jane@example.com"),
    ("jane", None),
]


@pytest.mark.parametrize(("value", "sent"), EMAILS, ids=lambda value: ascii(value)[:40])
def test_an_email_is_one_text(value: Any, sent: str | None) -> None:
    mapped = form().apply({"email": value})
    assert mapped.profile == ({"email": sent} if sent else {})
    assert list(mapped.errors) == ([] if sent else ["email"])


PHONES: list[tuple[Any, str | None, str | None]] = [
    ("030 1234567", "DE", "+49301234567"),
    ("+49 30 1234567", None, "+49301234567"),
    (" 49301234567", None, None),
    (" 49301234567", "US", None),
    (49301234567, None, None),
    (49301234567, "DE", "+49301234567"),
    (49301234567.0, "DE", "+49301234567"),
    (49301234567, "US", None),
    (2025550123, "US", "+12025550123"),
    (["+49301234567"], None, "+49301234567"),
    ("49301234567", None, None),
    (12, None, None),
    (True, None, None),
    ({"number": "+49301234567"}, None, None),
    ("soon", "DE", None),
    (["+49301234567", "+49301234568"], None, None),
    (["202 555 0123", "+12025550123"], "US", "+12025550123"),
    (["", "+1", "202 555 0123", "n/a"], "US", "+12025550123"),
    ([2025550123, "(202) 555-0123"], "US", "+12025550123"),
]


@pytest.mark.parametrize(("value", "region", "sent"), PHONES, ids=lambda value: ascii(value)[:40])
def test_a_phone_may_be_a_number_and_needs_a_country(
    value: Any, region: str | None, sent: str | None
) -> None:
    mapped = form(region=region).apply({"phone": value})
    assert mapped.profile == ({"mobile_phone_number": sent} if sent else {})
    assert list(mapped.errors) == ([] if sent else ["phone"])


TYPED: list[tuple[str, Any, Any]] = [
    ("integer", "42", 42),
    ("integer", " -7 ", -7),
    ("integer", 42, 42),
    ("integer", 42.0, 42),
    ("integer", 2**63, 2**63),
    ("integer", "4.5", None),
    ("integer", 4.5, None),
    ("integer", "1_000", None),
    ("integer", "٤٢", None),
    ("integer", True, None),
    ("integer", "9" * 31, None),
    ("number", "4.5", 4.5),
    ("number", "-.5e1", -5.0),
    ("number", 4, 4.0),
    ("number", "nan", None),
    ("number", "inf", None),
    ("number", "1e999", None),
    ("number", "1_0", None),
    ("number", "four", None),
    ("number", [], None),
    ("boolean", "yes", True),
    ("boolean", ["0", "1"], True),
    ("boolean", ["1", "0", ""], True),
    ("boolean", ["0", ""], False),
    ("boolean", ["0", "perhaps"], None),
    ("integer", ["42", " 42 ", ""], 42),
    ("integer", ["42", "43"], None),
    ("number", ["1.0", 1], 1.0),
    ("date", ["2026-11-23", "2026-11-23T05:42:11Z"], "2026-11-23"),
    ("boolean", "ON", True),
    ("boolean", True, True),
    ("boolean", 0, False),
    ("boolean", "off", False),
    ("boolean", "perhaps", None),
    ("boolean", {}, None),
    ("date", "2026-11-23", "2026-11-23"),
    ("date", "2026-11-23T05:42:11Z", "2026-11-23"),
    ("date", "2026-11-23 05:42", "2026-11-23"),
    ("date", "2028-02-29", "2028-02-29"),
    ("date", "2026-02-29", None),
    ("date", "2026-11-23junk", None),
    ("date", "20261123", None),
    ("date", "23.11.2026", None),
    ("date", "٢٠٢٦-11-23", None),
    ("date", 20261123, None),
    ("url", "https://example.com/a?b=c", "https://example.com/a?b=c"),
    ("url", "http://example.com", "http://example.com"),
    ("url", "javascript:alert(1)", None),
    ("url", "https:example.com", None),
    ("url", "//example.com", None),
    ("url", "https://exam\nple.com", None),
    ("url", "https://[", None),
    ("url", "https://" + "a" * 250, None),
    ("list", ["a", " b ", ""], ["a", "b"]),
    ("list", "a", ["a"]),
    ("list", [1, 2.0], ["1", "2"]),
    ("list", [True], None),
    ("list", [{"a": 1}], None),
    ("text", 7, "7"),
]


@pytest.mark.parametrize(("type", "value", "loaded"), TYPED, ids=lambda value: ascii(value)[:30])
def test_each_type_takes_what_it_says(type: str, value: Any, loaded: Any) -> None:
    mapped = form(extra={"comment": at("x", type=type)}).apply({"email": "jane@example.com", "x": value})
    if loaded is None and value != []:
        assert list(mapped.errors) == ["x"]
    else:
        assert mapped.ok
        assert mapped.extra == ({} if loaded is None else {"comment": loaded})
    json.dumps(mapped.extra, allow_nan=False)


def test_only_offered_values_of_the_right_length_are_taken() -> None:
    def outcome(rule: Rule, value: Any) -> Any:
        mapped = only(rule).apply({"x": value})
        return mapped.profile.get("full_name", mapped.errors)

    assert outcome(at("x", choices=("a", "b")), "b") == "b"
    assert outcome(at("x", choices=("a", "b")), "c") == {"x": ["Choose one of the offered values."]}
    assert outcome(at("x", type="list", choices=("a", "b")), ["b", "a"]) == ["b", "a"]
    assert outcome(at("x", type="list", choices=("a", "b")), ["b", "c"]) == {
        "x": ["Choose one of the offered values."]
    }
    assert outcome(at("x", max_length=3), "abc") == "abc"
    assert list(outcome(at("x", max_length=3), "abcd")) == ["x"]
    assert outcome(at("x", max_length=1000), "y" * 1000) == "y" * 1000
    # An address is as long as what is sent, not as what was typed around it.
    address = at("x", type="email", max_length=17)
    assert outcome(address, "Ada Lovelace <lady@example.com>") == "lady@example.com"
    assert list(outcome(address, "duchess@example.com")) == ["x"]


def test_a_field_that_is_needed_must_be_more_than_blanks() -> None:
    needed = only(at("name", required=True))
    for value in (None, "", " ", "\u200b", [], [""]):
        assert needed.apply({"name": value}).errors == {"name": [NEEDED]}
    assert needed.apply({}).errors == {"name": [NEEDED]}
    assert needed.apply({"name": "Jane"}).ok


def test_a_default_stands_in_for_what_is_missing_and_is_checked_like_it() -> None:
    mapping = form(rules={"full_name": at("name", default=" Friend ")})
    assert mapping.apply({"email": "jane@example.com"}).profile["full_name"] == "Friend"
    assert mapping.apply({"email": "jane@example.com", "name": "  "}).profile["full_name"] == "Friend"
    assert mapping.apply({"email": "jane@example.com", "name": "Jane"}).profile["full_name"] == "Jane"
    broken = form(rules={"email": at("email", type="email", default="nobody")})
    assert broken.apply({"phone": "+49301234567"}).errors.keys() == {"email"}


def test_a_constant_goes_into_an_update() -> None:
    mapping = form(extra={"lists": Rule("list", value=["42"]), "comment": at("note")})
    mapped = mapping.apply({**JANE, "note": "hi"})
    assert mapped.extra == {"lists": ["42"], "comment": "hi"}
    assert set(mapped.profile) == {"email", "mobile_phone_number", "full_name"}


# --- the contact rule ---------------------------------------------------------


def test_a_whole_submission_becomes_a_profile() -> None:
    mapped = form().apply(JANE)
    assert mapped.ok
    assert mapped.profile == {
        "email": "jane@example.com",
        "mobile_phone_number": "+49301234567",
        "full_name": "Jane Doe",
    }
    assert mapped.dropped == ()
    assert mapped.consent is None


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"email": "", "phone": ""},
        {"email": " \t", "phone": "\u00a0"},
        {"email": None},
        {"email": [], "phone": [""]},
        {"email": None, "phone": "+1"},
        {"phone": "(___) ___-____"},
        {"phone": ["", "n/a"]},
        {"first_name": "Jane"},
        {"Email": "jane@example.com"},
    ],
)
def test_without_a_contact_there_is_no_submission(fields: dict[str, Any]) -> None:
    for mapping in (form(), webhook()):
        mapped = mapping.apply(fields)
        assert mapped.errors == {"email": [NO_CONTACT]}
        assert mapped.profile == {}


@pytest.mark.parametrize(
    ("fields", "profile"),
    [
        ({"email": "jane@example.com", "phone": " "}, {"email": "jane@example.com"}),
        ({"email": "jane@example.com", "phone": "+1"}, {"email": "jane@example.com"}),
        ({"email": "jane@example.com", "phone": "null"}, {"email": "jane@example.com"}),
        ({"email": "jane@example.com", "phone": 0}, {"email": "jane@example.com"}),
        (
            {"email": "jane@example.com", "phone": {"country": "+1", "area": "", "phone": None}},
            {"email": "jane@example.com"},
        ),
        ({"phone": "+49301234567"}, {"mobile_phone_number": "+49301234567"}),
    ],
)
def test_one_contact_is_enough(fields: dict[str, Any], profile: dict[str, Any]) -> None:
    for mapping in (form(), webhook()):
        assert mapping.apply(fields).profile == profile


@pytest.mark.parametrize(
    ("bad", "field", "good"),
    [
        ({"phone": "soon"}, "mobile_phone_number", {"email": "jane@example.com"}),
        ({"email": "jane@"}, "email", {"mobile_phone_number": "+49301234567"}),
        ({"email": ["a@example.com", "b@example.com"]}, "email", {"mobile_phone_number": "+49301234567"}),
    ],
)
def test_beside_a_good_contact_a_bad_one_is_an_error_in_a_form_and_dropped_in_a_webhook(
    bad: dict[str, Any], field: str, good: dict[str, Any]
) -> None:
    fields = {**JANE, **bad}
    refused = form().apply(fields)
    assert list(refused.errors) == list(bad)
    assert refused.profile == {}
    kept = webhook().apply(fields)
    assert kept.ok
    assert kept.dropped == (field,)
    assert kept.profile == {**good, "full_name": "Jane Doe"}


def test_two_bad_contacts_are_two_errors() -> None:
    for mapping in (form(), webhook()):
        assert set(mapping.apply({"email": "jane@", "phone": "soon"}).errors) == {"email", "phone"}


def test_a_bad_contact_alone_is_told_as_such() -> None:
    for mapping in (form(), webhook()):
        mapped = mapping.apply({"email": "jane@"})
        assert list(mapped.errors) == ["email"]
        assert mapped.errors["email"] != [NO_CONTACT]


def test_a_bad_name_costs_a_webhook_only_the_name() -> None:
    fields = {**JANE, "phone": "soon", "first_name": {"x": 1}}
    mapped = webhook().apply(fields)
    assert mapped.profile == {"email": "jane@example.com"}
    assert set(mapped.dropped) == {"mobile_phone_number", "full_name"}
    assert set(form().apply(fields).errors) == {"phone", "first_name"}


@pytest.mark.parametrize("rule", [at("name", required=True), at("name", choices=("a", "b"))])
def test_what_is_needed_or_chosen_is_no_less_so_in_a_webhook(rule: Rule) -> None:
    mapped = webhook(rules={"full_name": rule}).apply({**JANE, "name": {"x": 1}})
    assert list(mapped.errors) == ["name"]


def test_a_webhook_without_a_good_contact_keeps_every_error() -> None:
    mapped = webhook().apply({"email": "jane@", "first_name": {"x": 1}})
    assert set(mapped.errors) == {"email", "first_name"}
    assert mapped.dropped == ()


@pytest.mark.parametrize("key", ["id", "__class__", "lists", "company_id", "Authorization", "status"])
def test_what_is_not_mapped_is_not_forwarded(key: str) -> None:
    assert set(form().apply({**JANE, key: "x"}).profile) == {"email", "mobile_phone_number", "full_name"}


def test_only_a_missing_contact_path_is_the_owners_mistake() -> None:
    mapping = form()
    assert not mapping.has_contact_fields({"Email": "jane@example.com", "name": "x"})
    assert not mapping.has_contact_fields({})
    assert mapping.has_contact_fields({"email": ""})
    assert mapping.has_contact_fields({"phone": " "})
    by_label = Mapping({"email": Rule("email", first=(MAIL,))})
    assert by_label.has_contact_fields({"E-Mail": ""})
    assert not by_label.has_contact_fields({"Name": "x"})


# --- errors are named as the sender names them ---------------------------------------------------------

FIRST = Rule("phone", first=(Path("phone"), Path("address.phone")))
LABELLED = Rule("email", first=(MAIL,))


@pytest.mark.parametrize(
    ("rules", "fields", "names"),
    [
        ({"full_name": at("first_name", "last_name")}, {**JANE, "last_name": {}}, {"first_name"}),
        ({"mobile_phone_number": FIRST}, {**JANE, "phone": "soon"}, {"phone"}),
        (
            {"mobile_phone_number": FIRST},
            {**JANE, "phone": "", "address": {"phone": "soon"}},
            {"address.phone"},
        ),
        ({"email": LABELLED}, {"Your mail": "x", "E-mail address": "jane@"}, {"E-mail address"}),
        ({"email": LABELLED}, {"E-Mail": " "}, {"E-Mail"}),
        ({"email": LABELLED}, {"name": "Jane"}, {"email"}),
        ({"email": Rule("email", value="broken")}, {}, {"email"}),
    ],
)
def test_errors_carry_the_senders_name_of_the_field(
    rules: dict[str, Rule], fields: dict[str, Any], names: set[str]
) -> None:
    assert set(form(rules=rules).apply(fields).errors) == names


def test_no_message_repeats_a_value() -> None:
    secret = "very-secret"
    for value in (secret, [secret, "b"], {secret: secret}, secret * 50, f"{secret}@", 10**400):
        mapped = form(extra={"comment": at("x", type="integer"), "lists": at("x", choices=("a",))}).apply(
            {"email": value, "phone": value, "first_name": value, "x": value}
        )
        assert mapped.errors
        assert secret not in str(mapped.errors)


# --- whatever comes -------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["first", "last", "email", "x", ""]), inner, max_size=3)
    ),
    max_leaves=12,
)
KEYS = st.sampled_from(["email", "phone", "first_name", "last_name", "news", "entry", "data", "E-Mail", "x"])
EVERY_TYPE = {
    f"custom:{type}": at("x", type=type)
    for type in ("integer", "number", "boolean", "date", "url", "list", "text", "email")
}


@settings(max_examples=300)
@given(st.dictionaries(KEYS, VALUES, max_size=6), st.sampled_from([None, "US"]), st.booleans())
def test_mapping_never_raises_and_what_it_maps_is_sound(
    fields: dict[str, Any], region: str | None, keep: bool
) -> None:
    mapping = Mapping(
        {**RULES, "email": Rule("email", first=(Path("email"), MAIL))},
        region=region,
        keep_good_contact=keep,
        consent={"email": Box("news")},
        entries=ENTRIES,
        extra=EVERY_TYPE,
    )
    mapped = mapping.apply(fields)
    assert mapped.ok == bool(mapped.profile)
    if mapped.ok:
        assert mapped.profile.keys() & {"email", "mobile_phone_number"}
        assert "@" in mapped.profile.get("email", "@")
        assert re.fullmatch(r"\+[0-9]{6,15}", mapped.profile.get("mobile_phone_number", "+123456"))
        assert not mapped.dropped or keep
        json.dumps([mapped.profile, mapped.extra], allow_nan=False)
    else:
        assert all(isinstance(name, str) and all(said) for name, said in mapped.errors.items())


@pytest.mark.parametrize(
    ("country", "said", "means"),
    [
        ("AT", "0664 1234568", "+436641234568"),
        ("AT", "+49 30 1234567", "+49301234567"),
        ("Narnia", "+43 664 1234568", "+436641234568"),
        ("", "030 1234567", "+49301234567"),
        ("Narnia", "0664 1234568", None),
    ],
)
def test_a_number_that_is_corrected_is_of_the_country_beside_it(
    country: str, said: str, means: str | None
) -> None:
    """It would be somebody else's in the country of the source."""
    rule = Rule("phone", first=(Path("phone"),))
    mapping = Mapping({"mobile_phone_number": rule}, region="DE", region_from=Path("country"))

    found = mapping.correct({"phone": "?", "country": country}, {"mobile_phone_number": said})

    assert found.profile.get("mobile_phone_number") == means


def test_without_a_body_a_correction_needs_no_update_and_makes_none() -> None:
    extra = {"comment": at("note", required=True), "lists": Rule("list", value=["42"])}
    mapping = form(extra=extra, consent={"email": Box("news")})
    address = {"email": "jane@example.com"}

    found = mapping.correct({}, address, withheld=set())

    assert (found.profile, found.extra, found.errors) == (address, {}, {})
    assert mapping.correct({}, address).errors, "nobody says that the box was ticked"

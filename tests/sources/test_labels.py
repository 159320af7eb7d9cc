"""Values found by what stands beside them: labels as form builders write them, and the only address."""

import re
from typing import Any

import pytest

from relay.sources.guessing import OnlyEmail
from relay.sources.mapping import Mapping
from relay.sources.outline import unfolded
from relay.sources.paths import Labels, Path, plain, stem
from relay.sources.proof import Evidence, Verifier
from relay.sources.rules import Rule

EMAIL = Labels(("emailaddress", "youremail", "email"), kind="email")


@pytest.mark.parametrize(
    ("label", "same"),
    [
        ("Email 2", "email"),
        ("No Label email", "email"),
        ("Email *", "email"),
        ("Email (required)", "email"),
        ("Email 2 (required)", "email"),
        ("Email (optional) 3", "email"),
        ("required", ""),
        ("2", ""),
        ("Your friend's email", "yourfriendsemail"),
    ],
)
def test_what_form_builders_add_to_a_label_is_no_part_of_it(label: str, same: str) -> None:
    assert stem(plain(label)) == same


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"Email 2": "b", "Email": "a"}, "a"),
        ({"Email Address 2": "b", "Email": "a"}, "a"),
        ({"Email 2": "b", "Email 3": "c"}, ["b", "c"]),
        ({"Email 2": "b", "Email 3": "b", "Email 4": " "}, "b"),
        ({"Email": "b", "E-mail": "c"}, ["b", "c"]),
        ({"Email": "yes", "Email Address 2": "b@example.org"}, "b@example.org"),
        ({"Email": "yes", "Email Address": "no"}, "no"),
        ({"Your friend's email": "x", "Your email": "a"}, "a"),
        ({"Your friend's email": "x", "Friend email": "y"}, None),
        ({"Email": True, "Email 2": "b"}, "b"),
        ({"Email": "", "Email 2": "b"}, "b"),
    ],
)
def test_a_label_as_it_is_goes_before_a_variant_of_it(body: dict[str, Any], found: str | None) -> None:
    assert EMAIL.find(body) == found
    assert EMAIL.exists(body) is (found is not None)


def test_the_only_address_of_a_body_is_taken_and_no_other() -> None:
    only = OnlyEmail()
    body = {"a": "x", "b": [{"kontakt": " ilse@example.org "}], "c": "write to me@example.org, please"}
    assert only.find(body) == "ilse@example.org" and only.name(body) == "kontakt" and only.exists(body)
    again = {**body, "d": "Ilse@Example.org"}
    assert only.find(again) in ("ilse@example.org", "Ilse@Example.org")
    for other in ({**body, "d": "else@example.org"}, {"a": "x"}, {}, {"a": "https://u@example.org/"}):
        assert only.find(other) is None and only.name(other) is None and not only.exists(other)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("first = John\nlast = Smith", {"first": "John", "last": "Smith"}),
        ("first = John\r\nlast = ", {"first": "John", "last": ""}),
        ("value = a@example.org\nfield_type = email", "a@example.org"),
        ({"value": {"first": "J"}, "field_type": "name"}, {"first": "J"}),
        ("John Smith", "John Smith"),
        ("first = John\nand more", "first = John\nand more"),
        ("E = mc2", "E = mc2"),
        ("", ""),
        ({"value": "x"}, {"value": "x"}),
        (5, 5),
    ],
)
def test_structure_written_as_text_is_read(value: Any, read: Any) -> None:
    assert unfolded({"a": value}) == {"a": read}


# --- where labels are looked for ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "reduced"),
    [
        ("E-mail: *", "email"),
        ("Straße", "strasse"),
        ("ПОЧТА!", "почта"),
        ("e\u0301", "é"),
        ("!!", ""),
        ("№ 1", "1"),
    ],
)
def test_a_label_is_its_letters_and_digits(label: str, reduced: str) -> None:
    assert plain(label) == reduced


MAIL = Labels(("emailaddress", "email", "mail"))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"E-Mail": "a"}, "a"),
        ({"E-Mail": "a", "Email address": "b"}, "b"),
        ({"Email address": " ", "mail": "c"}, "c"),
        ({"e-mail": "", "E-MAIL": "a"}, "a"),
        ({"email me": "a"}, None),
        ({}, None),
    ],
)
def test_labels_are_looked_for_in_their_order(body: dict[str, Any], found: Any) -> None:
    assert MAIL.find(body) == found


def test_labels_may_be_within_something() -> None:
    assert Labels(("email",), Path("data.contact")).find({"data": {"contact": {"E-mail": "a"}}}) == "a"
    assert Labels(("email",), Path("data")).find({"data": "text", "email": "a"}) is None
    assert Labels(("email",), Path("absent")).find({"email": "a"}) is None


def test_a_name_is_joined_of_the_object_that_tells_most_of_it() -> None:
    given, family = ("firstname", "name"), ("lastname", "name")
    joined = tuple(Labels(labels, Path(at)) for at in ("a", "b") for labels in (given, family))
    rule = Rule("text", joined=joined, is_name=True)
    whole = {"first name": "Jane", "last name": "Doe"}
    assert rule.find({"a": {"name": "Acme"}, "b": whole}) == "Jane Doe"
    assert rule.find({"a": whole, "b": {"name": "Acme"}}) == "Jane Doe"
    assert rule.find({"a": {"name": "Jane Doe"}, "b": {"name": "Acme"}}) == "Jane Doe"
    assert rule.find({"b": {"name": "Jane Doe"}}) == "Jane Doe"
    nobody = {"first name": "null", "last name": "null"}
    assert rule.find({"a": nobody, "b": {"name": "Jane Doe"}}) == "Jane Doe"
    assert rule.find({}) is None


def test_a_name_may_be_joined_across_objects_where_each_part_has_its_own() -> None:
    rule = Rule("text", joined=(Labels(("given",), Path("a")), Labels(("family",), Path("b"))))
    assert rule.find({"a": {"given": "Jane"}, "b": {"family": "Doe"}}) == "Jane Doe"


def test_labels_may_stand_behind_what_a_sender_puts_before_its_keys() -> None:
    jotform = Labels(("email",), strip=re.compile("q[0-9]+_"))
    assert jotform.find({"q4_email": "a"}) == "a"
    assert jotform.find({"email": "a"}) == "a"
    assert jotform.find({"xq4_email": "a"}) is None


def test_a_field_called_entry_is_a_field_like_others() -> None:
    """Where no entries are listed, "entry" means nothing."""
    mapping = Mapping({"email": Rule("email", first=(MAIL,))})
    for entry in ("my best photo", {"title": "x"}, ["x"], None):
        assert mapping.apply({"entry": entry, "Email": "jane@example.com"}).ok


# --- several signatures in one header -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pairs", "header"),
    [
        (",", "t=5,v1={wrong},v1={right}"),
        (",", "t=5,v1=,v1={right}"),
        (",", "v1={right},v1=,t=5"),
        (",", "t=5,v1={wrong},{right}"),
        (",", "t=5, v1={wrong}, {right}"),
        (",", "v1={wrong},{wrong},{right},t=5"),
        (";", "t=5;v1={wrong},{right}"),
        (";", "t=5;v1={wrong};{right}"),
    ],
)
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_every_signature_of_a_pair_is_compared(pairs: str, header: str, encoding: str) -> None:
    import base64
    import hashlib
    import hmac

    digest = hmac.new(b"key", b"5.body", hashlib.sha256).digest()
    right = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
    wrong = "0" * 64 if encoding == "hex" else base64.b64encode(b"0" * 32).decode()
    verifier = Verifier(
        "hmac-sha256", header="X", pairs=pairs, signed="{timestamp}.{body}", encoding=encoding
    )
    shown = header.format(wrong=wrong, right=right)
    assert verifier.proves(Evidence({"x": shown}, {}, b"body"), (b"key",), 5)
    other = header.format(wrong=wrong, right=wrong)
    assert not verifier.proves(Evidence({"x": other}, {}, b"body"), (b"key",), 5)
    unnamed = f"t=5{pairs}v0={right}{pairs}{right}"
    assert not verifier.proves(Evidence({"x": unnamed}, {}, b"body"), (b"key",), 5)

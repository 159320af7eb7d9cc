"""What programs, keyboards and tired people write: the right value, a clear refusal, or nothing."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

FORM = NEWSLETTER | {"wait": 10, "reply": ["id"]}


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    sources = {"newsletter": FORM, "hook": HOOK | {"wait": 10, "region": "DE"}}
    with RelayProcess(config(upstream.url, sources, limits="500/second; 100000/minute")) as process:
        yield process


def sent(relay: RelayProcess, upstream: ScriptedUpstream, fields: dict[str, Any]) -> dict[str, Any] | None:
    """What a form's fields become upstream; None if the form asks again."""
    before = len(upstream.arrivals)
    answer = relay.form(fields)
    if answer.status == 422:
        assert len(upstream.arrivals) == before and set(answer.json["errors"]) <= set(fields) | {"email"}
        return None
    assert answer.status == 201, (fields, answer.text)
    (arrived,) = upstream.arrivals[before:]
    return dict(arrived.json or {})


EMAILS: list[tuple[str, str | None]] = [
    ("stop1@example.com.", None),
    ("stop2@example.com,", "stop2@example.com"),
    ("stop3@EXAMPLE.com; ", "stop3@example.com"),
    ("'quoted@example.com'", "quoted@example.com"),
    ("O&#039;Brien@example.com", "O'Brien@example.com"),
    ("mailto:link@example.com?subject=Hi", "link@example.com"),
    ("twice@example.com, other@example.com", None),
    ("twice%2Bencoded@example.com", None),
    ("%61da@example.com", None),
    ("a blank@example.com", None),
    ("two@@example.com", None),
    ("dots@example..com", None),
    ("ada@example,com", None),
    ("E-Mail: ada@example.com", None),
]


@pytest.mark.parametrize(("typed", "address"), EMAILS)
def test_an_address_is_what_was_meant_or_asked_about(
    relay: RelayProcess, upstream: ScriptedUpstream, typed: str, address: str | None
) -> None:
    assert sent(relay, upstream, {"email": typed}) == (address and {"email": address})


NUMBERS: list[tuple[str, str | None]] = [
    ("'+49 170 2000001", "+491702000001"),
    ("491702000002.0", "+491702000002"),
    ("tel:+49-170-2000003;ext=5", "+491702000003"),
    ("+43 436641200011", "+436641200011"),
    ("+49 491702000011", None),
    ("０１７０２００００４０", "+491702000040"),
    ("\u202a+49 170 2000005\u202c", "+491702000005"),
    ("0170\u00a02000006 (WhatsApp)", "+491702000006"),
    ("01702000007.0", None),
    ("+491702000008.0.0", None),
    ("0170 20000OO", None),
    ("0170 200000l", None),
    ("0170 200XXXX", None),
    ("+49 170 2000***", None),
    ("0170 2000•••", None),
    ("undefined0170 2000009", None),
    ("+49null1702000010", None),
    ("4.91702E+11", None),
]


@pytest.mark.parametrize(("typed", "number"), NUMBERS, ids=ascii)
def test_a_number_is_whole_or_asked_about(
    relay: RelayProcess, upstream: ScriptedUpstream, typed: str, number: str | None
) -> None:
    assert sent(relay, upstream, {"phone": typed}) == (number and {"mobile_phone_number": number})


NAMES: list[tuple[str, str, str | None]] = [
    ("undefined", "Smith", "Smith"),
    ("null", "undefined", None),
    ("Christopher", "Null", "Christopher Null"),
    ("Ada undefined", "", "Ada"),
    ("undefined undefined", "", None),
    ("null Ada", "NaN", "Ada"),
    ("Ada", "Undefined", "Ada Undefined"),
    ("[object Object]", "", None),
    ("{{first_name}}", "*|LNAME|*", None),
    ("{{ contact.firstname|default:'' }}", "Doe", "Doe"),
    ("%FIRSTNAME%", "[your-name]", None),
    ("{name}", "xxxxx", None),
    ("<test lead: dummy data for full_name>", "", None),
    ("Ada {{last_name}}", "", "Ada {{last_name}}"),
    ("[Ada]", "{L}", "[Ada] {L}"),
    ("N/A", "-", None),
    ("Ada", ".", "Ada"),
    ("Tom &amp; Ann", "AT&T", "Tom &amp; Ann AT&T"),
    ("İpek", "Işık", "İpek Işık"),
    ("😀 Ada", "", "😀 Ada"),
    ("J.", "D.", "J. D."),
    ("李", "小龙", "李 小龙"),
]


@pytest.mark.parametrize("number", range(len(NAMES)), ids=lambda number: ascii(NAMES[number]))
def test_a_name_is_a_persons_or_none(relay: RelayProcess, upstream: ScriptedUpstream, number: int) -> None:
    first, last, name = NAMES[number]
    address = f"name-{number}@example.com"
    found = sent(relay, upstream, {"email": address, "first_name": first, "last_name": last})
    assert found == {"email": address} | ({"full_name": name} if name else {})


@pytest.mark.parametrize("word", ["undefined", "null", "N/A", "none"])
def test_a_word_for_no_address_is_none(relay: RelayProcess, upstream: ScriptedUpstream, word: str) -> None:
    number = f"+4917030000{ord(word[-1])}"
    assert sent(relay, upstream, {"email": word, "phone": number}) == {"mobile_phone_number": number}
    assert sent(relay, upstream, {"email": word}) is None


def test_what_a_machine_writes_for_nothing_is_nothing(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    answer = relay.hook({"email": "undefined", "phone": "+491704000001", "name": "null"})
    assert answer.status == 201 and "dropped" not in answer.json
    assert upstream.arrivals[-1].json == {"mobile_phone_number": "+491704000001"}

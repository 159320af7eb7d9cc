"""What a kept body says of a contact: whose it is, however it is written, and nobody else's."""

import gzip
import json
import random
from urllib.parse import quote, urlencode

import pytest

from relay.operator.erasure import Mentioned, is_contact
from relay.sources import contact
from relay.sources.body import FORM, JSON
from tests.sources.growing import MOST, TIMES, seconds, yardstick

OURS = "+491519876543"
BOUNDARY = "multipart/form-data; boundary=b"


def looked_for(text: str, *regions: str) -> Mentioned:
    readings = set()
    for read in (contact.email, contact.phone, *(lambda t, r=r: contact.phone(t, r) for r in regions)):
        try:
            readings.add(read(text))
        except contact.NotAContact:
            continue
    return Mentioned(text, readings)


def is_in(text: str, body: object, kind: str = JSON, regions: tuple[str, ...] = ("DE",)) -> bool:
    raw = body if isinstance(body, bytes) else (json.dumps(body) if kind == JSON else str(body)).encode()
    return looked_for(text, *regions).is_in(raw, kind)


WRITTEN = [
    "0151 9876543",
    "+49 (0)151 9876543",
    "+49 (0) 151 / 987 65 43",
    "+490151 9876543",
    "0049 151 9876543",
    "0049 (0)151 9876543",
    "491519876543",
    "011 49 151 9876543",
    "ruf mich an: 0151-9876543",
    "ruf mich an: 0151-9876543.",
    "(0151) 98 76 543",
    "[0151] 9876543",
    "0151/9876543",
    "0151.98.76.543",
    "0151\u00a098\u202f76\u200b543",
    "0151–9876543",
    "０１５１　９８７６５４３",
    "0151\u20039876543",
    "＋４９ （０）１５１ ９８７６５４３",
    "٠١٥١ ٩٨٧٦٥٤٣",
    "\u202a+49 151 9876543\u202c",
    "0151 9876543 ext. 12",
    "0151 9876543x12",
    "0151 9876543 Durchwahl 12",
    "0151 9876543 #12",
    "tel:+49-151-9876543;ext=5",
    '<a href="tel:+491519876543">',
    "https://wa.me/491519876543",
    "https://example.com/?tel=%2B491519876543&x=1",
    "&#43;49&nbsp;151&nbsp;9876543",
    "Tel.0151 9876543",
    "Handy-0151 9876543",
    "tel0151-9876543",
    "030 1234567, 0151 9876543",
    "030 1234567 0151 9876543",
    "0151 9876543 0170 0123456",
    "030 1234567/0151 9876543",
    "0151 9876543 +43 660 1234567",
    "10115 Berlin 0151 9876543",
    "10115 0151 9876543",
    "A7 10115 0151 9876543",
    "0151 9876543 18:30",
    "ab 18:30 0151 9876543",
    "0151 9876543 24.12.2026",
    "0151 9876543 2026-11-27 09:15:00",
    "2026-11-27T09:15:00Z 0151 9876543",
    '{"phone": "0151 9876543"}',
]


@pytest.mark.parametrize("text", WRITTEN)
@pytest.mark.parametrize("kind", [JSON, FORM, BOUNDARY], ids=["json", "form", "multipart"])
def test_a_number_is_found_however_it_is_written(kind: str, text: str) -> None:
    bodies = {
        JSON: json.dumps({"email": "bad", "remark": text}).encode(),
        FORM: urlencode({"email": "bad", "remark": text}).encode(),
        BOUNDARY: f'--b\r\nContent-Disposition: form-data; name="r"\r\n\r\n{text}\r\n--b--\r\n'.encode(),
    }
    assert is_in(OURS, bodies[kind], kind)
    assert is_in("0151 9876543", bodies[kind], kind)
    assert not is_in("0151 987654", bodies[kind], kind)
    assert not is_in("0151 98765432", bodies[kind], kind)


OTHERS = [
    "0151 98765432",
    "0151 9876543 2",
    "0151 9876543-2",
    "0151 987654",
    "1 0151 9876543",
    "+43 151 9876543",
    "0043 151 9876543",
    "+43 0151 9876543",
    "43 0151 9876543",
    "+1 519 876 5432",
    "ORD-0151-9876543",
    "ORD01519876543",
    "ORD_01519876543",
    "2024-0151-9876543",
    "2024/0151/9876543",
    "20240101/01519876543",
    "4711-01519876543",
    "01519876543-A",
    "01519876543ab",
    "12345678-1234-0151-9876-543000000000",
    "a1519876543f",
    "0151\n9876543",
    "0151, 9876543",
    "0151 9876:543",
    "2024:01519876543",
    "01519876543:1",
]


@pytest.mark.parametrize("text", OTHERS)
@pytest.mark.parametrize("kind", [JSON, FORM], ids=["json", "form"])
def test_a_part_of_something_else_is_nobodys(kind: str, text: str) -> None:
    body = json.dumps({"remark": text}) if kind == JSON else urlencode({"remark": text})
    assert not is_in(OURS, body.encode(), kind)


def test_a_number_that_begins_like_anothers_deletes_neither() -> None:
    assert not is_in("0151 1234567", {"email": "ann@example.com", "phone": "0151 12345678"})
    assert not is_in("0151 12345678", {"email": "ann@example.com", "phone": "0151 1234567"})


def test_digits_of_two_fields_are_no_number() -> None:
    fields = {"email": "kunde1989@example.com", "phone": "0170 1234567", "a": "1989", "b": "01"}
    assert not is_in("198901", fields)
    assert not is_in("198901", urlencode(fields), FORM)
    assert not is_in("198901", b'{"a":1989,"b":01', JSON)
    assert not is_in("198901", b"a=1989&b=01&%", FORM)


@pytest.mark.parametrize("regions", [(), ("DE",)], ids=["no region", "a region"])
def test_a_short_contact_is_only_its_equal(regions: tuple[str, ...]) -> None:
    assert is_contact("198901") and not is_contact("19890")
    assert is_in("198901", {"call": "198901"}, regions=regions)
    assert not is_in("198901", {"call": "1989012"}, regions=regions)
    assert not is_in("198901", {"call": "0170 198901"}, regions=regions)


def test_a_number_that_lost_its_zero_in_a_table_is_found() -> None:
    assert is_in(OURS, {"phone": 1519876543})
    assert is_in(OURS, {"phone": [{"deep": 491519876543.0}]})
    assert not is_in(OURS, {"phone": True, "other": 151987654.3})


@pytest.mark.parametrize("code", ["49", "+49", "0049", "(+49)", "Germany (+49)"])
@pytest.mark.parametrize("name", ["cc", "country_code", "phone[code]", "dialCode"])
@pytest.mark.parametrize("kind", [JSON, FORM], ids=["json", "form"])
def test_a_number_split_over_two_fields_is_the_one_of_its_country(kind: str, name: str, code: str) -> None:
    for number in ("1519876543", "0151 9876543"):
        fields = {name: code, "phone" if "[" not in name else "phone[number]": number}
        body = json.dumps(fields).encode() if kind == JSON else urlencode(fields).encode()
        assert is_in(OURS, body, kind)
        assert is_in("0151 9876543", body, kind)
        assert not is_in("+431519876543", body, kind)


def test_a_plus_that_a_form_did_not_encode_is_one() -> None:
    assert is_in(OURS, b"phone=+491519876543", FORM)
    assert is_in(OURS, b"cc=+49&phone=1519876543", FORM)
    assert not is_in("+431519876543", b"cc=+49&phone=1519876543", FORM)
    assert is_in(OURS, b"phone=0151+9876543", FORM)


def test_an_area_apart_is_a_part_of_its_number() -> None:
    assert is_in(OURS, {"phone": {"area": "0151", "phone": "9876543"}})
    assert is_in(OURS, urlencode({"p[area]": "(0151)", "p[phone]": "987 65 43"}), FORM)
    assert not is_in("987 65 43", {"phone": {"area": "0151", "phone": "9876543"}})
    assert not is_in("987 65 43", urlencode({"p[area]": "(0151)", "p[phone]": "987 65 43"}), FORM)


def test_a_code_and_a_zero_mean_other_numbers() -> None:
    assert not is_in("0151 23456789", {"phone": "+1 512 345 6789"})
    assert not is_in("+1 512 345 6789", {"phone": "0151 23456789"})
    assert not is_in("+1 512 345 6789", {"cc": "49", "phone": "15123456789"})
    assert not is_in("+1 512 345 6789", {"phone": "05123 456789"})
    assert not is_in("0351 234567", {"phone": "04935 1234567"})
    assert is_in("+1 512 345 6789", {"phone": "(512) 345-6789"})
    assert is_in("+1 512 345 6789", {"phone": "1-512-345-6789"})
    assert is_in("+39 06 12345678", {"phone": "06 12345678"})
    assert is_in("+7 912 345 67 89", {"phone": "8 (912) 345-67-89"})
    assert is_in("+36 30 123 4567", {"phone": "06 30 123 4567"})


def test_a_number_of_which_nobody_knows_the_country_only_equals_itself() -> None:
    assert is_in("0151 9876543", {"phone": "0151-9876543"}, regions=())
    assert not is_in("0151 9876543", {"phone": "+43 151 9876543"}, regions=())


ADDRESS = "ada@example.com"


@pytest.mark.parametrize(
    "body",
    [
        b'{"mail":"ADA@Example.com"}',
        rb'{"mail":"ada\u0040example.com"}',
        rb'{"mail":"ada\u0040example.com",,',
        rb'{"inner":"{\"mail\":\"ada\\u0040example.com\"}"}',
        rb'{"note":"\nada@example.com\n"',
        b'{"page":"https://example.com/?email=ada%40example.com&x=1"}',
        b'{"page":"https://example.com/ada%40example.com"}',
        b'{"note":"\'ada@example.com\', thanks"}',
        b'{"note":"Ada <ada@example.com>."}',
        b'{"ada@example.com": 1}',
        b"{ada@example.com",
        '{"mail":"ada@example.com"}'.encode("utf-16"),
        b"\xff\xfe ada@example.com \x80",
        '{"mail":"ada\uff20example\uff0ecom"}'.encode(),
        '{"mail":"ad\u200ba@example.com"}'.encode(),
        b'{"page":"email=ada%40example.com&x=1"}',
    ],
)
def test_an_address_is_found_however_it_is_written(body: bytes) -> None:
    assert is_in(" Ada@example.COM ", body)


@pytest.mark.parametrize(
    "body", [b"mail=ada%40example.com", b"a=%&mail=ADA@example.com", b"mail=ada@example.com"]
)
def test_an_address_is_found_in_a_form(body: bytes) -> None:
    assert is_in(ADDRESS, body, FORM)
    assert is_in(ADDRESS, body, "")


@pytest.mark.parametrize(
    "text",
    [
        "nada@example.com",
        "x.ada@example.com",
        "ada@example.company",
        "ada@example.com.au",
        "o'ada@example.com",
    ],
)
def test_an_address_within_another_is_nobodys(text: str) -> None:
    assert not is_in(ADDRESS, {"mail": text})
    assert not is_in(ADDRESS, f"mail={quote(text)}", FORM)


@pytest.mark.parametrize("kind", [JSON, FORM, BOUNDARY, "", "multipart/form-data", "text/plain; charset=x"])
@pytest.mark.parametrize("text", [OURS, ADDRESS])
def test_a_body_that_nobody_can_read_holds_nobody(text: str, kind: str) -> None:
    noise = random.Random(7).randbytes(5000)
    deep = b'{"a":' * 5000
    for body in (
        gzip.compress(b'{"a":1}'),
        noise,
        b"",
        b"\0",
        b"\x1f\x8b",
        deep,
        b'{"a":"\\ud83d"}',
        b"1" * 9000,
        b"remark=&amp;&#" + b"1" * 5000 + b";",
        b'{"remark": "&amp;&#' + b"1" * 5000 + b';"}',
    ):
        assert not is_in(text, body, kind)


HOSTILE = {
    "digits": lambda n: "1" * n,
    "zeros apart": lambda n: "0 " * (n // 2),
    "numbers apart": lambda n: "0151 9876542 " * (n // 13),
    "numbers with slashes": lambda n: "0151/9876542/" * (n // 13),
    "letters": lambda n: "a" * n,
    "letters and digits": lambda n: "a1" * (n // 2),
    "pluses": lambda n: "+" * n,
    "gaps": lambda n: "1" + " ." * (n // 2) + "1",
    "gaps and zeros": lambda n: "1" + "-0" * (n // 2),
    "brackets": lambda n: "+(" * (n // 2),
    "at signs": lambda n: "ada@" * (n // 4),
    "nearly": lambda n: "ada@example.co " * (n // 15),
    "percents": lambda n: "%25" * (n // 3),
    "backslashes": lambda n: "\\" * n,
    "escapes": lambda n: "\\u0040" * (n // 6),
    "entities": lambda n: "&#49;" * (n // 5),
    "queries": lambda n: "?a" * (n // 2),
    "ampersands": lambda n: "&" * n,
    "names and values": lambda n: "a=1&" * (n // 4),
    "marks": lambda n: "e" + "\u0301" * (n // 2) + "@",
    "full width": lambda n: "１" * (n // 3),
    "objects": lambda n: '{"a":' * (n // 5),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("text", [OURS, ADDRESS], ids=["number", "address"])
def test_a_hostile_body_takes_time_in_proportion_to_its_size(text: str, name: str) -> None:
    mentioned, size = looked_for(text, "DE"), 1_000_000  # bytes
    for kind in (JSON, FORM):
        small, large = (HOSTILE[name](one).encode() for one in (size // TIMES, size))
        taken = [seconds(lambda body: mentioned.is_in(body, kind), body) for body in (small, large)]
        assert taken[1] <= MOST * max(taken[0], yardstick(small)), (kind, taken)
        assert taken[1] < 10

"""Whatever sees a sender's text takes time in proportion to its length, not to the square of it.

Each is tried with two sizes in one run, and their times are compared with each other.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import pytest
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header
from werkzeug.wrappers import Request

from relay.intake import visitor
from relay.network import network_of
from relay.operator.erasure import is_contact
from relay.operator.filter import check_text, moment
from relay.outbox.wanted import seq_of
from relay.server.framing import Arriving
from relay.sources import contact, origin, stamp, telephone
from relay.sources.body import is_key, media_type, parse
from relay.sources.bounds import Limits
from relay.sources.consent import Box
from relay.sources.fields import TYPES
from relay.sources.mapping import Mapping as Rules
from relay.sources.paths import Entries, Labels, Path, plain
from relay.sources.proof import Evidence, Verifier
from relay.sources.rules import Rule
from relay.sources.text import clean, normal, usual, visible
from relay.web.cors import shown_origin
from relay.web.language import ENGLISH, choose
from tests.sources.growing import MOST, TIMES, seconds, yardstick

SIZE = 3000
MARKS = "\u0301\u0316"
TEXTS: dict[str, Callable[[int], str]] = {
    "marks": lambda n: "e" + MARKS * (n // 2),
    "marks that look like letters": lambda n: "e" + "\u0f81" * n,
    "marks in parts": lambda n: ("e" + MARKS * 10) * (n // 21),
    "marks behind an address": lambda n: "jane@example.com" + MARKS * (n // 2),
    "marks in a link": lambda n: "https://e" + MARKS * (n // 2),
    "letters that grow": lambda n: "\ufdfa" * n,
    "digits and a letter": lambda n: "1" * n + "x",
    "digits and points": lambda n: "1." * (n // 2),
    "digits and letters": lambda n: "1a" * (n // 2),
    "a digit and letters": lambda n: "1" + "a" * n + "!",
    "digits and e": lambda n: "1e" + "1" * n + "e",
    "blanks": lambda n: " " * n + "x" + " " * n,
    "digits and blanks": lambda n: "1 " * (n // 2) + "x",
    "line breaks": lambda n: "\r\n" * (n // 2),
    "invisible": lambda n: "\u200b\u2064" * (n // 2),
    "pluses": lambda n: "+" * n,
    "pluses and digits": lambda n: "+1 " * (n // 3),
    "slashes": lambda n: "1/" * (n // 2),
    "brackets": lambda n: "(" * n + ")" * n,
    "square brackets": lambda n: "a" + "[a]" * (n // 3),
    "angle brackets": lambda n: "<" * n + "@" + ">" * n,
    "at signs": lambda n: "a@" * (n // 2),
    "dots": lambda n: "a@" + "a." * (n // 2),
    "dots of a carrier": lambda n: "a" + "." * n + "b@docomo.ne.jp",
    "hyphens": lambda n: "a@" + "a-" * (n // 2) + ".com",
    "international name": lambda n: "a@" + "ü" * n + ".de",
    "quotes": lambda n: '"' * n,
    "link": lambda n: "mailto:" + "?" * n,
    "date": lambda n: "2026-11-23T" + "0" * n + "\n",
    "address of a page": lambda n: "https://" + "a" * n + ":" + "1" * n,
    "percents": lambda n: "%25" * (n // 3),
    "names and values": lambda n: "a=1&" * (n // 4),
    "commas": lambda n: "1," * (n // 2),
    "words": lambda n: "tel " * (n // 4),
}

LIMITS = Limits(body=10**8, fields=10**6, field=10**8)
LABELS = Labels(("email", "mail"))
MAPPING = Rules(
    {
        "email": Rule("email", first=(Path("email"), LABELS)),
        "mobile_phone_number": Rule("phone", joined=(Path("dial"), Path("phone"))),
        "full_name": Rule("text", joined=(Path("name"),)),
    },
    region="DE",
    region_from=Path("country"),
    consent={"email": Box("box")},
    entries=Entries("list", ("name",), "value"),
)


def typed(kind: str) -> Callable[[str], Any]:
    return Rule(kind, max_length=10**8).field("DE").deserialize


def form(pairs: str) -> Mapping[str, Any]:
    return parse(pairs.encode(), "application/x-www-form-urlencoded", LIMITS)


def document(value: Any) -> Mapping[str, Any]:
    return parse(json.dumps(value).encode(), "application/json", LIMITS)


def multipart(disposition: str, value: str = "") -> Mapping[str, Any]:
    part = f"--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n--x--\r\n"
    return parse(part.encode(), "multipart/form-data; boundary=x", LIMITS)


def asked(**environ: str) -> Request:
    return Request({"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http", "HTTP_HOST": "x", **environ})


def wire(text: str) -> str:
    """A text as a server hands it over in a header: bytes as letters."""
    return text.encode().decode("latin-1")


def proven(verifier: Verifier, text: str) -> bool:
    headers = {"x-signature": wire(text), "x-time": wire(text), "x-id": wire(text)}
    evidence = Evidence(body=text.encode(), headers=headers, query={"token": text})
    return verifier.proves(evidence, (b"secret",), 0.0)


SIGNED = Verifier(scheme="hmac-sha256", header="X-Signature", timestamp_header="X-Time", id_header="X-Id")
LISTED = Verifier(scheme="hmac-sha256", header="X-Signature", pairs=",", signed="{timestamp}.{body}")

SEEN_BY: dict[str, Callable[[str], Any]] = {
    **{f"type {kind}": typed(kind) for kind in TYPES},
    "normal": normal,
    "normal, compatible": lambda text: normal(text, form="NFKC"),
    "clean": clean,
    "visible": visible,
    "label": plain,
    "labels": lambda text: LABELS.find({text: "x"}),
    "path": lambda text: Path("email").find({text: text}),
    "e-mail": contact.email,
    "suggestion": contact.suggestion,
    "phone": contact.phone,
    "phone of a region": lambda text: contact.phone(text, "US"),
    "no number": telephone.holds_none,
    "dial code": telephone.region_of,
    "box": lambda text: Box("box").is_ticked({"box": [text, text]}),
    "origin": origin.canonical,
    "key": is_key,
    "content type": media_type,
    "stamp": lambda text: stamp.age(b"k" * 32, "source", text, 0.0),
    "mapping of values": lambda text: MAPPING.apply(
        dict.fromkeys(("email", "dial", "phone", "name", "country", "box", "E-Mail"), text)
    ),
    "mapping of keys": lambda text: MAPPING.apply({text: "jane@example.com", f"{text} ": [{"name": text}]}),
    "mapping of entries": lambda text: MAPPING.apply({"list": [{"name": text, "value": text}]}),
    "form value": lambda text: form("a=" + quote(text)),
    "form name": lambda text: form(quote(text) + "=a"),
    "form as it came": form,
    "multipart value": lambda text: multipart('name="a"', text),
    "multipart name": lambda text: multipart(f'name="{text}"'),
    "multipart head": multipart,
    "multipart boundary": lambda text: parse(text.encode(), f"multipart/form-data; boundary={text}", LIMITS),
    "usual name": usual,
    "page": lambda text: visitor.page_of({"referer": text}, {}),
    "signature": lambda text: proven(SIGNED, text),
    "list of signatures": lambda text: proven(LISTED, text),
    "shown secret": lambda text: proven(Verifier(scheme="token", header="X-Signature", query="token"), text),
    "basic secret": lambda text: proven(Verifier(scheme="basic", header="X-Signature"), "Basic " + text),
    "token about a body": lambda text: proven(Verifier(scheme="jwt", header="X-Signature"), text),
    "client's address": network_of.__wrapped__,
    "client's address with a port": lambda text: network_of.__wrapped__(f"[{text}]:80"),
    "origin for the log": lambda text: shown_origin({"HTTP_ORIGIN": text}),
    "languages": lambda text: choose(parse_accept_header(wire(text), LanguageAccept)),
    "message": ENGLISH.say,
    "accepted": lambda text: asked(HTTP_ACCEPT=wire(text)).accept_mimetypes.best_match(["text/html"]),
    "cookies": lambda text: asked(HTTP_COOKIE=wire(text)).cookies,
    "query": lambda text: asked(QUERY_STRING=wire(text)).args,
    "authorization": lambda text: asked(HTTP_AUTHORIZATION="Digest " + wire(text)).authorization,
    "request's head": lambda text: Arriving().feed(text.encode()),
    "moment": lambda text: moment("since", text),
    "place in a list": seq_of,
    "filter": lambda text: check_text("reason", text),
    "contact to find": is_contact,
    "JSON value": lambda text: document({"a": text}),
    "JSON key": lambda text: document({text: "a"}),
}


@pytest.mark.parametrize("see", SEEN_BY.values(), ids=SEEN_BY)
def test_four_times_as_much_text_takes_no_sixteen_times_as_long(see: Callable[[str], Any]) -> None:
    slow = {}
    for name, make in TEXTS.items():
        small, large = make(SIZE), make(SIZE * TIMES)
        if seconds(see, large) > MOST * max(seconds(see, small), yardstick(small)):
            slow[name] = (seconds(see, small), seconds(see, large))
    assert {name: pair for name, pair in slow.items() if pair[1] > MOST * pair[0]} == {}


@pytest.mark.parametrize("see", SEEN_BY.values(), ids=SEEN_BY)
def test_a_short_text_takes_no_time_either(see: Callable[[str], Any]) -> None:
    """What is refused by its length is tried below it, where an expression could try every way."""
    for name, make in TEXTS.items():
        small, large = make(18), make(18 * TIMES)
        assert seconds(see, large) <= TIMES**3 * max(seconds(see, small), yardstick(small)), name


HEADS: dict[str, Callable[[int], str]] = {
    "long name": lambda n: "a" * n + '"',
    "quotes": lambda n: '\\"' * (n // 2) + '"',
    "values": lambda n: '"' + ";a=b" * (n // 4),
    "semicolons": lambda n: '"' + ";" * n,
    "pieces": lambda n: '"' + "".join(f"; a*{number}=b" for number in range(n // 8)),
    "percents": lambda n: "\"; name*=utf-8''" + "%41" * (n // 3),
    "lines": lambda n: '"' + "\r\na:b" * (n // 5),
    "folded lines": lambda n: '"' + "\r\n a" * (n // 4),
    "a type": lambda n: '"\r\nContent-Type: text/plain' + ";a=b" * (n // 4),
    "a boundary": lambda n: "--x" + "a" * n + '"',
}


@pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)
def test_no_head_of_a_part_makes_a_body_cost_much_more(make: Callable[[int], str]) -> None:
    """Few large ones or many small ones, in a body that is filled up with values: as an ordinary one."""
    ordinary = seconds(parts_of_a_form, a_form(200, ""))
    for number, length in ((200, 110), (199, 1150), (60, 4000), (29, 8000), (4, 7500)):
        assert seconds(parts_of_a_form, a_form(number, make(length))) < 6 * ordinary, (number, length)


def parts_of_a_form(raw: bytes) -> Mapping[str, Any]:
    return parse(raw, "multipart/form-data; boundary=x", Limits(field=10**8))


def a_form(number: int, head: str) -> bytes:
    """As long as a body may be."""
    value = "v" * (Limits().body // number - len(head) - 70)
    part = f'--x\r\nContent-Disposition: form-data; name="a{head or chr(34)}\r\n\r\n{value}\r\n'
    return (part * number + "--x--\r\n").encode()


def test_what_takes_the_square_is_seen() -> None:
    def square(text: str) -> int:
        return sum(one == other for one in text[::8] for other in text[::8])

    small, large = "a" * SIZE, "a" * SIZE * TIMES
    assert seconds(square, large) > MOST * max(seconds(square, small), yardstick(small))

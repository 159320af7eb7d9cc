"""Origins: what is the same site, and what is not."""

import pytest

from relay.sources.origin import canonical, covers, lonely_www, problem


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("https://www.example.com", "https://www.example.com"),
        ("HTTPS://WWW.Example.COM", "https://www.example.com"),
        ("https://www.example.com:443", "https://www.example.com"),
        ("http://www.example.com:80", "http://www.example.com"),
        ("http://www.example.com:443", "http://www.example.com:443"),
        ("https://münchen.example", "https://xn--mnchen-3ya.example"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("https://MÜNCHEN.example", "https://xn--mnchen-3ya.example"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://www.example.com.", "https://www.example.com"),
        ("https://www.example.com.:443", "https://www.example.com"),
        ("http://MÜNCHEN.example.:8443", "http://xn--mnchen-3ya.example:8443"),
        ("https://*.example.com", "https://*.example.com"),
    ],
)
def test_an_origin_is_written_in_one_way(written: str, same: str) -> None:
    assert canonical(written) == same
    assert canonical(same) == same


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "*",
        "https://",
        "https://a:b",
        "https://[::1",
        "x" * 10_000,
        "https://a..ü",
        "ü://ü",
        "https://.",
    ],
)
def test_what_is_no_origin_equals_none(text: str) -> None:
    assert canonical(text) == text


@pytest.mark.parametrize(
    ("origin", "is_covered"),
    [
        ("https://shop.example.com", True),
        ("https://example.com", False),
        ("https://a.b.example.com", False),
        ("https://.example.com", False),
        ("http://shop.example.com", False),
        ("https://shop.example.com:8443", False),
        ("https://shop.example.com.evil.example", False),
        ("https://evilexample.com", False),
    ],
)
def test_a_star_is_one_name(origin: str, is_covered: bool) -> None:
    assert covers("https://*.example.com", origin) is is_covered


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("*", None),
        ("https://*.example.com", None),
        ("http://localhost:3000", None),
        ("https://münchen.example/", None),
        ("https://*", "first part"),
        ("https://*.com", "first part"),
        ("https://shop*.example.com", "first part"),
        ("https://example.com?x", "no origin"),
        ("https://example.com/#x", "no origin"),
        ("https://a@example.com", "no origin"),
        ("ftp://example.com", "no origin"),
        ("example.com", "no origin"),
        ("https://example.com:99999", "no origin"),
    ],
)
def test_what_cannot_be_an_origin_is_said(text: str, says: str | None) -> None:
    found = problem(text)
    assert found is None if says is None else says in (found or "")


def test_a_bare_domain_is_missed_beside_its_www() -> None:
    assert lonely_www(("https://www.example.com",)) == ["https://example.com"]
    assert lonely_www(("https://www.a.example.com", "https://*.example.com")) == []

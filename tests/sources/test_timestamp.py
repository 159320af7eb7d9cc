"""A form says when it was handed out, and nobody can make that up."""

import pytest

from relay.sources import stamp as timestamp

KEY, NOW = b"0123456789abcdef", 1_800_000_000.0
SIGNED = timestamp.sign(KEY, "newsletter", NOW)


@pytest.mark.parametrize(
    ("seconds", "least", "odd"),
    [
        (0.1, None, timestamp.TOO_FAST),
        (1.99, None, timestamp.TOO_FAST),
        (2.0, None, None),
        (0.1, 0.0, None),
        (4.9, 5.0, timestamp.TOO_FAST),
        (5.0, 5.0, None),
        (24 * 3600, None, None),
        (24 * 3600 + 1, None, timestamp.STALE),
        (-1, None, None),  # of a process whose clock is ahead
        (-3600, None, None),
    ],
)
def test_what_comes_back_too_soon_or_too_late_is_odd(
    seconds: float, least: float | None, odd: str | None
) -> None:
    assert timestamp.suspicion(KEY, "newsletter", SIGNED, least, NOW + seconds) == odd


@pytest.mark.parametrize("shown", [None, ""])
def test_a_form_without_a_timestamp_is_not_odd(shown: str | None) -> None:
    assert timestamp.suspicion(KEY, "newsletter", shown, None, NOW) is None


@pytest.mark.parametrize(
    "shown",
    [
        "x",
        SIGNED[:-1],
        SIGNED + "0",
        SIGNED.upper(),
        SIGNED.replace("1", "١"),
        "1" + SIGNED,
        SIGNED.replace(".", "..", 1),
        [SIGNED, SIGNED],
        17,
        {"a": 1},
        "\ud800",
        "9" * 5000,
    ],
)
def test_what_was_never_signed_is_odd(shown: object) -> None:
    assert timestamp.suspicion(KEY, "newsletter", shown, None, NOW + 60) == timestamp.STALE


def test_a_timestamp_holds_for_its_source_and_key_only() -> None:
    assert timestamp.age(KEY, "other", SIGNED, NOW) is None
    assert timestamp.age(b"another key 1234", "newsletter", SIGNED, NOW) is None
    assert timestamp.age(KEY, "newsletter", SIGNED, NOW + 3) == 3


@pytest.mark.parametrize(
    ("raw", "bare"),
    [
        (b"a=1&relay_ts=17.ab&b=2", b"a=1&b=2"),
        (b"a=1&relay_ts=", b"a=1"),
        (b"not_relay_ts=1&a=relay_ts=2", b"not_relay_ts=1&a=relay_ts=2"),
        (b'{"relay_ts": "17.ab"}', b'{"relay_ts": "17.ab"}'),
    ],
)
def test_the_same_form_with_another_timestamp_is_the_same(raw: bytes, bare: bytes) -> None:
    assert timestamp.without(raw) == bare

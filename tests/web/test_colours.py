"""Whatever colours a site chooses, what stands on them can be read."""

import random

import pytest

from relay.web import colours


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [("#000000", "#ffffff", 21.0), ("#777777", "#ffffff", 4.48), ("#0000ff", "#ffffff", 8.59)],
)
def test_contrast_is_what_wcag_says(one: str, other: str, ratio: float) -> None:
    assert colours.contrast(one, other) == pytest.approx(ratio, abs=0.005)
    assert colours.contrast(other, one) == pytest.approx(ratio, abs=0.005)


def test_any_colour_gets_text_that_can_be_read(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(500):
        colour = f"#{chance.randrange(1 << 24):06x}"
        assert colours.contrast(colours.text_on(colour), colour) >= colours.TEXT_CONTRAST, colour
        legible = colours.darkened(colour, colours.SURFACE)
        assert colours.contrast(legible, colours.SURFACE) >= colours.TEXT_CONTRAST, colour
        at_night = colours.lightened(colour, colours.SURFACE_BY_NIGHT)
        assert colours.contrast(at_night, colours.SURFACE_BY_NIGHT) >= colours.TEXT_CONTRAST, colour


def test_a_legible_accent_stays_as_it_is() -> None:
    assert colours.darkened(colours.ACCENT, colours.SURFACE) == colours.ACCENT

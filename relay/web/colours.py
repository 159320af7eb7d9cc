"""Colours of a site, and the ones that must be legible beside them.

Contrast as WCAG 2.2 defines it (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio); 4.5 is its AA for text.
"""

from collections.abc import Mapping
from typing import Any

ACCENT = "#1a5fb4"
BACKGROUND = "#f3f4f7"
SURFACE = "#ffffff"
"""What forms stand on, whatever the page's background."""
SURFACE_BY_NIGHT = "#1e2128"
_NIGHT = {"accent": "#8ab8f5", "on-accent": "#10151d", "accent-text": "#8ab8f5", "background": "#15171c"}
TEXT_CONTRAST = 4.5
_DARK, _LIGHT = "#1b1d22", "#ffffff"


def stylesheet(page: Mapping[str, Any]) -> str:
    """Return the style sheet for the colours of ``[sources.x.page]``.

    By night only the accent is the site's own: a background that was chosen for dark text would glare.
    """
    accent, background = page.get("accent", ACCENT), page.get("background", BACKGROUND)
    buttons = {"accent": accent, "on-accent": text_on(accent)}
    by_day = {**buttons, "accent-text": darkened(accent, SURFACE), "background": background}
    by_night = {**buttons, "accent-text": lightened(accent, SURFACE_BY_NIGHT)} if "accent" in page else {}
    return f"{_root(by_day)}@media (prefers-color-scheme: dark) {{ {_root(_NIGHT | by_night)}}}\n"


def _root(values: Mapping[str, str]) -> str:
    return ":root {" + " ".join(f"--{name}: {value};" for name, value in values.items()) + "}\n"


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours like ``#1a5fb4``: 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def text_on(background: str) -> str:
    """Return the colour of text, dark or white, that is easier to read on a background."""
    return max(_DARK, _LIGHT, "#000000", key=lambda colour: _preference(colour, background))


def _preference(colour: str, background: str) -> tuple[bool, float]:
    # Pure black only where neither of the gentler two is legible.
    ratio = contrast(colour, background)
    return ratio >= TEXT_CONTRAST, ratio if colour != "#000000" else 0


def darkened(colour: str, background: str, ratio: float = TEXT_CONTRAST) -> str:
    """Return the colour, as much darker as it takes to be legible as text on a light background."""
    parts = [float(part) for part in _parts(colour)]
    while contrast(colour, background) < ratio:
        parts = [part * 0.95 for part in parts]
        colour = "#" + "".join(f"{int(part):02x}" for part in parts)
    return colour


def lightened(colour: str, background: str, ratio: float = TEXT_CONTRAST) -> str:
    """Return the colour, as much lighter as it takes to be legible as text on a dark background."""
    parts = [float(part) for part in _parts(colour)]
    while contrast(colour, background) < ratio:
        parts = [part + (255 - part) * 0.05 for part in parts]
        colour = "#" + "".join(f"{round(part):02x}" for part in parts)
    return colour


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(part / 255) for part in _parts(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

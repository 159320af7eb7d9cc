"""Languages: the texts of the pages, and in whose words a visitor is told what is wrong.

One file each in ``languages/``. The relay's messages are English; the others say them in their words.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from werkzeug.datastructures import LanguageAccept

_FILES = Path(__file__).parent / "languages"
_A_WHILE_SECONDS = 90
_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Language:
    """``texts``: of the pages, by name. ``validation`` and ``problems``: translations by English wording,
    ``{}`` = a number."""

    code: str
    texts: Mapping[str, str]
    validation: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    visitors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What a visitor is told whose sign-up cannot be taken, by status."""

    def say(self, message: str) -> str:
        """Return a message of the relay in this language; one that is unknown stays English."""
        for known in (self.validation, self.problems):
            if message in known:
                return known[message]
        numbers = _NUMBER.findall(message)
        pattern = _NUMBER.sub("{}", message)
        for known in (self.validation, self.problems):
            if numbers and pattern in known:
                return known[pattern].format(*numbers)
        return message


def too_many(language: Language, retry_after: float | None) -> str:
    """Return what a visitor is told who has to wait."""
    told = language.visitors["429"]
    return told["later"] if (retry_after or 0) > _A_WHILE_SECONDS else told["text"]


def _load(path: Path) -> Language:
    return Language(path.stem, **tomllib.loads(path.read_text(encoding="utf-8")))


LANGUAGES = {path.stem: _load(path) for path in sorted(_FILES.glob("*.toml"))}
ENGLISH = LANGUAGES["en"]


def choose(accepted: LanguageAccept, fixed: str | None = None) -> Language:
    """Return the language that was configured, else the first of the visitor's that there is."""
    if fixed in LANGUAGES:
        return LANGUAGES[fixed]
    for tag, quality in accepted:
        primary = tag.replace("_", "-").partition("-")[0].lower()
        if quality > 0 and primary in LANGUAGES:
            return LANGUAGES[primary]
    return ENGLISH

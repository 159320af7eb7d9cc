"""Why a verb did nothing. Every text is for the person who asked, and holds nothing personal."""

from typing import Any


class CannotDo(ValueError):
    """The verb makes no sense for this row as it is."""


class Missing(CannotDo):
    """There is no such thing."""


class Unconfigured(Missing):
    """The configuration has nothing of that name."""


class Nonsense(CannotDo):
    """The question is malformed."""


class Unfitting(CannotDo):
    """The question is well-formed, and cannot be done with what it says. ``errors``: by field."""

    def __init__(self, why: str, errors: dict[str, list[str]] | None = None) -> None:
        super().__init__(why)
        self.errors = errors


class Misnamed(Unfitting):
    """The question names a part of what it came with, or of the configuration, that is not there."""


class NotAllowed(CannotDo):
    """The operator's role is too small."""


class Changed(CannotDo):
    """The row is no longer as it was seen. ``row``: as it is now."""

    def __init__(self, row: dict[str, Any]) -> None:
        super().__init__(f"has changed since: it is {row['state']} now")
        self.row = row

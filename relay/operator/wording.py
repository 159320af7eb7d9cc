"""Numbers in sentences."""


def count_of(number: int, what: str) -> str:
    """Return a number and its noun: ``1 submission``, ``3 submissions``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def is_or_are(number: int) -> str:
    """Return the verb for so many."""
    return "is" if number == 1 else "are"

"""What a command that could not be done says, and how it exits."""

FAILED, ASKED_WRONGLY = 1, 2


class Failed(Exception):
    """The command failed; the text says why."""


def count_of(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

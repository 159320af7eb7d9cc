"""Numbers and times in sentences."""

from datetime import datetime, tzinfo


def count_of(number: int, what: str) -> str:
    """Return a number and its noun: ``1 submission``, ``3,000 submissions``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def is_or_are(number: int) -> str:
    """Return the verb for so many."""
    return "is" if number == 1 else "are"


def moment(iso: str, zone: tzinfo) -> str:
    """Return a time of the API in a zone, to the second; in an hour that comes twice, which one is meant."""
    at = datetime.fromisoformat(iso).astimezone(zone)
    comes_twice = at.replace(fold=0).utcoffset() != at.replace(fold=1).utcoffset()
    return f"{at:%Y-%m-%d %H:%M:%S%z}" if comes_twice else f"{at:%Y-%m-%d %H:%M:%S}"


_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def duration(seconds: float) -> str:
    """Return a duration in its largest unit: ``3 hours``."""
    size, unit = next((pair for pair in _UNITS if seconds >= pair[0]), _UNITS[-1])
    return count_of(round(seconds / size), unit)

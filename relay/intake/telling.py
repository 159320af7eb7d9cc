"""What intake tells the owner: a line of the log for each submission, and for what looks like a mistake."""

import logging

from relay import events, metrics
from relay.intake.incoming import Incoming, Refusal, Taken
from relay.outbox.records import Stored
from relay.sources.mapping import Mapped
from relay.sources.source import Source

_USUAL = ("accepted", "repeat", "excluded")


def result(source: Source, incoming: Incoming, came_to: Taken | Refusal, word: str, seconds: float) -> None:
    """Say and count what became of a request. It may be committed, which no fault here undoes."""
    try:
        metrics.count_submission(source.name, word, seconds)
        _say(source, incoming, came_to, word, seconds)
    except Exception as problem:  # noqa: BLE001 - "nothing was accepted" would be a lie
        events.note("intake.fault", level=logging.ERROR, error=events.where_from(problem))


def _say(source: Source, incoming: Incoming, came_to: Taken | Refusal, word: str, seconds: float) -> None:
    cause = came_to.cause or (came_to.detail if isinstance(came_to, Refusal) else None)
    events.note(
        f"submission.{word}",
        level=logging.INFO if word in _USUAL else logging.WARNING,
        source=source.name,
        receipt=came_to.receipt,
        status=came_to.status,
        request_id=incoming.request_id,
        client=incoming.client if word in ("rejected", "limited") else None,
        seconds=round(seconds, 4),
        reason="it repeats an earlier one, so it is not sent again" if word == "repeat" else cause,
    )


def skew(source: Source, incoming: Incoming) -> None:
    """Say why a right signature was refused; the sender is told no more than others."""
    events.note(
        "clock.skew",
        level=logging.WARNING,
        source=source.name,
        request_id=incoming.request_id,
        problem="the signature is right and its time is not: the clock of this machine or of the sender is "
        "wrong, or an old message was sent again",
    )


def key_reused(source: Source, stored: Stored) -> None:
    """Say that a sender called two different submissions by one name."""
    events.note(
        "submission.key_reused",
        level=logging.WARNING,
        source=source.name,
        receipt=stored.delivery.receipt,
    )


def over_budget(source: Source) -> None:
    """Say that there is no room for more suspects."""
    events.note(
        "source.over_budget",
        level=logging.WARNING,
        source=source.name,
        problem="it has as many suspects as its held_budget allows; look through them",
    )


def mistake(source: Source, stored: Stored | None) -> None:
    """Say that a form and its configuration do not fit; ``stored``: None where no more of it are kept."""
    events.note(
        "source.misconfigured",
        level=logging.ERROR,
        source=source.name,
        receipt=stored.delivery.receipt if stored else None,
        problem="a form posts none of the mapped contact fields; check [sources.x.fields]",
    )


class Unclear:
    """Tells, once, of each box whose value says neither yes nor no: it counts as no."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()

    def tell(self, source: Source, mapped: Mapped) -> None:
        """Tell of those that were not told of yet."""
        for box in mapped.unclear:
            if (source.name, box) not in self._told:
                self._told.add((source.name, box))
                events.note(
                    "source.consent_unclear",
                    level=logging.WARNING,
                    source=source.name,
                    where=box,
                    problem="it sends a value that counts as no; if it means yes, add it to the box's yes",
                )

"""The command status: the morning's answer in a terminal."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

import click

from relay.cli.opening import open_to_look
from relay.cli.wording import moment
from relay.destination import REMOVED
from relay.operator.wording import duration
from relay.outbox.disk import Disk

if TYPE_CHECKING:
    from relay.config.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the API's object.")
def status(as_json: bool) -> None:
    """Show what needs you, what arrives, and every destination's hold, backlog and quota."""
    operator, settings = open_to_look()
    destinations = operator.status()
    if as_json:
        click.echo(json.dumps(destinations, indent=2))
        return
    now, zone = datetime.now(UTC), settings.time_zone
    lines = [needs_you(operator.needs_you()), *disk(settings), ""]
    lines += [*arrivals(operator.sources(), now, zone, has_file=settings.has_file), ""]
    lines += [f"{name}: {destination(one, zone)}" for name, one in destinations.items()]
    click.echo("\n".join(lines))


def needs_you(groups: Iterable[dict[str, Any]]) -> str:
    """Return what waits for a person: "needs you: 4 invalid (partner), 3 held (newsletter)"."""
    counts: Counter[tuple[str, str]] = Counter()
    for group in groups:
        counts[group["state"], group["source"]] += group["count"]
    parts = [f"{count:,} {state} ({source})" for (state, source), count in counts.items()]
    return f"needs you: {', '.join(parts)}" if parts else "nothing needs you"


def disk(settings: "Settings") -> Iterator[str]:
    """Yield a line where the disk beneath an SQLite outbox is so full that nothing is accepted."""
    if settings.is_sqlite and Disk(settings.database_path).has_little():
        yield "the disk is nearly full: nothing is accepted until there is room"


def arrivals(
    sources: Iterable[dict[str, Any]], now: datetime, zone: tzinfo, *, has_file: bool = True
) -> Iterator[str]:
    """Yield of each source when the last sign-up came, and how many in a day.

    Without a configuration nobody knows whether a source was removed.
    """
    for one in sources:
        state = "" if one["enabled"] or not has_file else " (switched off)" if one["kind"] else " (removed)"
        if one["last"] is None:
            yield f"{one['source']}{state}: no sign-up yet"
            continue
        # The database's clock, by which it came, may be a little ahead of ours.
        ago = duration(max(0.0, (now - datetime.fromisoformat(one["last"])).total_seconds()))
        last, day = moment(one["last"], zone), one["counts"]["24h"]
        yield f"{one['source']}{state}: last sign-up {ago} ago ({last} {zone}); 24 h: {day:,}"


def destination(one: dict[str, Any], zone: tzinfo) -> str:
    """Return a destination's state in words."""
    ends_with = "it is there again" if one["hold_reason"] == REMOVED else "resumed"
    until = moment(one["hold_until"], zone) if one["hold_until"] else ends_with
    parts = [f"held ({one['hold_reason']}) until {until}" if one["hold_reason"] else "sending"]
    parts.append(f"backlog {one['backlog']:,}")
    if one["backlog"]:
        eta = one["eta_seconds"]
        parts.append(f"the oldest waits for {duration(one['oldest_seconds'] or 0)}")
        parts += [] if eta is None else [f"all sent in about {duration(eta)}"]
    if one["quota_used"]:
        parts.append(
            "used " + ", ".join(f"{count} of {window}" for window, count in one["quota_used"].items())
        )
    return "; ".join(parts)

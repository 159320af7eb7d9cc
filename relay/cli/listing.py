"""Commands that show submissions: submissions list, submissions show, tail."""

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from relay.cli.failed import count_of
from relay.cli.filtering import NO_MATCH, filtered, is_narrow, known_filter, narrowed, whole_receipt
from relay.cli.opening import open_to_look
from relay.cli.wording import columns, described, heading, table

if TYPE_CHECKING:
    from relay.operator.filter import Filter
    from relay.operator.operator import Operator

_LOOK_SECONDS = 1.0
_AT_ONCE = 500
_FIRST = 10


@click.command("list")
@filtered
@click.option("--json", "as_json", is_flag=True, help="Print exactly the API's object.")
def list_(as_json: bool, **chosen: Any) -> None:
    """List submissions, newest first."""
    operator, settings = open_to_look()
    filter_ = known_filter(operator, settings, chosen)
    page = operator.page(filter_)
    found = page["submissions"]
    if as_json:
        click.echo(json.dumps(page, indent=2))
    elif not found:
        click.echo(NO_MATCH if is_narrow(chosen) else "nothing is stored")
    else:
        zone = settings.time_zone
        for line in table([heading(zone), *(columns(row, zone) for row in found)]):
            click.echo(line)
        click.echo(_total(operator, filter_, len(found), has_more=bool(page["next"])))


def _total(operator: "Operator", filter_: "Filter", shown: int, *, has_more: bool) -> str:
    """Return how many there are; counting ends at some number, as a large outbox takes long."""
    if not has_more:
        return count_of(shown, "submission")
    count, is_all = operator.count(filter_)
    return f"the newest {shown:,} of {'' if is_all else 'more than '}{count_of(count, 'submission')}"


@click.command()
@click.argument("receipt")
@click.option("--json", "as_json", is_flag=True, help="Print exactly the API's object.")
def show(receipt: str, as_json: bool) -> None:
    """Show one submission, with every send of it. The beginning of a receipt will do."""
    operator, settings = open_to_look()
    found = operator.submission(whole_receipt(operator, receipt))
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(described(found, settings.time_zone)))


@click.command()
@narrowed
def tail(**chosen: Any) -> None:
    """Follow what arrives and what becomes of it, until Ctrl-C."""
    operator, settings = open_to_look()
    zone = settings.time_zone
    filter_ = known_filter(operator, settings, {**chosen, "limit": _AT_ONCE})
    try:
        for row in _news(operator, filter_):
            received, receipt, source, state, hint, why = columns(row, zone)
            click.echo(f"{received}  {receipt}  {source:14} {state:9} {hint}  {why}".rstrip())
    except KeyboardInterrupt:
        return


def _news(operator: "Operator", filter_: "Filter") -> Iterator[dict[str, Any]]:
    """Yield the last rows, then each that is new or in another state, oldest first."""
    known: dict[str, str] = {}
    while True:
        found = operator.submissions(filter_)
        news = [row for row in reversed(found) if known.get(row["receipt"]) != row["state"]]
        yield from news if known else news[-_FIRST:]
        known = {row["receipt"]: row["state"] for row in found} or known
        time.sleep(_LOOK_SECONDS)

"""Commands that show submissions: submissions list, submissions show."""

import json
from typing import TYPE_CHECKING, Any

import click

from relay.cli.filtering import NO_MATCH, filtered, is_narrow, known_filter, whole_receipt
from relay.cli.opening import open_to_look
from relay.cli.wording import columns, described, heading, table
from relay.operator.wording import count_of

if TYPE_CHECKING:
    from relay.operator.filter import Filter
    from relay.operator.operator import Operator


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

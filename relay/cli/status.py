"""The command status: the morning's answer in a terminal."""

import json
from typing import Any

import click

from relay.cli.opening import open_to_look
from relay.cli.wording import ago


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the API's object.")
def status(as_json: bool) -> None:
    """Show what needs you, and every destination's hold, backlog and quota."""
    operator, _ = open_to_look()
    found = operator.status()
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, one in found.items():
        click.echo(f"{name}: {destination_line(one)}")


def destination_line(one: dict[str, Any]) -> str:
    """Return a destination's state in words."""
    parts = [
        f"held ({one['hold_reason']}) until {one['hold_until'] or 'resumed'}"
        if one["hold_reason"]
        else "sending"
    ]
    if one["backlog"]:
        eta = one["eta_seconds"]
        parts.append(f"backlog {one['backlog']:,}, the oldest since {ago(one['oldest_seconds'] or 0)}")
        parts.append("sent when it is resumed" if eta is None else f"sent in about {ago(eta)}")
    else:
        parts.append("backlog 0")
    parts.append("used " + ", ".join(f"{count} of {window}" for window, count in one["quota_used"].items()))
    return "; ".join(parts)

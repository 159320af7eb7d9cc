"""Commands about a destination: pause, resume."""

import click

from relay.cli.failed import AskedWrongly
from relay.cli.opening import open_to_act


@click.command()
@click.argument("destination", required=False)
def pause(destination: str | None) -> None:
    """Pause sending to a destination; accepting goes on."""
    _hold(destination, "pause")


@click.command()
@click.argument("destination", required=False)
def resume(destination: str | None) -> None:
    """Resume sending to a destination."""
    _hold(destination, "resume")


def _hold(destination: str | None, verb: str) -> None:
    operator, settings = open_to_act()
    names = [destination] if destination else list(settings.destinations)
    if len(names) > 1 or names[0] not in settings.destinations:
        unknown = f"there is no destination {destination}" if destination else "which destination?"
        raise AskedWrongly(f"{unknown}; one of {', '.join(settings.destinations)}")
    operator.hold(names[0], verb)
    click.echo(f"{names[0]}: {verb}d")

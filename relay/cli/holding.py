"""Commands about a destination: pause, resume."""

import click

from relay.cli.failed import AskedWrongly, Failed
from relay.cli.opening import open_to_look
from relay.cli.wording import moment


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
    operator, settings = open_to_look()
    known = operator.destinations()
    if not known:
        raise Failed("no server ran here yet, so no destination is known but by relay.toml")
    names = [destination] if destination else known
    if len(names) != 1 or names[0] not in known:
        unknown = f"there is no destination {destination}" if destination else "which destination?"
        raise AskedWrongly(f"{unknown}; one of {', '.join(known)}")
    waits = operator.hold(names[0], verb)
    zone = settings.time_zone
    kept = f"held until {moment(waits, zone)} ({zone}): upstream asked for this wait, and it is kept"
    click.echo(f"{names[0]}: {kept if waits else f'{verb}d'}")

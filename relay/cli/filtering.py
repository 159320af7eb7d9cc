"""The options that say which submissions are meant."""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from relay.cli.failed import AskedWrongly
from relay.delivery import STATES

if TYPE_CHECKING:
    from relay.config.settings import Settings
    from relay.operator.filter import Filter
    from relay.operator.operator import Operator

NO_MATCH = "no submission matches"
_SHORTEST = 4
"""Characters of a beginning of a receipt."""


def check_contact(ctx: click.Context, param: click.Parameter, text: str | None) -> str | None:
    """Refuse what nobody can be found by."""
    from relay.operator.erasure import NO_CONTACT, is_contact

    if text is not None and not is_contact(text):
        raise click.BadParameter(NO_CONTACT)
    return text


def _limit(ctx: click.Context, param: click.Parameter, number: int) -> int:
    from relay.operator.filter import MAX_ROWS

    if not 1 <= number <= MAX_ROWS:
        raise click.BadParameter(f"must be 1 to {MAX_ROWS}")
    return number


_NARROWING = (
    click.option("--state", type=click.Choice(STATES), metavar="STATE", help=", ".join(STATES)),
    click.option("--source", help="Its name in relay.toml."),
    click.option("--reason", help="Why it is in its state, as the list shows it."),
    click.option(
        "--since", metavar="TIME", help="Received then or later: 24h, 7d, 2026-01-31, in RELAY_TIME_ZONE."
    ),
    click.option("--until", metavar="TIME", help="Received before then."),
)
_OF_A_PERSON = click.option(
    "--contact", callback=check_contact, help="An e-mail address or phone number, in clear."
)
_LIMIT = click.option(
    "--limit", type=int, callback=_limit, default=100, show_default=True, help="At most so many."
)


def narrowed(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that narrow down what is meant."""
    for option in reversed(_NARROWING):
        command = option(command)
    return command


def filtered(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that narrow down what is meant, to one person too, and a limit."""
    return narrowed(_OF_A_PERSON(_LIMIT(command)))


def filter_of(chosen: Mapping[str, Any]) -> "Filter":
    """Return the filter that options make."""
    from relay.operator.filter import Filter

    return Filter(**chosen)


def known_filter(operator: "Operator", settings: "Settings", chosen: Mapping[str, Any]) -> "Filter":
    """Return the filter that options make. Raises AskedWrongly for a source that nobody knows."""
    from relay.operator.filter import typed_time

    check_source(operator, settings, chosen["source"])
    times = {name: typed_time(chosen[name], settings.time_zone) for name in ("since", "until")}
    return filter_of({**chosen, **times})


def check_source(operator: "Operator", settings: "Settings", name: str | None) -> None:
    """Refuse a source that is not configured, and of which nothing is stored. Raises AskedWrongly."""
    if name is None or name in settings.sources or not settings.sources:  # none: relay.toml is broken
        return
    if not operator.submissions(filter_of({"source": name, "limit": 1})):
        raise AskedWrongly(f"there is no source {name[:40]}; there are {', '.join(settings.sources)}")


def is_narrow(chosen: Mapping[str, Any]) -> bool:
    """Whether anything but a limit was chosen."""
    return any(value is not None for name, value in chosen.items() if name != "limit")


def whole_receipt(operator: "Operator", beginning: str) -> str:
    """Return the one receipt that begins so, or the text as it is where none does."""
    if not re.fullmatch(r"[0-9a-f]{1,31}", beginning):
        return beginning
    if len(beginning) < _SHORTEST:
        raise AskedWrongly(f"{beginning} may begin many receipts; give at least {_SHORTEST} characters of it")
    found = operator.submissions(filter_of({"receipt": beginning, "limit": 2}))
    if len(found) > 1:
        raise AskedWrongly(f"several receipts begin with {beginning}; give more of it")
    return str(found[0]["receipt"]) if found else beginning

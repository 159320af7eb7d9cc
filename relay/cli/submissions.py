"""Commands about submissions: list, show, replay, discard."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from relay.cli.failed import FAILED, AskedWrongly, count_of
from relay.cli.opening import open_to_act, open_to_look
from relay.cli.wording import HEADER, columns, described, table
from relay.delivery import REPLAYABLE, STATES

if TYPE_CHECKING:
    from relay.operator.filter import Filter
    from relay.operator.operator import Operator


def check_contact(ctx: click.Context, param: click.Parameter, text: str | None) -> str | None:
    from relay.operator.erasure import NO_CONTACT, is_contact

    if text is not None and not is_contact(text):
        raise click.BadParameter(NO_CONTACT)
    return text


def check_time(ctx: click.Context, param: click.Parameter, text: str | None) -> str | None:
    """Return a time as ISO 8601 that was given as one, or as how long ago it was."""
    if text is None or not (ago := re.fullmatch(r"([0-9]{1,6})([smhd])", text)):
        return text
    seconds = int(ago[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[ago[2]]
    return datetime.fromtimestamp(time.time() - seconds, UTC).isoformat()


def _limit(ctx: click.Context, param: click.Parameter, number: int) -> int:
    from relay.operator.filter import MAX_ROWS

    if not 1 <= number <= MAX_ROWS:
        raise click.BadParameter(f"must be 1 to {MAX_ROWS}")
    return number


_NARROWS = ("state", "source", "contact", "reason", "since", "until")
"""What narrows a filter; all but a limit."""
_FILTER = (
    click.option("--state", type=click.Choice(STATES), metavar="STATE", help=", ".join(STATES)),
    click.option("--source", help="Its name in relay.toml."),
    click.option("--contact", callback=check_contact, help="An e-mail address or phone number, in clear."),
    click.option("--reason", help="Why it is in its state, as the list shows it."),
    click.option(
        "--since", metavar="TIME", callback=check_time, help="Received then or later: 24h, 7d, 2026-01-31."
    ),
    click.option("--until", metavar="TIME", callback=check_time, help="Received before then."),
    click.option(
        "--limit", type=int, callback=_limit, default=100, show_default=True, help="At most so many."
    ),
)


def _filtered(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which submissions are meant."""
    for option in reversed(_FILTER):
        command = option(command)
    return command


def _filter(**chosen: Any) -> "Filter":
    from relay.operator.filter import Filter

    return Filter(**chosen)


@click.group(no_args_is_help=False)
def submissions() -> None:
    """Look at submissions, replay or discard them."""


@submissions.command("list")
@_filtered
@click.option("--json", "as_json", is_flag=True, help="Print exactly the API's object.")
def list_(as_json: bool, **chosen: Any) -> None:
    """List submissions, newest first."""
    operator, _ = open_to_look()
    page = operator.page(_filter(**chosen))
    if as_json:
        click.echo(json.dumps(page, indent=2))
        return
    found = page["submissions"]
    if not found:
        click.echo("no submission matches" if any(map(chosen.get, _NARROWS)) else "nothing is stored")
        return
    for line in table([HEADER, *map(columns, found)]):
        click.echo(line)
    if page["next"]:
        click.echo(f"the newest {len(found):,}; there may be more: see --limit", err=True)
    else:
        click.echo(count_of(len(found), "submission"))


@submissions.command()
@click.argument("receipt")
@click.option("--json", "as_json", is_flag=True, help="Print exactly the API's object.")
def show(receipt: str, as_json: bool) -> None:
    """Show one submission, with every send of it."""
    operator, _ = open_to_look()
    found = operator.submission(whole_receipt(operator, receipt))
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(described(found)))


def whole_receipt(operator: "Operator", beginning: str) -> str:
    """Return the one receipt that begins so, or the text as it is where none does."""
    if not re.fullmatch(r"[0-9a-f]{4,31}", beginning):
        return beginning
    found = operator.submissions(_filter(receipt=beginning, limit=2))
    if len(found) > 1:
        raise AskedWrongly(f"several receipts begin with {beginning}; give more of it")
    return str(found[0]["receipt"]) if found else beginning


@submissions.command()
@click.argument("receipts", nargs=-1, metavar="[RECEIPT]...")
@_filtered
def replay(receipts: tuple[str, ...], **chosen: Any) -> int:
    """Queue again: by receipt, or all that match."""
    operator, _ = open_to_act()
    return _each(operator, operator.replay, "replay", receipts, chosen)


@submissions.command()
@click.argument("receipts", nargs=-1, metavar="[RECEIPT]...")
@_filtered
@click.option("--yes", is_flag=True, help="Discard many without naming a state.")
def discard(receipts: tuple[str, ...], yes: bool, **chosen: Any) -> int:
    """Give up: by receipt, or all that match. What they hold is erased."""
    if not receipts and not chosen["state"] and not yes and any(map(chosen.get, _NARROWS)):
        raise AskedWrongly("discard of all that match, in every state, needs --yes; or name a --state")
    operator, _ = open_to_act()
    return _each(operator, operator.discard, "discard", receipts, chosen)


def _each(
    operator: "Operator",
    act: Callable[[str], dict[str, Any]],
    verb: str,
    named: tuple[str, ...],
    chosen: dict[str, Any],
) -> int:
    """Act on the receipts that were named, or on all that match; return the exit status."""
    if not named and not any(map(chosen.get, _NARROWS)):
        raise AskedWrongly(f"submissions {verb} takes receipts, or --state, --source, --contact and the like")
    receipts = [whole_receipt(operator, one) for one in named] or _matching(operator, _filter(**chosen))
    failed = 0
    for receipt in receipts:
        try:
            click.echo(f"{receipt} {act(receipt)['state']}")
        except ValueError as problem:
            failed += 1
            click.echo(f"relay: {receipt} {problem}", err=True)
    if not named and len(receipts) == chosen["limit"]:
        click.echo(f"relay: stopped after {chosen['limit']}, there may be more: see --limit", err=True)
    return FAILED if failed else 0


def _matching(operator: "Operator", wanted: "Filter") -> list[str]:
    """Return the receipts a filter means; without a state, of those that can be acted on."""
    found: list[str] = []
    for state in (wanted.state,) if wanted.state else REPLAYABLE:
        left = wanted.limit - len(found)
        if left > 0:
            found += [
                row["receipt"] for row in operator.submissions(replace(wanted, state=state, limit=left))
            ]
    return found

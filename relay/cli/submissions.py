"""Commands that act on submissions: submissions replay, submissions discard."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from relay.cli.failed import FAILED, AskedWrongly
from relay.cli.filtering import NO_MATCH, filtered, is_narrow, known_filter, whole_receipt
from relay.cli.jobs import follow
from relay.cli.listing import list_, show
from relay.cli.opening import open_to_act
from relay.delivery import KEPT, QUEUED

if TYPE_CHECKING:
    from relay.operator.filter import Filter
    from relay.operator.operator import Operator

_ALL = click.option("--all", "as_job", is_flag=True, help="All that match, as a job; needs a --state.")


@click.group(no_args_is_help=False)
def submissions() -> None:
    """Look at submissions, replay or discard them."""


submissions.add_command(list_)
submissions.add_command(show)


@submissions.command()
@click.argument("receipts", nargs=-1, metavar="[RECEIPT]...")
@filtered
@_ALL
def replay(receipts: tuple[str, ...], as_job: bool, **chosen: Any) -> int:
    """Queue again: by receipt, or what matches."""
    if not receipts and not is_narrow(chosen):
        raise AskedWrongly("replay takes receipts, or --state, --source, --contact and the like")
    return _act("replay", receipts, as_job, chosen)


@submissions.command()
@click.argument("receipts", nargs=-1, metavar="[RECEIPT]...")
@filtered
@_ALL
@click.option("--yes", is_flag=True, help="Discard many without naming a state.")
def discard(receipts: tuple[str, ...], as_job: bool, yes: bool, **chosen: Any) -> int:
    """Give up: by receipt, or what matches. What they hold is erased."""
    if chosen["state"] == QUEUED and not (receipts or chosen["contact"] or as_job):
        what = "what is queued: by receipts, or by --all that for which no destination is configured any more"
        raise AskedWrongly(f"discard takes {what}")
    if receipts or chosen["state"] or yes:
        return _act("discard", receipts, as_job, chosen)
    raise AskedWrongly("discard takes receipts or a --state; all that match need --yes")


def _act(verb: str, named: tuple[str, ...], as_job: bool, chosen: dict[str, Any]) -> int:
    """Act on the receipts that were named, or on what matches; return the exit status."""
    if as_job and (named or chosen["contact"] or not chosen["state"]):
        raise AskedWrongly("--all takes a --state, and neither receipts nor a --contact")
    operator, settings = open_to_act()
    act = operator.replay if verb == "replay" else operator.discard
    if named:
        return _each(act, [whole_receipt(operator, one) for one in named])
    wanted = known_filter(operator, settings, chosen)
    receipts = _matching(operator, replace(wanted, limit=1) if as_job else wanted)
    if not receipts:
        click.echo(NO_MATCH)
        return 0
    if as_job:
        return follow(operator, operator.make_job(verb, wanted)["job"])
    status = _each(act, receipts)
    if len(receipts) == chosen["limit"]:
        click.echo(
            f"relay: stopped after {chosen['limit']}, there may be more: see --limit and --all", err=True
        )
    return status


def _each(act: Callable[[str], dict[str, Any]], receipts: list[str]) -> int:
    failed = 0
    for receipt in receipts:
        try:
            click.echo(f"{receipt} {act(receipt)['state']}")
        except ValueError as problem:
            failed += 1
            click.echo(f"relay: {receipt} {problem}", err=True)
    return FAILED if failed else 0


def _matching(operator: "Operator", wanted: "Filter") -> list[str]:
    """Return the receipts a filter means; without a state, of those that can be acted on."""
    found: list[str] = []
    for state in (wanted.state,) if wanted.state else KEPT:
        left = wanted.limit - len(found)
        if left > 0:
            rows = operator.submissions(replace(wanted, state=state, limit=left))
            found += [row["receipt"] for row in rows]
    return found

"""Commands about jobs, which act on many submissions: jobs, jobs show, jobs follow, jobs cancel."""

import json
from typing import TYPE_CHECKING, Any

import click

from relay.cli.failed import FAILED
from relay.cli.opening import open_to_act, open_to_look
from relay.cli.wording import moment, table

if TYPE_CHECKING:
    from relay.operator.operator import Operator

_HEADING = ("job", "made", "action", "by", "state", "done", "what became of them")


@click.group(invoke_without_command=True)
@click.pass_context
def jobs(ctx: click.Context) -> None:
    """List jobs, newest first, or look at one."""
    if ctx.invoked_subcommand is not None:
        return
    from relay.operator import progress
    from relay.operator.filter import Filter

    operator, settings = open_to_look()
    found = operator.jobs(Filter())["jobs"]
    if not found:
        click.echo("there are no jobs")
        return
    zone = settings.time_zone
    rows = [
        (job["job"], moment(job["made_at"], zone), progress.action(job), job["by"], *_progress(job))
        for job in found
    ]
    for line in table([_HEADING, *rows]):
        click.echo(line)


@jobs.command()
@click.argument("name", metavar="JOB")
def show(name: str) -> None:
    """Show a job as the API has it."""
    operator, _ = open_to_look()
    click.echo(json.dumps(operator.job(name), indent=2))


@jobs.command("follow")
@click.argument("name", metavar="JOB")
def follow_(name: str) -> int:
    """Watch a job until it is over; without a server, do it."""
    operator, _ = open_to_act()
    return follow(operator, name)


@jobs.command()
@click.argument("name", metavar="JOB")
def cancel(name: str) -> None:
    """End a job where it is; what it has done stays done."""
    operator, _ = open_to_look()
    job = operator.cancel(name)
    click.echo(f"{name}: cancelled after {job['done']:,}")


def follow(operator: "Operator", name: str) -> int:
    """Show a job's progress until it is over; return the exit status."""
    job = operator.job(name)
    with click.progressbar(length=max(1, job["total"]), label=f"{job['action']} {name}") as bar:
        for job in operator.follow(name):
            bar.update(job["done"] - bar.pos)
    state, done, became = _progress(job)
    click.echo(f"{name} {state}: {done}{f' ({became})' if became else ''}")
    return FAILED if job["state"] == "failed" else 0


def _progress(job: dict[str, Any]) -> tuple[str, str, str]:
    """Return a job's state, how far it has come, and what became of the rows."""
    from relay.operator import progress

    total = f"{'more than ' if job['more_than'] else ''}{job['total']:,}"
    became = ", ".join(f"{count:,} {outcome}" for outcome, count in progress.outcomes(job).items())
    return progress.state(job), f"{job['done']:,} of {total}", became or (job["problem"] or "")

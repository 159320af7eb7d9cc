"""The list of commands, and how each ends.

Errors are one line on stderr, exit 1 (it failed) or 2 (asked wrongly).
"""

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

import click

import relay
from relay import events
from relay.cli import (
    checking,
    following,
    holding,
    init,
    jobs,
    moving,
    presets,
    running,
    sign,
    status,
    storage,
    submissions,
)
from relay.cli.envfile import add_variables
from relay.cli.failed import FAILED, explained


class Commands(click.Group):
    """The command without a word after it."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # `… | head` has seen enough
            _let_go()
            return 0


@click.group("relay", cls=Commands, no_args_is_help=False)
@click.version_option(relay.__version__, prog_name="relay", message="%(prog)s %(version)s")
def commands() -> None:
    """Relays sign-ups to Create Profile without losing one.

    Variables are also read from a file relay.env in this folder.
    """
    add_variables()


for _command in (
    *(running.serve, checking.check, checking.try_, sign.sign, presets.presets),
    *(running.sandbox, running.dispatch),
    *(submissions.submissions, following.tail, jobs.jobs, status.status, holding.pause, holding.resume),
    init.init,
    moving.import_,
    moving.export,
    *(storage.erase, storage.backup, storage.restored, storage.migrate, storage.keys),
):
    commands.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    events.keep_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal of some other alphabet still tells the rest
            stream.reconfigure(errors="backslashreplace")
    try:
        return commands.main(arguments, complete_var="_RELAY_COMPLETE", standalone_mode=False) or 0
    except click.Abort:
        click.echo("relay: stopped", err=True)
        return FAILED
    except Exception as problem:
        said = explained(problem)
        if said is None:
            raise
        click.echo(said[0], err=True)
        _let_go()
        return said[1]


def _let_go() -> None:
    """Let go what cannot be written, or Python tries again at its end, and fails in words of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

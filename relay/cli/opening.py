"""The stored submissions are opened for a command: beside a running server, or without one."""

import time
from typing import TYPE_CHECKING

import click

from relay.cli.failed import Failed
from relay.operator.wording import count_of

if TYPE_CHECKING:
    from relay.config.settings import Settings
    from relay.operator.operator import Operator


def open_to_act() -> tuple["Operator", "Settings"]:
    """Return the operator's view, with the whole configuration. Raises Unusable where that is broken."""
    from relay.config import settings as configuration

    return _opened(configuration.load(offline=True))


def open_to_look() -> tuple["Operator", "Settings"]:
    """Return the operator's view also while relay.toml is broken, which is when people look, and pause.

    For commands that ask nothing of the configuration but where the store is.
    """
    from relay.config import settings as configuration
    from relay.config.environment import Unusable

    try:
        settings = configuration.load(offline=True)
    except Unusable as unusable:
        settings = configuration.without_file()
        many = count_of(len(unusable.problems), "problem")
        note(f"the configuration has {many}, which `relay check` names; this works all the same")
    return _opened(settings)


def note(text: str) -> None:
    """Say something beside the output, which may be read by a program."""
    click.echo(f"note: {text}", err=True)


def _opened(settings: "Settings") -> tuple["Operator", "Settings"]:
    from relay.config.settings import SANDBOX_DATABASE
    from relay.operator.operator import Operator
    from relay.process.opening import open_outbox

    if settings.is_sqlite and not settings.database_path.exists():
        missing = f"there is no {settings.database_path} yet; RELAY_DATABASE_URL says where it is"
        raise Failed(f"{missing}, and `relay migrate` or the first start makes it")
    if settings.is_sandbox and settings.database_url == SANDBOX_DATABASE:
        note(f"without a token this is {settings.database_path}, where the sandbox's submissions are")
    box = open_outbox(settings, time.time)
    # With a token, pretend people are refused as the server refuses them; without, what is stored is shown.
    # Servers of the version before may use it, and could not be started again.
    box.prepare(sandbox=None if settings.is_sandbox else False, upgrading=None)
    return Operator(settings, box), settings

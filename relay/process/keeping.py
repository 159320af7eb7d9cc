"""What the log says of a configuration that cannot be used."""

import logging
from collections.abc import Iterable

from relay import events


def configuration_kept(problems: Iterable[object]) -> None:
    """Say what is wrong with a new configuration, and that the old one stays in force."""
    for problem in problems:
        events.note("config.problem", level=logging.ERROR, problem=str(problem))
    events.note("config.kept", level=logging.ERROR, problem="the old configuration stays in force")

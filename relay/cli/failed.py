"""What a command that could not be done says, and how it exits."""

import click

FAILED, ASKED_WRONGLY = 1, 2


class Failed(click.ClickException):
    """The command failed; the text says why."""


class AskedWrongly(click.ClickException):
    """The command makes no sense as it was given; the text says what would."""

    exit_code = ASKED_WRONGLY


def explained(problem: Exception) -> tuple[str, int] | None:
    """Return what to say of an exception, and the exit status; None for one that is a fault of ours."""
    from relay.config.environment import Unusable
    from relay.operator.errors import CannotDo, Misnamed, Nonsense, Unconfigured
    from relay.outbox.errors import Unavailable, Unfit
    from relay.vault import CannotOpen

    if isinstance(problem, click.ClickException):
        return f"relay: {_with_help(problem)}", problem.exit_code
    if isinstance(problem, Unusable):
        return "\n".join(map(str, problem.problems)), ASKED_WRONGLY
    if isinstance(problem, Misnamed | Nonsense | Unconfigured):
        return f"relay: {problem}", ASKED_WRONGLY
    if isinstance(problem, CannotDo | Unavailable | Unfit | CannotOpen):
        return f"relay: {problem}", FAILED
    if isinstance(problem, OSError):
        named = problem.filename and f"{problem.filename}: {problem.strerror}"
        return f"relay: {named or problem}", FAILED
    return None


def _with_help(problem: click.ClickException) -> str:
    """Return the message in one line, and where help is if the words were wrong."""
    said = " ".join(problem.format_message().split())
    if isinstance(problem, click.UsageError) and problem.ctx is not None:
        said = f"{said.rstrip('.')}; see {problem.ctx.command_path} --help"
    return said

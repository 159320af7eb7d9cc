"""The command line: ``python -m relay …``.

Errors are one line on stderr, exit 1 (it failed) or 2 (asked wrongly).
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from relay import events
from relay.cli.configuration import _check, _presets, _presets_arguments, _try, _try_arguments
from relay.cli.failed import ASKED_WRONGLY, FAILED, Failed
from relay.cli.storage import _backup, _erase, _hold, _keys, _migrate, _status
from relay.cli.submissions import _contact, _submissions, _submissions_arguments
from relay.config import settings as configuration
from relay.config.environment import Unusable
from relay.sandbox import serve as sandbox


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    from relay.operator.errors import CannotDo
    from relay.outbox.errors import Unavailable, Unfit
    from relay.vault import KeyMissing

    asked = _parser().parse_args(arguments)
    try:
        status: int = asked.run(asked)
        return status
    except Unusable as unusable:
        for problem in unusable.problems:
            print(problem, file=sys.stderr)
        return ASKED_WRONGLY
    except BrokenPipeError:  # `… | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as problem:
        what = f"{problem.filename}: {problem.strerror}" if problem.filename else problem
        print(f"relay: {what}", file=sys.stderr)
        return FAILED
    except (Failed, CannotDo, Unavailable, Unfit, KeyMissing) as problem:
        print(f"relay: {problem}", file=sys.stderr)
        return FAILED


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line; the library would print the usage too."""
        self.exit(ASKED_WRONGLY, f"relay: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m relay", description="Relays sign-ups to Create Profile without losing one."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Any, what: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=what, description=what)
        made.set_defaults(run=run)
        return made

    serve = command("serve", _serve, "run the relay; without a token, with the sandbox as upstream")
    serve.add_argument("--bind", metavar="HOST:PORT", help="where to listen (HOST and PORT)")
    check = command("check", _check, "check the environment and relay.toml, and report every problem")
    check.add_argument("--config", metavar="FILE", help="another configuration file (RELAY_CONFIG)")
    _try_arguments(command("try", _try, "map a body without storing or sending anything"))
    box = command("sandbox", sandbox.run, "run a pretend Create Profile")
    sandbox.add_arguments(box)
    command("dispatch", _dispatch, "send what is queued, without accepting (PostgreSQL)")
    _presets_arguments(command("presets", _presets, "list the known senders, or show one"))
    _submissions_arguments(
        command("submissions", _submissions, "look at submissions, replay or discard them")
    )
    status = command("status", _status, "show every destination's hold, backlog and quota")
    status.add_argument("--json", action="store_true", help="print the API's object")
    for verb in ("pause", "resume"):
        hold = command(verb, _hold, f"{verb} sending to a destination")
        hold.add_argument("destination", nargs="?", help="may be left out when there is one")
        hold.set_defaults(verb=verb)
    command("migrate", _migrate, "bring the database's schema up to date")
    keys = command("keys", _keys, "make a new secret key, or encrypt everything with the newest")
    keys.add_argument("action", choices=["new", "rotate"])
    erase = command("erase", _erase, "delete everything about a person, in every state")
    erase.add_argument(
        "--contact", type=_contact, required=True, help="an e-mail address or phone number, in clear"
    )
    backup = command("backup", _backup, "copy the SQLite database into a new file, also while in use")
    backup.add_argument("file", metavar="FILE")
    return parser


# --- running --------------------------------------------------------------------------------------------


def _serve(asked: argparse.Namespace) -> int:
    from relay.server import serve

    if asked.bind and not _is_address(asked.bind):
        print("relay: --bind takes HOST:PORT, like 127.0.0.1:8000", file=sys.stderr)
        return ASKED_WRONGLY
    return serve.serve(asked.bind)


def _is_address(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(host and colon and port.isdigit() and int(port) < 65536)


def _dispatch(asked: argparse.Namespace) -> int:
    import signal
    import threading

    from relay.process.relay import Relay

    os.environ["RELAY_ROLE"] = "dispatcher"
    settings = configuration.load()
    events.configure(settings.log_level)
    relay = Relay(settings, configuration.load)
    relay.start()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    signal.signal(signal.SIGHUP, lambda *_: threading.Thread(target=relay.reload, daemon=True).start())
    ended.wait()
    relay.stop()
    return 0


# --- configuration --------------------------------------------------------------------------------------


# --- the outbox -----------------------------------------------------------------------------------------

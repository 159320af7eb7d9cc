"""Commands that run until they are told to stop: serve, dispatch, sandbox."""

from pathlib import Path

import click

from relay.cli.failed import FAILED
from relay.sandbox.moods import MOODS


def _address(ctx: click.Context, param: click.Parameter, text: str | None) -> str | None:
    host, colon, port = (text or "").rpartition(":")
    if text is not None and not (host and colon and port.isdigit() and int(port) < 65536):
        raise click.BadParameter("takes HOST:PORT, like 127.0.0.1:8000")
    return text


@click.command()
@click.option("--bind", metavar="HOST:PORT", callback=_address, help="Where to listen (HOST and PORT).")
def serve(bind: str | None) -> int:
    """Run the relay; without a token, with the sandbox as upstream."""
    from relay.server.serve import serve as run

    return run(bind)


@click.command()
def dispatch() -> None:
    """Send what is queued, without accepting (PostgreSQL)."""
    import os
    import signal
    import threading

    from relay import events
    from relay.config import settings as configuration
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


def _moods() -> str:
    """Return the table of moods, for the end of the help."""
    width = max(map(len, MOODS)) + 2
    table = "\n".join(f"  {words:<{width}}{meaning}" for words, meaning in MOODS.items())
    return (
        "\b\nfull_name chooses the mood of the answer; numbers are examples, commas combine\n"
        f'("Jane Doe, delay 1, status 503"):\n{table}\n\n'
        'Any bearer token will do, except "wrong" and those beginning with "expired": 401.\n\n'
        "Limits, per token: 10 calls a second, 150 a minute, 8 at once."
    )


@click.command(epilog=_moods(), context_settings={"max_content_width": 120})
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8900, show_default=True, help="0: any free one."
)
@click.option(
    "--log", type=click.Path(path_type=Path), metavar="FILE", help="Append a JSON line per request."
)
@click.option("--watch-stdin", is_flag=True, hidden=True)
def sandbox(port: int, log: Path | None, watch_stdin: bool) -> int:
    """Run a pretend Create Profile."""
    from relay.sandbox.serve import run

    try:
        return run(port, log, watch_stdin=watch_stdin)
    except OSError as problem:
        click.echo(f"sandbox: cannot start: {problem}", err=True)
        return FAILED

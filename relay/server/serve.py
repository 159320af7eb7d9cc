"""``relay serve``: gunicorn in this process, and the sandbox as its child where there is no token."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from relay.config import settings as configuration
from relay.server import hooks


def serve(bind: str | None) -> int:
    """Run the whole relay; without a token, with the sandbox as its upstream. Returns the exit status."""
    from gunicorn.app.wsgiapp import WSGIApplication

    sandbox = None
    if bind:
        host, _, port = bind.rpartition(":")
        os.environ["HOST"], os.environ["PORT"] = host.strip("[]"), port
    if configuration.lacks_token():
        sandbox, hooks.sandbox_url = _start_sandbox()
    try:
        settings = hooks.load_or_exit()
        if settings.is_sandbox:
            said = f"no token, so nothing is sent to the real upstream, but to {hooks.sandbox_url}"
            if settings.sent_really:
                said = (
                    f"a token is missing, and {hooks.sandbox_url} takes its destination's place; "
                    f"what is for {settings.sent_really} is REALLY SENT"
                )
            print(
                f"SANDBOX MODE: {said}\nOpen http://{settings.host}:{settings.port}/ to see what to do next.",
                flush=True,
            )
        sys.argv = ["gunicorn", "relay.server.app:app", "-c", "python:relay.server.conf"]
        WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]").run()
    finally:
        if sandbox is not None:
            sandbox.stdin.close()
    return 0


def _start_sandbox() -> tuple[Any, str]:
    """Start the pretend upstream as a process of its own, which ends with this one."""
    process = subprocess.Popen(
        [sys.executable, "-m", "relay", "sandbox", "--port", "0", "--watch-stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    url = line.strip().rpartition(" ")[2]
    if not url.startswith("http://"):
        print("the sandbox did not start", file=sys.stderr)
        sys.exit(1)
    _pass_on(process.stdout.readline)
    return process, url


def _pass_on(read: Callable[[], str]) -> None:
    """Print what the sandbox says of each call, so that a person sees the profile that was created."""

    def run() -> None:
        while line := read():
            print("sandbox:", line, end="", flush=True)

    threading.Thread(target=run, name="sandbox-output", daemon=True).start()

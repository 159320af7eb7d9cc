"""The command that makes a message as a sender would: sign."""

import secrets
import sys
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.checking import BODY, guess
from relay.cli.failed import FAILED, AskedWrongly, Failed

if TYPE_CHECKING:
    from relay.config.settings import Settings
    from relay.sources.sign import Message
    from relay.sources.source import Source

_SECONDS = 35
"""A source waits 30 seconds at most for upstream's verdict."""


def _address_of(ctx: click.Context, param: click.Parameter, text: str | None) -> str | None:
    """Refuse what nothing can be sent to."""
    from relay.config.addresses import is_url

    if text is not None and not is_url(text):
        raise click.BadParameter("must be an address like http://127.0.0.1:8000")
    return text


@click.command()
@click.argument("source")
@click.argument("file", required=False, metavar="FILE|-", type=BODY)
@click.option("--type", "content_type", metavar="CONTENT_TYPE", help="Default: guessed from the body.")
@click.option(
    "--url",
    metavar="URL",
    callback=_address_of,
    help="Where the relay is; default: RELAY_PUBLIC_URL, else HOST and PORT.",
)
@click.option("--send", is_flag=True, help="Send it, and print the answer; exit 1 if it was refused.")
def sign(source: str, file: str | None, content_type: str | None, url: str | None, send: bool) -> int:
    """Print the curl command that posts a body as this source's sender would.

    Without FILE: a small message that a known sender could have made, about nobody.
    """
    from relay.config import settings as configuration

    settings = configuration.load(offline=True)
    known = settings.sources.get(source)
    if known is None:
        raise AskedWrongly(f"there is no source {source}; one of {', '.join(settings.sources)}")
    body, kind = _body(known, file)
    secret = _secret(settings, known)
    made = _signed(known, secret, url or _address(settings), body, content_type or kind)
    if send:
        return _send(made)
    click.echo(made.as_curl(file if file not in (None, "-") and not _is_plain(body) else None))
    return 0


def _body(source: "Source", file: str | None) -> tuple[bytes, str]:
    from relay.config import presets
    from relay.web.front import example_body

    if file is not None:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return raw, guess(raw)
    return presets.sample(source.preset) if source.preset else example_body(source)


def _secret(settings: "Settings", source: "Source") -> bytes:
    """Return what a source's senders sign with; in the sandbox a missing one is made up."""
    from relay.config.made_up import secret_of

    if source.secrets or source.verifier is None:
        return source.secrets[0] if source.secrets else b""
    if not settings.is_sandbox or not settings.is_sqlite:
        raise Failed(f"the secret of {source.name} is not known here: set the variable it is read from")
    return source.verifier.key(secret_of(source.name, source.verifier, settings.database_path))


def _signed(source: "Source", secret: bytes, base: str, body: bytes, content_type: str) -> "Message":
    from relay.sources.sign import signed

    address = f"{base.rstrip('/')}/submit/{source.name}"
    return signed(source, address, body, content_type, secret, time.time(), f"msg_{secrets.token_hex(8)}")


def _address(settings: "Settings") -> str:
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host
    return settings.public_url or f"http://{host}:{settings.port}"


def _is_plain(body: bytes) -> bool:
    """Whether a body can stand in a command line."""
    try:
        return not body.startswith(b"@") and body.decode().replace("\n", "").isprintable()
    except UnicodeDecodeError:
        return False


def _send(message: "Message") -> int:
    asked = urllib.request.Request(message.url, message.body, dict(message.headers), method="POST")
    try:
        with urllib.request.urlopen(asked, timeout=_SECONDS) as answer:
            click.echo(f"{answer.status} {answer.read().decode(errors='replace')}")
            return 0
    except urllib.error.HTTPError as refused:
        click.echo(f"{refused.code} {refused.read().decode(errors='replace')}")
    except OSError as problem:
        raise Failed(f"{message.url.partition('?')[0]}: {getattr(problem, 'reason', problem)}") from None
    except HTTPException:
        raise Failed(f"{message.url.partition('?')[0]}: no answer of HTTP, or half of one") from None
    return FAILED

"""Commands about the configuration: check, try."""

import codecs
import json
import os
import sys
from pathlib import Path

import click

from relay.cli.failed import FAILED, AskedWrongly, Failed
from relay.cli.filtering import check_source
from relay.cli.opening import open_to_act
from relay.operator.wording import count_of

BODY = click.Path(exists=True, dir_okay=False, allow_dash=True)
"""A file with a body, or standard input."""


@click.command()
@click.option("--config", metavar="FILE", help="Another configuration file (RELAY_CONFIG).")
def check(config: str | None) -> None:
    """Check the environment and relay.toml, and report every problem."""
    from relay.config import settings as configuration

    environ = {**os.environ, **({"RELAY_CONFIG": config} if config else {})}
    lacking = configuration.lacks_token(environ)
    settings = configuration.load(environ, sandbox_url="http://127.0.0.1/" if lacking else None)
    for warning in (*settings.warnings, *settings.advice):
        click.echo(f"warning: {warning}", err=True)
    mode = "no token: sandbox mode" if settings.is_sandbox else "ready to send"
    mode += f", but {settings.sent_really} is really sent to" if settings.sent_really else ""
    sources, destinations = len(settings.sources), len(settings.destinations)
    click.echo(f"ok: {count_of(sources, 'source')}, {count_of(destinations, 'destination')}; {mode}")


def _headers(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition(":") for text in given]
    if wrong := next((name for name, colon, _ in pairs if not colon), None):
        raise click.BadParameter(f"takes 'Name: value', not {wrong!r}")
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


@click.command("try")
@click.argument("source", required=False)
@click.argument("file", required=False, metavar="FILE|-", type=BODY)
@click.option(
    "--recorded",
    is_flag=True,
    help="Map everything stored again, and show what would change; exit 1 if anything got worse.",
)
@click.option("--type", "content_type", metavar="CONTENT_TYPE", help="Default: guessed from the body.")
@click.option(
    "--header", multiple=True, metavar="'N: V'", callback=_headers, help="As the sender sends it; repeatable."
)
def try_(
    source: str | None, file: str | None, recorded: bool, content_type: str | None, header: dict[str, str]
) -> int:
    """Map a body without storing or sending anything."""
    if recorded:
        return _try_recorded(source)
    if not source or not file:
        raise AskedWrongly("try SOURCE FILE, or try --recorded [SOURCE]")
    return _try_body(source, file, content_type or header.get("content-type"), header)


def _try_body(name: str, file: str, content_type: str | None, headers: dict[str, str]) -> int:
    from relay.config import settings as configuration
    from relay.sources.body import BadBody

    settings = configuration.load(offline=True)
    source = settings.sources.get(name)
    if source is None:
        raise AskedWrongly(f"there is no source {name}; one of {', '.join(settings.sources)}")
    raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        fields = source.read(raw, content_type or guess(raw)).fields
    except BadBody as problem:
        raise Failed(f"{problem.status}: {problem}") from None
    if source.is_unknown(fields, headers):
        raise Failed("unknown shape: kept as invalid, as what tells events apart is not there; see --header")
    if source.is_excluded(fields, headers):
        click.echo("excluded: this is no sign-up (a test, or an event that `only` or `unless` leaves out)")
        return 0
    mapped = source.mapping.apply(fields)
    if not mapped.ok:
        for field, messages in mapped.errors.items():
            click.echo(f"{field}: {' '.join(messages)}", err=True)
        return FAILED
    click.echo(json.dumps({**mapped.profile, **mapped.extra}, indent=2, ensure_ascii=False))
    if mapped.dropped:
        click.echo(f"dropped: {', '.join(mapped.dropped)}")
    return 0


def guess(raw: bytes) -> str:
    """Return the content type a body looks like."""
    if raw.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"["):
        return "application/json"
    if raw.startswith(b"--"):
        boundary = raw.split(b"\n", 1)[0].strip()[2:].decode("latin-1")
        return f'multipart/form-data; boundary="{boundary}"'
    return "application/x-www-form-urlencoded"


def _try_recorded(source: str | None) -> int:
    operator, settings = open_to_act()
    check_source(operator, settings, source)
    worse = looked = 0
    for change in operator.try_recorded(source):
        looked += 1
        worse += change.is_worse
        if change.lines:
            click.echo(f"{change.receipt}  {change.source}  {change.verdict}")
            for line in change.lines:
                click.echo(f"  {line}")
    click.echo(f"{count_of(looked, 'stored submission')} looked at, {worse} would be worse")
    return FAILED if worse else 0

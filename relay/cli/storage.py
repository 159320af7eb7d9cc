"""Commands about the store as a whole: erase, backup, restored, migrate, keys."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.failed import FAILED, Failed
from relay.cli.filtering import check_contact
from relay.cli.opening import open_to_act, open_to_look
from relay.operator.wording import count_of

if TYPE_CHECKING:
    from relay.config.settings import Settings


@click.command()
@click.option(
    "--contact", required=True, callback=check_contact, help="An e-mail address or phone number, in clear."
)
def erase(contact: str) -> int:
    """Delete everything about a person, in every state."""
    operator, _ = open_to_act()
    erased = operator.erase(contact)
    click.echo(f"{count_of(erased.count, 'submission')} erased")
    if erased.in_flight:
        click.echo(f"not erased yet, as they are being sent: {erased.in_flight}; run this again in a minute")
    for profile_id in erased.profile_ids:
        click.echo(f"delete upstream: profile {profile_id}")
    if erased.untold:
        told = f"of {count_of(erased.untold, 'submission')} it may have a profile whose id it never told"
        click.echo(f"look for the contact upstream: {told}")
    return FAILED if erased.in_flight else 0


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Copy the SQLite database into a new file, also while in use."""
    operator, settings = open_to_look()
    try:
        operator.backup(file)
    except FileExistsError:
        raise Failed(f"{file} exists already") from None
    click.echo(f"{file} written; it can be read with the keys in {_keys_place(settings)} only")


@click.command()
def restored() -> None:
    """Mark a restored database: what was queued then may have been sent since, so everything is held.

    A copy that `backup` made says so of itself; this is for pg_restore and other ways. Stop the server first.
    """
    operator, _ = open_to_look()
    operator.restored()
    names = ", ".join(operator.destinations())
    click.echo(f"marked as restored: {names} held, what waits may exist twice upstream")
    click.echo("look at `relay submissions list --state queued`, then `relay resume`")


@click.command()
def migrate() -> None:
    """Bring the database's schema up to date."""
    from relay.config import settings as configuration
    from relay.outbox import migrations
    from relay.process.opening import open_outbox

    settings = configuration.load(offline=True)
    path = settings.database_path
    if settings.is_sqlite and path.exists() and path.stat().st_size:
        kept = path.with_name(f"{path.name}.before-migration-{time.strftime('%Y%m%d-%H%M%S')}")
        old = open_outbox(settings, time.time)
        if 0 < old.read(migrations.version) < len(migrations.STEPS):
            old.backup(kept)
            click.echo(f"the old database is kept as {kept}")
    box = open_outbox(settings, time.time)
    box.prepare(upgrading=_upgrading)
    click.echo(f"the database has schema version {box.read(migrations.version)}")


def _upgrading(before: int, after: int) -> None:
    click.echo(f"upgrading it from schema version {before} to {after}; with very many rows it takes minutes")


@click.group(no_args_is_help=False)
def keys() -> None:
    """Make a new secret key, or encrypt everything with the newest."""


@keys.command()
def new() -> None:
    """Print a new key."""
    from relay.vault import new_key

    click.echo(new_key())


@keys.command()
def rotate() -> None:
    """Encrypt everything that is stored with the newest key."""
    operator, settings = open_to_act()
    for done in operator.rotate_keys():
        click.echo(f"{done} payloads encrypted with the newest key")
    place = _keys_place(settings)
    click.echo(f"done: older keys can be taken out of {place}; older backups still need them")


def _keys_place(settings: "Settings") -> str:
    """Where the keys are: the variable, or the file beside an SQLite database."""
    if settings.secret_keys or not settings.is_sqlite:
        return "RELAY_SECRET_KEYS"
    return f"{settings.database_path}.keys"

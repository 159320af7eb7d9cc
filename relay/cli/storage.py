"""Commands about what is stored: status, pause, resume, erase, backup, migrate, keys."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from relay.cli.failed import ASKED_WRONGLY, FAILED, Failed, count_of
from relay.config import settings as configuration
from relay.config.settings import Settings


def _operator() -> tuple[Any, Settings]:
    """Return the operator's view of the database, beside a running server or without one."""
    from relay.operator.operator import Operator
    from relay.process.opening import open_outbox

    settings = configuration.load(offline=True)
    if settings.is_sqlite and not settings.database_path.exists():
        raise Failed(f"there is no {settings.database_path} yet; RELAY_DATABASE_URL says where it is")
    box = open_outbox(settings, time.time)
    box.prepare()
    return Operator(settings, box), settings


def _status(asked: argparse.Namespace) -> int:
    operator, _ = _operator()
    found = operator.status()
    if asked.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, one in found.items():
        held = (
            f"held ({one['hold_reason']}) until {one['hold_until'] or 'resumed'}"
            if one["hold_reason"]
            else "sending"
        )
        used = ", ".join(f"{count} of {window}" for window, count in one["quota_used"].items())
        print(f"{name}: {held}; backlog {one['backlog']}, oldest {one['oldest_seconds'] or 0} s; used {used}")
    return 0


def _hold(asked: argparse.Namespace) -> int:
    operator, settings = _operator()
    names = [asked.destination] if asked.destination else list(settings.destinations)
    if len(names) > 1 or names[0] not in settings.destinations:
        known = ", ".join(settings.destinations)
        unknown = (
            f"there is no destination {asked.destination}" if asked.destination else "which destination?"
        )
        print(f"relay: {unknown}; one of {known}", file=sys.stderr)
        return ASKED_WRONGLY
    operator.hold(names[0], asked.verb)
    print(f"{names[0]}: {asked.verb}d")
    return 0


def _migrate(asked: argparse.Namespace) -> int:
    from relay.outbox import schema
    from relay.process.opening import open_outbox

    settings = configuration.load(offline=True)
    path = settings.database_path
    if settings.is_sqlite and path.exists() and path.stat().st_size:
        kept = path.with_name(f"{path.name}.before-migration-{time.strftime('%Y%m%d-%H%M%S')}")
        old = open_outbox(settings, time.time)
        if 0 < old.version() < len(schema.STEPS):
            old.backup(kept)
            print(f"the old database is kept as {kept}")
    box = open_outbox(settings, time.time)
    box.prepare()
    print(f"the database has schema version {box.version()}")
    return 0


def _keys(asked: argparse.Namespace) -> int:
    from relay.vault import new_key

    if asked.action == "new":
        print(new_key())
        return 0
    operator, settings = _operator()
    for done in operator.rotate_keys():
        print(f"{done} payloads encrypted with the newest key", flush=True)
    print(f"done: older keys can be taken out of {_keys_place(settings)}; older backups still need them")
    return 0


def _keys_place(settings: Settings) -> str:
    """Where the keys are: the variable, or the file beside an SQLite database."""
    if settings.secret_keys or not settings.is_sqlite:
        return "RELAY_SECRET_KEYS"
    return f"{settings.database_path}.keys"


def _erase(asked: argparse.Namespace) -> int:
    operator, _ = _operator()
    erased = operator.erase(asked.contact)
    print(f"{count_of(erased.count, 'submission')} erased")
    if erased.in_flight:
        print(f"not erased yet, as they are being sent: {erased.in_flight}; run this again in a minute")
    for profile_id in erased.profile_ids:
        print(f"delete upstream: profile {profile_id}")
    return FAILED if erased.in_flight else 0


def _backup(asked: argparse.Namespace) -> int:
    operator, settings = _operator()
    try:
        operator.backup(Path(asked.file))
    except FileExistsError:
        raise Failed(f"{asked.file} exists already") from None
    print(f"{asked.file} written; it can be read with the keys in {_keys_place(settings)} only")
    return 0

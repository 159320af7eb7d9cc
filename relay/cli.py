"""The command line: ``python -m relay …``.

Errors are one line on stderr, exit 1 (it failed) or 2 (asked wrongly).
"""

import argparse
import json
import os
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from relay import environment, events, reader, sandbox
from relay import settings as configuration
from relay.delivery import STATES
from relay.environment import Unusable
from relay.settings import Settings

FAILED, ASKED_WRONGLY = 1, 2


class Failed(Exception):
    """The command failed; the text says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    from relay.database import Unavailable, Unfit
    from relay.operator import CannotDo
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
    from relay import serving

    if asked.bind and not _is_address(asked.bind):
        print("relay: --bind takes HOST:PORT, like 127.0.0.1:8000", file=sys.stderr)
        return ASKED_WRONGLY
    return serving.serve(asked.bind)


def _is_address(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(host and colon and port.isdigit() and int(port) < 65536)


def _dispatch(asked: argparse.Namespace) -> int:
    import signal
    import threading

    from relay.running import Relay

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


def _check(asked: argparse.Namespace) -> int:
    if asked.config:
        os.environ["RELAY_CONFIG"] = asked.config
    lacking = configuration.lacks_token()
    settings = configuration.load(sandbox_url="http://127.0.0.1/" if lacking else None)
    for warning in settings.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    mode = "no token: sandbox mode" if settings.is_sandbox else "ready to send"
    sources, destinations = len(settings.sources), len(settings.destinations)
    print(f"ok: {_count(sources, 'source')}, {_count(destinations, 'destination')}; {mode}")
    return 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _try_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", metavar="SOURCE", help="its name in relay.toml")
    parser.add_argument("file", nargs="?", metavar="FILE", help="the body; - for standard input")
    parser.add_argument(
        "--recorded",
        action="store_true",
        help="map everything stored again, and show what would change; exit 1 if anything got worse",
    )
    parser.add_argument("--type", metavar="CONTENT_TYPE", help="default: guessed from the body")
    parser.add_argument(
        "--header",
        metavar="'N: V'",
        type=_header,
        action="append",
        default=[],
        help="as the sender sends it; repeatable",
    )


def _try(asked: argparse.Namespace) -> int:
    from relay import submission
    from relay.submission import BadBody

    if asked.recorded:
        return _try_recorded(asked.source)
    if not asked.source or not asked.file:
        print("relay: try SOURCE FILE, or try --recorded [SOURCE]", file=sys.stderr)
        return ASKED_WRONGLY
    settings = configuration.load(offline=True)
    source = settings.sources.get(asked.source)
    if source is None:
        raise Failed(f"there is no source {asked.source}; one of {', '.join(settings.sources)}")
    raw = sys.stdin.buffer.read() if asked.file == "-" else Path(asked.file).read_bytes()
    headers = dict(asked.header)
    kind = asked.type or headers.get("content-type") or _guess(raw)
    try:
        fields = submission.parse(raw, kind, source.limits, source.json_fields)
    except BadBody as problem:
        raise Failed(f"{problem.status}: {problem}") from None
    if source.is_excluded(fields, headers):
        print("excluded: this is no sign-up (a test, or an event that `only` leaves out)")
        return 0
    mapped = source.mapping.apply(fields)
    if not mapped.ok:
        for name, messages in mapped.errors.items():
            print(f"{name}: {' '.join(messages)}", file=sys.stderr)
        return FAILED
    print(json.dumps({**mapped.profile, **mapped.extra}, indent=2, ensure_ascii=False))
    if mapped.dropped:
        print(f"dropped: {', '.join(mapped.dropped)}")
    return 0


def _try_recorded(source: str | None) -> int:
    operator, _ = _operator()
    worse = looked = 0
    for change in operator.try_recorded(source):
        looked += 1
        worse += change.is_worse
        if change.lines:
            print(f"{change.receipt}  {change.source}  {change.verdict}")
            for line in change.lines:
                print(f"  {line}")
    print(f"{_count(looked, 'stored submission')} looked at, {worse} would be worse")
    return FAILED if worse else 0


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"takes 'Name: value', not {text!r}")
    return name.strip().lower(), value.strip()


def _guess(raw: bytes) -> str:
    if raw.lstrip()[:1] in (b"{", b"["):
        return "application/json"
    if raw.startswith(b"--"):
        boundary = raw.split(b"\n", 1)[0].strip()[2:].decode("latin-1")
        return f'multipart/form-data; boundary="{boundary}"'
    return "application/x-www-form-urlencoded"


def _presets_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", choices=["show"])
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("--markdown", action="store_true", help="print docs/senders.md")


def _presets(asked: argparse.Namespace) -> int:
    if asked.action and not asked.name:
        print("relay: presets show NAME", file=sys.stderr)
        return ASKED_WRONGLY
    if asked.markdown:
        print(_senders_page(), end="")
        return 0
    if not asked.action:
        for name in reader.preset_names():
            known = reader.preset(name)
            print(f"{name:20} {known['sure']:11} {known['title']}")
        return 0
    try:
        known = reader.preset(asked.name)
    except KeyError as problem:
        raise Failed(str(problem.args[0])) from None
    setup = known["setup"].strip().replace("{url}", _submit_url())
    print(f"{known['title']} ({known['sure']})\n\n{setup}\n")
    for note in known.get("notes", []):
        print(f"- {note}")
    print("\n" + json.dumps(known["source"], indent=2, ensure_ascii=False))
    return 0


def _submit_url() -> str:
    values, _ = environment.read_environment(os.environ)
    return f"{values['RELAY_PUBLIC_URL'] or 'https://<your relay>'}/submit/<source>"


_SENDERS = """\
# Senders

Generated by `python -m relay presets --markdown` from `relay/presets/`; change it there.

A preset holds what is known of a sender: how it proves itself, which id it repeats when it retries, and
where it puts e-mail, phone and name. A source that names one needs only its secret:

```toml
[sources.crm]
kind   = "webhook"
preset = "typeform"
secret = "env:TYPEFORM_SECRET"
```

The source's own keys override the preset's, key by key; see [configuration.md](configuration.md).
`{url}` below is `https://<your relay>/submit/<source>`. *Documented* means that the sender publishes these
facts; *observed*, that they were seen in its messages or in other people's code only. Try a message of
your own with `python -m relay try SOURCE FILE` before you rely on one.

When you narrow a preset with `only` or `test` of your own: JMESPath reads `!a.b` as `(!a).b`, which is never
what is meant. Write `!(a.b)`.
"""


def _senders_page() -> str:
    parts = [_SENDERS, "| sender | preset | known from | proof |\n|---|---|---|---|\n"]
    known = {name: reader.preset(name) for name in reader.preset_names()}
    for name, one in known.items():
        parts[-1] += f"| [{one['title']}](#{name}) | `{name}` | {one['sure']} | {_proof(one['source'])} |\n"
    parts += [_sender(name, one) for name, one in known.items()]
    refused = Path(reader.__file__).parent / "presets" / "_refused.toml"
    parts.append("## Senders without a preset, and why\n\nNaming one of them is refused with this reason.\n")
    for name, one in tomllib.loads(refused.read_text(encoding="utf-8")).items():
        parts.append(f"**{one['title']}** (`{name}`): {one['why']}. {one['instead']}\n")
    return "\n".join(parts)


def _proof(source: dict[str, Any]) -> str:
    verify = source.get("verify", {})
    places = [f"`{verify[key]}`" for key in ("header", "body") if key in verify]
    places += [f"`?{verify['query']}=`"] if "query" in verify else []
    return f"{verify.get('scheme', 'none')} in {' or '.join(places)}"


def _sender(name: str, known: dict[str, Any]) -> str:
    notes = "".join(f"- {note}\n" for note in known.get("notes", []))
    facts = "".join(f"- <{fact}>\n" for fact in known.get("facts", []))
    text = f'<a id="{name}"></a>\n## {known["title"]}\n\n{known["setup"].strip()}\n'
    text += f"\nTo know:\n\n{notes}" if notes else ""
    return text + (f"\nRead:\n\n{facts}" if facts else "")


# --- the outbox -----------------------------------------------------------------------------------------


def _operator() -> tuple[Any, Settings]:
    """Return the operator's view of the database, beside a running server or without one."""
    from relay.operator import Operator
    from relay.running import open_outbox

    settings = configuration.load(offline=True)
    if settings.is_sqlite and not settings.database_path.exists():
        raise Failed(f"there is no {settings.database_path} yet; RELAY_DATABASE_URL says where it is")
    box = open_outbox(settings, time.time)
    box.prepare()
    return Operator(settings, box), settings


def _submissions_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="newest first")
    show = actions.add_parser("show", help="one, with every send of it")
    replay = actions.add_parser("replay", help="queue again: by receipt, or all that match")
    discard = actions.add_parser("discard", help="give up: by receipt, or all that match")
    show.add_argument("receipt")
    for chosen in (replay, discard):
        chosen.add_argument("receipt", nargs="*")
    for filtered in (listing, replay, discard):
        filtered.add_argument("--state", metavar="STATE", choices=STATES, help=", ".join(STATES))
        filtered.add_argument("--source", help="its name in relay.toml")
        filtered.add_argument("--contact", type=_contact, help="an e-mail address or phone number, in clear")
        filtered.add_argument("--limit", type=_limit, default=100, help="at most so many (default: 100)")
    for printing in (listing, show):
        printing.add_argument("--json", action="store_true", help="print exactly the API's object")


def _contact(text: str) -> str:
    from relay.operator import NO_CONTACT, is_contact

    if not is_contact(text):
        raise argparse.ArgumentTypeError(NO_CONTACT)
    return text


def _limit(text: str) -> int:
    from relay.operator import MAX_ROWS

    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_ROWS):
        raise argparse.ArgumentTypeError(f"must be 1 to {MAX_ROWS}")
    return int(text)


def _submissions(asked: argparse.Namespace) -> int:
    actions = {"list": _list, "show": _show, "replay": _each, "discard": _each}
    return actions[asked.action](asked)


def _filter(asked: argparse.Namespace) -> Any:
    from relay.operator import Filter

    return Filter(asked.state, asked.source, asked.contact, None, asked.limit)


def _list(asked: argparse.Namespace) -> int:
    operator, _ = _operator()
    found = operator.submissions(_filter(asked))
    if asked.json:
        last = found[-1]["receipt"] if len(found) == asked.limit else None
        print(json.dumps({"submissions": found, "next": last}, indent=2))
        return 0
    for row in found:
        mark = " may be a duplicate" if row["may_be_duplicate"] else ""
        hint = row["contact_hint"] or "-"
        print(
            f"{row['received_at']}  {row['receipt']}  {row['source']:14} {row['state']:9} {hint}"
            f"  {row['reason'] or ''}{mark}"
        )
    return 0


def _show(asked: argparse.Namespace) -> int:
    operator, _ = _operator()
    found = operator.submission(asked.receipt)
    if asked.json:
        print(json.dumps(found, indent=2))
        return 0
    for name, value in found.items():
        if name != "history":
            print(f"{name:17} {value if value is not None else '-'}")
    for sent in found["history"]:
        print(
            f"  {sent['started_at']}  {sent['kind']}  {sent['outcome'] or 'in flight'}"
            f"  {sent['status'] or ''}"
        )
    return 0


def _each(asked: argparse.Namespace) -> int:
    operator, _ = _operator()
    receipts = list(asked.receipt)
    if not receipts:
        if not (asked.state or asked.source or asked.contact):
            print(
                f"relay: submissions {asked.action} takes receipts, or --state, --source, --contact",
                file=sys.stderr,
            )
            return ASKED_WRONGLY
        receipts = _matching(operator, asked)
    act = operator.replay if asked.action == "replay" else operator.discard
    failed = 0
    for receipt in receipts:
        try:
            print(f"{receipt} {act(receipt)['state']}")
        except ValueError as problem:
            failed += 1
            print(f"relay: {receipt} {problem}", file=sys.stderr)
    if not asked.receipt and len(receipts) == asked.limit:
        print(f"relay: stopped after {asked.limit}, there may be more: see --limit", file=sys.stderr)
    return FAILED if failed else 0


def _matching(operator: Any, asked: argparse.Namespace) -> list[str]:
    """Return the receipts a filter means; without a state, of those that can be acted on."""
    from relay.delivery import REPLAYABLE

    found: list[str] = []
    for state in (asked.state,) if asked.state else REPLAYABLE:
        left = asked.limit - len(found)
        if left > 0 or not found:
            wanted = replace(_filter(asked), state=state, limit=left)
            found += [row["receipt"] for row in operator.submissions(wanted)]
    return found


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
    from relay import schema
    from relay.running import open_outbox

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
    print(f"{_count(erased.count, 'submission')} erased")
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

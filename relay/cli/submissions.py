"""Commands about submissions: list, show, replay, discard."""

import argparse
import json
import sys
from dataclasses import replace
from typing import Any

from relay.cli.failed import ASKED_WRONGLY, FAILED, count_of
from relay.cli.storage import _operator
from relay.delivery import STATES


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
    print(f"{count_of(looked, 'stored submission')} looked at, {worse} would be worse")
    return FAILED if worse else 0


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
    from relay.operator.erasure import NO_CONTACT, is_contact

    if not is_contact(text):
        raise argparse.ArgumentTypeError(NO_CONTACT)
    return text


def _limit(text: str) -> int:
    from relay.operator.filter import MAX_ROWS

    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_ROWS):
        raise argparse.ArgumentTypeError(f"must be 1 to {MAX_ROWS}")
    return int(text)


def _submissions(asked: argparse.Namespace) -> int:
    actions = {"list": _list, "show": _show, "replay": _each, "discard": _each}
    return actions[asked.action](asked)


def _filter(asked: argparse.Namespace) -> Any:
    from relay.operator.filter import Filter

    return Filter(asked.state, asked.source, asked.contact, None, asked.limit)


def _list(asked: argparse.Namespace) -> int:
    operator, _ = _operator()
    page = operator.page(_filter(asked))
    if asked.json:
        print(json.dumps(page, indent=2))
        return 0
    for row in page["submissions"]:
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

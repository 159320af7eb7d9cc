"""Tables of destinations become destinations."""

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from marshmallow import fields, validate

from relay import quota
from relay.config.environment import Advice, Problem
from relay.config.reading import Reference, SecretReference, Surroundings, name_problems, secret_in
from relay.config.schemas import Duration, Strict, Text, choice, load, secure_address, whole
from relay.destination import Destination

HOURS = 3600.0
_UNSENDABLE = "must be visible ASCII characters without spaces"


class DestinationSchema(Strict):
    """``[destinations.x]``"""

    url = Text(secure_address, load_default="https://api.ocamba.com/v1/hood/profiles")
    token = SecretReference(required=True)
    limits = Text(
        quota.parse_windows, attribute="windows", load_default=quota.parse_windows("10/second; 150/minute")
    )
    parallel = whole(1, 64, load_default=8)
    deadline = Duration(0.1, 120, load_default=15.0)
    ambiguous = choice("retry", "park", load_default="retry")
    give_up_after = Duration(load_default=72 * HOURS)
    retry = fields.List(
        Duration(),
        validate=validate.Length(min=1, error="must name at least one wait"),
        load_default=[5.0, 30.0, 120.0, 600.0, 1800.0, *(hours * HOURS for hours in (1, 2, 4, 8, 12))],
    )


def read_destinations(
    tables: dict[str, Any], around: Surroundings
) -> tuple[dict[str, Destination], list[Problem]]:
    """Return the destinations that can be used, and what is wrong with the others."""
    found: dict[str, Destination] = {}
    problems: list[Problem] = []
    for name, table in tables.items():
        destination, said = _read(name, table, around)
        problems += said
        if destination is not None:
            problems += _shared(destination, found.values())
            found[name] = destination
    if not tables:
        what = "at least one is needed, like [destinations.ocamba] with its token"
        problems.append(Problem("destinations", what))
    return found, problems


def _shared(one: Destination, others: Iterable[Destination]) -> Iterator[Problem]:
    """Yield advice where two send to one account, as far as a token and a host tell."""
    account = one.token, urlsplit(one.url).netloc
    for other in others:
        if account == (other.token, urlsplit(other.url).netloc) and not one.sandbox:
            what = f"counts for itself: {other.name} sends with the same token, so give each its share"
            yield Advice(f"destinations.{one.name}.limits", what)


def _read(name: str, table: Any, around: Surroundings) -> tuple[Destination | None, list[Problem]]:
    where = f"destinations.{name}"
    loaded, problems = load(DestinationSchema(), table, where)
    problems += name_problems(name, where)
    if loaded is None or "token" not in loaded:
        return None, problems
    reference: Reference = loaded.pop("token")
    stands_in = around.is_sandbox and around.lacks(reference)
    token, said = ("sandbox", []) if stands_in else _token(reference, f"{where}.token", around)
    problems += said
    if any(problem.is_fatal for problem in problems):
        return None, problems
    if stands_in:
        loaded["url"] = around.sandbox_url or "http://127.0.0.1/"
    loaded["retry"] = tuple(loaded["retry"])
    made = Destination(name=name, token=token, token_file=reference.file, sandbox=stands_in, **loaded)
    return made, problems


def _token(reference: Reference, where: str, around: Surroundings) -> tuple[str, list[Problem]]:
    token, problems = around.secret(reference, where)
    if not _is_sendable(token):
        problems.append(Problem(where, f"the token {_UNSENDABLE}"))
    return token, problems


def token_in(file: str) -> str:
    """Return the token that a file holds. Raises ValueError."""
    token = secret_in(file)
    if not _is_sendable(token):
        raise ValueError(f"what {file} holds {_UNSENDABLE}")
    return token


def _is_sendable(token: str) -> bool:
    """Whether a header can carry a token."""
    return not re.search(r"[^\x21-\x7e]", token)

"""Tables of operators become accounts: who may look at what is stored, and act on it."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

from relay.config.environment import Problem, short_token_problem
from relay.config.reading import SecretReference, Surroundings, name_problems
from relay.config.schemas import Strict, choice, load

ROLES = ("view", "act", "reveal")
"""Each includes the ones before."""

ADMIN = "admin"
"""The operator whose token is RELAY_ADMIN_TOKEN."""


@dataclass(frozen=True)
class OperatorAccount:
    """One who may ask the API and see the dashboard. The token itself is not kept."""

    name: str
    role: str
    token_sha256: bytes = field(repr=False)


def digest(token: str) -> bytes:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class OperatorSchema(Strict):
    """``[operators.x]``"""

    token = SecretReference(required=True)
    role = choice(*ROLES, required=True)


def read_operators(
    tables: dict[str, Any], admin_token: str, around: Surroundings
) -> tuple[tuple[OperatorAccount, ...], list[Problem]]:
    """Return the operators, the one of the environment first, and what is wrong with the others."""
    found = [_account(ADMIN, ROLES[-1], admin_token)] if admin_token else []
    problems: list[Problem] = []
    for name, table in tables.items():
        account, said = _read(name, table, around)
        problems += said
        if account is not None:
            problems += _mistaken_for_another(account, found)
            found.append(account)
    return tuple(found), problems


def _read(name: str, table: Any, around: Surroundings) -> tuple[OperatorAccount | None, list[Problem]]:
    where = f"operators.{name}"
    loaded, problems = load(OperatorSchema(), table, where)
    problems += name_problems(name, where)
    if loaded is None or "token" not in loaded:
        return None, problems
    token, said = around.secret(loaded["token"], f"{where}.token")
    problems += said
    if token and (problem := short_token_problem(token)):
        problems.append(Problem(f"{where}.token", problem))
    if not token or "role" not in loaded:
        return None, problems
    return _account(name, loaded["role"], token), problems


def _account(name: str, role: str, token: str) -> OperatorAccount:
    return OperatorAccount(name, role, digest(token))


def _mistaken_for_another(account: OperatorAccount, others: list[OperatorAccount]) -> list[Problem]:
    """Return why nobody could tell an operator from another by name or token."""
    where = f"operators.{account.name}"
    if account.name == ADMIN and any(other.name == ADMIN for other in others):
        return [Problem(where, "is the operator of RELAY_ADMIN_TOKEN; take another name")]
    same = next((one.name for one in others if one.token_sha256 == account.token_sha256), None)
    return [Problem(f"{where}.token", f"is that of {same}; each needs its own")] if same else []

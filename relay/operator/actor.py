"""Actor: who acts, and how much their role lets them do."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from relay.config.operators import ROLES, digest
from relay.config.settings import Settings
from relay.operator.errors import NotAllowed

VIEW, ACT, REVEAL = ROLES


@dataclass(frozen=True)
class Actor:
    """A person, or the command line, by name."""

    name: str
    role: str

    def may(self, role: str) -> bool:
        """Whether the role of this one includes another."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def must(self, role: str) -> None:
        """Raise NotAllowed unless the role of this one includes another."""
        if not self.may(role):
            raise NotAllowed(f"needs the role {role}; {self.name} has {self.role}")


COMMAND_LINE = Actor("command line", REVEAL)
"""Whoever can start a command can read the database and its keys anyway."""


def known(settings: Settings) -> Mapping[bytes, Actor]:
    """Return the operators by the SHA-256 of their tokens; none: there is no API and no dashboard."""
    return {one.token_sha256: Actor(one.name, one.role) for one in settings.operators}


def recognise(settings: Settings, token: str) -> Actor | None:
    """Return whose token it is. Compares with every one, in constant time."""
    shown = digest(token)
    matches = [actor for sha, actor in known(settings).items() if hmac.compare_digest(sha, shown)]
    return matches[0] if matches else None

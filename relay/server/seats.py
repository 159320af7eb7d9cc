"""Seats: who holds how many of the connections, so that no client holds them all."""

from collections import Counter

from relay.network import visitor_of
from relay.server.connection import Connection

ONE_CLIENT = 1 / 4
"""The share of all connections that one client may have."""


class Seats:
    """Counts connections by client: by their peers, or behind proxies by whom these name.

    What a proxy says comes with the head of a request, so there only requests whose bodies are still on their
    way are counted; a connection of the proxy's that is silent is nobody's.
    """

    def __init__(self, most: int) -> None:
        self._enough = ONE_CLIENT * most
        self._taken: Counter[str] = Counter()

    def take(self, conn: Connection) -> None:
        """Count a connection by its peer."""
        self._taken[conn.network] += 1

    def leave(self, conn: Connection) -> None:
        """Count a connection no more."""
        self._taken[conn.network] -= 1
        if not self._taken[conn.network]:
            del self._taken[conn.network]

    def change(self, conn: Connection, proxies: int) -> bool:
        """Count a connection by whom the proxies name, once the head is here; return whether they do."""
        if conn.arriving is None or conn.arriving.forwarded is None:
            return False
        forwarded, conn.arriving.forwarded = conn.arriving.forwarded, None  # it may be long: looked at once
        visitor = visitor_of(forwarded, proxies, "")
        if visitor is not None:
            self.leave(conn)
            conn.network = visitor
            self.take(conn)
        return visitor is not None

    def is_crowded(self, conn: Connection) -> bool:
        """Whether the client of a connection has more than its share."""
        return self._taken[conn.network] > self._enough

"""Seats: who holds how many of the connections, so that no client holds them all."""

from collections import Counter
from collections.abc import Callable

from relay.network import visitor_of
from relay.server.connection import Connection

ONE_CLIENT = 1 / 4
"""The share of all connections that one client may have."""
_NOBODY = ""


class Seats:
    """Counts connections by client: by their peers, or behind proxies by whom these name.

    What a proxy says comes with the head of a request. So behind proxies a connection is somebody's from then
    on until the request is answered, where its body is still on its way; otherwise it is nobody's.
    """

    def __init__(self, most: int, proxies: Callable[[], int]) -> None:
        """``proxies``: how many are trusted now."""
        self._proxies = proxies
        self._enough = ONE_CLIENT * most
        self._taken: Counter[str] = Counter()

    def take(self, conn: Connection) -> None:
        """Count a connection that is new or has been answered."""
        self.leave(conn)
        self._sit(conn, _NOBODY if self._proxies() else conn.network)

    def name(self, conn: Connection) -> bool:
        """Count a connection by whom the proxies name, once the head is here; return whether they do."""
        proxies = self._proxies()
        if not proxies or conn.arriving is None or conn.arriving.forwarded is None:
            return False
        forwarded, conn.arriving.forwarded = conn.arriving.forwarded, None  # it may be long: looked at once
        visitor = visitor_of(forwarded, proxies, "")
        if visitor is not None:
            self.leave(conn)
            self._sit(conn, visitor)
        return visitor is not None

    def leave(self, conn: Connection) -> None:
        """Count a connection no more."""
        if conn.seat is not None:
            self._taken[conn.seat] -= 1
            if not self._taken[conn.seat]:
                del self._taken[conn.seat]
        conn.seat = None

    def is_crowded(self, conn: Connection) -> bool:
        """Whether the client of a connection has more than its share."""
        return bool(conn.seat) and self._taken[str(conn.seat)] > self._enough

    def _sit(self, conn: Connection, who: str) -> None:
        conn.seat = who
        self._taken[who] += 1

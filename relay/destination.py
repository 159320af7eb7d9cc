"""Destination: an account upstream, with its address, its token and its limits."""

from dataclasses import dataclass

from relay.quota import Window

REMOVED = "removed from the configuration"
"""Why one that is waited for sends nothing, where the configuration does not have it any more."""


@dataclass(frozen=True)
class Destination:
    """One ``[destinations.x]`` of the configuration. Durations are in seconds."""

    name: str
    url: str
    token: str
    windows: tuple[Window, ...]
    parallel: int = 8
    deadline: float = 15
    ambiguous: str = "retry"
    give_up_after: float = 72 * 3600
    retry: tuple[float, ...] = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 43200)
    token_file: str | None = None
    sandbox: bool = False

    def __repr__(self) -> str:
        return f"Destination({self.name!r})"

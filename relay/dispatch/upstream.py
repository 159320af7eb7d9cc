"""Upstream: the one guarded call to Create Profile (and to what else is asked over HTTP).

Returns an Answer or NoAnswer and never raises for what the other side does. The guards: a wall deadline
around the whole call, no redirects, nothing from the environment (``.netrc`` would replace the bearer
token, proxies would receive it), no retries of the library's, a fresh connection per call, a flag that
says whether bytes were handed to the network, and a cap on what is read.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from relay.destination import Destination
from relay.dispatch.line import Line
from relay.outcome import Answer, NoAnswer


def create(line: Line, destination: Destination, profile: Mapping[str, Any]) -> Answer | NoAnswer:
    """POST a profile."""
    return line.call("POST", destination.url, profile, destination.deadline, bearer=destination.token)


def update(
    line: Line, destination: Destination, profile_id: str, changes: Mapping[str, Any]
) -> Answer | NoAnswer:
    """PATCH a profile; sending it twice does no harm."""
    parts = urlsplit(destination.url)
    url = parts._replace(path=f"{parts.path.rstrip('/')}/{profile_id}").geturl()
    return line.call("PATCH", url, changes, destination.deadline, bearer=destination.token)


def look(line: Line, destination: Destination) -> Answer | NoAnswer:
    """Ask for nothing: to see whether there is anybody who answers."""
    return line.call("HEAD", destination.url, None, destination.deadline, bearer=destination.token)

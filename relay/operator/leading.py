"""Where a person looks: at a page, where a dashboard can be reached, else by a command."""

from urllib.parse import quote

from relay.config.settings import Settings

_PAGES = {
    "held": "destinations",
    "old": "destinations",
    "suspects": "submissions?state=held",
    **{state: f"submissions?state={state}" for state in ("parked", "dead", "invalid")},
    **dict.fromkeys(("all-held", "budget", "flood", "limit"), "submissions?state=held&source={name}"),
    **dict.fromkeys(("silent", "unmappable", "all-refused"), "sources/{name}"),
}
"""By kind of alert, the page that shows what it is about; the overview shows the rest."""


def page_of(key: str) -> str:
    """Return the page, below the dashboard, that shows what an alert is about."""
    kind, _, name = key.partition(":")
    return _PAGES.get(kind, "").format(name=quote(name, safe=""))


def address(settings: Settings, page: str) -> str | None:
    """Return the address of a page; None where no dashboard can be reached."""
    if not (settings.public_url and settings.operators):
        return None
    return f"{settings.public_url}/dashboard/{page}".rstrip("/")


def look(settings: Settings, key: str, command: str) -> str:
    """Return where to look because of an alert, in a sentence."""
    return address(settings, page_of(key)) or f"python -m relay {command}"


def link(settings: Settings, page: str) -> str:
    """Return where to look, as the last line of a letter."""
    found = address(settings, page)
    return f"Open {found}" if found else "Run: python -m relay status"

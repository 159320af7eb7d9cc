"""Letters: an alert in words, for a mailbox or a chat."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from relay.config.settings import Settings
from relay.operator import leading
from relay.operator.wording import moment

_BEGINS = "[relay] "
_NAMED = 3


def address_of(url: str) -> tuple[str, bool]:
    """Return where to post, and whether as Slack wants it: ``format=slack`` is ours and goes no further."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if ("format", "slack") not in query:
        return url, False
    rest = urlencode([pair for pair in query if pair != ("format", "slack")])
    return urlunsplit(parts._replace(query=rest)), True


def sentence(content: Mapping[str, Any]) -> str:
    """Return an alert in one line."""
    said = "is over" if content["state"] == "over" else content["detail"]
    return f"Signup relay, {content['alert']}: {said}"


def note(settings: Settings, content: Mapping[str, Any]) -> str:
    """Return an alert in two lines, as a chat shows it."""
    return f"{sentence(content)}\n{_when(settings, content)}"


def _when(settings: Settings, content: Mapping[str, Any]) -> str:
    """Return when something began or ended: it may be told much later."""
    return f"At {moment(content['at'], settings.time_zone)} ({settings.time_zone})."


def letter(settings: Settings, content: Mapping[str, Any]) -> Mapping[str, str]:
    """Return an alert as a letter; what is one already, as a digest is, stays so."""
    if "subject" in content:
        return content
    said = sentence(content)
    seen = leading.address(settings, leading.page_of(content["alert"]))
    text = [said, _when(settings, content)]
    if seen is None or seen not in said:
        text.append(leading.link(settings, leading.page_of(content["alert"])))
    begins = "over" if content["state"] == "over" else "alert"
    return {"subject": f"{_BEGINS}{begins}: {content['alert']}", "text": "\n\n".join(text)}


def together(settings: Settings, contents: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return what is told at once: one thing as it is, several as one letter."""
    if len(contents) == 1:
        return contents[0]
    each = [letter(settings, one) for one in contents]
    subjects = [one["subject"].removeprefix(_BEGINS) for one in each]
    return {
        "alert": _named([one["alert"] for one in contents if "alert" in one]),
        "subject": _BEGINS + _named(subjects),
        "text": "\n\n\n".join(f"{what}\n\n{one['text']}" for what, one in zip(subjects, each, strict=True)),
    }


def _named(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f", and {more} more" if more > 0 else "")

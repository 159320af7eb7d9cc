"""Sources: what arrives at each, what is refused and why, and how to use it."""

from typing import Any

from flask import Response, abort, render_template, request

from relay.config import presets
from relay.sources.source import Source
from relay.web import forms, front
from relay.web.dashboard.frame import blueprint, page, the_operator, the_relay
from relay.web.language import ENGLISH


@blueprint.get("/sources")
def sources() -> Response:
    """Every source."""
    return page("sources.html", "sources", sources=the_operator().sources())


@blueprint.get("/sources/<name>")
def source(name: str) -> Response:
    """One source."""
    known = {one["source"]: one for one in the_operator().sources()}
    if name not in known:
        abort(404)
    configured = the_relay().settings.sources.get(name)
    told = _use(configured) if configured else {}
    return page("source.html", "sources", s=known[name], source=configured, **told)


def _use(source: Source) -> dict[str, Any]:
    """Return how a source is used: its address, its rules, what to paste where."""
    relay = the_relay()
    base = relay.settings.public_url or request.host_url.rstrip("/")
    url = f"{base}/submit/{source.name}"
    rules = {**source.mapping.rules, **source.mapping.extra}
    told: dict[str, Any] = {
        "url": url,
        "mapped": [(name, ", ".join(place.text for place in rule.places)) for name, rule in rules.items()],
    }
    if source.is_form:
        form = forms.form(relay, source, ENGLISH)
        told["snippet"] = render_template("snippet.html", form=form, url=url, base=base, t=ENGLISH.texts)
        told["curl"] = front.curl_form(source, url)
    elif source.preset:
        told["setup"] = presets.preset(source.preset)["setup"].strip().replace("{url}", url)
    return told

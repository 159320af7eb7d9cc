"""Sources: what arrives at each, what is refused and why, and how to use it."""

import secrets
from typing import Any

from flask import Response, render_template, request

from relay.config import presets
from relay.operator.actor import ACT
from relay.operator.errors import Missing, Unfitting
from relay.sources.mapping import CONTACTS
from relay.sources.source import Source
from relay.web import forms, front
from relay.web.application import the_actor, the_operator, the_relay
from relay.web.dashboard.frame import blueprint, page, reasons
from relay.web.language import ENGLISH

_LONGEST_NAME = 40


@blueprint.get("/sources")
def sources() -> Response:
    """Every source."""
    return page("sources.html", "sources", sources=the_operator().sources())


@blueprint.get("/sources/<name>")
def source(name: str) -> Response:
    """One source."""
    return _shown(name)


@blueprint.post("/sources/<name>/test")
def source_test(name: str) -> Response:
    """Have somebody made up sign up; sent to the operator's own address, and only when told to."""
    given = {field: request.form.get(field, "").strip() for field in CONTACTS}
    contact = {field: value for field, value in given.items() if value}
    try:
        is_sent, once = bool(request.form.get("send")), request.form.get("once", "")[:_LONGEST_NAME]
        tested = the_operator().test(name, contact, send=is_sent, once=once)
    except Unfitting as problem:
        return _shown(name, 422, alert=reasons(problem))
    the_relay().wake()
    return _shown(name, tested=tested)


def _shown(name: str, status: int = 200, **values: Any) -> Response:
    known = {one["source"]: one for one in the_operator().sources()}
    if name not in known:
        raise Missing("there is no such source, and nothing of one waits for anybody")
    configured = the_relay().settings.sources.get(name)
    told = _use(configured) if configured else {}
    may_act = the_actor().may(ACT)
    values |= {
        "s": known[name],
        "source": configured,
        "may_act": may_act,
        "once": secrets.token_hex(8),
        **told,
    }
    return page("source.html", "sources", status, **values)


def _use(source: Source) -> dict[str, Any]:
    """Return how a source is used: its address, its rules, what to paste where."""
    relay = the_relay()
    base = relay.settings.public_url or request.host_url.rstrip("/")
    url = f"{base}/submit/{source.name}"
    rules = source.mapping.every
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

"""``/relay.js``: the optional script for forms on other sites, and what it asks for."""

from pathlib import Path

from flask import Blueprint, Response, request
from werkzeug.datastructures import LanguageAccept

from relay.sources import stamp as timestamp
from relay.web import forms
from relay.web.application import as_json, the_relay
from relay.web.cors import let_read
from relay.web.language import choose
from relay.web.pages import form_source
from relay.web.problems import shown
from relay.web.texts import texts_of

blueprint = Blueprint("script", __name__)
_SCRIPT_SECONDS = 600
_SCRIPT = (Path(__file__).parent / "static" / "relay.js").read_text(encoding="utf-8")


@blueprint.get("/relay.js")
def relay_js() -> Response:
    """The script, for pages of any site."""
    response = Response(_SCRIPT, mimetype="text/javascript")
    response.headers["Cache-Control"] = f"public, max-age={_SCRIPT_SECONDS}"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@blueprint.get("/forms/<name>/timestamp")
def stamp(name: str) -> Response:
    """What the script needs for a form: a signed timestamp, and the words it tells visitors.

    That a page can read this answer also tells the script that its posts will be let through.
    """
    relay = the_relay()
    source = form_source(name)
    if not source.enabled:
        return let_read(relay, source, shown(503, "This source is switched off."))
    wanted = request.args.get("language", "")
    accepted = LanguageAccept([(wanted, 1)]) if wanted else request.accept_languages
    language = choose(accepted, source.page.get("language"))
    words = {
        **{name: language.texts[name] for name in ("did_you_mean", "keep_typed", "use_meant")},
        "thanks": texts_of(source, language).get("thanks_text") or language.texts["thanks_text"],
        "again": language.texts["again"],
        **{status: language.visitors[status]["text"] for status in ("413", "429")},
        "429 later": language.visitors["429"]["later"],
    }
    body = {
        timestamp.FIELD: forms.new_stamp(relay, source),
        "seconds": timestamp.least_seconds(source.min_seconds),
        "texts": {**language.validation, **words},
        "suggest": source.suggest,
        "utm": source.utm,
    }
    return let_read(relay, source, as_json(body))

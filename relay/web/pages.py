"""Pages for people: the hosted form, the receipt, the sandbox's front page."""

import hashlib
import hmac
import os
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, render_template, request, send_file

from relay import clock
from relay.delivery import REFUSED
from relay.intake import receipt as receipts
from relay.intake import visitor
from relay.intake.incoming import Refusal
from relay.network import is_loopback
from relay.outbox.storing import named
from relay.process.relay import Relay
from relay.sources import stamp as timestamp
from relay.sources.origin import ANY
from relay.sources.source import Handshake, Source
from relay.web import colours, forms, front
from relay.web.application import as_json, the_relay
from relay.web.language import ENGLISH, Language, choose, too_many
from relay.web.problems import shown, wants_page
from relay.web.texts import texts_of

blueprint = Blueprint("pages", __name__)
_STYLE_SECONDS = 60


def policy(form_targets: Iterable[str | None] = (), frames: Iterable[str] = ()) -> str:
    """Return the Content-Security-Policy of a page.

    ``form_targets``: addresses elsewhere that a form of the page ends up at. Chromium applies
    ``form-action`` to the redirect after a post too, so the origin of ``thanks`` must be in it.
    ``frames``: sites that may frame the page.
    """
    origins = " ".join(["'self'", *sorted({_origin(target) for target in form_targets if target})])
    ancestors = " ".join(frames) or "'none'"
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        f"form-action {origins}; base-uri 'none'; frame-ancestors {ancestors}"
    )


def frames_of(source: Source | None) -> tuple[str, ...]:
    """Return the sites that may frame a form, its errors and its thanks: those that may post, by name."""
    if source is None or not source.is_form or not source.frame or ANY in source.origins:
        return ()
    return source.origins


def _origin(url: str) -> str:
    """Return scheme and host of an address; the scheme alone where a policy could not spell the host."""
    parts = urlsplit(url)
    try:
        host = (parts.hostname or "").encode("idna").decode()
    except UnicodeError:
        return f"{parts.scheme}:"
    if not host or not host.replace("-", "").replace("_", "").replace(".", "").isalnum():
        return f"{parts.scheme}:"
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


# --- the sandbox's front page ---------------------------------------------------------------------------


@blueprint.get("/")
def front_page() -> Response:
    """In sandbox mode: what this is and what to try next. Else: that this is a relay, and no detail."""
    relay = the_relay()
    if not relay.settings.is_sandbox:
        return _page("plain.html", ENGLISH, has_dashboard=bool(relay.settings.operators))
    if not is_loopback(_host_name()):  # a page elsewhere must not read this one through a name of its own
        return shown(400, "The sandbox is for this machine only; use http://127.0.0.1.")
    base = relay.settings.public_url or f"http://{request.environ['HTTP_HOST']}"
    sources = relay.settings.sources.values()
    return _page(
        "front.html",
        ENGLISH,
        form_targets=[source.thanks for source in sources],
        sources=[_described(relay, source, base) for source in sources],
        sandbox=relay.settings.sandbox_url,
        command=front.command,
    )


def _host_name() -> str:
    host: str = request.environ.get("HTTP_HOST", "")
    return host.rpartition(":")[0].strip("[]") if ":" in host.rpartition("]")[2] else host.strip("[]")


def _described(relay: Relay, source: Source, base: str) -> dict[str, Any]:
    """Return what the front page says of a source."""
    url = f"{base}/submit/{source.name}"
    about: dict[str, Any] = {"source": source, "url": url, "base": base}
    if source.is_form:
        form = forms.form(relay, source, ENGLISH)
        snippet = render_template("snippet.html", form=form, url=url, base=base, t=ENGLISH.texts)
        curl, seconds = front.curl_form(source, url), timestamp.least_seconds(source.min_seconds)
        return {**about, "form": form, "curl": curl, "snippet": snippet, "seconds": f"{seconds:g}"}
    secret = relay.settings.made_up.get(source.name)
    return {**about, "secret": secret, "curl": front.curl_webhook(source, url, secret)}


# --- the hosted form ------------------------------------------------------------------------------------


@blueprint.get("/forms/<name>")
def hosted_form(name: str) -> Response:
    """The form of a source, as a page of its own."""
    source = form_source(name)
    if not source.enabled:
        return shown(503, "This source is switched off.")
    language = language_for(source)
    form = forms.form(the_relay(), source, language)
    return _form_page(source, language, form, 200, page=None)


def form_again(source: Source, refusal: Refusal) -> Response:
    """The form once more: reasons beside the fields, and what was typed."""
    language = language_for(source)
    detail = "" if refusal.errors else language.say(refusal.detail)
    if refusal.state == REFUSED:
        detail = language.texts["refused_text"]
    elif refusal.status == 429:
        detail = too_many(language, refusal.retry_after)
    form = forms.form(the_relay(), source, language, refusal.typed, refusal.errors, detail)
    headers = {"referer": request.headers.get("Referer", "")}
    return _form_page(source, language, form, refusal.status, page=visitor.page_of(headers, refusal.typed))


def _form_page(
    source: Source, language: Language, form: forms.Form, status: int, page: str | None
) -> Response:
    """``page``: the page it stood on when it was first posted."""
    following = visitor.next_page(source, dict(form.carried))
    return _page(
        "form.html",
        language,
        status,
        source=source,
        form=form,
        page=page,
        form_targets=[source.thanks, following],
        frames=frames_of(source),
    )


def form_source(name: str) -> Source:
    """Return the form source of a name; 404 if there is none."""
    source = the_relay().settings.sources.get(name)
    if source is None or not source.is_form:
        abort(404)
    return source


@blueprint.get("/forms/<name>/style.css")
def style(name: str) -> Response:
    """The colours of a source's pages: inline styles are forbidden there."""
    response = Response(colours.stylesheet(form_source(name).page), mimetype="text/css")
    response.headers["Cache-Control"] = f"public, max-age={_STYLE_SECONDS}"
    return response


@blueprint.get("/forms/<name>/logo")
def logo(name: str) -> Response:
    """The picture at the head of a source's pages, a file beside relay.toml."""
    path = form_source(name).page.get("logo")
    if path is None or not os.path.isfile(path):
        abort(404)
    response = send_file(path, max_age=_STYLE_SECONDS)
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    return response


@blueprint.get("/receipts/<receipt>")
def show_receipt(receipt: str) -> Response:
    """What an outsider may know of a submission."""
    relay = the_relay()
    is_one = len(receipt) == 32 and receipt.isalnum()
    delivery = relay.outbox.read(named, receipt) if is_one else None
    if delivery is None:
        return shown(404, "There is no such receipt.")
    source = relay.settings.sources.get(delivery.source)
    state = receipts.public_state(delivery.state, silent=receipts.is_silent(source))
    if wants_page():
        return thanks(source, is_refused=state == REFUSED)
    body = {"receipt": receipt, "state": state, "received_at": clock.iso(delivery.received_at)}
    return as_json(body)


def thanks(source: Source | None, *, is_refused: bool = False) -> Response:
    """The page that people see at the end."""
    language = language_for(source)
    texts = texts_of(source, language)
    return _page(
        "thanks.html", language, source=source, p=texts, is_refused=is_refused, frames=frames_of(source)
    )


# --- senders that try an address out --------------------------------------------------------------------


def handshake(source: Source, shake: Handshake) -> Response:
    """Answer a sender's GET: plainly, with its own word, or with a proof that we hold the secret."""
    word = request.args.get(shake.query, "")
    if shake.kind == "ok" or request.method == "HEAD":
        return Response("ok", mimetype="text/plain")
    if len(word) > 500:
        return shown(400, "The challenge cannot be used.")
    if shake.kind == "echo":
        token = request.args.get(shake.token_query, "").encode()
        if not any(hmac.compare_digest(token, secret) for secret in source.secrets):
            return shown(401, "The proof of the sender is missing or wrong.")
        return Response(word, mimetype="text/plain")
    if not shake.signs(word.encode()):
        return shown(400, "The challenge cannot be used.")
    digest = hmac.new(source.secrets[0], word.encode(), hashlib.sha256).hexdigest()
    body = {shake.query: word, "challengeResponse": digest}
    return as_json(body)


# --- what every page has ----------------------------------------------------------------------------------


def language_for(source: Source | None) -> Language:
    """Return the language of a page: the source's own, else the visitor's."""
    return choose(request.accept_languages, source.page.get("language") if source else None)


@blueprint.app_context_processor
def surroundings() -> dict[str, Any]:
    """What the templates know on every page, also on one that tells of a problem."""
    settings = the_relay().settings
    source = settings.sources.get((request.view_args or {}).get("name", ""))
    language = language_for(source)
    return _words(language) | {
        "source": source,
        "visitors": language.visitors,
        "own": texts_of(source, language),
        "is_sandbox": settings.is_sandbox,
        "sent_really": settings.sent_really,
        "request_id": request.environ.get("relay.request_id", ""),
    }


def _words(language: Language) -> dict[str, Any]:
    return {"language": language.code, "t": language.texts, "say": language.say}


def _page(
    template: str,
    language: Language,
    status: int = 200,
    *,
    form_targets: Iterable[str | None] = (),
    frames: Iterable[str] = (),
    **values: Any,
) -> Response:
    text = render_template(template, **_words(language), **values)
    response = Response(text, status, mimetype="text/html")
    response.headers["Content-Security-Policy"] = policy(form_targets, frames)
    return response

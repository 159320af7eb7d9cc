"""Who may come in: the session behind a cookie, the role it has, and that a write comes from our own page."""

import hmac
from typing import Any

from flask import Flask, Request, Response, current_app, g, request, session
from flask.sessions import SessionInterface, SessionMixin
from flask_wtf.csrf import CSRFProtect

from relay.operator.actor import Actor, known
from relay.outbox.sessions import LONGEST_SECONDS, Session, Sessions
from relay.process.relay import Relay
from relay.sources.origin import canonical
from relay.web.application import the_relay
from relay.web.cors import own_origins
from relay.web.dashboard.returning import LIVE, PREFIX, to_login
from relay.web.problems import shown

csrf = CSRFProtect()


class _Carried(dict[str, Any], SessionMixin):
    """What Flask-WTF looks for: the session's own secret for its tokens."""


class DatabaseSession(SessionInterface):
    """Sessions live in the database; a path outside the dashboard has none, and reads no cookie."""

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:
        if not request.path.startswith(PREFIX):
            return None
        relay = the_relay()
        word = request.cookies.get(cookie_name(relay, request), "")
        touch = not request.path.startswith(LIVE)
        found = Sessions(relay.outbox).find(word, touch=touch) if word else None
        actor = _actor(relay, found) if found else None
        return _Carried(csrf_token=found.csrf, actor=actor) if found and actor else _Carried()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Nothing: a session is written when it begins and when it ends."""


def install(app: Flask) -> None:
    """Give the application these sessions, and CSRF tokens that last as long as they do."""
    app.session_interface = DatabaseSession()
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False  # the public forms have no session to protect
    app.config["WTF_CSRF_TIME_LIMIT"] = None
    app.config["WTF_CSRF_SSL_STRICT"] = (
        False  # it looks at the Referer; ``_is_ours`` at what browsers vouch for
    )
    csrf.init_app(app)


def require_session() -> Response | None:
    """Before every page but the login: no session, to the login."""
    relay = the_relay()
    if "Authorization" in request.headers and request.cookies:
        return shown(400, "Show a token or a cookie, not both.")
    if "actor" not in session:
        return to_login()
    g.actor = session["actor"]
    # Known once the outbox is open, and the same in every process.
    current_app.config["WTF_CSRF_SECRET_KEY"] = relay.outbox.vault.hash("dashboard", "csrf").hex()
    if request.method != "POST":
        return None
    if (refused := check_origin()) is None:
        csrf.protect()
    return refused


def check_origin() -> Response | None:
    """Refuse a write that another site's page began. Browsers say so; over plain HTTP only in ``Origin``."""
    return None if _is_ours(request) else shown(403, "This was sent from another site's page.")


def _is_ours(asked: Request) -> bool:
    site = asked.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = asked.headers.get("Origin")
    if origin is None or origin.partition("://")[2] == asked.host:
        return True
    relay = the_relay()
    # A proxy may have put its own name for us in the place of the one that the world uses.
    return canonical(origin) in map(canonical, own_origins(relay, asked.environ))


def _actor(relay: Relay, found: Session) -> Actor | None:
    """Return whose session it is, if they still have the token that began it."""
    for sha, actor in known(relay.settings).items():
        if actor.name == found.operator and hmac.compare_digest(fingerprint(sha), found.fingerprint):
            return actor
    return None


def fingerprint(sha: bytes) -> str:
    """Return what tells one token of an operator from another, without helping to guess it."""
    return sha.hex()[:16]


def is_secure(relay: Relay, asked: Request) -> bool:
    """Whether the browser came over TLS, as far as the public address and trusted proxies tell."""
    public, proxies = relay.settings.public_url or "", relay.settings.trusted_proxies
    here = canonical(f"https://{asked.host}")
    if public and here in map(canonical, own_origins(relay, asked.environ)):
        return True
    if not proxies:
        return asked.scheme == "https"
    hops = asked.headers.get("X-Forwarded-Proto", "").split(",")
    return hops[-min(proxies, len(hops))].strip() == "https"  # what the outermost of them saw


def cookie_name(relay: Relay, asked: Request) -> str:
    """Return the cookie's name: over TLS one that only this host can set."""
    return "__Host-relay_session" if is_secure(relay, asked) else "relay_session"


def set_cookie(relay: Relay, response: Response, word: str) -> None:
    """Hand a session to the browser; an empty one takes it away."""
    response.set_cookie(
        cookie_name(relay, request),
        word,
        max_age=int(LONGEST_SECONDS) if word else 0,
        secure=is_secure(relay, request),
        httponly=True,
        samesite="Lax",
    )

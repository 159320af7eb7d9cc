"""Which pages elsewhere may post here and read the answer."""

from flask import Response, request

from relay.process.relay import Relay
from relay.sources.source import Source
from relay.web.wsgi import Environ


def _own_origins(relay: Relay, environ: Environ) -> tuple[str, ...]:
    host = environ.get("HTTP_HOST", "")
    own = [f"{environ['wsgi.url_scheme']}://{host}"]
    if relay.settings.trusted_proxies:
        own.append(f"https://{host}")  # the proxy speaks TLS, we do not
    if relay.settings.public_url:
        own.append(relay.settings.public_url)
    return tuple(own)


def cors(relay: Relay, source: Source, environ: Environ) -> dict[str, str]:
    """Return the headers that let pages of allowed sites read the answer; never with credentials."""
    if not source.is_form:
        return {}
    headers = {"Vary": "Origin, Accept"}
    origin = environ.get("HTTP_ORIGIN")
    if origin and origin != "null" and source.allows_origin(origin, _own_origins(relay, environ)):
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = "X-Request-ID, Retry-After"
    return headers


def with_cors(relay: Relay, source: Source, response: Response) -> Response:
    """Let pages of allowed sites read a response."""
    response.headers.update(cors(relay, source, request.environ))
    return response

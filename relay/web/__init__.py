"""The web: what callers over HTTP meet. Requests become values for ``intake``, ``operator`` and ``process``.

A page or an address goes here; nothing is decided here about a submission. Flask lives here only.
"""

from relay.process.relay import Relay
from relay.web import api, closed, dashboard, description, operations, pages, problems, script, submit
from relay.web.application import RelayApp
from relay.web.wsgi import with_headers


def create_app(relay: Relay) -> RelayApp:
    """Return the application of a relay, which is started separately."""
    app = RelayApp(__name__)
    app.relay = relay
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False  # it answers // with a redirect built from the Host header
    problems.register(app)
    closed.install(app)
    for face in (submit, pages, script, operations, api, description):
        app.register_blueprint(face.blueprint)
    dashboard.register(app)
    app.wsgi_app = with_headers(app.wsgi_app)  # type: ignore[assignment,method-assign]
    return app

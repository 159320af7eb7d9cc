"""The application that gunicorn's worker imports."""

from relay.server import hooks

app = hooks.application()

"""gunicorn's door: ``gunicorn app:app``."""

from relay.server import hooks

app = hooks.application()

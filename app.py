"""gunicorn's door: ``gunicorn app:app``."""

from relay.server import hooks as serving

app = serving.application()

"""gunicorn's door: ``gunicorn app:app``."""

from relay.server.app import app

__all__ = ["app"]

"""gunicorn's door: ``gunicorn app:app``."""

from relay import serving

app = serving.application()

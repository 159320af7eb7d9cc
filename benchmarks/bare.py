"""The yardstick: a Flask view that returns a constant, under the relay's gunicorn settings."""

from flask import Flask

app = Flask(__name__)


@app.post("/submit/newsletter")
def constant() -> tuple[dict[str, str], int]:
    """Answer what the relay would, without doing anything for it."""
    return {"receipt": "0" * 32, "state": "received"}, 202

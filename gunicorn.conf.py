"""How gunicorn serves the relay; ``gunicorn app:app`` finds this file in its working directory."""

from relay.server.conf import *  # noqa: F403

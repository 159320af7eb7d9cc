"""gunicorn's own messages in the relay's form."""

from typing import Any

from gunicorn.glogging import Logger as GunicornLogger

from relay.events import FromLibraries


class Logger(GunicornLogger):  # type: ignore[misc]
    """What gunicorn says; requests are noted by the relay itself."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers[:] = [FromLibraries()]
        self.error_log.propagate = False

    def access(self, *args: Any, **kwargs: Any) -> None:
        """Note nothing: gunicorn would quote addresses with their query strings."""

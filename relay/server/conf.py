"""How gunicorn serves the relay. Read in the master, before any worker exists."""

import os
from typing import Any

from relay import events
from relay.server import hooks

events.keep_streams()
settings = hooks.load_or_exit()

bind = f"{'[' + settings.host + ']' if ':' in settings.host else settings.host}:{settings.port}"
# One SQLite outbox has one owner, whatever WEB_CONCURRENCY says.
workers = 1
threads = settings.threads
worker_class = "relay.server.worker.Worker"
worker_connections = hooks.connections(threads)
backlog = 2048
keepalive = 2
timeout = 60
graceful_timeout = 25
# A container's /tmp may be a disk that stalls; the heartbeat file must not.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
control_socket_disable = True
# It would wait, in a thread, for the client to take the file.
sendfile = False
# Never believed here: the relay counts proxies itself, see RELAY_TRUSTED_PROXIES.
forwarded_allow_ips = ""
accesslog = None
logger_class = "relay.server.logger.Logger"
umask = 0o077


def on_starting(server: Any) -> None:
    hooks.claim_address(server)
    hooks.share_counts()
    hooks.keep_one_worker(server)
    server.reload = lambda: hooks.reload(server)


def post_worker_init(worker: Any) -> None:
    hooks.start(worker)


def worker_exit(server: Any, worker: Any) -> None:
    hooks.stop(worker)


def on_exit(server: Any) -> None:
    hooks.forget_counts()


def child_exit(server: Any, worker: Any) -> None:
    hooks.left(server)

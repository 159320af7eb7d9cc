"""A load of form posts, in one process of its own: ``python -m benchmarks.load PORT PATH [--fresh]``.

Prints one JSON object: requests per second and latencies in milliseconds.
"""

import argparse
import json
import math
import selectors
import socket
import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Connection:
    """One client: sends the next request when the answer to the last one is whole."""

    sock: socket.socket
    started: float = 0.0
    buffer: bytearray = field(default_factory=bytearray)

    def complete(self) -> int | None:
        """Return the status once the whole answer is here."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = self.buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self.buffer) < end + 4 + length:
            return None
        status = int(self.buffer[9:12])
        del self.buffer[: end + 4 + length]
        return status


def request(path: str, run: str, number: int, fresh: bool) -> bytes:
    """Return a form post of a person nobody has posted before."""
    phone = f"%2B49170{int(run) % 1000:03d}{number % 10000:04d}"
    body = f"email=p{number}.{run}%40example.com&phone={phone}&first_name=Pat&last_name=Doe{number}".encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n{'Connection: close' if fresh else 'Connection: keep-alive'}\r\n\r\n"
    )
    return head.encode() + body


def run(
    port: int,
    path: str,
    connections: int,
    seconds: float,
    run_id: str,
    fresh: bool = False,
    most: float = math.inf,
) -> dict[str, object]:
    """Post for so long, or so many, and return what was seen. `fresh`: a connection for each request."""
    selector = selectors.DefaultSelector()
    number, latencies, statuses = 0, [], Counter[int]()
    begun = time.perf_counter()
    until = begun + seconds

    def connect() -> Connection:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(sock, selectors.EVENT_READ, connection := Connection(sock))
        return connection

    def send(connection: Connection | None = None) -> None:
        nonlocal number
        number += 1
        started = time.perf_counter()
        connection = connection or connect()
        connection.started = started
        connection.sock.sendall(request(path, run_id, number, fresh))

    def leave(connection: Connection) -> None:
        selector.unregister(connection.sock)
        connection.sock.close()

    for _ in range(connections):
        send()
    busy = connections
    while busy:
        for key, _ in selector.select(5):
            connection: Connection = key.data
            data = connection.sock.recv(65536)
            if not data:
                raise SystemExit("the server closed a connection")
            connection.buffer += data
            status = connection.complete()
            if status is None:
                continue
            now = time.perf_counter()
            latencies.append(now - connection.started)
            statuses[status] += 1
            is_over = now >= until or number >= most
            if fresh or is_over:
                leave(connection)
            if is_over:
                busy -= 1
            else:
                send(None if fresh else connection)
    elapsed = time.perf_counter() - begun
    latencies.sort()
    return {
        "rate": len(latencies) / elapsed,
        "count": len(latencies),
        "statuses": dict(statuses),
        **{name: at(latencies, share) for name, share in PERCENTILES.items()},
    }


PERCENTILES = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}


def at(latencies: list[float], share: float) -> float:
    """Return a percentile in milliseconds."""
    return latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1000


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--most", type=float, default=math.inf, help="so many, and no more")
    parser.add_argument("--fresh", action="store_true", help="a connection for each request")
    parser.add_argument("--run", dest="run_id", default=str(time.time_ns()))
    asked = parser.parse_args()
    print(json.dumps(run(**vars(asked))))

"""Metrics: counters and histograms of this process, counted together where several share a folder."""

import os
import threading
from collections.abc import Iterable
from functools import cache
from itertools import product
from typing import Any


@cache
def _metrics() -> dict[str, Any]:
    # Imported late: the library decides on import whether processes share their counts.
    from prometheus_client import Counter, Histogram

    return {
        "submissions": Counter(
            "relay_submissions", "Submissions by what became of them", ["source", "result"]
        ),
        "deliveries": Counter("relay_deliveries", "Attempts by how they ended", ["destination", "outcome"]),
        "upstream": Histogram("relay_upstream_seconds", "Seconds of a call upstream"),
        "request": Histogram("relay_request_seconds", "Seconds of a submission's request"),
    }


@cache
def _counter(name: str, *labels: str) -> Any:
    with _making:
        return _metrics()[name].labels(*labels)


@cache
def _histogram(name: str) -> Any:
    with _making:
        return _metrics()[name]


_making = threading.Lock()


RESULTS = ("accepted", "repeat", "held", "invalid", "rejected", "limited")
OUTCOMES = ("delivered", "refused", "later", "wait", "unclear", "misconfigured")


def prepare(sources: Iterable[str], destinations: Iterable[str]) -> None:
    """Make them all at start: made half when memory is short, none could be made again.

    Each counts from 0: of what is seen for the first time Prometheus knows no increase, so that a rule
    would not see the first refusals of a source, nor the one sign-up that it took.
    """
    with _making:
        _metrics()
    for source, result in product(sources, RESULTS):
        _counter("submissions", source, result)
    for destination, outcome in product(destinations, OUTCOMES):
        _counter("deliveries", destination, outcome)


def count_submission(source: str, result: str, seconds: float | None = None) -> None:
    """Count a submission by one of RESULTS, or as ``excluded``: what is answered, and by intent not kept."""
    _counter("submissions", source, result).inc()
    if seconds is not None:
        _histogram("request").observe(seconds)


def count_delivery(destination: str, outcome: str, seconds: float | None = None) -> None:
    """Count an attempt by its outcome, and the seconds its call took."""
    _counter("deliveries", destination, outcome).inc()
    if seconds is not None:
        _histogram("upstream").observe(seconds)


def exposition(gauges: list[tuple[str, str, dict[str, str], float]]) -> tuple[bytes, str]:
    """Return the metrics as Prometheus text, and its content type; true with many processes.

    ``gauges``: (name, help, labels, value), read from the outbox.
    """
    from prometheus_client import CollectorRegistry, generate_latest, multiprocess
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
    from prometheus_client.metrics_core import GaugeMetricFamily

    registry = CollectorRegistry()
    if os.environ.get(SHARED_COUNTS):
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        with _making:
            for metric in _metrics().values():
                registry.register(metric)
    families: dict[str, GaugeMetricFamily] = {}
    for name, what, labels, value in gauges:
        if name not in families:
            families[name] = GaugeMetricFamily(name, what, labels=list(labels))
        families[name].add_metric(list(labels.values()), value)
    registry.register(_Known(families.values()))
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


class _Known:
    """Values that are the same in every process: a ``Gauge`` would count as this process's own."""

    def __init__(self, families: Iterable[Any]) -> None:
        self._families = families

    def collect(self) -> Iterable[Any]:
        """What the library asks for."""
        return self._families


SHARED_COUNTS = "PROMETHEUS_MULTIPROC_DIR"
"""Names the folder in which processes share their counts; the library reads it on import."""

"""Progress: what a job does, how far it is, what became of its rows, as pages and commands say it."""

from collections.abc import Mapping
from typing import Any

from relay.outbox.jobs import COUNTED


def action(job: Mapping[str, Any]) -> str:
    """Return what a job does."""
    return f"{job['action']}, only counted" if job["dry_run"] else str(job["action"])


def state(job: Mapping[str, Any]) -> str:
    """Return how far a job is: one that only counts does nothing, and one that was counted waits."""
    if job["dry_run"]:
        return "counted" if job["ended_at"] else "counting"
    return "waits for its turn" if job["state"] == COUNTED else str(job["state"])


def outcomes(job: Mapping[str, Any]) -> dict[str, int]:
    """Return what became of a job's rows, or would become of them where it only counts."""
    would = "would be " if job["dry_run"] else ""
    return {f"{would}{outcome}": count for outcome, count in (job["outcomes"] or {}).items()}

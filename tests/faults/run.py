"""Run the faults and print what became of what people submitted.

python -m tests.faults.run [--quick] [--only NAME] [--seed N] [--markdown FILE] [--jobs N] [--logs FOLDER]
"""

import argparse
import os
import platform
import random
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from tests.faults import calls, clocks, crashes, storage
from tests.faults.trial import Fault, Result, Trial
from tests.kit.services import Missing

FAULTS: tuple[Fault, ...] = (*crashes.FAULTS, *storage.FAULTS, *clocks.FAULTS, *calls.FAULTS)
JOBS = 3
COLUMNS = (
    *(
        "fault",
        "tries",
        "acknowledged",
        "delivered",
        "waiting or parked",
        "lost",
        "twice unmarked",
        "verdict",
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; return 1 if any promise was broken, else 0."""
    asked = _parser().parse_args(arguments)
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(2**32)
    chosen = _chosen(asked.only, asked.quick)
    if not chosen:
        print(f"no such fault; there are: {', '.join(fault.name for fault in FAULTS)}", file=sys.stderr)
        return 2
    print(
        f"seed {seed} (repeat with --seed {seed}); {len(chosen)} faults, {asked.jobs} at a time", flush=True
    )
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    trials = [Trial(fault, quick=asked.quick, seed=seed, logs=asked.logs) for fault in chosen]
    results = tried(trials, asked.jobs)
    took = time.monotonic() - began
    print(f"\n{_table(results)}\n\n{_summary(results, took, seed)}", flush=True)
    if asked.markdown:
        asked.markdown.write_text(_markdown(results, took, seed, asked.quick), encoding="utf-8")
    return int(any(result.violations for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer points, shorter loads: under 4 minutes")
    parser.add_argument("--only", metavar="NAME", help="only faults whose name contains this")
    parser.add_argument("--seed", type=int, metavar="N", help="repeat the random moments of an earlier run")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as Markdown")
    parser.add_argument(
        "--jobs", type=int, default=JOBS, metavar="N", help="faults at a time; mostly they wait"
    )
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep what the servers wrote")
    return parser


def _chosen(only: str | None, quick: bool) -> list[Fault]:
    if only:
        return [fault for fault in FAULTS if only in fault.name]
    return [fault for fault in FAULTS if fault.quick or not quick]


def tried(trials: Sequence[Trial], jobs: int = JOBS) -> list[Result]:
    """Try all of them, some at a time; when interrupted, end what was started and go."""
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        try:
            return list(pool.map(_tried, trials))
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for trial in trials:
                trial.close()
            raise


def _tried(trial: Trial) -> Result:
    trial.say(f"begins: {trial.result.fault.title}")
    try:
        with trial:
            trial.result.fault.run(trial)
    except Missing as lacking:
        trial.result.lacking = str(lacking)
        trial.say(f"SKIPPED, this machine lacks something: {lacking}")
    except Exception as error:
        place = traceback.format_exc(limit=-3)
        trial.violated([f"{type(error).__name__}: {str(error)[:1000]}\n{place[-1500:]}"])
    trial.say(_verdict(trial.result))
    return trial.result


# --- what is printed ------------------------------------------------------------------------------------


def _verdict(result: Result) -> str:
    if result.violations:
        return f"{len(result.violations)} VIOLATIONS"
    return "skipped" if result.lacking else "held"


def _cells(result: Result) -> tuple[str, ...]:
    numbers = (result.tries, result.acknowledged, result.delivered, result.waiting, result.lost, result.twice)
    return (result.fault.title, *map(str, numbers), _verdict(result))


def _table(results: Sequence[Result]) -> str:
    rows = [COLUMNS, *map(_cells, results), _cells(_total(results))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(_aligned(cell, widths[at], at) for at, cell in enumerate(row)).rstrip() for row in rows
    )


def _aligned(cell: str, width: int, at: int) -> str:
    return cell.ljust(width) if at in (0, len(COLUMNS) - 1) else cell.rjust(width)


def _total(results: Sequence[Result]) -> Result:
    total = Result(Fault("total", "all", lambda trial: None))
    for result in results:
        total.tries += result.tries
        total.acknowledged += result.acknowledged
        total.delivered += result.delivered
        total.waiting += result.waiting
        total.lost += result.lost
        total.twice += result.twice
        total.violations += result.violations
    return total


def _summary(results: Sequence[Result], took: float, seed: int) -> str:
    lines = [f"{took / 60:.1f} minutes, seed {seed}"]
    lines += [f"skipped {r.fault.name}: {r.lacking}" for r in results if r.lacking]
    lines += [f"{r.fault.name}: {line[:500]}" for r in results for line in r.violations]
    return "\n".join(lines)


def _markdown(results: Sequence[Result], took: float, seed: int, quick: bool) -> str:
    rows = [COLUMNS, ("---", *["---:"] * (len(COLUMNS) - 2), "---"), *map(_cells, results)]
    rows.append(_cells(_total(results)))
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    where = f"Python {platform.python_version()}, Linux {platform.release()}, {os.cpu_count()} processors"
    how = f"{'Quick' if quick else 'Full'} run of {took / 60:.1f} minutes"
    day = datetime.now(UTC).date().isoformat()
    notes = "".join(f"\nSkipped: {r.fault.title} ({r.lacking})." for r in results if r.lacking)
    return f"{table}\n\n{how} on {day}, {where}, seed {seed}.{notes}\n"


if __name__ == "__main__":
    sys.exit(main())

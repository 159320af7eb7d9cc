"""Fuzz guided by coverage: ``python -m tests.guided.run [--only NAME …] [--runs 1000000] [--jobs 2]``.

Each target runs in a process of its own, from the corpus in tests/guided/corpus. What it finds on the way
that reaches new code is kept in build/guided; a fault is written there too and printed, and the status is 1.
Needs atheris, which `make fuzz-guided` installs.
"""

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.guided.targets import TARGETS

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).with_name("corpus")
FOUND = ROOT / "build" / "guided"
LONGEST_BYTES, SLOWEST_SECONDS, MOST_MEGABYTES = 4096, 10, 2048


def one(name: str, runs: int, seed: int) -> int:
    """Fuzz one target in this process; does not return."""
    import atheris

    # What was imported before is not seen, so that only the target's own reading guides.
    with atheris.instrument_imports(include=["relay.sources", "relay.server.framing"]):
        for module in [module for module in sys.modules if module.startswith(("relay.", "tests.guided."))]:
            del sys.modules[module]
        from tests.guided.targets import TARGETS as targets

    where = FOUND / name
    where.mkdir(parents=True, exist_ok=True)
    words = [sys.argv[0], f"-runs={runs}", f"-max_len={LONGEST_BYTES}", f"-timeout={SLOWEST_SECONDS}"]
    words += [f"-rss_limit_mb={MOST_MEGABYTES}", f"-artifact_prefix={where}-", "-print_final_stats=1"]
    words += [f"-seed={seed}"] if seed else []
    atheris.Setup([*words, str(where), str(CORPUS / name)], targets[name])
    atheris.Fuzz()
    return 0


def each(names: list[str], runs: int, seed: int, jobs: int) -> int:
    """Fuzz all of them, some at a time; return 1 if any found a fault."""

    def run(name: str) -> int:
        began = time.monotonic()
        command = [sys.executable, "-m", "tests.guided.run", "--in-process", name, "--runs", str(runs)]
        command += ["--seed", str(seed)]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False
        )
        said = done.stderr.splitlines()
        last = next((line for line in reversed(said) if line.startswith("stat::number_of_exec")), "no count")
        verdict = "held" if done.returncode == 0 else f"FAULT (status {done.returncode})"
        took, count = time.monotonic() - began, last.rpartition(":")[2].strip()
        print(f"{name}: {verdict}; {count} executions in {took:.0f} s", flush=True)
        if done.returncode:
            print("\n".join(said[-40:]), flush=True)
        return done.returncode

    with ThreadPoolExecutor(jobs) as pool:
        return int(any(list(pool.map(run, names))))


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--runs", type=int, default=1_000_000, help="executions of each (1,000,000)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (2)")
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("--in-process", choices=list(TARGETS), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.in_process:
        return one(asked.in_process, asked.runs, asked.seed)
    return each(asked.only, asked.runs, asked.seed, asked.jobs)


if __name__ == "__main__":
    sys.exit(main())

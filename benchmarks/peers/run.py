"""The relay beside what others use: ``python -m benchmarks.peers.run [--rounds N] [--only …] [--write]``.

Everybody does the same on the same machine in one run: in each round one after the other, so that a slow
moment of the machine hits no one alone; the medians of the rounds are given. What kills and quotas do is
counted over all. ``--write`` puts the table into docs/peers.md and the plot beside it.
"""

import argparse
import itertools
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.peers import measures, plot
from benchmarks.peers.contenders import ROOT, Afternoon, Contender, Direct, Relay
from benchmarks.peers.flows import N8n, NodeRed
from benchmarks.peers.measures import WINDOWS, Result, Stage
from tests.kit.processes import free_port
from tests.kit.upstream import ScriptedUpstream

KINDS: tuple[type[Contender], ...] = (Relay, Direct, Afternoon, NodeRed, N8n)
PAGE = ROOT / "docs" / "peers.md"
MARKS = "<!-- measured -->", "<!-- end -->"
COUNTED = ("killed", "pacing")
MEASURES: dict[str, Callable[[Stage], Result]] = {
    "accepting": measures.accepting,
    "resting": measures.resting,
    "adding": measures.adding,
    "killed": measures.killed,
    "pacing": measures.pacing,
}


@contextmanager
def stage(kind: type[Contender], windows: Sequence[tuple[int, float]], seed: str) -> Iterator[Stage]:
    """Put up an upstream, and a maker of contenders before it with a folder and a port of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="relay-peers-") as folder,
        ScriptedUpstream(windows=windows) as upstream,
    ):
        numbers = itertools.count()

        def make() -> Contender:
            place = Path(folder, str(next(numbers)))
            place.mkdir()
            contender = kind(place, free_port(), upstream.url)
            contender.prepare()
            return contender

        yield Stage(upstream, make, random.Random(seed))


def measured(kind: type[Contender], names: Sequence[str], rounds: int, seed: int) -> Result:
    """Take each figure of one contender that is counted once."""
    found: Result = {}
    for name in names:
        windows = WINDOWS if name == "pacing" else ()
        with stage(kind, windows, f"{seed} {rounds}") as one:
            found |= MEASURES[name](one)
    return found


def compared(
    kinds: Sequence[type[Contender]], names: Sequence[str], rounds: int, seed: int
) -> dict[str, Result]:
    """Return what was measured, by contender: medians of what varies, and what is counted."""
    taken: dict[str, list[Result]] = {kind.title: [] for kind in kinds}
    timed = [name for name in names if name not in COUNTED]
    for number in range(rounds):
        for kind in kinds:
            taken[kind.title].append(measured(kind, timed, number, seed))
            say(f"round {number + 1}, {kind.title}", taken[kind.title][-1])
    found = {who: median(some) for who, some in taken.items()}
    for kind in kinds:
        counted = measured(kind, [name for name in names if name in COUNTED], rounds, seed)
        say(kind.title, counted)
        found[kind.title] |= counted
    return found


def median(rounds: Sequence[Result]) -> Result:
    """Return the median of each figure."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]} if rounds else {}


def say(who: str, found: Result) -> None:
    """Print what was found so far."""
    print(f"  {who}: " + ", ".join(f"{name} {shown(value)}" for name, value in found.items()), flush=True)


def shown(value: float) -> str:
    """Return a figure with as many digits as it deserves."""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.2g}"


def table(found: dict[str, Result]) -> str:
    """Return the figures as Markdown, a row each."""
    names = dict.fromkeys(itertools.chain.from_iterable(found.values()))
    rows = [["", *found], ["---", *["---:"] * len(found)]]
    rows += [[name, *(shown(one[name]) if name in one else "–" for one in found.values())] for name in names]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write(found: dict[str, Result], seed: int) -> None:
    """Put the table into the page, between its marks, and draw the plot."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    PAGE.write_text(
        f"{before}{MARKS[0]}\n{table(found)}\n\nSeed {seed}.\n{MARKS[1]}{after}", encoding="utf-8"
    )
    plot.draw(found, PAGE.with_name("images") / "peers.svg")


def main() -> int:
    """Compare, print the table, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(MEASURES), default=list(MEASURES))
    parser.add_argument("--who", nargs="+", choices=[kind.__name__ for kind in KINDS])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--write", action="store_true", help="into docs/peers.md and docs/images/peers.svg")
    asked = parser.parse_args()
    kinds = [kind for kind in KINDS if kind.__name__ in (asked.who or [kind.__name__ for kind in KINDS])]
    for lacking in [kind.title for kind in kinds if not kind.is_installed()]:
        print(f"{lacking} is not installed; `make peers` does that", file=sys.stderr)
        return 1
    print(f"--seed {asked.seed}", flush=True)
    found = compared(kinds, asked.only, asked.rounds, asked.seed)
    print(table(found))
    if asked.write:
        write(found, asked.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())

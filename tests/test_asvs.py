"""docs/asvs.md has a line for every requirement of levels 1 and 2, and names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/asvs.md").read_text(encoding="utf-8")
SECTIONS = {
    1: ["1-2", "1-9", "1-11", "1-3", "1-2"],
    2: ["1-3", "1-3", "1-4", "1"],
    3: ["", "1-2", "1-4", "1-6", "1-5", "", "1-2"],
    4: ["1-3", "1", "1-2", "1-4"],
    5: ["1", "1-3", "1-2", "1-3"],
    6: ["1-3", "1-11", "1-3", "1-4", "1-5", "1-3", "", "1-3"],
    7: ["1-3", "1-4", "1-2", "1-5", "1-2", "1-2"],
    8: ["1-2", "1-3", "1", "1"],
    9: ["1-3", "1-4"],
    11: ["1-2", "1-3", "1-3", "1-3", "1", "1"],
    12: ["1-3", "1-2", "1-4"],
    13: ["1", "1-5", "1-2", "1-5"],
    14: ["1-2", "1-4", "1-3"],
    15: ["1-3", "1-3", "1-7"],
    16: ["1", "1-5", "1-4", "1-3", "1-3"],
}
"""By chapter and section, the requirements of levels 1 and 2; those of level 3 stand behind them."""


def _numbers(prefix: str, span: str) -> list[str]:
    first, _, last = span.partition("-")
    return [f"{prefix}.{number}" for number in range(int(first), int(last or first) + 1)] if span else []


def test_every_requirement_has_its_line() -> None:
    wanted = [
        one
        for chapter, sections in SECTIONS.items()
        for number, span in enumerate(sections, 1)
        for one in _numbers(f"{chapter}.{number}", span)
    ]
    found: list[str] = []
    for first, last in re.findall(r"^\| (\d+\.\d+\.\d+)(?:–(\d+\.\d+\.\d+))? \|", PAGE, re.M):
        prefix, _, low = first.rpartition(".")
        found += _numbers(prefix, f"{low}-{(last or first).rpartition('.')[2]}")
    assert found == wanted


def test_every_test_that_is_named_is_there() -> None:
    files = {file.name: file.read_text(encoding="utf-8") for file in ROOT.glob("tests/**/test_*.py")}
    named = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", PAGE)
    assert named
    begins = {test: f"def {test}(" if test else "def test_" for _, test in named}
    missing = [(file, test) for file, test in named if begins[test] not in files.get(file, "")]
    assert missing == []


def test_what_is_met_without_a_test_says_so() -> None:
    """Each line ends with tests or a dash, and is one of four."""
    for line in re.findall(r"^\| \d.*$", PAGE, re.M):
        _, said, _, shown = [cell.strip() for cell in line.strip("|").split(" | ")]
        assert said in ("met", "partly", "**not met**", "n/a"), line
        assert shown == "–" or shown.startswith("`test_"), line

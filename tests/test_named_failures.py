"""Whatever the relay says that something is wrong with has its entry in docs/failures.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay import health
from relay.delivery import DEAD, INVALID, KEY_REUSED, PARKED
from relay.intake import suspicion
from relay.process import exits
from relay.sources import stamp
from relay.web import clients
from relay.web.dashboard import words

ROOT = Path(__file__).resolve().parents[1]
RELAY = ROOT / "relay"
PAGE = (ROOT / "docs/failures.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([^`\n]+)`", PAGE))


def _nodes(*files: str) -> Iterator[ast.AST]:
    for pattern in files:
        for file in RELAY.glob(pattern):
            yield from ast.walk(ast.parse(file.read_text(encoding="utf-8")))


def _text(node: ast.AST) -> str | None:
    """A text, or how it begins: what a reader looks for."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
        return str(node.values[0].value).rstrip()
    return None


def _said(node: ast.AST | None) -> Iterator[str]:
    for choice in (node.body, node.orelse) if isinstance(node, ast.IfExp) else (node,):
        if choice is not None and (text := _text(choice)):
            yield text


def alerts() -> Iterator[str]:
    yield from (PARKED, DEAD, INVALID)
    for node in _nodes("operator/alerts.py"):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Alert":
            yield from (text.rstrip(":") for text in _said(node.args[0]))


def rules() -> Iterator[str]:
    """The alerts that Prometheus raises."""
    text = (ROOT / "deploy/prometheus-rules.yaml").read_text(encoding="utf-8")
    yield from re.findall(r"alert: (\w+)", text)


_PLACES = {"events.note": 0, "_line": 2}
"""Where a call has the name of its event: the sink says of itself which lines it dropped."""


def events() -> Iterator[str]:
    for node in _nodes("**/*.py"):
        if isinstance(node, ast.Call) and (place := _PLACES.get(ast.unparse(node.func))) is not None:
            yield from (text for text in _said(node.args[place]) if not text.endswith("."))


def holds() -> Iterator[str]:
    names = "PAUSED RESTORED MISCONFIGURED FAILING REFUSALS RATE_LIMITED UNAVAILABLE"
    yield from (getattr(health, name) for name in names.split())
    yield f"{health.RATE_LIMITED}: {health.BY_OTHERS}"
    yield f"{health.RATE_LIMITED}: parallel calls"
    yield "removed from the configuration"


def exit_statuses() -> Iterator[str]:
    yield from ("1", "2")
    yield from (str(value) for name, value in vars(exits).items() if name.startswith("EXIT_"))


def checks() -> Iterator[str]:
    for node in _nodes("process/relay.py"):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith("checks["):
            assert isinstance(node.targets[0], ast.Subscript)
            yield from _said(node.targets[0].slice)


def reasons() -> Iterator[str]:
    """Why a submission is in its state: what is called ``reason`` anywhere, and what is said of silence."""
    yield from (KEY_REUSED, stamp.STALE, stamp.TOO_FAST, suspicion.SOURCE_LIMIT, suspicion.CLIENT_SHARE)
    for node in _nodes("delivery.py", "outbox/moves.py", "intake/*.py", "dispatch/*.py"):
        if isinstance(node, ast.keyword) and node.arg == "reason":
            yield from _said(node.value)
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "reason":
                    yield from _said(value)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in (
            "reason",
            "UNREADABLE",
            "UNKNOWN_SHAPE",
        ):
            yield from _said(node.value)
    for file, names in (
        ("intake/suspicion.py", ("suspicion_of", "_own_reason")),
        ("dispatch/line.py", ("_why",)),
    ):
        for node in _nodes(file):
            if isinstance(node, ast.FunctionDef) and node.name in names:
                yield from (
                    text
                    for part in ast.walk(node)
                    if isinstance(part, ast.Return)
                    for text in _said(part.value)
                )


@pytest.mark.parametrize(
    "named", [alerts, rules, events, holds, exit_statuses, checks, reasons], ids=lambda one: one.__name__
)
def test_every_name_has_its_entry(named: object) -> None:
    assert callable(named)
    found = set(named())
    assert len(found) > 3
    known = {one.partition("…")[0].rstrip(": ") for one in NAMED}
    assert sorted(one for one in found if one.rstrip(":") not in known) == []


def test_every_warning_of_readyz_has_its_entry() -> None:
    said = [clients._PROXY_WARNING, clients._NAMELESS_WARNING]
    for node in _nodes("process/relay.py"):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "found.append":
            said += _said(node.args[0])
    assert len(said) == 5
    named = tuple(one for one in NAMED if " " in one)
    assert [one for one in said if not one.startswith(named)] == []


def test_every_reason_to_hold_is_told_on_the_dashboard_as_well() -> None:
    table = PAGE.partition("### Why it is `held`")[2].partition("### ")[0]
    named = set(re.findall("`(.+?)`", " ".join(re.findall(r"^\| (`.+?) \|", table, re.MULTILINE))))
    assert named == words.REASONS.keys() - {"unreadable", "unknown shape"}


def test_no_entry_is_left_of_what_is_gone() -> None:
    """Every event, and every alert in a heading, that the page names is there."""
    there = {*events(), *(f"submission.{word}" for word in ("accepted", "repeat", "invalid", "limited"))}
    there |= {"alert.firing", "alert.over"}
    files = {"relay.toml", "relay.env", "requirements.txt"}
    shown = {one for one in NAMED if re.fullmatch(r"[a-z]+\.[a-z_]+", one)}
    assert sorted(shown - there - files) == []

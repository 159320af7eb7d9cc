"""One fault: what is started for it, what people submit meanwhile, and what the judge finds afterwards."""

import contextlib
import random
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self

from tests.kit.client import Sent, Submitters, heard, numbered, post_form
from tests.kit.judge import Calm, judge
from tests.kit.relay import RelayProcess, config
from tests.kit.services import Missing
from tests.kit.upstream import Arrival, ScriptedUpstream

FAST: dict[str, Any] = {
    "limits": "50/second; 3000/minute",
    "deadline": 2,
    "retry": ["1s"],
    "ambiguous": "park",
}
"""A destination that lets a run end soon: what is unclear waits for a person instead of for a minute."""
FAST_LIMITS = ((50, 1.0), (3000, 60.0))
REAL: dict[str, Any] = FAST | {"limits": "10/second; 150/minute"}
REAL_LIMITS = ((10, 1.0), (150, 60.0))


class Lacking(Missing):
    """This machine lacks what the fault needs; the message says what would provide it."""


@dataclass(frozen=True)
class Fault:
    """``name`` for --only, ``title`` for the table; ``quick``: part of the quick run."""

    name: str
    title: str
    run: Callable[["Trial"], None]
    quick: bool = True


@dataclass
class Result:
    """The row of the table."""

    fault: Fault
    tries: int = 0
    acknowledged: int = 0
    delivered: int = 0
    waiting: int = 0
    lost: int = 0
    twice: int = 0
    violations: list[str] = field(default_factory=list)
    lacking: str = ""


@dataclass(frozen=True)
class Crowds:
    """Two crowds that come and go together."""

    people: Submitters
    machines: Submitters

    def start(self) -> Self:
        self.people.start()
        self.machines.start()
        return self

    def join(self, timeout: float = 120.0) -> Self:
        self.people.join(timeout)
        self.machines.join(timeout)
        return self

    @property
    def ledger(self) -> list[Sent]:
        return self.people.ledger + self.machines.ledger

    @property
    def acknowledged(self) -> list[Sent]:
        return self.people.acknowledged + self.machines.acknowledged


class Trial:
    """The stage of one fault. Everything that is started here is ended with it."""

    def __init__(self, fault: Fault, *, quick: bool, seed: int, logs: Path | None = None) -> None:
        self.quick = quick
        self.random = random.Random(f"{seed} {fault.name}")
        self.result = Result(fault)
        self._logs = logs
        self._stack = contextlib.ExitStack()
        self._crowds: dict[int, list[Submitters]] = {}
        self._singles: dict[int, list[Sent]] = {}
        self._relays: list[RelayProcess] = []
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._keep_logs()
        self.close()

    def close(self) -> None:
        """End everything that was started."""
        self._stack.close()

    # --- telling ------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        name, seconds = self.result.fault.name, time.monotonic() - self._began
        print(f"  {name:<18}{seconds:6.1f} s  {text}", flush=True)

    def tried(self, count: int = 1) -> None:
        self.result.tries += count

    def expect(self, fine: object, otherwise: str) -> None:
        """Note a violation unless ``fine``."""
        if not fine:
            self.violated([otherwise])

    def violated(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.result.violations.append(line)
            self.say(f"VIOLATION {line}")

    # --- starting -----------------------------------------------------------------------------------

    def keep(self, thing: contextlib.AbstractContextManager[Any]) -> Any:
        """Enter a context that ends with the trial."""
        return self._stack.enter_context(thing)

    def folder(self) -> Path:
        """Return an empty folder that is gone with the trial."""
        path = Path(tempfile.mkdtemp(prefix="relay-fault-"))
        self._stack.callback(shutil.rmtree, path, ignore_errors=True)
        return path

    def upstream(self, script: Any = None, **more: Any) -> ScriptedUpstream:
        upstream: ScriptedUpstream = self.keep(ScriptedUpstream(script, **more))
        return upstream

    def relay(
        self,
        url: str,
        destination: dict[str, Any] | None = None,
        *,
        sources: dict[str, Any] | None = None,
        start: bool = True,
        **more: Any,
    ) -> RelayProcess:
        """Make a relay that sends to ``url``; ``more`` is for RelayProcess."""
        relay = RelayProcess(config(url, sources, **(destination or FAST)), start=False, **more)
        self._stack.callback(relay.close)
        self._relays.append(relay)
        if start:
            relay.start()
        return relay

    # --- people -------------------------------------------------------------------------------------

    def crowd(self, relay: RelayProcess, source: str = "newsletter", **more: Any) -> Submitters:
        """Return people who sign up and keep trying; what they were told counts at the judge's."""
        if source == "hook":
            proof = {"Authorization": f"Bearer {relay.hook_secret}"}
            more = {"kind": "json", "headers": proof, "make": _hooked(self.random)} | more
        crowd = Submitters(relay.port, source, **({"resend": True} | more))
        self._crowds.setdefault(id(relay), []).append(crowd)
        return crowd

    def crowds(self, relay: RelayProcess, **more: Any) -> Crowds:
        """Return people at a form and, half as many, machines at a webhook that waits for the verdict."""
        fewer = {"threads": max(1, more.get("threads", 4) // 2)}
        return Crowds(self.crowd(relay, **more), self.crowd(relay, "hook", **(more | fewer)))

    def sign_up(self, relay: RelayProcess, count: int = 1, **more: Any) -> list[Sent]:
        """Sign people up one after the other, each once; return how that went."""
        run = f"{self.random.randrange(2**32):08x}"
        found = []
        for number in range(count):
            fields, profile = numbered(number, run)
            sent = Sent(number, "newsletter", fields, profile, outcomes=())
            try:
                sent = heard(sent, post_form(relay.port, "newsletter", fields, **more))
            except (OSError, HTTPException):
                sent = Sent(number, "newsletter", fields, profile, outcomes=(None,))
            found.append(sent)
        self._singles.setdefault(id(relay), []).extend(found)
        return found

    def ledger(self, relay: RelayProcess) -> list[Sent]:
        """Return what everybody was told who signed up at a relay."""
        crowds = [sent for crowd in self._crowds.get(id(relay), []) for sent in crowd.ledger]
        return crowds + self._singles.get(id(relay), [])

    # --- judging ------------------------------------------------------------------------------------

    def drain(self, relay: RelayProcess, timeout: float = 60.0) -> None:
        """Wait until nothing is to be sent any more; a violation if that does not come."""
        try:
            relay.wait_drained(timeout)
        except AssertionError:
            self.violated([f"I7 not drained within {timeout:g} s: {relay.counts()} {relay.status()}"])

    def reconcile(
        self,
        relay: RelayProcess,
        arrivals: Sequence[Arrival],
        *,
        limits: Sequence[tuple[int, float]] = FAST_LIMITS,
        finished: bool = True,
        calm: Calm | None = None,
        ask: RelayProcess | None = None,
    ) -> list[dict[str, Any]]:
        """Compare three ledgers: people's, upstream's, and the relay's own. Returns the rows.

        ``ask``: another relay on the same database, to be asked for the rows.
        """
        submitted = self.ledger(relay)
        rows = with_history(ask or relay)
        found = judge(
            submitted,
            arrivals,
            rows,
            limits=limits,
            finished=finished,
            calm=calm,
            canaries=relay.secrets,
            places=[relay.output_path],
        )
        self.count(submitted, rows, found)
        self.violated(found)
        return rows

    def count(self, submitted: Sequence[Sent], rows: Sequence[dict[str, Any]], found: list[str]) -> None:
        """Add one judgement to the row of the table."""
        result = self.result
        result.acknowledged += sum(sent.acknowledged for sent in submitted)
        result.delivered += sum(row["state"] == "delivered" for row in rows)
        result.waiting += sum(row["state"] not in ("delivered", "discarded") for row in rows)
        result.lost += sum(map(_lost, found))
        result.twice += sum(line.startswith("I3") for line in found)

    def _keep_logs(self) -> None:
        if self._logs is None:
            return
        self._logs.mkdir(parents=True, exist_ok=True)
        for number, relay in enumerate(self._relays):
            name = f"{self.result.fault.name}-{number}.log"
            (self._logs / name).write_text(relay.output(), encoding="utf-8")


def with_history(relay: RelayProcess) -> list[dict[str, Any]]:
    """All rows; those that may have been sent twice with their history, the others without."""
    rows = relay.rows(history=False)
    return [relay.submission(row["receipt"]) if row["may_be_duplicate"] else row for row in rows]


def _lost(line: str) -> int:
    """How many acknowledged sign-ups a line of the judge's says are gone."""
    if "acknowledged and not there" in line:
        return 1
    short = re.match(r"I1 (\d+) sign-ups acknowledged without a receipt, (\d+) rows", line)
    return int(short[1]) - int(short[2]) if short else 0


def _hooked(source: random.Random) -> Callable[[int], tuple[dict[str, Any], dict[str, str]]]:
    run = f"{source.randrange(2**32):08x}"

    def make(number: int) -> tuple[dict[str, Any], dict[str, str]]:
        email, name = f"hook-{number}-{run}@example.com", f"Grace Number {number}"
        return {"email": email, "name": name}, {"email": email, "full_name": name}

    return make

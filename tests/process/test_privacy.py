"""What must never be seen: secrets and people, in answers, logs, metrics, files, process titles."""

import json
import os
import re
import shutil
import sqlite3
import stat
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from tests.kit.canary import Place
from tests.kit.client import Answer, Raw, encoded, multipart, request
from tests.kit.judge import leaks
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, StartFailed, config
from tests.kit.upstream import Arrival, Reaction, ScriptedUpstream, created, profile_json, status

HTML = {"Accept": "text/html"}
FORM_TYPE = "application/x-www-form-urlencoded"
FORM = NEWSLETTER | {"recipient_limits": "none", "honeypot": "relay_leave_empty"}
SOURCES: dict[str, Any] = {
    "form": FORM,
    "patient": FORM | {"wait": 8, "reply": ["id", "country_code"]},
    "box": FORM | {"consent": "agree"},
    "limited": FORM | {"client_limits": "1/minute"},
    "off": FORM | {"enabled": False},
    "hook": HOOK | {"wait": 8, "region": "DE"},
    "only": HOOK | {"only": "event == 'signup'"},
    "echo": HOOK | {"handshake": {"kind": "echo", "query": "c", "token_query": "t"}},
}
WIDE = {"limits": "500/second; 100000/minute"}


@dataclass(frozen=True)
class Person:
    """Somebody whose every word is easy to find: those of one crowd all carry its mark."""

    crowd: str = field(default_factory=lambda: uuid.uuid4().hex[:14])
    number: int = 0

    @property
    def mark(self) -> str:
        return f"{self.crowd}{self.number:02}"

    @property
    def email(self) -> str:
        return f"canary.{self.mark}@example.com"

    @property
    def phone(self) -> str:
        return f"+49151{int(self.crowd, 16) % 10**6:06}{self.number:02}"

    @property
    def name(self) -> str:
        return f"Zoë Quux{self.mark}"

    def fields(self, **more: str) -> dict[str, str]:
        return {"email": self.email, "phone": self.phone, "first_name": self.name} | more

    @property
    def canaries(self) -> dict[str, str]:
        """What would give somebody of this crowd away."""
        return {"mark": self.crowd, "phone": self.phone[1:-2]}


def echoing(arrival: Arrival) -> Reaction:
    """Upstream says everything back that it was told, whatever it says."""
    said = arrival.body.decode()
    told = {"heard": arrival.headers, "said": said, "html": "<script>alert(1)</script>"}
    email = str((arrival.json or {}).get("email", ""))
    if "refuse" in said:
        return status(400, json=told | {"code": 400, "title": email, "message": said, "trace_id": email})
    if "broken" in said:
        return status(500, json=told)
    if "unavailable" in said:
        return status(503, {"Retry-After": "1"}, json=told)
    return created(body=profile_json("17430755068336100383") | told | json.loads(said))


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(echoing) as server:
        yield server


# --- the sweep --------------------------------------------------------------------------------


class Sweep:
    """A mixed load, and all that was answered to it."""

    def __init__(self, relay: RelayProcess) -> None:
        self.relay = relay
        self.people = [Person()]
        self.said: list[Place] = []  # answers that may name nobody
        self.shown: list[Place] = []  # forms that show what was typed, to who typed it

    def new(self) -> Person:
        self.people.append(Person(self.people[0].crowd, len(self.people)))
        return self.people[-1]

    def heard(self, answer: Answer, label: str, typed: bool = False) -> Answer:
        place = (f"the answer to {label}", repr(answer.headers).encode() + answer.body)
        (self.shown if typed else self.said).append(place)
        return answer

    def run(self) -> None:
        self._good()
        self._refused()
        self._malformed()
        self._misplaced()
        self._operators()

    def _good(self) -> None:
        relay = self.relay
        for headers in ({}, HTML):
            for source in ("form", "patient"):
                someone = self.new()
                answer = self.heard(relay.form(someone.fields(), source, headers), source)
                self.heard(relay.form(someone.fields(), source, headers), f"{source}, again")
                if answer.receipt:
                    self.heard(relay.get(f"/receipts/{answer.receipt}", headers), "receipt")
        body, kind = multipart(self.new().fields())
        self.heard(request(relay.port, "POST", "/submit/form", body, kind), "multipart")
        self.heard(relay.form(self.new().fields(agree="on"), "box", self._page()), "box")
        self.heard(relay.hook({"email": self.new().email, "phone": "12", "name": "x"}), "dropped")
        self.heard(
            relay.hook({"email": self.new().email}, headers={"Idempotency-Key": self.new().mark}), "key"
        )
        self.heard(relay.form(self.new().fields(relay_leave_empty="x"), "form"), "honeypot")

    def _page(self) -> dict[str, str]:
        return {
            "Referer": f"https://www.example.com/join?email={self.new().email}",
            "User-Agent": self.new().name.encode().decode("latin-1"),
            "Cookie": f"session={self.new().mark}",
            "X-Forwarded-For": self.new().mark,
        }

    def _refused(self) -> None:
        relay = self.relay
        self.heard(relay.form(self.new().fields(last_name="refuse"), "form"), "refused form")
        self.heard(relay.hook({"email": self.new().email, "name": "refuse"}), "refused hook")
        self.heard(relay.form(self.new().fields(last_name="refuse"), "patient", HTML), "refused page", True)
        self.heard(relay.hook({"email": self.new().email, "name": "unavailable"}, "only"), "excluded")
        self.heard(relay.hook({"email": f"{self.new().mark}@", "name": self.new().name}), "invalid")
        self.heard(relay.form(self.new().fields(email="x" + self.new().mark), "form"), "422")
        self.heard(relay.form(self.new().fields(email="x" + self.new().mark), "form", HTML), "422 page", True)
        self.heard(relay.form({"mail": self.new().email, self.new().mark: "x"}, "form"), "owner's mistake")
        self.heard(relay.form(self.new().fields(), "box"), "no consent")
        for _ in range(2):
            self.heard(relay.form(self.new().fields(), "limited"), "limited")
        self.heard(relay.form(self.new().fields(), "off", HTML), "switched off")

    def _malformed(self) -> None:
        relay, someone = self.relay, self.new()
        for body, kind in (
            (b'{"email": "%s", "email": 1}' % someone.email.encode(), "application/json"),
            (b'{"email": "%s"' % someone.email.encode(), "application/json"),
            (b"email=" + someone.email.encode() + b"%zz", FORM_TYPE),
            (b"email=" + someone.email.encode() + b"%ff", FORM_TYPE),
            (b"email=" + someone.email.encode() * 1000, FORM_TYPE),
            (encoded(someone.fields()), "text/plain"),
            (encoded(someone.fields()), f"text/{someone.mark}"),
            (encoded(someone.fields()), f"{FORM_TYPE}; charset={someone.mark}"),
            (multipart(someone.fields())[0], f"multipart/form-data; boundary={someone.mark}"),
        ):
            answer = request(relay.port, "POST", "/submit/form", body, {"Content-Type": kind})
            self.heard(answer, f"malformed {kind[:20]}")
        for data in (
            f"GET /{someone.mark} HTTP/9.9\r\nHost: x\r\n\r\n",
            f"{someone.mark} / HTTP/1.1\r\nHost: x\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: x\r\nBad {someone.mark}: 1\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: {someone.mark}\r\nContent-Length: {someone.mark}\r\n\r\n",
            f"GET /?{someone.email}{'x' * 9000} HTTP/1.1\r\nHost: x\r\n\r\n",
            f"POST /submit/form HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nemail={someone.email}",
            f"POST /submit/form HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM_TYPE}\r\n"
            f"Transfer-Encoding: chunked\r\n\r\n{someone.mark}\r\nemail={someone.email}\r\n",
        ):
            with Raw(relay.port) as raw:
                raw.send(data.encode()).half_close().read_all(5)

    def _misplaced(self) -> None:
        """What belongs into a body or a header, elsewhere; proofs that are nearly right."""
        relay, someone = self.relay, self.new()
        query = urllib.parse.urlencode(someone.fields(token=relay.hook_secret))
        for path in (
            f"/{someone.mark}",
            f"/receipts/{someone.mark}",
            f"/submit/{someone.mark}",
            "/forms/form",
        ):
            self.heard(relay.get(f"{path}?{query}", HTML | self._page()), path)
        json_type = {"Content-Type": "application/json"}
        self.heard(
            request(relay.port, "POST", f"/submit/hook?{query}", b"{", json_type), "token in the query"
        )
        for proof in (relay.hook_secret[:-1], relay.hook_secret + "x", relay.token or "", relay.admin_token):
            self.heard(
                relay.hook({"email": someone.email}, headers={"Authorization": f"Bearer {proof}"}), "401"
            )
        self.heard(relay.get(f"/submit/echo?c=1&t={relay.hook_secret}"), "handshake")
        self.heard(relay.get(f"/submit/echo?c=1&t={relay.admin_token}"), "wrong handshake")
        wrong = {"Authorization": f"Bearer {relay.admin_token}x{someone.mark}"}
        self.heard(relay.get(f"/api/submissions?contact={someone.email}", wrong), "wrong admin token")
        self.heard(relay.get("/metrics", wrong), "wrong metrics token")

    def _operators(self) -> None:
        """What the operator's pages, commands and files say: no secret, and of people a hint at most."""
        relay = self.relay
        self.relay.wait_drained()
        for path in ("/api/submissions?limit=500", "/api/status"):
            self.heard(relay.api("GET", path), path)
        self.heard(relay.api("GET", f"/api/submissions?contact={self.new().email}"), "search")
        self.heard(relay.api("POST", "/api/replay", {"state": "refused", "dry_run": True}), "dry run")
        for path in ("/readyz", "/healthz", "/openapi.json", "/dashboard/"):
            self.heard(relay.get(path), path)
        self.said.append(("metrics", relay.metrics()))
        for command in (["submissions", "list", "--json"], ["status"], ["check"]):
            done = relay.command_line(*command)
            self.said.append((" ".join(command), done.stdout + done.stderr))
        backup = relay.folder / "backup.db"
        relay.command_line("backup", str(backup))
        self.said.append(backup)


@pytest.mark.parametrize("level", ["INFO", "DEBUG"])
def test_no_secret_and_nobody_is_seen_anywhere(upstream: ScriptedUpstream, level: str) -> None:
    with RelayProcess(config(upstream.url, SOURCES, **WIDE), env={"RELAY_LOG_LEVEL": level}) as relay:
        sweep = Sweep(relay)
        sweep.run()
        kept = {row["state"] for row in relay.rows(False)}
        assert {"delivered", "refused", "held", "invalid"} <= kept
        secrets = relay.secrets | key_file(relay.folder)
        time.sleep(1.5)  # the journal is emptied about once a second
        assert leaks(secrets, [*sweep.said, *sweep.shown, *evidence(relay)]) == []
        assert leaks(sweep.people[0].canaries, [*sweep.said, *evidence(relay)]) == []


def evidence(relay: RelayProcess) -> list[Place]:
    """Log, database, process titles; not the file of the keys, nor the ballast, which is empty."""
    return [place for place in relay.evidence() if not str(place).endswith((".keys", ".ballast"))]


def database_files(folder: Path) -> list[Path]:
    return [
        folder / name for name in ("relay.db", "relay.db-wal", "relay.db-shm") if (folder / name).exists()
    ]


def key_file(folder: Path) -> dict[str, str]:
    """The keys that were made beside the database."""
    (path,) = folder.glob("*.keys")
    return {f"key {n}": key for n, key in enumerate(re.split(r"[,\s]+", path.read_text().strip()))}


# --- erased on delivery -------------------------------------------------------------------------------


def blobs(folder: Path) -> set[bytes]:
    """Every longer binary value in a copy of the database: the encrypted payloads among them."""
    copy = folder / "copy"
    copy.mkdir()
    for path in database_files(folder):
        shutil.copy(path, copy)
    found: set[bytes] = set()
    link = sqlite3.connect(copy / "relay.db")
    try:
        for (table,) in link.execute("select name from sqlite_master where type = 'table'").fetchall():
            for row in link.execute(f'select * from "{table}"'):
                found |= {value for value in row if isinstance(value, bytes) and len(value) > 60}
    finally:
        link.close()
        shutil.rmtree(copy)
    return found


def test_a_delivered_payload_is_gone_from_every_file(upstream: ScriptedUpstream) -> None:
    with RelayProcess(config(upstream.url, SOURCES, **WIDE)) as relay:
        assert relay.api("POST", "/api/destinations/ocamba/pause").status == 200
        before = blobs(relay.folder)
        receipts = [relay.form(Person().fields(), "form").receipt or "" for _ in range(20)]
        sealed = blobs(relay.folder) - before
        assert len(sealed) >= 20
        assert relay.api("POST", "/api/destinations/ocamba/resume").status == 200
        for receipt in receipts:
            assert relay.wait_state(receipt, "delivered")["contact_hint"] is None

        def left() -> list[str]:
            files = [path.read_bytes() for path in database_files(relay.folder)]
            return [blob.hex() for blob in sealed if any(blob[8:40] in data for data in files)]

        eventually(lambda: not left(), 10, "the end of the payloads")


def test_erasing_a_contact_leaves_nothing_of_it(upstream: ScriptedUpstream) -> None:
    held, sent = Person(), Person()
    with RelayProcess(config(upstream.url, SOURCES, **WIDE)) as relay:
        before = blobs(relay.folder)
        kept = relay.form(held.fields(relay_leave_empty="x"), "form")
        assert relay.state(kept.receipt or "") == "held"
        sealed = blobs(relay.folder) - before
        delivered = relay.form(sent.fields(), "form")
        relay.wait_state(delivered.receipt or "", "delivered")
        for someone in (held, sent):
            done = relay.command_line("erase", "--contact", someone.email)
            assert done.returncode == 0, done.stderr
            assert relay.rows(False, contact=someone.email) == []
            assert relay.rows(False, contact=someone.phone) == []

        def left() -> bool:
            files = [path.read_bytes() for path in database_files(relay.folder)]
            return any(blob[8:40] in data for data in files for blob in sealed)

        eventually(lambda: not left(), 10, "the end of the payload")
        assert leaks(held.canaries | sent.canaries, evidence(relay)) == []


# --- an upstream that says too much ---------------------------------------------------------------


@pytest.mark.parametrize("repeated", [1, 400_000], ids=["short", "10 MB"])
@pytest.mark.parametrize("code", [400, 422, 201])
def test_what_upstream_echoes_stays_inside(code: int, repeated: int) -> None:
    someone = Person()

    def echo(arrival: Arrival) -> Reaction:
        proof = arrival.headers["authorization"]
        padding = "<script>alert(1)</script>" * repeated
        said = {
            "id": "17430755068336100383",
            "code": code,
            "title": f"{proof} {someone.email}",
            "message": f"{proof} {someone.email} {someone.name}",
            "trace_id": proof.removeprefix("Bearer "),
            "email": someone.email,
            "padding": padding,
        }
        return created(body=said) if code == 201 else status(code, json=said)

    with ScriptedUpstream(echo) as upstream, RelayProcess(config(upstream.url, SOURCES, **WIDE)) as relay:
        before = relay.rss()
        form = relay.form(someone.fields(), "form", HTML)
        assert form.status == 303
        answers = [form, relay.hook({"email": someone.email, "name": someone.name}, "hook")]
        answers.append(relay.form(someone.fields(last_name="x"), "patient"))
        assert {answer.status for answer in answers[1:]} == {201 if code == 201 else 422}
        relay.wait_drained()
        answers.append(relay.get(form.header("Location") or "/", HTML))
        answers.append(relay.get(f"/receipts/{answers[1].receipt}"))
        row = relay.api("GET", f"/api/submissions/{answers[1].receipt}")
        places: list[Place] = [repr(answer.headers).encode() + answer.body for answer in answers]
        assert leaks(relay.secrets, [*places, *evidence(relay), row.body, relay.metrics()]) == []
        assert not any(b"<script>" in answer.body for answer in [*answers, row])
        quiet = [place for place, answer in zip(places, answers, strict=True) if answer.status != 201]
        assert leaks(someone.canaries, [*quiet, *evidence(relay)]) == []
        assert relay.rss() - before < 60_000_000


# --- lines that forge lines -----------------------------------------------------------------------

FORGED = [
    "x\r\n",
    '"}\n{"level": "critical", "event": "forged"}\n',
    "\x1b[31mred\x1b[0m\x07",
    "\u202eoverride",
    "\u2028\u2029\u0085",
    "%0d%0aforged",
    "${jndi:ldap://x}",
    "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
]


def test_every_event_is_one_line(upstream: ScriptedUpstream) -> None:
    with RelayProcess(config(upstream.url, SOURCES, **WIDE), env={"RELAY_LOG_LEVEL": "DEBUG"}) as relay:
        for text in FORGED:
            quoted = urllib.parse.quote(text)
            safe = text.encode("utf-8").decode("latin-1")
            header = re.sub(r"[\x00-\x1f\x7f]", " ", safe)
            for fields in ({text: text}, {"email": text}, Person().fields(first_name=text)):
                relay.form(fields, "form")
                relay.hook(fields | {"event": text})
            for path in (f"/{quoted}", f"/submit/{quoted}", f"/receipts/{quoted}", f"/readyz?{quoted}"):
                relay.get(path, dict.fromkeys(("User-Agent", "Referer", "Origin", "X-Forwarded-For"), header))
            relay.form({"email": "x"}, "form", {"Idempotency-Key": header, "X-Request-ID": header})
            with Raw(relay.port) as raw:
                raw.send(f"{header} / HTTP/1.1\r\n{header}: x\r\n\r\n".encode("latin-1", "replace")).read_all(
                    1
                )
        relay.wait_drained()
        time.sleep(0.3)  # quiet lines are written a few at a time
        lines = [line for line in relay.log_lines() if line.raw.strip()]
        assert [line.raw for line in lines if line.data is None] == []
        assert all(line.raw.isascii() and "\x1b" not in line.raw for line in lines)
        assert all({"at", "level", "event"} <= set(line.data or {}) for line in lines)
        assert not any((line.data or {}).get("event") == "forged" for line in lines)
        assert not any("jndi" in line.raw for line in lines)


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", ["022", "000"])
def test_files_are_for_their_owner_only(upstream: ScriptedUpstream, mask: str, tmp_path: Path) -> None:
    state = tmp_path / "state"
    wrap = ["sh", "-c", f'umask {mask}; exec "$@"', "sh"]
    with RelayProcess(
        config(upstream.url, SOURCES, **WIDE),
        wrap=wrap,
        folder=tmp_path,
        database_url=f"sqlite:///{state / 'relay.db'}",
    ) as relay:
        answer = relay.form(Person().fields(), "form")
        relay.wait_state(answer.receipt or "", "delivered")
        backup = state / "backup.db"
        assert relay.command_line("backup", str(backup)).returncode == 0
        files = [path for path in state.rglob("*") if path.is_file()]
        assert {"relay.db", "relay.db-wal", "backup.db"} <= {path.name for path in files}
        loose = [
            f"{path.name} {oct(stat.S_IMODE(path.stat().st_mode))}" for path in files if open_to_others(path)
        ]
        assert loose == []


def open_to_others(path: Path) -> bool:
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


def test_a_secret_that_everybody_can_read_is_named(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("canary-token-in-a-file")
    token.chmod(0o644)
    where = config(upstream.url, SOURCES, token=f"file:{token}", **WIDE)
    try:
        with RelayProcess(where, token=None) as relay:
            warnings = relay.readiness().json["warnings"]
            assert [text for text in warnings if str(token) in text], warnings
            token.chmod(0o600)
            os.utime(token)
    except StartFailed as refused:
        assert str(token) in refused.output and "canary" not in refused.output


# --- development switches -------------------------------------------------------------------------


def test_switches_for_development_open_nothing(upstream: ScriptedUpstream) -> None:
    switches = {
        "FLASK_DEBUG": "1",
        "FLASK_ENV": "development",
        "WERKZEUG_DEBUG_PIN": "off",
        "PYTHONDEVMODE": "1",
        "SECRET_KEY": "dev",
    }
    try:
        with RelayProcess(config(upstream.url, SOURCES, **WIDE), env=switches) as relay:
            for path in (
                "/console",
                "/?__debugger__=yes&cmd=resource&f=debugger.js",
                "/forms//form",
                "/nowhere",
            ):
                answer = relay.get(path, HTML)
                assert answer.status == 404
                assert not re.search(r"werkzeug|traceback|debugger", answer.text, re.IGNORECASE)
            answer = relay.form({"email": "x"}, "form", HTML)
            assert answer.status == 422 and "werkzeug" not in answer.text.lower()
            assert relay.form(Person().fields(), "form").status == 202
    except StartFailed as refused:
        assert "DEBUG" in refused.output


def test_a_fault_says_nothing(upstream: ScriptedUpstream) -> None:
    """The outbox is taken away under the running server: generic answers, and a log without anybody."""
    someone = Person()
    with RelayProcess(config(upstream.url, SOURCES, **WIDE)) as relay:
        assert relay.form(someone.fields(), "form").status == 202
        relay.wait_drained()
        link = sqlite3.connect(relay.database_path)
        try:
            link.execute("alter table deliveries rename to gone")
            link.commit()
        finally:
            link.close()
        for headers in ({}, HTML):
            try:
                answer = relay.form(Person(someone.crowd, 1).fields(last_name="again"), "form", headers)
            except (OSError, HTTPException):
                break  # it left, to be started again: nothing was acknowledged
            assert answer.status == 503 and (answer.header("Retry-After") or "").isdigit()
            assert not re.search(r"sqlite|sqlalchemy|deliveries|traceback", answer.text, re.IGNORECASE)
        assert leaks(someone.canaries | relay.secrets, [relay.output_path]) == []
        assert "Traceback" not in relay.output()

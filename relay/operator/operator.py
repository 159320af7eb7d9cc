"""What an operator may see and do; the API and the command line both speak through this."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from relay import clock, quota
from relay.config.settings import Settings
from relay.delivery import INVALID, QUEUED, REPLAYABLE, SENDING, STATES
from relay.destination import Destination
from relay.intake.entry import consent_proof, contact_hash, content_key, update_body
from relay.operator.erasure import _AFTER, _BEFORE, NO_CONTACT, Erased, is_contact, significant_digits
from relay.operator.remap import CannotDo, map_again
from relay.operator.trial import Change, _difference
from relay.outbox.outbox import Outbox
from relay.sources import contact
from relay.sources.mapping import CONTACTS
from relay.vault import KeyMissing

MAX_ROWS = 1000
_MANY = 100_000
_ROTATED_AT_ONCE = 200


@dataclass(frozen=True)
class Filter:
    """Which submissions are meant."""

    state: str | None = None
    source: str | None = None
    contact: str | None = None
    before: str | None = None
    limit: int = 100


class Operator:
    """The operator's view of an outbox."""

    def __init__(self, settings: Settings, outbox: Outbox) -> None:
        self._settings = settings
        self._outbox = outbox

    # --- looking ----------------------------------------------------------------------------------

    def submissions(self, wanted: Filter) -> list[dict[str, Any]]:
        """Return submissions, newest first, without what is personal. Raises CannotDo."""
        if wanted.state is not None and wanted.state not in STATES:
            raise CannotDo(f"knows no state {wanted.state!r}; one of {', '.join(STATES)}")
        if not 1 <= wanted.limit <= MAX_ROWS:
            raise CannotDo(f"limit must be 1 to {MAX_ROWS}")
        hashes = self._hashes(wanted.contact) if wanted.contact else None
        rows = self._outbox.rows(
            state=wanted.state,
            source=wanted.source,
            contact_hashes=hashes,
            before=wanted.before,
            limit=wanted.limit,
        )
        return [self._shown(row) for row in rows]

    def submission(self, receipt: str) -> dict[str, Any]:
        """Return one submission with its history. Raises CannotDo."""
        return {**self._shown(self._row(receipt)), "history": self._history(receipt)}

    def _row(self, receipt: str) -> dict[str, Any]:
        rows = self._outbox.rows(receipt=receipt, limit=1)
        if not rows:
            raise CannotDo("there is no such submission", missing=True)
        return rows[0]

    def _hashes(self, text: str) -> tuple[bytes, ...]:
        """Return what a contact may be stored under: as e-mail, and as a phone of any source's region."""
        found = {text.strip()}
        for check in (contact.email, contact.phone):
            try:
                found.add(check(text))
            except contact.NotAContact:
                continue
        for region in {source.region for source in self._settings.sources.values() if source.region}:
            try:
                found.add(contact.phone(text, region))
            except contact.NotAContact:
                continue
        return tuple(h for one in found if (h := contact_hash(self._outbox.vault, one)))

    def _shown(self, row: dict[str, Any]) -> dict[str, Any]:
        return {
            "receipt": row["receipt"],
            "source": row["source"],
            "state": row["state"],
            "reason": row["reason"],
            "attempts": row["attempts"],
            "may_be_duplicate": bool(row["may_be_duplicate"]),
            "received_at": clock.iso(row["received_at"]),
            "due_at": clock.iso(row["due_at"]) if row["state"] == QUEUED else None,
            "delivered_at": clock.iso(row["delivered_at"]),
            "profile_id": row["profile_id"],
            "trace_id": row["trace_id"],
            "contact_hint": self._hint(row),
            "dropped": json.loads(row["dropped"] or "[]"),
            "consent": json.loads(row["consent"]) if row["consent"] else None,
        }

    def _hint(self, row: dict[str, Any]) -> str | None:
        if row["payload"] is None:
            return None
        try:
            payload = self._outbox.vault.open(row["payload"], row["receipt"])
        except (KeyMissing, ValueError):
            return None
        profile = payload.get("profile") or {}
        known = next((profile[name] for name in CONTACTS if profile.get(name)), None)
        return contact.mask(known) if known else None

    def _history(self, receipt: str) -> list[dict[str, Any]]:
        return [
            {
                "kind": row["kind"],
                "started_at": clock.iso(row["started_at"]),
                "seconds": row["seconds"],
                "outcome": row["outcome"],
                "status": row["status"],
            }
            for row in self._outbox.history(receipt)
        ]

    def status(self) -> dict[str, Any]:
        """Return the state of every destination, by name."""
        backlog = self._outbox.backlog()
        return {
            name: self._destination(destination, backlog)
            for name, destination in self._settings.destinations.items()
        }

    def _destination(self, destination: Destination, backlog: list[Any]) -> dict[str, Any]:
        health = self._outbox.health(destination.name)
        now, held = self._outbox.ledger(destination)
        mine = [row for row in backlog if row[0] == destination.name and row[1] in (QUEUED, SENDING)]
        count = sum(row[2] for row in mine)
        is_held = health.is_held(now)
        ahead, parallel = max(0, count - 1), health.lane_width(destination)
        eta = None if is_held else round(quota.eta(destination.windows, held, ahead, 0.3, parallel, now))
        return {
            "hold_until": clock.iso(health.ends_at) if is_held else None,
            "hold_reason": health.hold_reason if is_held else None,
            "backlog": count,
            "oldest_seconds": round(now - min(row[3] for row in mine), 1) if mine else None,
            "eta_seconds": eta if count else 0 if not is_held else None,
            "quota_used": {w.name: quota.used(w, held, now) for w in destination.windows},
        }

    # --- acting -----------------------------------------------------------------------------------

    def hold(self, destination: str, verb: str) -> None:
        """``pause`` or ``resume`` a destination."""
        if verb == "pause":
            self._outbox.pause(destination)
        else:
            self._outbox.resume(destination)

    def replay(self, receipt: str) -> dict[str, Any]:
        """Queue a submission again; an invalid one is mapped again first. Raises CannotDo."""
        row = self._row(receipt)
        if row["state"] not in REPLAYABLE:
            raise CannotDo(f"is {row['state']}; only {', '.join(REPLAYABLE)} can be replayed")
        values, window = self._mapped_again(row) if row["state"] == INVALID else ({}, None)
        if values and (earlier := self._outbox.free_key(values["repeat_key"], window)):
            raise CannotDo(f"says the same as {earlier}, which its sender sent since: discard it")
        if row["payload"] is None:
            raise CannotDo("its payload is gone")
        if row["state"] == "parked" or row["may_be_duplicate"]:
            values["may_be_duplicate"] = True
        if not self._outbox.requeue(receipt, row["state"], values):
            raise CannotDo("changed at this very moment; look again")
        return self._shown(self._row(receipt))

    def discard(self, receipt: str) -> dict[str, Any]:
        """Give a submission up, its payload erased. Raises CannotDo."""
        row = self._row(receipt)
        if row["state"] not in REPLAYABLE:
            raise CannotDo(f"is {row['state']}; only {', '.join(REPLAYABLE)} can be discarded")
        if not self._outbox.discard(receipt, row["state"]):
            raise CannotDo("changed at this very moment; look again")
        return self._shown(self._row(receipt))

    def replay_all(self, *, state: str | None, source: str | None, dry_run: bool = False) -> int:
        """Replay all that match and return how many; what cannot be mapped yet is left. Raises CannotDo."""
        if state is not None and state not in REPLAYABLE:
            raise CannotDo(f"state must be one of {', '.join(REPLAYABLE)}")
        count = 0
        for row in self._all(state, source):
            try:
                if dry_run:
                    self._mapped_again(row) if row["state"] == INVALID else None
                else:
                    self.replay(row["receipt"])
                count += 1
            except CannotDo:
                continue
        return count

    # --- the database as a whole --------------------------------------------------------------------

    def rotate_keys(self) -> Iterator[int]:
        """Encrypt everything with the newest key; yields how many payloads are done so far."""
        vault, done = self._outbox.vault, 0
        self._outbox.rewrap_hash_key()
        while stale := self._outbox.stale_boxes(_ROTATED_AT_ONCE):
            self._outbox.reseal([(row, box, vault.seal(self._opened(row, box), row)) for row, box in stale])
            done += len(stale)
            yield done

    def backup(self, target: Path) -> None:
        """Copy the database while it is in use. Raises FileExistsError, Unfit."""
        self._outbox.backup(target)

    def erase(self, text: str) -> "Erased":
        """Delete every submission of a person, also those that only decrypting can find. Raises CannotDo."""
        if not is_contact(text):
            raise CannotDo(NO_CONTACT)
        hashes = self._hashes(text)
        rows = self._outbox.rows(contact_hashes=hashes, limit=_MANY)
        rows += [row for row in self._with_payload(None) if self._mentions(row, text)]
        found = {row["receipt"]: row for row in rows}
        gone = self._outbox.erase(list(found))
        self._outbox.checkpoint()
        ids = {row["profile_id"] for row in found.values()} | set(gone)
        return Erased(len(gone), len(found) - len(gone), tuple(sorted(one for one in ids if one)))

    def _mentions(self, row: dict[str, Any], text: str) -> bool:
        """Whether a payload that could not be mapped holds a contact somewhere, however it is written."""
        if row["payload"] is None:
            return False
        try:
            payload = self._outbox.vault.open(row["payload"], row["receipt"])
        except (KeyMissing, ValueError):
            return False
        body = payload.get("body", "").casefold()
        if "@" not in text:
            return significant_digits(text) in re.sub(r"[^0-9]", "", unquote_plus(body))
        whole = rf"{_BEFORE}{re.escape(text.strip().casefold())}{_AFTER}"
        return any(re.search(whole, one) for one in (body, unquote_plus(body)))

    def try_recorded(self, only: str | None) -> Iterator["Change"]:
        """Map what is stored with the present configuration, and say what would be different.

        Names fields, never values.
        """
        return (self._compared(row) for row in self._with_payload(only))

    def _with_payload(self, source: str | None) -> Iterator[dict[str, Any]]:
        before: str | None = None
        while rows := self._outbox.rows(source=source, with_payload=True, before=before, limit=MAX_ROWS):
            before = rows[-1]["receipt"]
            yield from rows

    def _compared(self, row: dict[str, Any]) -> "Change":
        source = self._settings.sources.get(row["source"])
        payload = self._opened(row["receipt"], row["payload"])
        was: dict[str, Any] = {**(payload.get("profile") or {}), **payload.get("update", {})}
        receipt, name = row["receipt"], row["source"]
        if source is None:
            return Change(receipt, name, "fails", ("its source is gone",), is_worse=bool(was))
        if "body" not in payload:
            return Change(receipt, name, "same", ())
        try:
            mapped = map_again(source, payload)
        except CannotDo as problem:
            said = (str(problem),) if was else ()
            return Change(receipt, name, "fails", said, is_worse=bool(was))
        now = {**mapped.profile, **update_body(mapped.extra, source)}
        lines = tuple(_difference(was, now))
        return Change(receipt, name, "passes" if not was else "changes", lines, bool(set(was) - set(now)))

    def _all(self, state: str | None, source: str | None) -> Iterator[dict[str, Any]]:
        for one in (state,) if state else REPLAYABLE:
            before = None
            while rows := self._outbox.rows(state=one, source=source, before=before, limit=MAX_ROWS):
                before = rows[-1]["receipt"]
                yield from rows

    def _opened(self, receipt: str, box: bytes) -> dict[str, Any]:
        """Return a payload. Raises CannotDo."""
        try:
            payload: dict[str, Any] = self._outbox.vault.open(box, receipt)
        except (KeyMissing, ValueError) as problem:
            raise CannotDo(f"{receipt} cannot be read: {problem}") from None
        return payload

    def _mapped_again(self, row: dict[str, Any]) -> tuple[dict[str, Any], float | None]:
        """Return the columns of an invalid row under the present configuration, and the time in which
        the same content counts as its repeat. Raises CannotDo."""
        source = self._settings.sources.get(row["source"])
        if source is None or row["payload"] is None:
            raise CannotDo(f"source {row['source']} is gone, or its payload is")
        vault = self._outbox.vault
        payload = self._opened(row["receipt"], row["payload"])
        mapped = map_again(source, payload)
        payload["profile"] = mapped.profile
        if mapped.extra:
            payload["update"] = update_body(mapped.extra, source)
        email, phone = (mapped.profile.get(name) for name in CONTACTS)
        key = payload.get("key") or ""
        values = {
            "payload": vault.seal(payload, row["receipt"]),
            "email_hash": contact_hash(vault, email),
            "phone_hash": contact_hash(vault, phone),
            "dropped": json.dumps(mapped.dropped) if mapped.dropped else None,
            "consent": consent_proof(mapped, payload.get("page"), row["received_at"]),
            # From now on a repeat is recognised by what it says, not by its bytes.
            "repeat_key": content_key(vault, source.name, key, mapped),
        }
        return values, None if key else source.repeat_window

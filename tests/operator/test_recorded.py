"""Kept, not lost: what cannot be mapped today is mapped again tomorrow, by a person or by its sender.

`try --recorded` says beforehand what a change of the configuration would do to what is stored.
"""

import base64
import hashlib
import hmac
import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.client import Answer, encoded, multipart, request
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config, toml
from tests.kit.upstream import ScriptedUpstream

WIDE = {"limits": "500/second; 100000/minute", "parallel": 16}
FIELDS = {"email": "email", "mobile_phone_number": "phone", "full_name": "name"}
MISTAKEN = {"email": "contact.mail", "mobile_phone_number": "contact.tel", "full_name": "contact.name"}
MENDED = {"email": "contact.email", "mobile_phone_number": "contact.phone", "full_name": "contact.name"}
CRM = HOOK | {"wait": 0, "fields": MISTAKEN}
SECRET = "canary-typeform-secret-3f"


def sources(**changed: Any) -> dict[str, Any]:
    """The configuration, with some sources other than usual; None takes one away."""
    usual = {
        "crm": CRM,
        "identified": CRM | {"id": "event.id"},
        "headed": CRM | {"id_header": "X-Event-Id"},
        "accepting": CRM | {"on_failure": "accept", "success_status": 200},
        "forgetful": CRM | {"repeat_window": "1s"},
        "updated": CRM | {"update": {"comment": "message"}},
        "typeform": {
            "kind": "webhook",
            "preset": "typeform",
            "secret": "env:TYPEFORM",
            "fields": {"email": "nope"},
        },
        "good": HOOK | {"wait": 0, "fields": FIELDS, "region": "DE"},
        "phones": HOOK | {"wait": 0, "fields": FIELDS},
        "form": NEWSLETTER | {"consent": "agree", "fields": {"email": "mail"}},
    }
    return {name: table for name, table in {**usual, **changed}.items() if table is not None}


def mended(name: str = "crm") -> dict[str, Any]:
    return sources()[name] | {"fields": MENDED}


class Site:
    """A relay whose configuration changes, and its upstream."""

    def __init__(self, relay: RelayProcess, upstream: ScriptedUpstream) -> None:
        self.relay, self.upstream = relay, upstream

    def configure(self, **changed: Any) -> None:
        """Take a configuration over, without a restart."""
        reloads = self.relay.output().count("config.reloaded")
        self.relay.configure(config(self.upstream.url, sources(**changed), **WIDE))
        self.relay.hup()
        eventually(lambda: self.relay.output().count("config.reloaded") > reloads, 10, "the reload")

    def calls(self, email: str) -> int:
        return sum((arrival.json or {}).get("email") == email for arrival in self.upstream.arrivals)

    def recorded(self, tmp_path: Path, *arguments: str, **changed: Any) -> "subprocess.CompletedProcess[str]":
        """Run `try --recorded` with another configuration than the server's."""
        file = tmp_path / f"{uuid.uuid4().hex}.toml"
        file.write_text(toml(config(self.upstream.url, sources(**changed), **WIDE)), encoding="utf-8")
        return self.relay.command_line("try", "--recorded", *arguments, env={"RELAY_CONFIG": str(file)})


@pytest.fixture(scope="module")
def running() -> Iterator[Site]:
    with ScriptedUpstream() as upstream:
        table = config(upstream.url, sources(), **WIDE)
        with RelayProcess(table, env={"TYPEFORM": SECRET}) as relay:
            yield Site(relay, upstream)


@pytest.fixture
def site(running: Site) -> Iterator[Site]:
    """The configuration is as mistaken as ever, and nothing from another test is kept."""
    yield running
    running.configure()
    for row in running.relay.rows(False):
        if row["state"] in ("invalid", "parked", "refused", "dead", "held"):
            running.relay.api("POST", f"/api/submissions/{row['receipt']}/discard")


def person(**more: Any) -> dict[str, Any]:
    return {"contact": {"email": f"canary-{uuid.uuid4().hex[:12]}@example.com", "name": "Ada Canary"}, **more}


def email_of(body: dict[str, Any]) -> str:
    return str(body["contact"]["email"])


def kept(
    site: Site, source: str = "crm", body: dict[str, Any] | None = None, **headers: str
) -> tuple[str, str]:
    """Send what cannot be mapped; return its receipt and its address."""
    sent = person() if body is None else body
    answer = site.relay.hook(sent, source, headers)
    assert answer.status == (200 if source == "accepting" else 422), answer.text
    assert site.relay.state(answer.receipt or "") == "invalid"
    return answer.receipt or "", email_of(sent)


# --- a person replays -------------------------------------------------------------------------------------


def test_what_is_mended_is_replayed_and_delivered(site: Site) -> None:
    receipt, email = kept(site)
    row = site.relay.submission(receipt)
    assert row["reason"].startswith("unmappable: ") and row["contact_hint"] is None
    vain = site.relay.command_line("submissions", "replay", receipt)
    assert (
        vain.returncode == 1 and "cannot be mapped: contact.mail" in vain.stderr and email not in vain.stderr
    )
    assert site.relay.state(receipt) == "invalid"
    site.configure(crm=mended())
    assert site.relay.state(receipt) == "invalid", "nothing is sent by itself"
    done = site.relay.command_line("submissions", "replay", receipt)
    assert (done.returncode, done.stdout) == (0, f"{receipt} queued\n")
    row = site.relay.wait_state(receipt, "delivered")
    assert site.calls(email) == 1 and row["profile_id"] and row["contact_hint"] is None
    assert site.upstream.arrivals[-1].json == {"email": email, "full_name": "Ada Canary"}
    found = site.relay.rows(False, contact=email)
    assert [one["receipt"] for one in found] == [receipt], "it is found by its contact now"


def test_all_of_a_source_are_replayed_and_what_still_fails_stays(site: Site) -> None:
    good = dict(kept(site) for _ in range(3))
    bad, _ = kept(site, body={"contact": {"email": "no address"}})
    other, _ = kept(site, "accepting")
    site.configure(crm=mended(), accepting=mended("accepting"))
    asked = {"state": "invalid", "source": "crm"}
    assert site.relay.api("POST", "/api/replay", asked | {"dry_run": True}).json == {"count": 3}
    assert {site.relay.state(receipt) for receipt in good} == {"invalid"}
    assert site.relay.api("POST", "/api/replay", asked).json["count"] == 3
    for receipt, email in good.items():
        site.relay.wait_state(receipt, "delivered")
        assert site.calls(email) == 1
    assert site.relay.state(bad) == site.relay.state(other) == "invalid"
    done = site.relay.command_line("submissions", "replay", "--state", "invalid", "--source", "crm")
    assert done.returncode == 1 and bad in done.stderr and done.stdout == ""


def typeform(email: str) -> dict[str, Any]:
    answers = [{"type": "email", "email": email, "field": {"id": "a", "ref": "r", "type": "email"}}]
    return {
        "event_id": uuid.uuid4().hex,
        "event_type": "form_response",
        "form_response": {"answers": answers},
    }


def test_a_presets_message_is_mapped_again_with_the_preset(site: Site) -> None:
    email = f"canary-{uuid.uuid4().hex[:12]}@example.com"
    body = json.dumps(typeform(email)).encode()
    mac = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
    headers = {"Typeform-Signature": f"sha256={mac}", "Content-Type": "application/json"}

    def post() -> Answer:
        return request(site.relay.port, "POST", "/submit/typeform", body, headers)

    first = post()
    assert first.status == 202, "a machine that switches hooks off is told nothing"
    assert site.relay.state(first.receipt or "") == "invalid"
    site.configure(typeform={"kind": "webhook", "preset": "typeform", "secret": "env:TYPEFORM"})
    again = post()
    assert (again.status, again.receipt, again.json["repeat"]) == (200, first.receipt, True)
    site.relay.wait_state(first.receipt or "", "delivered")
    assert site.calls(email) == 1 and post().receipt == first.receipt


BODIES = {
    "urlencoded": lambda fields: (encoded(fields), {"Content-Type": "application/x-www-form-urlencoded"}),
    "multipart": lambda fields: multipart(fields, f"b{uuid.uuid4().hex}"),
    "JSON": lambda fields: (json.dumps(fields).encode(), {"Content-Type": "application/json; charset=utf-8"}),
}


@pytest.mark.parametrize("kind", BODIES)
def test_every_kind_of_body_can_be_mapped_again(site: Site, kind: str) -> None:
    fields = {"e-mail": f"canary-{uuid.uuid4().hex[:12]}@example.com", "who": "Zoë Ünlü & Söhne ☂"}
    body, headers = BODIES[kind](fields)
    headers |= {"Authorization": f"Bearer {site.relay.hook_secret}"}
    answer = request(site.relay.port, "POST", "/submit/crm", body, headers)
    assert answer.status == 422
    site.configure(crm=CRM | {"fields": {"email": "e-mail", "full_name": "who"}})
    assert site.relay.api("POST", f"/api/submissions/{answer.receipt}/replay").status == 200
    site.relay.wait_state(answer.receipt or "", "delivered")
    assert site.upstream.arrivals[-1].json == {"email": fields["e-mail"], "full_name": fields["who"]}


def test_what_the_owner_got_wrong_for_a_form_is_mended_with_its_consent(site: Site) -> None:
    email = f"canary-{uuid.uuid4().hex[:12]}@example.com"
    page = "https://www.example.com/sign-up"
    answer = site.relay.form({"e-mail": email, "agree": "on"}, "form", {"Referer": f"{page}?from=x"})
    assert answer.status == 202 and answer.json["state"] == "received"
    before = site.relay.submission(answer.receipt or "")
    assert before["state"] == "invalid" and before["consent"] is None
    site.configure(form=NEWSLETTER | {"consent": "agree", "fields": {"email": "e-mail"}})
    assert site.relay.api("POST", f"/api/submissions/{answer.receipt}/replay").status == 200
    row = site.relay.wait_state(answer.receipt or "", "delivered")
    proof = {"box": "agree", "ticked": True, "page": page, "at": before["received_at"]}
    assert row["consent"]["email"] == proof and site.calls(email) == 1


def test_who_did_not_agree_is_not_sent_after_all(site: Site) -> None:
    answer = site.relay.form({"e-mail": "canary-no@example.com", "agree": ""}, "form")
    site.configure(form=NEWSLETTER | {"consent": "agree", "fields": {"email": "e-mail"}})
    tried = site.relay.api("POST", f"/api/submissions/{answer.receipt}/replay")
    assert tried.status == 409 and "agree" in tried.text
    assert site.relay.state(answer.receipt or "") == "invalid" and site.calls("canary-no@example.com") == 0


def test_an_update_is_mapped_again_too(site: Site) -> None:
    body = person(message="Call me")
    receipt, email = kept(site, "updated", body)
    site.configure(updated=mended("updated"))
    assert site.relay.api("POST", f"/api/submissions/{receipt}/replay").status == 200
    row = site.relay.wait_state(receipt, "delivered")
    assert [sent["kind"] for sent in row["history"]] == ["create", "update"] and site.calls(email) == 1
    assert site.upstream.arrivals[-1].json == {"comment": "Call me"}


# --- the sender repeats -----------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["crm", "identified", "headed", "accepting"])
def test_a_senders_own_repeat_mends_it(site: Site, source: str) -> None:
    body = person(event={"id": uuid.uuid4().hex})
    header = {"X-Event-Id": uuid.uuid4().hex}
    receipt, email = kept(site, source, body, **header)
    vain = site.relay.hook(body, source, header)
    assert vain.receipt == receipt and vain.json["repeat"] is True and site.relay.state(receipt) == "invalid"
    site.configure(**{source: mended(source)})
    again = site.relay.hook(body, source, header)
    assert (again.status, again.receipt, again.json["repeat"]) == (200, receipt, True)
    site.relay.wait_state(receipt, "delivered")
    later = site.relay.hook(body, source, header)
    assert later.receipt == receipt and later.json["state"] == "delivered"
    assert site.calls(email) == 1 and len(site.relay.rows(False, contact=email)) == 1


@pytest.mark.parametrize("source", ["crm", "identified", "headed", "accepting"])
def test_what_a_person_replayed_is_not_sent_again_for_its_sender(site: Site, source: str) -> None:
    """Machines repeat for days; the replay must not be forgotten meanwhile."""
    body = person(event={"id": uuid.uuid4().hex})
    header = {"X-Event-Id": uuid.uuid4().hex}
    receipt, email = kept(site, source, body, **header)
    site.configure(**{source: mended(source)})
    assert site.relay.api("POST", f"/api/submissions/{receipt}/replay").status == 200
    site.relay.wait_state(receipt, "delivered")
    again = site.relay.hook(body, source, header)
    assert (again.status, again.receipt, again.json["repeat"]) == (200, receipt, True)
    assert site.calls(email) == 1


def test_of_two_forms_of_one_message_only_one_is_sent(site: Site) -> None:
    """A sender that counts its attempts in the body sends other bytes each time, but the same content."""
    body = person(event={"id": uuid.uuid4().hex})
    receipt, email = kept(site, "identified", body | {"attempt": 1})
    site.configure(identified=mended("identified"))
    second = site.relay.hook(body | {"attempt": 2}, "identified")
    assert second.status == 202 and second.receipt != receipt
    site.relay.wait_state(second.receipt or "", "delivered")
    tried = site.relay.api("POST", f"/api/submissions/{receipt}/replay")
    assert tried.status == 409 and f"says the same as {second.receipt}" in tried.text
    asked = {"state": "invalid", "source": "identified"}
    assert site.relay.api("POST", "/api/replay", asked).json["count"] == 0
    assert site.calls(email) == 1 and site.relay.state(receipt) == "invalid"
    assert site.relay.api("POST", f"/api/submissions/{receipt}/discard").status == 200


def test_what_was_sent_at_another_time_does_not_stand_in_the_way(site: Site) -> None:
    """Without a sender's id the same content counts as a repeat for a while only."""
    body = person()
    receipt, email = kept(site, "forgetful", body)
    site.configure(forgetful=mended("forgetful"))
    time.sleep(1.2)
    other = site.relay.hook(body | {"more": 1}, "forgetful")
    site.relay.wait_state(other.receipt or "", "delivered")
    assert site.relay.api("POST", f"/api/submissions/{receipt}/replay").status == 200
    site.relay.wait_state(receipt, "delivered")
    assert site.calls(email) == 2


def test_postgresql_keeps_and_mends_in_the_same_way(postgres_url: str) -> None:
    with ScriptedUpstream() as upstream:
        before, after = (
            config(upstream.url, {"crm": table}, **WIDE) for table in (CRM, CRM | {"fields": MENDED})
        )
        with RelayProcess(before, database_url=postgres_url) as relay:
            bodies = [person() for _ in range(3)]
            receipts = [relay.hook(body, "crm").receipt or "" for body in bodies]
            relay.configure(after)
            relay.hup()
            eventually(lambda: "config.reloaded" in relay.output(), 10, "the reload")
            assert relay.hook(bodies[0], "crm").receipt == receipts[0], "its sender's repeat mends the first"
            assert relay.api("POST", f"/api/submissions/{receipts[1]}/replay").status == 200
            assert relay.hook(bodies[1], "crm").receipt == receipts[1]
            other = relay.hook(bodies[2] | {"attempt": 2}, "crm").receipt
            relay.wait_drained()
            assert relay.api("POST", f"/api/submissions/{receipts[2]}/replay").status == 409
            assert relay.api("POST", f"/api/submissions/{other}/discard").status == 409, "it is delivered"
            sent = sorted(arrival.json["email"] for arrival in upstream.arrivals)
            assert sent == sorted(map(email_of, bodies))


# --- trying it out beforehand -----------------------------------------------------------------------------


def parked(site: Site, source: str, **fields: Any) -> str:
    """A submission that could be mapped and waits with its payload."""
    assert site.relay.api("POST", "/api/destinations/ocamba/pause").status == 200
    receipt = site.relay.hook(fields, source).receipt or ""
    assert site.relay.state(receipt) == "queued"
    return receipt


@pytest.fixture
def resumed(site: Site) -> Iterator[None]:
    yield
    assert site.relay.api("POST", "/api/destinations/ocamba/resume").status == 200
    site.relay.wait_drained()


def blocks(output: str) -> dict[str, list[str]]:
    """The diff by receipt: the verdict, then its lines."""
    found: dict[str, list[str]] = {}
    for line in output.splitlines()[:-1]:
        if line.startswith("  "):
            found[next(reversed(found))].append(line.strip())
        else:
            receipt, source, verdict = line.split()
            found[receipt] = [f"{source} {verdict}"]
    return found


def test_what_would_pass_is_shown_and_nothing_is_changed(site: Site, tmp_path: Path) -> None:
    receipts = [kept(site)[0] for _ in range(2)]
    still, _ = kept(site, body={"contact": {"email": "canary no address"}})
    before, calls = site.relay.rows(), len(site.upstream.arrivals)
    done = site.recorded(tmp_path, crm=mended())
    assert done.returncode == 0 and done.stderr == ""
    assert blocks(done.stdout) == {one: ["crm passes", "+ email", "+ full_name"] for one in receipts}
    assert still not in done.stdout, "what fails as before is no change"
    assert "3 stored submissions looked at, 0 would be worse" in done.stdout
    assert site.relay.rows() == before and len(site.upstream.arrivals) == calls
    kept(site, "accepting")
    alone = site.recorded(tmp_path, "accepting", crm=mended())
    assert alone.returncode == 0 and blocks(alone.stdout) == {} and alone.stdout.startswith("1 stored")


@pytest.mark.usefixtures("resumed")
def test_what_would_be_worse_is_shown_and_fails(site: Site, tmp_path: Path) -> None:
    person_ = {"email": "canary-worse@example.com", "name": "Ada Canary", "phone": "030 1234567"}
    receipt = parked(site, "good", **person_)
    fails = site.recorded(tmp_path, good=HOOK | {"fields": {"email": "mail"}})
    assert fails.returncode == 1
    assert blocks(fails.stdout) == {receipt: ["good fails", "cannot be mapped: mail"]}
    stricter = site.recorded(tmp_path, good=HOOK | {"fields": FIELDS})
    assert stricter.returncode == 1, "without the region the number cannot be read"
    assert blocks(stricter.stdout) == {receipt: ["good changes", "- mobile_phone_number"]}
    gone = site.recorded(tmp_path, good=None)
    assert gone.returncode == 1 and blocks(gone.stdout)[receipt] == ["good fails", "its source is gone"]
    for done in (fails, stricter, gone):
        assert "anary" not in done.stdout + done.stderr and "1234567" not in done.stdout


@pytest.mark.usefixtures("resumed")
def test_what_would_be_other_or_better_is_shown_and_passes(site: Site, tmp_path: Path) -> None:
    receipt = parked(
        site, "phones", email="canary-other@example.com", name="Ada", nick="Canary", phone="030 1234567"
    )
    table = HOOK | {"region": "DE", "fields": FIELDS | {"full_name": "nick"}}
    done = site.recorded(tmp_path, "phones", phones=table)
    assert done.returncode == 0
    assert blocks(done.stdout) == {receipt: ["phones changes", "~ full_name", "+ mobile_phone_number"]}
    assert "anary" not in done.stdout


@pytest.mark.usefixtures("resumed")
def test_a_change_of_an_update_is_shown_too(site: Site, tmp_path: Path) -> None:
    site.configure(updated=mended("updated"))
    receipt = parked(site, "updated", **person(message="Canary"))
    table = mended("updated") | {"update": {"comment": "note", "lists": {"value": ["7"]}}}
    done = site.recorded(tmp_path, "updated", updated=table)
    assert done.returncode == 1
    assert blocks(done.stdout) == {receipt: ["updated changes", "- comment", "+ lists"]}


def test_it_works_without_a_server_and_says_so_without_a_database(tmp_path: Path) -> None:
    table = config("http://127.0.0.1:1/", {"crm": CRM}, **WIDE)
    with RelayProcess(table) as relay:
        receipt = relay.hook(person(), "crm").receipt
        relay.term(20)
        relay.configure(config("http://127.0.0.1:1/", {"crm": CRM | {"fields": MENDED}}, **WIDE))
        done = relay.command_line("try", "--recorded")
        assert done.returncode == 0 and set(blocks(done.stdout)) == {receipt}
        missing = relay.command_line(
            "try", "--recorded", env={"RELAY_DATABASE_URL": f"sqlite:///{tmp_path}/none.db"}
        )
        assert missing.returncode == 1 and "none.db" in missing.stderr and missing.stderr.count("\n") == 1
        assert not (tmp_path / "none.db").exists()


def test_nothing_of_the_people_is_written_down(site: Site) -> None:
    """Runs last, over all that was logged above."""
    assert "anary-" not in site.relay.output().replace("canary-typeform", "")
    assert SECRET not in site.relay.output()

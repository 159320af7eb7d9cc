"""A backup is put in the place of the database, as documented: what upstream has is not sent again."""

import shutil

from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream
from tests.web.browsing import Person


def test_what_upstream_has_by_now_can_be_discarded_before_sending_goes_on() -> None:
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url)) as relay:
        relay.api("POST", "/api/destinations/ocamba/pause")
        receipts = [str(relay.form({"email": f"waits{number}@example.com"}).receipt) for number in range(3)]
        copy = relay.folder / "copy.db"
        assert relay.cli("backup", str(copy)).returncode == 0
        assert relay.api("POST", f"/api/submissions/{receipts[0]}/discard").status == 409, "it will be sent"
        relay.api("POST", "/api/destinations/ocamba/resume")
        upstream.wait_for(3)
        relay.term(30)
        shutil.copy(copy, relay.database_path)
        for beside in ("relay.db-wal", "relay.db-shm"):
            (relay.folder / beside).unlink(missing_ok=True)
        upstream.forget()

        relay.start()
        assert relay.status()["ocamba"]["hold_reason"] == "restored"
        many = relay.api("POST", "/api/jobs", {"action": "discard", "filter": {"state": "queued"}})
        assert relay.wait_job(many.json["job"])["outcomes"] == {"not possible": 3}, "each is to be looked for"
        person = Person(relay, relay.admin_token)
        assert "discarded on its page alone" in person.get(f"/dashboard/jobs/{many.json['job']}").text
        page = person.get(f"/dashboard/submissions/{receipts[0]}").text
        assert "each further send may create it once more" in page and "unclear" not in page, "there was none"
        assert relay.cli("submissions", "discard", "--state", "queued").returncode == 2
        assert relay.cli("submissions", "discard", receipts[0]).stdout == f"{receipts[0]} discarded\n"
        assert "further send" not in person.get(f"/dashboard/submissions/{receipts[0]}").text
        assert relay.api("POST", f"/api/submissions/{receipts[1]}/discard").status == 200
        relay.api("POST", "/api/destinations/ocamba/resume")
        assert relay.wait_state(receipts[2], "delivered")["may_be_duplicate"]
        assert [one.json["email"] for one in upstream.arrivals] == ["waits2@example.com"]
        assert [relay.state(one) for one in receipts[:2]] == ["discarded", "discarded"]

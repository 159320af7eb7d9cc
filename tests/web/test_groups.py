"""What needs somebody, by its reason: an act on a group means that group and nothing else."""

import re
import sqlite3
from contextlib import closing

from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess
from tests.web.browsing import Person

SOURCES = {
    "trapped": NEWSLETTER | {"honeypot": "trap"},
    "spaced": HOOK | {"fields": {"email": "Email "}},
}


def test_of_a_group_without_a_reason_nothing_can_be_done_to_others(relay: RelayProcess) -> None:
    for number in range(2):
        relay.form({"email": f"{number}@example.com", "trap": "x"}, "trapped")
    with closing(sqlite3.connect(relay.database_path, timeout=10, isolation_level=None)) as link:
        link.execute("UPDATE deliveries SET reason = NULL WHERE seq = (SELECT max(seq) FROM deliveries)")
    page = Person(relay, relay.admin_token).get("/dashboard/needs-you").text
    assert page.count("</span> at trapped</h2>") == 2
    assert re.findall(r'name="reason" value="([^"]*)"', page) == ["honeypot"] * 2


def test_a_group_is_named_by_a_reason_that_a_form_can_carry(relay: RelayProcess) -> None:
    relay.hook({"Email ": "nonsense"}, "spaced")
    operator = Person(relay, relay.admin_token)
    fields = {"action": "discard", "state": "invalid", "source": "spaced"}
    reason = re.findall(
        r'name="source" value="spaced"><input type="hidden" name="reason" value="([^"]*)"',
        operator.get("/dashboard/needs-you").text,
    )[0]
    assert "Discard 1 submission?" in operator.led("/dashboard/jobs", fields | {"reason": reason}).text

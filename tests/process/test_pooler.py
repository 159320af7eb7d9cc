"""PostgreSQL behind a pooler that lends a connection for one transaction."""

from contextlib import ExitStack

from relay.vault import new_key
from tests.kit import services
from tests.kit.client import Submitters
from tests.kit.judge import judge
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream


def test_behind_a_pooler_all_is_taken_and_sent_once(postgres_url: str) -> None:
    """A statement that one connection has prepared is unknown to the next: nothing may be prepared."""
    with ExitStack() as stack:
        url = stack.enter_context(services.pooler(postgres_url))
        upstream = stack.enter_context(ScriptedUpstream())
        settings = config(
            upstream.url,
            {"newsletter": NEWSLETTER, "hook": HOOK | {"wait": 5, "fields": NEWSLETTER["fields"]}},
            limits="100/second",
        )
        env = {"RELAY_SECRET_KEYS": new_key(), "OCAMBA_TOKEN": "one-token-for-all"}
        relay = stack.enter_context(RelayProcess(settings, database_url=url, env=env))
        bearer = {"Authorization": f"Bearer {relay.hook_secret}"}
        crowds = [
            Submitters(relay.port, "newsletter", count=100, pause=0),
            Submitters(relay.port, "hook", kind="webhook", headers=bearer, count=100, pause=0),
        ]
        for crowd in crowds:
            crowd.start().join()
        relay.wait_drained(30)
        ledger = [sent for crowd in crowds for sent in crowd.ledger]
        assert [sent.outcomes for sent in ledger[100:]] == [(201,)] * 100
        assert all(sent.acknowledged for sent in ledger)
        assert relay.counts() == {"delivered": 200}
        assert judge(ledger, upstream.arrivals, relay.rows(), limits=((100, 1.0),), finished=True) == []

"""A reload while the database is away changes all in one step, says what it owes, and does it later."""

from contextlib import ExitStack

from relay.vault import new_key
from tests.kit import services
from tests.kit.processes import eventually
from tests.kit.relay import NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream


def test_a_destination_added_while_the_database_is_away_is_served_once_it_is_back(
    own_cluster: services.Postgres,
) -> None:
    with ExitStack() as stack:
        old, new = (stack.enter_context(ScriptedUpstream()) for _ in range(2))
        settings = config(old.url, {"newsletter": NEWSLETTER})
        env = {"RELAY_SECRET_KEYS": new_key()}
        relay = stack.enter_context(
            RelayProcess(settings, database_url=own_cluster.create_database(), env=env)
        )
        settings["destinations"]["added"] = settings["destinations"]["ocamba"] | {"url": new.url}
        settings["sources"]["newsletter"] = NEWSLETTER | {"destination": "ocamba"}
        settings["sources"]["second"] = NEWSLETTER | {"destination": "added"}

        own_cluster.stop()
        relay.configure(settings)
        relay.hup()
        eventually(lambda: "config.reloaded" in relay.output(), 15, "the reload")
        eventually(lambda: "config.owed" in relay.output(), 15, "what it owes being said")

        def missing() -> bool:
            return "added" in str((relay.readiness().json or {}).get("failing", ""))

        eventually(lambda: relay.readyz() == 503 and missing(), 15, "readiness names the one without a lane")
        own_cluster.start()
        eventually(lambda: relay.readyz() == 200 and not missing(), 20, "all destinations having a lane")
        assert relay.form({"email": "ada@example.com"}, "second").status == 202
        new.wait_for(1)
        assert relay.form({"email": "bob@example.com"}).status == 202
        old.wait_for(1)

"""What is committed is acknowledged, whatever fails afterwards; and a verdict comes from whoever sent it."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from relay import metrics
from relay.intake import telling
from relay.vault import new_key
from relay.web import create_app
from tests.kit import services
from tests.kit.inside import relay_inside
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, RelayProcess, config
from tests.kit.stored import rows_of
from tests.kit.upstream import Arrival, Reaction, ScriptedUpstream, delay

SHARED = {"RELAY_SECRET_KEYS": new_key(), "OCAMBA_TOKEN": "one-token-for-all"}


@pytest.mark.parametrize("how", ["stopped", "hanging"])
def test_a_database_that_goes_while_a_caller_waits_does_not_undo_the_commit(
    own_cluster: services.Postgres, how: str
) -> None:
    def stop(_: Arrival) -> Reaction:
        own_cluster.stop() if how == "stopped" else own_cluster.pause()
        return delay(3)

    url = own_cluster.create_database()
    with ExitStack() as stack:
        upstream = stack.enter_context(ScriptedUpstream(stop))
        settings = config(upstream.url, {"hook": HOOK | {"wait": 2}})
        relay = stack.enter_context(RelayProcess(settings, database_url=url, env=SHARED))

        answer = relay.hook({"email": "ada@example.com"})

        assert (answer.status, answer.json["state"], answer.json["eta_seconds"]) == (202, "queued", None)
        own_cluster.start() if how == "stopped" else own_cluster.resume()
        eventually(lambda: relay.readyz() == 200, 15, "readyz telling that it is back")
        assert relay.wait_state(answer.json["receipt"], "delivered")["receipt"] == answer.receipt
        assert len(upstream.creates) == 1


@pytest.mark.parametrize("part", ["counting it", "the log"])
def test_what_is_stored_is_acknowledged_although_telling_of_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    with relay_inside(tmp_path) as relay:
        where = (metrics, "count_submission") if part == "counting it" else (telling, "_say")
        monkeypatch.setattr(*where, fail)
        answer = create_app(relay).test_client().post("/submit/newsletter", data={"email": "ada@example.com"})
        assert answer.status_code == 202
        assert [row["source"] for row in rows_of(relay.outbox)] == ["newsletter"]


def test_of_two_whole_relays_each_waits_for_what_the_other_sends(postgres_url: str) -> None:
    with ExitStack() as stack:
        upstream = stack.enter_context(ScriptedUpstream())
        settings = config(upstream.url, {"hook": HOOK | {"wait": 5}})
        relays = [
            stack.enter_context(RelayProcess(settings, database_url=postgres_url, env=SHARED))
            for _ in range(2)
        ]

        answers = [relays[number % 2].hook({"email": f"ada{number}@example.com"}) for number in range(12)]

        assert {answer.status for answer in answers} == {201}
        assert {answer.json["profile"]["id"] for answer in answers} == {
            arrival.profile_id for arrival in upstream.creates
        }

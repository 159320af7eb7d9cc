"""SIGHUP reads the configuration again, whatever the relay is doing, and lets nobody past its limits."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.process.housekeeping import WATCH_SECONDS
from relay.vault import new_key
from tests.kit.client import Answer
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream, delay


@pytest.fixture
def slow() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(lambda _: delay(6)) as server:
        yield server


def test_those_who_wait_already_count_after_a_reload(slow: ScriptedUpstream) -> None:
    """Half of the threads may wait, those that the old settings let in among them."""
    sources = {"hook": HOOK | {"wait": 10}, "newsletter": NEWSLETTER}
    answers: list[Answer] = []

    def wait(number: int) -> None:
        answers.append(relay.hook({"email": f"waits{number}@example.com"}))

    with RelayProcess(config(slow.url, sources), env={"WEB_THREADS": "4"}) as relay:
        crowd = [threading.Thread(target=wait, args=(number,)) for number in range(2)]
        for one in crowd:
            one.start()
        eventually(lambda: len(slow.arrivals) == 2, 5, "both are being sent")
        relay.hup()
        eventually(lambda: "config.reloaded" in relay.output(), 5, "the reload")
        for number in range(3):
            hasty = relay.hook({"email": f"hasty{number}@example.com"})
            assert (hasty.status, hasty.json["state"]) == (202, "queued")
        assert answers == [], "they were answered before those that wait"
        for one in crowd:
            one.join(20)
        assert [answer.status for answer in answers] == [201, 201]


def test_a_reload_is_heard_while_the_outbox_is_waited_for() -> None:
    url = "http://127.0.0.1:9/"
    with RelayProcess(config(url, {"newsletter": NEWSLETTER})) as first:
        second = RelayProcess(
            config(url, {"newsletter": NEWSLETTER}), database_url=first.database_url, wait_ready=False
        )
        with second:
            eventually(second.worker_pids, 10, "a worker that waits")
            time.sleep(1.5)
            second.configure(config(url, {"newsletter": NEWSLETTER, "added": NEWSLETTER}))
            second.hup()
            time.sleep(0.5)
            first.term(20)
            second.wait_ready()
            eventually(lambda: "config.reloaded" in second.output(), 5, "the reload")
            assert second.form({"email": "added@example.com"}, "added").status == 202


def test_a_file_that_cannot_be_read_keeps_no_later_reload_out(upstream: ScriptedUpstream) -> None:
    settings = config(upstream.url, {"newsletter": NEWSLETTER})
    with RelayProcess(settings) as relay:
        for make in (os.mkfifo, os.mkdir):
            relay.config_path.unlink()
            make(relay.config_path)
            kept = relay.output().count("config.kept")
            relay.hup()
            eventually(lambda kept=kept: relay.output().count("config.kept") > kept, 20, "a complaint")
            assert relay.form({"email": "ada@example.com"}).status == 202
            (os.rmdir if make is os.mkdir else os.unlink)(relay.config_path)
            relay.configure(settings)
        reloaded = relay.output().count("config.reloaded")
        relay.hup()
        eventually(lambda: relay.output().count("config.reloaded") > reloaded, 20, "the reload")


def test_what_needs_a_restart_stays_and_is_said(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    url = tmp_path / "url"
    url.write_text(f"sqlite:///{tmp_path}/relay.db")
    env = {"RELAY_DATABASE_URL": None, "RELAY_DATABASE_URL_FILE": str(url), "RELAY_SECRET_KEYS": new_key()}
    with RelayProcess(config(upstream.url, {"newsletter": NEWSLETTER}), env=env) as relay:
        url.write_text("postgresql+psycopg://relay:canary-password@127.0.0.1:9/relay")
        relay.hup()
        eventually(lambda: "config.reloaded" in relay.output(), 20, "the reload")
        assert "RELAY_DATABASE_URL was changed: that needs a restart" in relay.output()
        assert relay.form({"email": "ada@example.com"}).status == 202
        time.sleep(2)  # housekeeping goes on as on SQLite
        assert relay.readyz() == 200
        assert "housekeeping.failed" not in relay.output() and "canary" not in relay.output()


def test_a_reload_makes_no_real_relay_of_a_sandbox(upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """Its made-up people would go to the real upstream, and real ones into a file that no start reads."""
    token = tmp_path / "token"
    token.write_text("real-token")
    token.chmod(0o600)
    with RelayProcess(config(upstream.url), mode="serve", token=None) as relay:
        relay.api("POST", "/api/destinations/ocamba/pause")
        made_up = relay.form({"email": "made-up@example.com"}).receipt
        relay.configure(config(upstream.url, token=f"file:{token}"))
        relay.hup()
        eventually(lambda: "config.kept" in relay.output(), 20, "a complaint")
        assert "every token is there now: start again" in relay.output()
        relay.api("POST", "/api/destinations/ocamba/resume")
        relay.wait_state(str(made_up), "delivered")
        assert upstream.arrivals == []


def test_an_episode_goes_on_over_a_reload(upstream: ScriptedUpstream) -> None:
    """Who reloads at once after a crowd is told of it all the same, and of one crowd once."""
    settings = config(upstream.url, {"newsletter": NEWSLETTER | {"source_limits": "3/hour"}})
    with RelayProcess(settings) as relay:
        for number in range(6):
            assert relay.form({"email": f"crowd{number}@example.com"}).status == 202
        relay.hup()
        eventually(lambda: told(relay, "firing") == 1, 30, "the alert")
        relay.hup()
        eventually(lambda: relay.output().count("config.reloaded") == 2, 10, "the second reload")
        time.sleep(WATCH_SECONDS + 2)
        assert relay.form({"email": "crowd7@example.com"}).status == 202
        time.sleep(WATCH_SECONDS + 2)
        assert (told(relay, "firing"), told(relay, "over")) == (1, 0)


def told(relay: RelayProcess, word: str) -> int:
    lines = relay.output().splitlines()
    return sum(f'"alert.{word}"' in line and "newsletter" in line for line in lines)


@pytest.mark.parametrize("is_reloaded", [True, False], ids=["SIGHUP", "only written"])
def test_a_file_with_which_no_start_would_succeed_is_warned_of_until_it_is_mended(is_reloaded: bool) -> None:
    good = config("http://127.0.0.1:9/", {"newsletter": NEWSLETTER})
    with RelayProcess(good) as relay:

        def warnings() -> list[str]:
            shown = {"Authorization": f"Bearer {relay.metrics_token}"}
            return list(relay.get("/readyz", headers=shown).json["warnings"])

        assert warnings() == []
        relay.configure("[destinations.ocamba]\nurl = ")
        if is_reloaded:
            relay.hup()
        eventually(warnings, 2 * WATCH_SECONDS + 5, "a warning")
        assert "no start would succeed" in warnings()[0] and "relay.toml" in warnings()[0]
        assert relay.form({"email": "in-force@example.com"}).status == 202
        relay.configure(good)
        eventually(lambda: warnings() == [], 2 * WATCH_SECONDS + 5, "no warning any more")


def test_a_file_whose_secret_comes_after_it_is_warned_of_until_that_lies_there(tmp_path: Path) -> None:
    """As where two hands, or two steps of a deployment, write them."""
    good = config("http://127.0.0.1:9/", {"newsletter": NEWSLETTER})
    token = tmp_path / "token"
    with RelayProcess(good) as relay:

        def warnings() -> list[str]:
            shown = {"Authorization": f"Bearer {relay.metrics_token}"}
            return list(relay.get("/readyz", headers=shown).json["warnings"])

        ocamba = good["destinations"]["ocamba"] | {"token": f"file:{token}"}
        relay.configure(good | {"destinations": {"ocamba": ocamba}})
        eventually(warnings, 2 * WATCH_SECONDS + 5, "a warning")
        assert "no start would succeed" in warnings()[0]
        token.touch(mode=0o600)
        token.write_text("a-token-of-enough-length", encoding="utf-8")
        relay.hup()
        eventually(lambda: warnings() == [], 2 * WATCH_SECONDS + 5, "no warning any more")

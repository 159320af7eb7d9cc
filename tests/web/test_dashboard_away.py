"""The dashboard while its database is away, cannot be written, or is reached by another name."""

import sqlite3
from contextlib import closing

import pytest

from relay.vault import new_key
from tests.kit import services
from tests.kit.client import request
from tests.kit.processes import eventually
from tests.kit.relay import NEWSLETTER, RelayProcess, config
from tests.web.browsing import Person

HTML = {"Accept": "text/html"}
PUBLIC = "https://relay.example.com"
PAGES = ("", "/needs-you", "/login", "/submissions", "/live/overview", "/sources/newsletter")


def settings() -> dict[str, object]:
    return config("http://127.0.0.1:9/", {"newsletter": NEWSLETTER | {"origins": []}})


@pytest.mark.long
def test_while_the_database_is_away_every_page_says_so(
    own_cluster: services.Postgres,
) -> None:
    env = {"RELAY_SECRET_KEYS": new_key()}
    with RelayProcess(settings(), database_url=own_cluster.create_database(), env=env) as relay:
        person = Person(relay, relay.admin_token)
        csrf = person.csrf()
        own_cluster.stop()
        answers = [person.web.get(f"{relay.url}/dashboard{page}", headers=HTML, timeout=30) for page in PAGES]
        for path, given in (
            ("/dashboard/login", {"token": relay.admin_token}),
            ("/dashboard/logout", {}),
            ("/dashboard/find", {"contact": "ada@example.com"}),
        ):
            answers.append(person.web.post(relay.url + path, {**given, "csrf_token": csrf}, timeout=30))
        assert {(answer.status_code, answer.headers.get("Retry-After")) for answer in answers} == {
            (503, "30")
        }
        assert "request.fault" not in relay.output()
        own_cluster.start()
        eventually(lambda: person.get("/dashboard").status_code == 200, 30, "the page")


@pytest.mark.long
def test_who_looks_is_let_look_while_nothing_can_be_written() -> None:
    with RelayProcess(settings()) as relay:
        person = Person(relay, relay.admin_token)
        with closing(sqlite3.connect(relay.database_path, timeout=10, isolation_level=None)) as link:
            link.execute("UPDATE sessions SET seen_at = seen_at - 60")
            link.execute("BEGIN IMMEDIATE")
            assert person.get("/dashboard").status_code == 200
            link.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("proxies", "public", "headers", "is_secure"),
    [
        ("1", None, {"X-Forwarded-Proto": "https"}, True),
        ("1", None, {"X-Forwarded-Proto": "https, http"}, False),
        ("2", None, {"X-Forwarded-Proto": "https, http"}, True),
        ("2", None, {"X-Forwarded-Proto": "https"}, True),
        ("2", None, {"X-Forwarded-Proto": "https, http, http"}, False),
        ("2", PUBLIC, {"X-Forwarded-Proto": "http", "Host": "relay.example.com"}, True),
        ("0", f"{PUBLIC}:443/", {"Host": "relay.example.com"}, True),
        ("0", PUBLIC, {}, False),
        ("1", None, {}, False),
    ],
)
def test_the_cookie_is_for_tls_alone_wherever_that_ends(
    proxies: str, public: str | None, headers: dict[str, str], is_secure: bool
) -> None:
    env = {"RELAY_TRUSTED_PROXIES": proxies, "RELAY_PUBLIC_URL": public}
    with RelayProcess(settings(), env=env) as relay:
        sent = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        answer = request(relay.port, "POST", "/dashboard/login", f"token={relay.admin_token}".encode(), sent)
        cookie = next(value for name, value in answer.headers if name.lower() == "set-cookie")
        found = cookie.startswith("__Host-relay_session="), "Secure" in cookie.split("; ")
        assert found == (is_secure, is_secure)
        shown = sent | {"Cookie": cookie.partition(";")[0]}
        assert request(relay.port, "GET", "/dashboard", None, shown).status == 200


def test_a_proxy_may_call_us_by_another_name() -> None:
    env = {"RELAY_PUBLIC_URL": f"{PUBLIC}:443/", "RELAY_TRUSTED_PROXIES": "1"}
    with RelayProcess(settings(), env=env) as relay:
        body, kind = f"token={relay.admin_token}", "application/x-www-form-urlencoded"
        for origin, status in ((PUBLIC, 303), (relay.url, 303), ("https://evil.example", 403)):
            headers = {"Origin": origin, "Content-Type": kind}
            assert request(relay.port, "POST", "/dashboard/login", body.encode(), headers).status == status


@pytest.mark.parametrize("public", [PUBLIC, f"{PUBLIC}/relay/", f"{PUBLIC}:443"])
def test_a_form_of_our_own_may_post_wherever_it_is_mounted(public: str) -> None:
    with RelayProcess(settings(), env={"RELAY_PUBLIC_URL": public}) as relay:
        sent = {"Origin": PUBLIC}
        assert relay.form({"email": "ada@example.com"}, headers=sent).status == 202
        assert relay.form({"email": "ada@example.com"}, headers={"Origin": "https://a.example"}).status == 403

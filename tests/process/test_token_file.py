"""A token that is read from a file: what is sent, and who is told, while the file is of no use."""

from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

from relay.process.housekeeping import WATCH_SECONDS
from tests.kit.processes import eventually
from tests.kit.relay import NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream
from tests.web.browsing import Person

WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "gone": (Path.unlink, "cannot read {file}: No such file or directory"),
    "empty": (lambda file: file.write_text(""), "{file} is empty"),
    "a blank behind it": (lambda file: file.write_text("third \n"), "ends with a blank; remove it"),
    "two lines": (lambda file: file.write_text("third\nfourth\n"), "must be visible ASCII characters"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_while_its_file_is_of_no_use_the_last_token_is_sent_and_that_is_said(
    upstream: ScriptedUpstream, tmp_path: Path, kind: str
) -> None:
    spoil, why = WRONG[kind]
    file = tmp_path / "token"
    file.write_text("first\n")
    file.chmod(0o600)
    with RelayProcess(config(upstream.url, {"newsletter": NEWSLETTER}, token=f"file:{file}")) as relay:
        assert relay.readiness().json["warnings"] == []
        file.write_text("second\n")
        sent(relay, upstream, "ada@example.com", "second")
        spoil(file)
        sent(relay, upstream, "ben@example.com", "second")
        said = why.format(file=file)
        (warning,) = relay.readiness().json["warnings"]
        assert warning.startswith("the token of ocamba stays the one from before: ") and said in warning
        assert said in unescape(Person(relay, relay.admin_token).get("/dashboard").text)
        eventually(lambda: alerts(relay, "firing"), WATCH_SECONDS + 5, "the alert")
        file.write_text("third\n")
        sent(relay, upstream, "cleo@example.com", "third")
        assert relay.readiness().json["warnings"] == []
        eventually(lambda: alerts(relay, "over"), WATCH_SECONDS + 5, "the end of the alert")


def sent(relay: RelayProcess, upstream: ScriptedUpstream, email: str, token: str) -> None:
    receipt = relay.form({"email": email}).receipt
    assert receipt is not None
    relay.wait_state(receipt, "delivered")
    assert upstream.arrivals[-1].headers["authorization"] == f"Bearer {token}"


def alerts(relay: RelayProcess, word: str) -> bool:
    seen = [line.data for line in relay.log_lines() if line.data]
    return any((one["event"], one.get("alert")) == (f"alert.{word}", "token:ocamba") for one in seen)

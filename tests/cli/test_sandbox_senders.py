"""The sandbox from nothing: no token, no secret, and still every known sender can be tried the whole way."""

import html
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from relay.config import presets
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config

PRESETS = presets.preset_names()
HTML = {"Accept": "text/html"}


def variable(name: str) -> str:
    return f"SECRET_{name.replace('-', '_').upper()}"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RelayProcess]:
    sources: dict[str, Any] = {
        name: {"kind": "webhook", "preset": name, "secret": f"env:{variable(name)}"} for name in PRESETS
    }
    sources |= {"newsletter": NEWSLETTER, "hook": HOOK | {"secret": "env:NOBODY_SET_THIS"}}
    with RelayProcess(config("http://127.0.0.1:9/", sources), mode="serve", token=None) as process:
        yield process


def pasted(sandbox: RelayProcess, source: str) -> str:
    """What a person copies from the front page for one source."""
    page = sandbox.get("/", HTML).text
    section = page[page.index(f'aria-labelledby="source-{source}"') :]
    section = section[: section.index("</section>")]
    found = re.search(r"<code>(curl .*?)</code>", section, re.DOTALL)
    assert found, f"no line for {source}"
    return html.unescape(found[1])


@pytest.mark.parametrize("source", [*PRESETS, "hook"])
def test_the_front_pages_line_reaches_the_sandbox_as_it_is_pasted(sandbox: RelayProcess, source: str) -> None:
    command = [*("bash", "-c"), pasted(sandbox, source) + " -s -w ' %{http_code}'"]
    first = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert first[-3:] in ("200", "201", "202"), first
    receipt = re.search(r'"receipt": ?"([^"]+)"', first)
    assert receipt, f"nothing was stored: {first}"
    sandbox.wait_state(receipt[1], "delivered")


@pytest.mark.parametrize(
    "source", ["typeform", "stripe", "jotform", "google-ads", "standard-webhooks", "hook"]
)
def test_a_message_is_signed_with_the_secret_that_was_made_up(sandbox: RelayProcess, source: str) -> None:
    signed = sandbox.command_line("sign", source, "--send")
    assert signed.returncode == 0 and re.match("20[012] .*receipt", signed.stdout), signed.stdout


def test_a_secret_stays_the_same_over_a_restart_and_is_for_its_owner_alone(sandbox: RelayProcess) -> None:
    before = pasted(sandbox, "zapier")
    sandbox.term(20)
    sandbox.start()
    assert pasted(sandbox, "zapier").partition("Bearer")[2][:40] == before.partition("Bearer")[2][:40]
    (seed,) = sandbox.folder.glob("*.secrets")
    assert seed.stat().st_mode & 0o077 == 0


def test_signing_works_before_anything_was_started() -> None:
    source = {"typeform": {"kind": "webhook", "preset": "typeform", "secret": "env:NOBODY_SET_THIS"}}
    with RelayProcess(config("http://127.0.0.1:9/", source), mode="serve", token=None, start=False) as quiet:
        printed = quiet.command_line("sign", "typeform")
        assert printed.returncode == 0 and printed.stdout.startswith("curl "), printed.stderr
        quiet.start()
        done = subprocess.run(
            ["bash", "-c", printed.stdout.strip() + " -s"], capture_output=True, timeout=60, check=True
        )
        assert b'"receipt"' in done.stdout


def test_with_a_token_no_secret_is_made_up(sandbox: RelayProcess) -> None:
    said = sandbox.command_line("sign", "typeform", env={"OCAMBA_TOKEN": "a-real-token"})
    assert said.returncode == 1 and "the secret of typeform is not known here" in said.stderr

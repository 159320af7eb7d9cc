"""Every known sender's own small message, signed as it would sign it, goes the whole way."""

import shlex
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from relay.config import presets
from tests.config.test_presets import SECRETS, status_of, variable
from tests.kit.processes import free_port
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

JANE = {"email": "jane@example.com", "mobile_phone_number": "+12025550123", "full_name": "Jane Doe"}
EXPECTED = {"paddle": {"email": "jane@example.com", "full_name": "Jane Doe"}}
PRESETS = presets.preset_names()
FORM = NEWSLETTER | {"wait": 10, "reply": ["id"]}


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    port = free_port()
    sources: dict[str, Any] = {
        name: {"kind": "webhook", "preset": name, "secret": f"env:{variable(name)}"} for name in PRESETS
    }
    sources |= {"form": FORM, "hook": HOOK}
    env = {variable(name): secret for name, secret in SECRETS.items()}
    env["RELAY_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
    wide = {"limits": "500/second; 100000/minute"}
    with RelayProcess(config(upstream.url, sources, **wide), env=env, port=port) as process:
        yield process


@pytest.mark.parametrize("preset", PRESETS)
def test_a_senders_sample_becomes_the_expected_profile(
    relay: RelayProcess, upstream: ScriptedUpstream, preset: str
) -> None:
    before = len(upstream.arrivals)
    sent = relay.command_line("sign", preset, "--send")
    assert sent.returncode == 0, (sent.stdout, sent.stderr)
    assert sent.stdout.startswith(f"{status_of(preset, 201)} ") and '"delivered"' in sent.stdout
    (arrived,) = upstream.arrivals[before:]
    assert arrived.json == EXPECTED.get(preset, JANE)


@pytest.mark.parametrize(
    "source", ["typeform", "stripe", "elementor", "shopify", "google-ads", "form", "hook"]
)
def test_the_printed_command_works_as_it_is_pasted(relay: RelayProcess, source: str) -> None:
    printed = relay.command_line("sign", source)
    assert printed.returncode == 0 and printed.stdout.startswith("curl "), printed.stderr
    said = subprocess.run(
        [*shlex.split(printed.stdout), "-s", "-w", "%{http_code}"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert said.stdout[-3:] in ("200", "201"), said.stdout


def test_a_body_of_ones_own_is_signed(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    hidden = '{"hidden": {"email": "o@example.com"}}'
    own = f'{{"event_id": "own-1", "event_type": "form_response", "form_response": {hidden}}}'
    sent = relay.command_line("sign", "typeform", "-", "--send", input=own)
    assert sent.returncode == 0 and upstream.arrivals[-1].json == {"email": "o@example.com"}
    marked = relay.command_line(
        "sign", "typeform", "-", "--send", input="\ufeff" + own.replace("own-1", "own-2")
    )
    assert marked.returncode == 0, "as Windows writes files"
    refused = relay.command_line("sign", "typeform", "--send", env={variable("typeform"): "another secret"})
    assert refused.returncode == 1 and refused.stdout.startswith("401 ")


def test_what_cannot_be_signed_is_said_in_one_line(relay: RelayProcess) -> None:
    for asked, env, status, why in (
        (["nobody"], {}, 2, "there is no source nobody"),
        (["typeform"], {variable("typeform"): None}, 1, "the secret of typeform is not known here"),
        (["typeform", "/nowhere"], {}, 2, "/nowhere"),
        (["typeform", "--send", "--url", "http://127.0.0.1:1"], {}, 1, "127.0.0.1:1"),
    ):
        said = relay.command_line("sign", *asked, env=env)
        assert said.returncode == status and why in said.stderr and said.stderr.count("\n") == 1, said.stderr

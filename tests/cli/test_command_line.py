"""The command line as a whole: help, version, errors, and commands while something is broken."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import relay
from relay.cli.main import commands
from relay.config import settings as configuration
from relay.process.opening import open_outbox
from tests.cli.conftest import Said, Site
from tests.kit.relay import ROOT
from tests.kit.upstream import Reaction, ScriptedUpstream, garbage, truncated

Run = Callable[..., Said]


def every(group: click.Group, *before: str) -> list[tuple[str, ...]]:
    """The words of every command."""
    found: list[tuple[str, ...]] = [before]
    for name, command in group.commands.items():
        found += every(command, *before, name) if isinstance(command, click.Group) else [(*before, name)]
    return found


@pytest.mark.parametrize("words", every(commands), ids=" ".join)
def test_every_command_explains_itself(run: Run, words: tuple[str, ...]) -> None:
    said = run(*words, "--help")
    assert (said.status, said.err) == (0, "") and said.out.startswith("Usage: ")


def test_help_and_version_need_none_of_the_heavy_libraries() -> None:
    heavy = ("sqlalchemy", "marshmallow", "cryptography", "phonenumbers", "flask", "requests", "gunicorn")
    probe = f"import sys, relay.cli.main; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_version_is_the_packages(run: Run) -> None:
    assert run("--version") == Said(0, f"relay {relay.__version__}\n", "")


WRONG = {
    "an unknown command": ["nonsense"],
    "no command": [],
    "a group without a command": ["submissions"],
    "an unknown option": ["status", "--colour"],
    "a misspelt option": ["submissions", "list", "--sorce", "x"],
    "a value that is none of the choices": ["submissions", "list", "--state", "lost"],
    "too many words": ["backup", "one", "two"],
    "a header without a colon": ["try", "hook", "-", "--header", "no colon"],
    "an address that is none": ["serve", "--bind", "8000"],
}


@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG)
def test_what_is_asked_wrongly_is_one_line_that_names_the_help(run: Run, words: list[str]) -> None:
    said = run(*words)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("relay: ") and said.err.endswith("--help\n") and said.err.count("\n") == 1


def test_options_may_stand_before_or_after_what_they_belong_to(site: Site) -> None:
    (receipt,) = site.receipts["invalid"]
    assert site.run("submissions", "show", "--json", receipt) == site.run(
        "submissions", "show", receipt, "--json"
    )


def test_completion_is_offered_for_the_shell() -> None:
    env = os.environ | {"_RELAY_COMPLETE": "bash_complete", "COMP_WORDS": "relay sub", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "relay"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert "submissions" in done.stdout


def test_a_reader_that_has_seen_enough_is_no_error(site: Site) -> None:
    command = f"{sys.executable} -m relay presets | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=site.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "" and done.stdout.splitlines()[-1] == "0"


@pytest.mark.parametrize("words", [["presets"], ["submissions", "list", "--json"], ["export"], ["--help"]])
def test_what_cannot_be_written_is_an_error_like_any_other(site: Site, words: list[str]) -> None:
    """`relay export > file` on a full disk."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "relay", *words],
            cwd=site.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "relay: [Errno 28] No space left on device\n")


@pytest.mark.parametrize("url", ["example.com", "http://127.0.0.1:abc", "http://[", "http://exa mple"])
def test_an_address_that_is_none_is_asked_wrongly(site: Site, url: str) -> None:
    said = site.run("sign", "newsletter", "--send", "--url", url)
    assert (said.status, said.err.count("\n")) == (2, 1)
    assert "must be an address like" in said.err


@pytest.mark.parametrize("answer", [garbage(), truncated()], ids=lambda answer: answer.name)
def test_an_answer_that_is_none_is_told_in_one_line(site: Site, answer: Reaction) -> None:
    with ScriptedUpstream([answer]) as other:
        said = site.run("sign", "newsletter", "--send", "--url", other.url)
    assert (said.status, said.err.count("\n")) == (1, 1)
    assert "no answer of HTTP, or half" in said.err


@pytest.mark.parametrize("words", ["init", "try newsletter -", "sign newsletter -"])
def test_an_input_that_is_closed_is_an_empty_one(site: Site, words: str) -> None:
    command = ["sh", "-c", f'exec "$@" {words} <&-', "sh", sys.executable, "-m", "relay"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=site.folder, env=env, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1)


def test_a_terminal_of_another_alphabet_shows_what_it_can_and_a_file_is_whole(site: Site) -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "latin-1"}
    export = ["export", "--people", "--format", "sheet"]
    for words in (export, ["presets", "show", "stripe"], ["submissions", "list", "--source", "Łódź"]):
        command = [sys.executable, "-m", "relay", *words]
        done = subprocess.run(command, cwd=site.folder, env=env, capture_output=True, check=False)
        assert b"Traceback" not in done.stderr, done.stderr
        if words == export:
            assert done.stdout.startswith(b"\xef\xbb\xbf") and done.stdout.decode()


# --- while something is broken ----------------------------------------------------------------------------

LOOKS = (["submissions", "list"], ["submissions", "list", "--json"], ["status"], ["status", "--json"])


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
@pytest.mark.parametrize("broken", ["[sources.x]\nkind = 1\n", "not TOML", "nothing"])
def test_commands_that_only_look_work_while_the_configuration_is_broken(
    site: Site, words: list[str], broken: str
) -> None:
    site.configure(broken)
    if broken == "nothing":
        (site.folder / "relay.toml").unlink()
    said = site.run(*words)
    assert said.status == 0, said.err
    assert "check" in said.err and said.err.count("\n") == 1
    assert words[0] == "status" or site.receipts["held"][0] in said.out


def test_commands_that_act_do_not(site: Site) -> None:
    site.configure("[sources.x]\nkind = 1\n")
    said = site.run("submissions", "discard", *site.receipts["held"])
    assert said.status == 2 and "relay.toml" in said.err


def test_what_asks_nothing_of_the_configuration_is_done_while_it_is_broken(site: Site) -> None:
    done = site.run("submissions", "replay", "--all", "--state", "held")
    (job,) = set(re.findall("[0-9a-f]{16}", done.out))
    site.configure("[sources.x]\nkind = 1\n")
    assert site.run("resume").out == site.run("resume", "ocamba").out == "ocamba: resumed\n"
    assert site.run("pause").out == "ocamba: paused\n"
    said = site.run("pause", "elsewhere")
    assert said.status == 2 and "there is no destination elsewhere; one of ocamba" in said.err
    assert site.run("backup", "copy.db").status == 0 and (site.folder / "copy.db").exists()
    assert "ocamba held" in site.run("restored").out
    assert "is over" in site.run("jobs", "cancel", job).err


def test_while_the_configuration_is_broken_only_what_is_true_is_said(site: Site) -> None:
    site.configure("not TOML")
    said = site.run("status")
    assert "newsletter: last sign-up" in said.out and "removed" not in said.out
    assert "ocamba: held (paused) until resumed; backlog 3" in said.out
    found = json.loads(site.run("status", "--json").out)["ocamba"]
    assert (found["hold_until"], found["hold_reason"]) == (None, "paused")


def test_a_number_of_some_country_is_not_looked_for_while_nobody_knows_which(site: Site) -> None:
    words = ("submissions", "list", "--contact")
    assert site.run(*words, "0151 23456780").out == "no submission matches\n"
    site.configure("not TOML")
    said = site.run(*words, "0151 23456780")
    assert (said.status, said.out) == (2, "") and "with its country code" in said.err
    for text in ("+49 151 23456780", "nobody@example.com"):
        assert site.run(*words, text).out == "no submission matches\n"


def test_a_broken_environment_is_said_even_to_those_that_look(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAY_DATABASE_URL", "mysql://nowhere")
    said = site.run("status")
    assert said.status == 2 and "RELAY_DATABASE_URL" in said.err


@pytest.mark.parametrize("table", ["good", "broken"])
def test_without_a_token_the_sandboxs_file_is_shown_and_named(
    site: Site, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    monkeypatch.delenv("OCAMBA_TOKEN")
    for file in (site.folder / "var").glob("relay.db*"):
        shutil.move(file, file.with_name(file.name.replace("relay", "sandbox", 1)))
    if table == "broken":
        site.configure("not TOML")
    said = site.run("submissions", "list")
    assert said.status == 0 and site.receipts["queued"][0] in said.out
    assert "var/sandbox.db" in said.err


@pytest.mark.parametrize("table", ["good", "broken"])
def test_with_a_token_the_sandboxs_file_is_refused_as_the_server_refuses_it(
    empty_site: Site, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    monkeypatch.setenv("RELAY_DATABASE_URL", "sqlite:///var/sandbox.db")
    Path("var").mkdir()
    open_outbox(configuration.load(offline=True), time.time).prepare(sandbox=True)
    if table == "broken":
        empty_site.configure("not TOML")
    said = empty_site.run("submissions", "list")
    assert (said.status, said.out) == (1, "") and "was made in sandbox mode" in said.err
    assert "without a token" not in said.err


def test_where_nothing_is_stored_the_command_says_where_it_looked(empty_site: Site) -> None:
    said = empty_site.run("status")
    assert (said.status, said.out) == (1, "") and "var/relay.db" in said.err
    assert not Path("var").exists()


def test_the_runner_of_click_drives_it_too() -> None:
    done = CliRunner().invoke(commands, ["keys", "new"])
    assert done.exit_code == 0 and len(done.output.strip()) == 64

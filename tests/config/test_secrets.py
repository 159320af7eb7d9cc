"""Secrets, operators and their tokens: how they are given, and that they stay secret."""

import os
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.config.given import DESTINATION, FORM, HOOK, KEY, SECRET, TOKEN, Read

# --- secrets stay secret --------------------------------------------------------------------------------


def test_no_secret_is_in_a_representation(read: Read) -> None:
    admin = "canary-admin-token-canary"
    found = read(RELAY_SECRET_KEYS=KEY, RELAY_ADMIN_TOKEN=admin, RELAY_METRICS_TOKEN="canary-metrics")
    assert found.operators
    text = repr(found) + repr(found.destinations) + repr(found.sources) + str(found)
    for secret in (TOKEN, SECRET, KEY, admin, "canary-metrics"):
        assert secret not in text


# --- what pasting leaves around a secret ----------------------------------------------------------------

PASTED = {
    "blank": " {}",
    "blank behind": "{} ",
    "hard blank": "{}\u00a0",
    "tab": "{}\t",
    "newline": "{}\n",
    "carriage return": "{}\r\n",
    "quotes": '"{}"',
    "single quotes": "'{}'",
    "typographic quotes": "“{}”",
    "byte order mark": "\ufeff{}",
    "zero-width blank": "{}\u200b",
    "its scheme": "Bearer {}",
    "a line of an environment file": "OCAMBA_TOKEN={}",
    "a line of a shell": "export CRM_SECRET={}",
}


@pytest.mark.parametrize("pasted", PASTED.values(), ids=PASTED.keys())
def test_what_pasting_left_around_a_secret_is_refused_by_its_name(problems: Any, pasted: str) -> None:
    said = problems(OCAMBA_TOKEN=pasted.format(TOKEN), CRM_SECRET=pasted.format(SECRET))
    assert {"destinations.ocamba.token", "sources.crm.secret"} == said.keys()
    assert "OCAMBA_TOKEN" in said["destinations.ocamba.token"]
    assert "CRM_SECRET" in said["sources.crm.secret"]


@pytest.mark.parametrize("pasted", PASTED.values(), ids=PASTED.keys())
def test_a_secrets_file_is_checked_in_the_same_way(problems: Any, tmp_path: Path, pasted: str) -> None:
    (tmp_path / "secret").write_bytes((pasted.format(SECRET) + "\n").encode())
    said = problems(DESTINATION, HOOK.replace("env:CRM_SECRET", f"file:{tmp_path}/secret"))
    assert f"{tmp_path}/secret" in said["sources.crm.secret"]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_newline_that_ends_a_file_is_not_part_of_the_secret(read: Read, tmp_path: Path, end: str) -> None:
    (tmp_path / "secret").write_bytes((SECRET + end).encode())
    found = read(DESTINATION, HOOK.replace("env:CRM_SECRET", f"file:{tmp_path}/secret"))
    assert found.sources["crm"].secrets == (SECRET.encode(),)


@pytest.mark.parametrize("end", ["nobody writes", "is written and kept open", "is a folder"])
def test_a_secrets_file_that_never_ends_is_a_problem(problems: Any, tmp_path: Path, end: str) -> None:
    """A reload would wait for it for ever, and everything behind it."""
    (os.mkdir if end == "is a folder" else os.mkfifo)(tmp_path / "secret")
    before = len(os.listdir("/proc/self/fd"))
    with ExitStack() as stack:
        if end == "is written and kept open":
            handle = os.open(tmp_path / "secret", os.O_RDWR)
            stack.callback(os.close, handle)
            os.write(handle, b"half")
        said = problems(DESTINATION, HOOK.replace("env:CRM_SECRET", f"file:{tmp_path}/secret"))
    assert len(os.listdir("/proc/self/fd")) == before
    why = "Is a directory" if end == "is a folder" else "is a pipe that nobody writes to"
    assert why in said["sources.crm.secret"]


def test_a_secret_may_come_through_a_pipe(read: Read) -> None:
    """As a shell makes them of ``<(…)``."""
    ours, theirs = os.pipe()
    os.write(theirs, SECRET.encode() + b"\n")
    os.close(theirs)
    found = read(DESTINATION, HOOK.replace("env:CRM_SECRET", f"file:/dev/fd/{ours}"))
    os.close(ours)
    assert found.sources["crm"].secrets == (SECRET.encode(),)


BASIC = HOOK + '[sources.crm.verify]\nscheme = "basic"\n'


def test_the_secret_of_basic_is_user_and_password(problems: Any, read: Read) -> None:
    """With a password alone every message of the sender would be answered 401."""
    said = problems(DESTINATION, BASIC, CRM_SECRET=SECRET)
    assert said.keys() == {"sources.crm.secret"}
    assert "must be user:password" in said["sources.crm.secret"]
    found = read(DESTINATION, BASIC, CRM_SECRET=f"jane:{SECRET}")
    assert found.sources["crm"].secrets == (f"jane:{SECRET}".encode(),)


# --- operators ------------------------------------------------------------------------------------------

OPERATOR = '[operators.support]\ntoken = "env:SUPPORT_TOKEN"\nrole = "act"'
SUPPORT = "canary-support-token-canary"


def test_an_operator_has_a_name_a_role_and_the_hash_of_a_token(read: Read) -> None:
    found = read(DESTINATION, FORM, OPERATOR, SUPPORT_TOKEN=SUPPORT, RELAY_ADMIN_TOKEN="a" * 24).operators
    assert [(one.name, one.role) for one in found] == [("admin", "reveal"), ("support", "act")]
    assert found[1].token_sha256 == sha256(SUPPORT.encode()).digest()
    assert "token" not in repr(found)


def test_an_operators_table_is_checked(problems: Any) -> None:
    def said(table: str, **changed: str) -> dict[str, str]:
        found: dict[str, str] = problems(DESTINATION, FORM, table, **{"SUPPORT_TOKEN": SUPPORT, **changed})
        return found

    assert "is not set" in said(OPERATOR, SUPPORT_TOKEN="")["operators.support.token"]
    assert "at least 24" in said(OPERATOR, SUPPORT_TOKEN="x" * 23)["operators.support.token"]
    assert '"view" or "act"' in said(OPERATOR.replace('"act"', '"boss"'))["operators.support.role"]
    assert said(OPERATOR + "\nrights = 7").keys() == {"operators.support.rights"}
    assert "lower-case" in said(OPERATOR.replace("support", '"Jane Doe"'))["operators.Jane Doe"]
    twin = OPERATOR.replace("operators.support", "operators.twin")
    assert "is that of support" in said(OPERATOR + "\n" + twin)["operators.twin.token"]
    admin = OPERATOR.replace("operators.support", "operators.admin")
    assert "take another name" in said(admin, RELAY_ADMIN_TOKEN="a" * 24)["operators.admin"]

"""What the relay keeps on the disk is for its owner only, whoever made the files before."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from relay.outbox import sqlite
from relay.outbox.disk import Disk
from relay.outbox.errors import Unfit
from relay.vault import keys_beside
from tests.kit.relay import NEWSLETTER, RELAY, RelayProcess, config


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_files_that_were_made_for_everybody_are_tightened(tmp_path: Path) -> None:
    database = tmp_path / "relay.db"
    with RelayProcess(config("http://127.0.0.1:9/", {"newsletter": NEWSLETTER}), folder=tmp_path) as relay:
        relay.form({"email": "ada@example.com"})
        relay.kill9()
        for file in tmp_path.glob("relay.db*"):
            file.chmod(0o666)
        relay.start()
        assert relay.form({"email": "eve@example.com"}).status == 202
        names = ["relay.db", "relay.db-wal", "relay.db-shm", "relay.db.keys"]
        assert {name: mode(tmp_path / name) for name in names} == dict.fromkeys(names, 0o600)
    assert database.exists()


def test_an_empty_database_that_was_made_beforehand_is_tightened(tmp_path: Path) -> None:
    database = tmp_path / "relay.db"
    database.touch()
    database.chmod(0o666)
    sqlite.create_private(database)
    assert mode(database) == 0o600


def test_folders_are_made_for_the_owner(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        sqlite.create_private(tmp_path / "var" / "relay" / "relay.db")
    finally:
        os.umask(old)
    assert (mode(tmp_path / "var"), mode(tmp_path / "var" / "relay")) == (0o700, 0o700)


@pytest.mark.parametrize("open_to", [0o777, 0o755, 0o2770])
def test_a_folder_for_databases_alone_is_tightened(tmp_path: Path, open_to: int) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    for name in ("relay.db", "relay.db.keys", "sandbox.db"):
        (folder / name).touch()
    folder.chmod(open_to)
    sqlite.create_private(folder / "sandbox.db")
    assert mode(folder) & 0o777 == 0o700


def test_a_folder_with_other_files_is_left_as_it_is_and_told_of(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with RelayProcess(config("http://127.0.0.1:9/", {"newsletter": NEWSLETTER}), folder=tmp_path) as relay:
        assert f"everybody may write in {tmp_path}" in relay.output()
    assert mode(tmp_path) == 0o777


@pytest.mark.parametrize("keys", [None, "ab" * 32])
@pytest.mark.parametrize("command", ["serve", "migrate", "status"])
def test_a_folder_or_another_programs_file_is_told_of_and_left_as_it_is(
    tmp_path: Path, keys: str | None, command: str
) -> None:
    folder, foreign = tmp_path / "data", tmp_path / "shop.db"
    folder.mkdir(mode=0o755)
    with closing(sqlite3.connect(foreign)) as link:
        link.execute("CREATE TABLE orders (id)")
    foreign.chmod(0o644)
    before = foreign.read_bytes()
    told = {folder: "is a folder; RELAY_DATABASE_URL names a file", foreign: "is another program's database"}
    for path, said in told.items():
        with RelayProcess(
            config("http://127.0.0.1:9/", {"newsletter": NEWSLETTER}),
            folder=tmp_path,
            database_url=f"sqlite:///{path}",
            env={"RELAY_SECRET_KEYS": keys},
            command=[*RELAY, command],
            start=False,
        ) as relay:
            relay.start(wait_ready=False)
            assert relay.wait(30) in (1, 3)
            assert f"{path} {said}" in relay.output()
    assert (mode(folder), mode(foreign), foreign.read_bytes()) == (0o755, 0o644, before)
    assert not foreign.with_name("shop.db-wal").exists()


def test_a_database_is_not_made_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "relay.db").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unfit, match="link"):
        sqlite.create_private(tmp_path / "relay.db")
    assert not (tmp_path / "elsewhere").exists()


def test_the_ballast_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "relay.db.ballast").symlink_to(tmp_path / "elsewhere")
    Disk(tmp_path / "relay.db").look()
    assert not (tmp_path / "elsewhere").exists()


def test_keys_are_written_where_no_link_waits_for_them(tmp_path: Path) -> None:
    for number in (os.getpid(), os.getpid() + 1):
        (tmp_path / f"relay.db.keys.{number}").symlink_to(tmp_path / "stolen")
    assert len(keys_beside(tmp_path / "relay.db")) == 1
    assert not (tmp_path / "stolen").exists()
    assert mode(tmp_path / "relay.db.keys") == 0o600

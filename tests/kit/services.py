"""Private PostgreSQL and Redis servers on loopback, each in a temporary folder of its own."""

import glob
import itertools
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Self

import psycopg
import pytest
from sqlalchemy import make_url

from tests.kit.processes import children, eventually, free_port, send


class Missing(Exception):
    """This machine lacks a server; the message is the one command that provides it."""


def lacking(missing: Missing) -> NoReturn:
    """Skips out loud with the command that helps; fails where everything must be there."""
    if os.environ.get("TESTS_REQUIRE_ALL") == "1":
        pytest.fail(f"missing, and TESTS_REQUIRE_ALL=1: {missing}")
    pytest.skip(f"not on this machine; {missing}")


class Postgres:
    """One PostgreSQL cluster with fsync on. Database names are handed out by `create_database`."""

    def __init__(self, folder: Path, binaries: Path, user: str | None) -> None:
        self.folder = folder
        self.port = free_port()
        self._binaries = binaries
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """Makes an empty database and returns its URL."""
        name = f"test_{next(self._names)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drops a database, ending its connections."""
        self.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def terminate_backends(self, url: str) -> int:
        """Ends every connection to a database; returns how many there were."""
        name = url.rpartition("/")[2]
        ended = self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{name}' AND pid <> pg_backend_pid()"
        )
        return len(ended)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Runs one statement of the test's own; returns its rows, if any."""
        with self._connect(database) as link:
            cursor = link.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self) -> Self:
        if self._process:
            self._process.wait(30)  # another thread may be stopping it
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self.folder / "data"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.folder,
                **_as(self._user),
            )
        eventually(self._answers, 20, "PostgreSQL answering")
        return self

    @contextmanager
    def standby(self) -> Iterator["Postgres"]:
        """A running copy that follows this one, without this one waiting for it, until `promote`."""
        folder = Path(tempfile.mkdtemp(prefix="relay-standby-"))
        copy = Postgres(folder, self._binaries, self._user)
        try:
            if self._user:
                shutil.chown(folder, self._user)
            copying = [str(self._binaries / "pg_basebackup"), "-D", str(folder / "data"), "-R", "-c", "fast"]
            address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
            subprocess.run([*copying, *address], check=True, cwd=folder, **_as(self._user))
            with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
                file.write(f"port = {copy.port}\nunix_socket_directories = '{folder}'\n")
            yield copy.start()
        finally:
            copy.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def promote(self) -> None:
        """Makes a standby the one that is written to."""
        assert self.execute("SELECT pg_promote()") == [(True,)]

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends the server: SIGINT ends connections first ("fast"), SIGQUIT is a crash."""
        if self._process and self._process.poll() is None:
            self.resume()
            self._process.send_signal(how)
            self._process.wait(30)

    def pause(self) -> None:
        """Freezes the server and its backends: connections hang instead of failing."""
        send(signal.SIGSTOP, self._pids())

    def resume(self) -> None:
        send(signal.SIGCONT, self._pids())

    def _pids(self) -> list[int]:
        if not self._process or self._process.poll() is not None:
            return []
        return [self._process.pid, *children(self._process.pid)]

    def _connect(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def _answers(self) -> bool:
        if self._process and self._process.poll() is not None:
            raise AssertionError((self.folder / "log").read_text()[-2000:])
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True


class Redis:
    """One Redis server without persistence."""

    def __init__(self, folder: Path, binary: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._binary = binary
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, "--port", str(self.port), "--dir", str(self.folder), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        eventually(self._answers, 10, "Redis answering")
        return self

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self.resume()
            self._process.terminate()
            self._process.wait(10)

    def pause(self) -> None:
        send(signal.SIGSTOP, self._pids())

    def resume(self) -> None:
        send(signal.SIGCONT, self._pids())

    def flush(self) -> None:
        """Forgets everything."""
        assert self.command("FLUSHALL") == "+OK"

    def command(self, *words: str) -> str:
        """Sends one command; returns the first line of the raw answer."""
        text = f"*{len(words)}\r\n" + "".join(f"${len(w.encode())}\r\n{w}\r\n" for w in words)
        with socket.create_connection(("127.0.0.1", self.port), 5) as link:
            link.sendall(text.encode())
            with link.makefile("r", newline="\r\n") as answers:
                return answers.readline().strip()

    def _pids(self) -> list[int]:
        return [self._process.pid] if self._process and self._process.poll() is None else []

    def _answers(self) -> bool:
        try:
            return self.command("PING") == "+PONG"
        except OSError:
            return False


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running private cluster. Raises Missing."""
    binaries, user = _postgres_binaries(), _postgres_user()
    folder = Path(tempfile.mkdtemp(prefix="relay-postgres-"))
    cluster = Postgres(folder, binaries, user)
    try:
        if user:
            shutil.chown(folder, user)
        _initdb(binaries, folder, user)
        settings = {
            "listen_addresses": "'127.0.0.1'",
            "port": cluster.port,
            "unix_socket_directories": f"'{folder}'",
            "fsync": "on",
            "max_connections": 200,
        }
        with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        yield cluster.start()
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def redis() -> Iterator[Redis]:
    """A running private server. Raises Missing."""
    binary = shutil.which("redis-server")
    if not binary:
        raise Missing("apt-get install -y redis-server")
    folder = Path(tempfile.mkdtemp(prefix="relay-redis-"))
    server = Redis(folder, binary)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def pooler(url: str) -> Iterator[str]:
    """PgBouncer before a database, lending a connection for a transaction; yields its URL. Raises Missing."""
    binary = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if not binary:
        raise Missing("apt-get install -y pgbouncer")
    address, port, user = make_url(url), free_port(), _postgres_user()
    with tempfile.TemporaryDirectory(prefix="relay-pgbouncer-") as name:
        folder = Path(name)
        (folder / "users").write_text('"postgres" ""\n')
        (folder / "ini").write_text(
            f"[databases]\n{address.database} = host=127.0.0.1 port={address.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {folder}/users\n"
            "pool_mode = transaction\nignore_startup_parameters = options\n"
        )
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755)
        process = subprocess.Popen(
            [binary, "-q", folder / "ini"], start_new_session=True, cwd=folder, **_as(user)
        )
        try:
            eventually(lambda: _listens(port), 10, "PgBouncer listening")
            yield address.set(port=port).render_as_string(hide_password=False)
        finally:
            process.terminate()
            process.wait(10)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


def _initdb(binaries: Path, folder: Path, user: str | None) -> None:
    options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C", "--no-sync"]
    done = subprocess.run(
        [binaries / "initdb", "-D", folder / "data", *options],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        **_as(user),
    )
    assert done.returncode == 0, done.stderr


def _postgres_binaries() -> Path:
    """The folder of the newest server; Debian keeps it out of the PATH."""
    found = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    on_path = shutil.which("initdb")
    if found:
        return Path(max(found, key=lambda path: int(re.findall(r"\d+", path)[0]))).parent
    if on_path:
        return Path(on_path).resolve().parent
    raise Missing("apt-get install -y postgresql")


def _postgres_user() -> str | None:
    """Whom to run the server as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise Missing("apt-get install -y postgresql") from None


def _as(user: str | None) -> dict[str, Any]:
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}

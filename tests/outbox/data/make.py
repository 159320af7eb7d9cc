"""Makes 0.1.0.sql, a database of version 0.1.0 with a backlog; run in a clone, as it needs the history.

The version's own server takes sign-ups in, its own sandbox plays upstream; it is killed in the middle of a
call, so that every state is there, also one whose outcome nobody knows. Nobody in it exists.
"""

import io
import os
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

COMMIT = "5875e68"
KEY = "5e" * 32
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
TOML = """
[destinations.ocamba]
url = "http://127.0.0.1:8951/v1/hood/profiles"
token = "env:OCAMBA_TOKEN"
[sources.newsletter]
kind = "form"
origins = ["*"]
region = "DE"
honeypot = "trap"
client_limits = "none"
[sources.newsletter.fields]
email = "email"
mobile_phone_number = "phone"
full_name = "name"
[sources.hook]
kind = "webhook"
secret = "env:HOOK_SECRET"
wait = 0
[sources.hook.fields]
email = "email"
"""
PEOPLE = (
    ("delivered", {"name": "Ada Example", "email": "ada@example.com", "phone": "0171 1234567"}),
    ("refused", {"name": "Bob, status 422", "email": "bob@example.com"}),
    ("held", {"name": "Cy Example", "email": "cy@example.com", "trap": "x"}),
)


def run(folder: Path) -> None:
    """Fill a database in a folder, with the version's own programs."""
    archive = subprocess.run(["git", "archive", COMMIT], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(folder, filter="data")
    (folder / "test.toml").write_text(TOML)
    given = {"RELAY_CONFIG": "test.toml", "RELAY_DATABASE_URL": f"sqlite:///{folder}/relay.db"}
    given |= {"RELAY_SECRET_KEYS": KEY, "RELAY_ADMIN_TOKEN": "t" * 24, "PORT": "8950"}
    env = {"PATH": os.environ["PATH"], "OCAMBA_TOKEN": "a-token", "HOOK_SECRET": "a-secret", **given}
    sandbox = [sys.executable, "-m", "relay", "sandbox", "--port", "8951"]
    server = [sys.executable, "-m", "gunicorn", "app:app"]
    with subprocess.Popen(sandbox, cwd=folder) as upstream:
        with subprocess.Popen(server, cwd=folder, env=env, start_new_session=True) as relay:
            wait_until_ready()
            for _, person in PEOPLE:
                post("/submit/newsletter", person)
            post("/submit/hook", {"email": "nonsense"}, "a-secret")
            time.sleep(5)
            post("/submit/newsletter", {"name": "Eve, delay 30", "email": "eve@example.com"})
            time.sleep(2)  # that one is on its way now
            post("/api/destinations/ocamba/pause", {}, "t" * 24)
            for number in range(5):
                post("/submit/newsletter", {"name": "Q Example", "email": f"q{number}@example.com"})
            os.killpg(relay.pid, 9)
        upstream.terminate()


def wait_until_ready() -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen("http://127.0.0.1:8950/readyz", timeout=2)
            return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("it does not become ready")


def post(path: str, fields: dict[str, str], token: str = "") -> None:
    body = urllib.parse.urlencode(fields).encode()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        urllib.request.urlopen(
            urllib.request.Request(f"http://127.0.0.1:8950{path}", body, headers), timeout=20
        )
    except urllib.error.HTTPError as problem:
        print(path, problem.code)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        run(Path(scratch))
        dump = sqlite3.connect(Path(scratch) / "relay.db").iterdump()
        (HERE / "0.1.0.sql").write_text("\n".join(dump) + "\n", encoding="utf-8")

"""What people write in an afternoon: Flask, and huey's queue in SQLite with one consumer that goes slowly.

Sleeping 0.4 s after each call keeps to 150 a minute. The queue syncs every write, and a call that fails is
tried again ten times, half a minute apart.
"""

import os
import time

import requests
from flask import Flask, request
from huey import SqliteHuey

app = Flask(__name__)
huey = SqliteHuey(filename=os.environ["QUEUE"], fsync=True)
PAUSE_SECONDS = 0.4


@huey.task(retries=10, retry_delay=30)  # type: ignore[untyped-decorator]
def send(profile: dict[str, str]) -> int:
    """Call upstream; huey tries again what raises."""
    proof = {"Authorization": f"Bearer {os.environ['OCAMBA_TOKEN']}"}
    answer = requests.post(os.environ["UPSTREAM"], json=profile, headers=proof, timeout=10)
    time.sleep(PAUSE_SECONDS)
    answer.raise_for_status()
    return answer.status_code


@app.post("/signup")
def sign_up() -> tuple[dict[str, str], int]:
    """Map the form, queue it, and answer."""
    return _queued(wait=False)


@app.post("/wait")
def wait() -> tuple[dict[str, str], int]:
    """The same, and wait for what upstream says."""
    return _queued(wait=True)


def _queued(wait: bool) -> tuple[dict[str, str], int]:
    form = request.form
    profile = {
        "email": form["email"],
        "mobile_phone_number": form["phone"],
        "full_name": f"{form['first_name']} {form['last_name']}",
    }
    result = send(profile)
    if wait:
        result.get(blocking=True, timeout=10, backoff=1, max_delay=0.02)
    return {"state": "received"}, 202

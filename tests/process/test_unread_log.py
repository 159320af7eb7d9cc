"""A log that nobody reads stops no intake."""

import os
import subprocess
import sys

from tests.kit.client import request
from tests.kit.processes import eventually
from tests.kit.relay import NEWSLETTER, RELAY, ROOT, RelayProcess, config

UNREAD = ["sh", "-c", '"$@" 2>&1 | sleep 60', "sh"]
HASTY = """
import fcntl, os, sys
os.set_blocking(2, False)
fcntl.fcntl(2, fcntl.F_SETPIPE_SZ, 4096)
os.execvp(sys.argv[1], sys.argv[1:])
"""
READ_LATE = ["sh", "-c", '"$@" 2>&1 | { sleep 4; cat; }', "sh", sys.executable, "-c", HASTY]
"""Into a pipe that somebody else has told not to wait, as what starts services from a loop of its own may."""
CLOSED = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_submissions_are_taken_while_the_log_is_full() -> None:
    table = config("http://127.0.0.1:9/", {"newsletter": NEWSLETTER})
    with RelayProcess(table, wrap=UNREAD) as relay:
        for number in range(600):  # each leaves a warning of some 200 bytes; a pipe holds 64 KiB
            answer = request(relay.port, "POST", "/submit/newsletter", b"email=%", FORM)
            assert answer.status == 400, number
        assert relay.form({"email": "ada@example.com"}).status == 202


def test_a_relay_whose_streams_are_closed_works_and_writes_its_log_into_nothing_else() -> None:
    """As some starters of services leave it: the next file that is opened would be standard error."""
    table = config("http://127.0.0.1:9/", {"newsletter": NEWSLETTER})
    with RelayProcess(table, wrap=CLOSED) as relay:
        assert request(relay.port, "POST", "/submit/newsletter", b"email=%", FORM).status == 400
        assert relay.form({"email": "ada@example.com"}).status == 202
        for pid in relay.pids():
            streams = [os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)]
            assert streams == [os.devnull] * 3
        assert relay.term(20) == 0
        subprocess.run([*CLOSED, *RELAY, "check"], env=relay.env, cwd=ROOT, check=True)


def test_a_log_that_is_read_late_is_whole_also_where_a_write_to_it_does_not_wait() -> None:
    table = config("http://127.0.0.1:9/", {"newsletter": NEWSLETTER})
    with RelayProcess(table, wrap=READ_LATE) as relay:
        for _ in range(60):
            assert request(relay.port, "POST", "/submit/newsletter", b"email=%", FORM).status == 400
        eventually(lambda: relay.output().count("submission.rejected") == 60, 20, "every line")

"""A log that nobody reads stops no intake."""

from tests.kit.client import request
from tests.kit.relay import NEWSLETTER, RelayProcess, config

UNREAD = ["sh", "-c", '"$@" 2>&1 | sleep 60', "sh"]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_submissions_are_taken_while_the_log_is_full() -> None:
    table = config("http://127.0.0.1:9/", {"newsletter": NEWSLETTER})
    with RelayProcess(table, wrap=UNREAD) as relay:
        for number in range(600):  # each leaves a warning of some 200 bytes; a pipe holds 64 KiB
            answer = request(relay.port, "POST", "/submit/newsletter", b"email=%", FORM)
            assert answer.status == 400, number
        assert relay.form({"email": "ada@example.com"}).status == 202

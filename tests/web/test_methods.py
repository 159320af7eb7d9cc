"""Other methods and other types of content."""

import json

import pytest

from tests.kit.client import Raw, head
from tests.kit.relay import RelayProcess
from tests.web.sent import SOURCES as SOURCES
from tests.web.sent import person, post, refused

pytestmark = pytest.mark.usefixtures("no_faults")

# --- other methods and types ----------------------------------------------------------------------


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("source", ["newsletter", "hook"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "FOO"])
def test_other_methods_are_refused(relay: RelayProcess, method: str, source: str) -> None:
    with Raw(relay.port) as raw:
        raw.send(head(method, f"/submit/{source}", {"Content-Length": "0"}))
        answer = raw.read(method=method)
    assert answer.status == 405
    allowed = {name.strip() for name in (answer.header("Allow") or "").split(",")}
    assert allowed == {"POST", "OPTIONS"}


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("method", ["POST", "PUT", "TRACE", "FOO"])
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/receipts/" + "0" * 32, "/forms/newsletter"])
def test_what_can_only_be_read_is_not_written(relay: RelayProcess, method: str, path: str) -> None:
    with Raw(relay.port) as raw:
        answer = raw.send(head(method, path, {"Content-Length": "0"})).read()
    assert answer.status == 405 and "GET" in (answer.header("Allow") or "")


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/html",
        "application/xml",
        "application/octet-stream",
        "application/jsonp",
        "application/json-seq",
        "multipart/mixed; boundary=kit-boundary",
        "image/png",
        "x",
        "",
        None,
    ],
)
def test_other_types_are_refused(relay: RelayProcess, content_type: str | None) -> None:
    refused(post(relay, b"email=ada@example.com", content_type), 415)


def test_a_types_case_and_blanks_do_not_matter(relay: RelayProcess) -> None:
    body = json.dumps({"email": person()}).encode()
    assert post(relay, body, "Application/JSON ;charset=UTF-8").status == 201

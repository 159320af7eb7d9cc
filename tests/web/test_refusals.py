"""The order of refusals."""

import itertools

import pytest

from tests.kit.client import Answer, NoAnswer, Raw, head, request
from tests.kit.relay import RelayProcess
from tests.web.hostile import CAP, EVIL, FORM_TYPE, SITE, person
from tests.web.hostile import SOURCES as SOURCES

pytestmark = pytest.mark.usefixtures("no_faults")

# --- the order of refusals ----------------------------------------------------------------------------

ORDER = [404, 405, 503, 403, 411, 413, 415, 401, 400, 429, 422]
IMPOSSIBLE = {(403, 401), (411, 413)}  # forms have no proof; what has no length is not too long
PAIRS = [pair for pair in itertools.combinations(ORDER, 2) if pair not in IMPOSSIBLE]
HASTY = "127.0.6.6"  # has used up its limits


def deserving(relay: RelayProcess, faults: tuple[int, ...]) -> Answer:
    """The answer to a request with these faults and no other."""
    is_hook = 401 in faults
    source = "-".join(
        part
        for part, wanted in [
            ("hook", is_hook),
            ("off", 503 in faults),
            ("limited", 429 in faults and (is_hook or 503 in faults)),
        ]
        if wanted
    ) or ("one" if 429 in faults else "form")
    path = "/submit/nobody" if 404 in faults else f"/submit/{source}"
    body = b'{"email": "%s"}' % (b"nonsense" if 422 in faults else person().encode())
    if 400 in faults:
        body += b"}"
    headers = {"Content-Type": "text/plain" if 415 in faults else "application/json"}
    headers["Origin"] = EVIL if 403 in faults else SITE
    if is_hook:
        headers["Authorization"] = "Bearer wrong"
    if 411 in faults:
        body = b""
    else:
        headers["Content-Length"] = str(CAP + 1 if 413 in faults else len(body))
    method = "PUT" if 405 in faults else "POST"
    with Raw(relay.port, source_address=HASTY if 429 in faults else None) as raw:
        return raw.send(head(method, path, headers) + (b"" if 413 in faults else body)).read()


@pytest.fixture(scope="module")
def exhausted(relay: RelayProcess) -> None:
    """One client has used up the limits of all sources that have one."""
    assert relay.form({"email": person()}, "one", source_address=HASTY).status == 202
    assert relay.hook({"email": person()}, "hook-limited", source_address=HASTY).status == 202
    assert relay.form({"email": person()}, "one", source_address=HASTY).status == 429


@pytest.mark.usefixtures("exhausted")
@pytest.mark.parametrize("fault", ORDER)
def test_each_refusal_is_given_for_its_fault(relay: RelayProcess, fault: int) -> None:
    answer = deserving(relay, (fault,))
    assert answer.status == fault
    if fault in (404, 405, 503, 403, 411, 413, 415):
        assert answer.header("Connection") == "close"


@pytest.mark.usefixtures("exhausted")
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_of_two_refusals_the_earlier_one_is_given(relay: RelayProcess, first: int, second: int) -> None:
    assert deserving(relay, (first, second)).status == first


WRONG = {"Authorization": "Bearer wrong"}


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        (FORM_TYPE, b"x=1&" * 300, 401),
        (FORM_TYPE, b"x=" + b"1" * 17_000, 401),
        ("application/json", b'{"x": [' + b"0," * 6000 + b"0]}", 401),
        ("application/json; charset=utf-16", b"{}", 415),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nx\r\n--b--\r\n',
            401,
        ),
        ("application/json", b"{", 401),
        ("application/json", b"[]", 401),
        (FORM_TYPE, b"x=%", 401),
        ("multipart/form-data; boundary=b", b"--b", 401),
        (FORM_TYPE, b"", 401),
    ],
)
def test_without_proof_nothing_of_a_body_is_parsed(
    relay: RelayProcess, content_type: str, body: bytes, expected: int
) -> None:
    answer = request(relay.port, "POST", "/submit/hook", body, WRONG | {"Content-Type": content_type})
    assert answer.status == expected


@pytest.mark.parametrize("proof", ["right", "wrong"])
def test_a_body_cut_short_without_proof_is_unproven(relay: RelayProcess, proof: str) -> None:
    token = relay.hook_secret if proof == "right" else "wrong"
    headers = {
        "Content-Type": "application/json",
        "Content-Length": "50",
        "Authorization": f"Bearer {token}",
    }
    with Raw(relay.port) as raw:
        raw.send(head("POST", "/submit/hook", headers) + b'{"email": "ada@example.com"}').half_close()
        try:
            assert raw.read().status == (400 if proof == "right" else 401)
        except NoAnswer as why:
            assert "deadline" not in str(why)

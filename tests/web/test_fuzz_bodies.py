"""Whatever is posted as a body, no answer blames the server."""

import http.client
import json
import os
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st

from tests.conftest import SEED
from tests.kit import client
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream
from tests.web.sent import (
    FORM,
    FORM_SOURCE,
    HOOK_SOURCE,
    JSON,
    WIDE,
)
from tests.web.sent import SOURCES as SOURCES

pytestmark = pytest.mark.usefixtures("no_faults")

# --- anything -------------------------------------------------------------------------------------

_words = st.sampled_from(
    [
        "email",
        "phone",
        "first_name",
        "last_name",
        "email[]",
        "a[b][c]",
        "a[",
        "]",
        "",
        "é",
        "x" * 300,
        "\u2028",
    ]
)
_texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["ada@example.com", "+49301234567", "%00", "%", "NaN", "\x00", "😀", "a@b", "()" * 50, "null"]
    ),
)
_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(_words | st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
_json_bodies = st.one_of(
    st.dictionaries(_words, _json_values, max_size=6).map(
        lambda v: json.dumps(v).encode("utf-8", "surrogatepass")
    ),
    _json_values.map(lambda v: json.dumps(v, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    st.binary(max_size=80),
    st.text(alphabet='{}[]",:\\u0d8ntrue1e+-. ', max_size=60).map(str.encode),
)
_pairs = st.lists(st.tuples(_words, _texts), max_size=6)
_form_bodies = st.one_of(
    _pairs.map(lambda pairs: urllib.parse.urlencode(pairs, errors="surrogatepass").encode()),
    st.binary(max_size=80),
    st.text(alphabet="ab=&%;+[]0f@.\x00", max_size=60).map(str.encode),
)
_part_heads = st.sampled_from(
    [
        'Content-Disposition: form-data; name="email"',
        'Content-Disposition: form-data; name="a"; filename=""',
        'Content-Disposition: form-data; name="a"; filename="x.txt"',
        "Content-Disposition: form-data; name*=utf-8''%ff%00",
        "Content-Disposition: form-data; name*0=a; name*1=b",
        "Content-Disposition: attachment",
        'content-disposition: form-data; name="email"\r\nContent-Type: text/plain; charset=utf-16',
        'Content-Disposition: form-data; name="a"\r\n folded: yes',
        "Content-Disposition",
        ": x",
        "",
    ]
)
_multipart_bodies = st.one_of(
    st.tuples(
        st.lists(st.tuples(_part_heads, _texts), max_size=4), st.sampled_from(["--", "", "--\r\n", "x"])
    ).map(
        lambda made: (
            "".join(f"--b\r\n{top}\r\n\r\n{text}\r\n" for top, text in made[0]) + f"--b{made[1]}"
        ).encode("utf-8", "surrogatepass")
    ),
    st.text(alphabet='-b\r\n:;="namefilContt ', max_size=80).map(str.encode),
    st.binary(max_size=80),
)
_types = st.one_of(
    st.sampled_from(
        [
            "application/json; charset=",
            "multipart/form-data; boundary*=utf-8''b",
            'multipart/form-data; boundary="b',
            "multipart/form-data; boundary=\xff",
            "application/x-www-form-urlencoded; charset*=utf-8''utf-8",
            "application/x-www-form-urlencoded;;;=",
            "APPLICATION/JSON",
            "application/json, text/html",
            "text/plain",
            "/",
            ";",
        ]
    ),
    st.text(alphabet="abjson/;=\"'*-_ %\xe9", min_size=1, max_size=30).filter(lambda t: t == t.strip()),
)
FUZZED: dict[str, Any] = {
    "json": st.tuples(st.just(JSON), _json_bodies),
    "urlencoded": st.tuples(st.just(FORM), _form_bodies),
    "multipart": st.tuples(st.just("multipart/form-data; boundary=b"), _multipart_bodies),
    "anything": st.tuples(_types, st.one_of(_json_bodies, _form_bodies, _multipart_bodies)),
}


class KeptAlive:
    """One connection for many requests, opened again when the server has closed it."""

    def __init__(self, port: int) -> None:
        self.link = http.client.HTTPConnection(client.HOST, port, timeout=10)

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        for attempt in (1, 2):
            try:
                self.link.request("POST", path, body, headers)
                answer = self.link.getresponse()
                answer.read()
                return answer.status
            except (http.client.HTTPException, OSError):
                self.link.close()
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")


def fuzz(relay: RelayProcess, kind: str, count: int) -> None:
    """Throw `count` bodies of a kind at both sources: no answer may blame the server."""
    link = KeptAlive(relay.port)
    proof = {"Authorization": f"Bearer {relay.hook_secret}"}

    @hypothesis_seed(SEED)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(FUZZED[kind], st.booleans())
    def throw(made: tuple[str, bytes], to_hook: bool) -> None:
        content_type, body = made
        path = "/submit/hook" if to_hook else "/submit/fuzzed"
        status = link.post(path, body, {"Content-Type": content_type} | (proof if to_hook else {}))
        assert status < 500, (status, content_type, body)

    try:
        throw()
    finally:
        link.link.close()


@pytest.fixture(scope="module")
def fuzzed(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    quick = {
        "newsletter": FORM_SOURCE,
        "fuzzed": FORM_SOURCE | {"wait": 0},
        "hook": HOOK_SOURCE | {"wait": 0},
    }
    with RelayProcess(config(upstream.url, quick, **WIDE)) as process:
        yield process
        assert "request.fault" not in process.output()
        assert "Traceback" not in process.output()


@pytest.mark.parametrize("kind", FUZZED)
def test_no_body_makes_the_relay_stumble(fuzzed: RelayProcess, kind: str, seed: int) -> None:
    fuzz(fuzzed, kind, int(os.environ.get("TEST_FUZZ", "300")))


@pytest.mark.slow
@pytest.mark.parametrize("kind", FUZZED)
def test_not_one_of_twenty_thousand_bodies_makes_the_relay_stumble(
    fuzzed: RelayProcess, kind: str, seed: int
) -> None:
    fuzz(fuzzed, kind, 20_000)

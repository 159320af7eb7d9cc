"""What is relied on of libraries' insides: an upgrade that changes it fails here first. gunicorn's own has
``server/test_gunicorn.py``."""

import http.client
import inspect
import smtplib
from collections.abc import Callable
from typing import Any

import jmespath
import pytest
from jmespath.functions import Functions
from jmespath.visitor import TreeInterpreter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

METHODS: list[tuple[Any, str, list[str]]] = [
    (smtplib.SMTP, "_get_socket", ["self", "host", "port", "timeout"]),
    (smtplib.SMTP_SSL, "_get_socket", ["self", "host", "port", "timeout"]),
    (smtplib.SMTP, "send", ["self", "s"]),
    (http.client.HTTPResponse, "_read_status", ["self"]),
    (http.client.HTTPResponse, "begin", ["self"]),
    (HTTPConnection, "_new_conn", ["self"]),
    (HTTPConnectionPool, "_put_conn", ["self", "conn"]),
    (TreeInterpreter, "visit", ["self", "node", "args", "kwargs"]),
]
CALLED: list[tuple[Callable[..., Any], str]] = [
    (smtplib.SMTP.connect, "self._get_socket("),
    (smtplib.SMTP.putcmd, "self.send(f"),
    (smtplib.SMTP.data, "self.send(q)"),
    (http.client.HTTPResponse.begin, "self._read_status()"),
    (HTTPConnection.connect, "self._new_conn()"),
    (HTTPSConnection.connect, "self._new_conn()"),
    (HTTPConnectionPool.urlopen, "self._put_conn("),
    (type(jmespath.compile("a")).search, ".visit(self.parsed, value"),
]


@pytest.mark.parametrize(("kind", "name", "takes"), METHODS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_method_that_is_replaced_or_called_takes_what_it_took(
    kind: Any, name: str, takes: list[str]
) -> None:
    assert list(inspect.signature(getattr(kind, name)).parameters) == takes


@pytest.mark.parametrize(("caller", "call"), CALLED, ids=lambda value: getattr(value, "__qualname__", ""))
def test_the_library_still_calls_what_is_replaced(caller: Callable[..., Any], call: str) -> None:
    assert call in inspect.getsource(caller)


def test_pools_make_connections_of_their_class_and_connections_answers_of_theirs() -> None:
    for pool in (HTTPConnectionPool, HTTPSConnectionPool):
        assert issubclass(pool.ConnectionCls, HTTPConnection)
    assert http.client.HTTPConnection.response_class is http.client.HTTPResponse


def test_a_compiled_expression_is_a_tree_that_names_its_functions() -> None:
    parsed = jmespath.compile("length(a)").parsed
    assert (parsed["type"], parsed["value"]) == ("function_expression", "length")
    assert [child["type"] for child in parsed["children"]] == ["field"]
    assert "length" in Functions.FUNCTION_TABLE

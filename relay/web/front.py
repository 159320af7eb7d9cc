"""What a person can try out in sandbox mode: command lines that work when pasted."""

import base64
import hmac
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from relay.sources.proof import HMACS, Evidence
from relay.sources.rules import Rule
from relay.sources.source import Source

PERSON = {"email": "jane@example.com", "mobile_phone_number": "+12025550123", "full_name": "Jane Doe"}
"""An example nobody can be reached by: example.com is reserved, and so is 555-01xx."""
_DOTTED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_SAMPLES: dict[str, Any] = {
    "integer": 1,
    "number": 1,
    "boolean": True,
    "date": "2030-01-31",
    "url": "https://example.com/",
    "list": ["one"],
}


def command(arguments: str) -> str:
    """Return how this relay's command line is called from its folder."""
    python = sys.executable
    if python.startswith(os.getcwd() + os.sep):
        python = os.path.relpath(python)
    return f"{shlex.quote(python)} -m relay {arguments}"


def curl_form(source: Source, url: str) -> str:
    """Return a command that posts an example to a form source."""
    fields = {**example(source), **dict.fromkeys(_boxes(source), "yes")}
    pairs = [f"{quote(name, safe='')}={_text(value)}" for name, value in fields.items()]
    return " ".join([f"curl {shlex.quote(url)}", *(f"--data-urlencode {shlex.quote(p)}" for p in pairs)])


def _boxes(source: Source) -> list[str]:
    return [box.field for box in source.mapping.consent.values()]


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def curl_webhook(source: Source, url: str, secret: str | None) -> str | None:
    """Return a command that posts an example as this sender would; None where one line cannot.

    Only what the source would really take is shown: the proof, the mapping and its filters are tried.
    """
    body = json.dumps({**_nested(example(source)), **dict.fromkeys(_boxes(source), True)})
    if secret is None and source.verifier and source.verifier.scheme not in ("token", "basic"):
        return None  # nothing can be signed with a secret that must not be shown
    headers, query = _proof(source, body, secret or "YOUR-SECRET")
    if not _is_taken(source, body, headers, query, with_proof=secret is not None):
        return None
    address = url + (f"?{query[0]}={quote(query[1], safe='')}" if query else "")
    given = {"Content-Type": "application/json", **headers}
    options = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in given.items()]
    return " ".join([f"curl {shlex.quote(address)}", *options, f"-d {shlex.quote(body)}"])


def _proof(source: Source, body: str, secret: str) -> tuple[dict[str, str], tuple[str, str] | None]:
    """Return the headers and the query parameter by which the sender proves itself."""
    verifier = source.verifier
    if verifier is None:
        return {}, None
    if verifier.scheme == "token" and not verifier.header and verifier.query:
        return {}, (verifier.query, secret)
    if not verifier.header:
        return {}, None
    proof = verifier.prefix + secret
    if verifier.scheme == "basic":
        proof = "Basic " + base64.b64encode(secret.encode()).decode()
    elif verifier.scheme in HMACS:
        digest = hmac.new(verifier.key(secret), body.encode(), HMACS[verifier.scheme]).digest()
        proof = digest.hex() if verifier.encoding == "hex" else base64.b64encode(digest).decode()
        proof = verifier.prefix + proof
    return {verifier.header: proof}, None


def _is_taken(
    source: Source,
    body: str,
    headers: Mapping[str, str],
    query: tuple[str, str] | None,
    *,
    with_proof: bool,
) -> bool:
    fields = json.loads(body)
    lowered = {name.lower(): value for name, value in headers.items()}
    evidence = Evidence(lowered, dict([query] if query else []), body.encode(), fields=lambda: fields)
    if with_proof and not source.admits(evidence, time.time()):
        return False
    return source.mapping.apply(fields).ok and not source.is_excluded(fields, lowered)


# --- an example body ------------------------------------------------------------------------------------


def example(source: Source) -> dict[str, Any]:
    """Return example fields for a source, by the sender's names: those that are plain keys or dotted."""
    found: dict[str, Any] = {}
    for field, rule in {**source.mapping.rules, **source.mapping.extra}.items():
        places = [place.text for place in rule.joined or rule.first[:1] if rule.value is None]
        if field == "full_name" and len(places) > 1:
            values: list[Any] = ["Jane", "Doe", *[""] * (len(places) - 2)]
        else:
            values = [_sample(field, rule)] * len(places)
        found.update(zip(places, values, strict=True))
    return found


def _sample(field: str, rule: Rule) -> Any:
    if rule.choices:
        return rule.choices[0]
    return PERSON.get(field) or _SAMPLES.get(rule.type, "An example")


def _nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``{"a": {"b": 1}}`` for ``{"a.b": 1}``: dotted names are paths into the body."""
    tree: dict[str, Any] = {}
    for name, value in fields.items():
        steps = name.split(".") if _DOTTED.fullmatch(name) else [name]
        branch = tree
        for step in steps[:-1]:
            branch = branch.setdefault(step, {})
        branch[steps[-1]] = value
    return tree

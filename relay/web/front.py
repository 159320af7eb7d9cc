"""What a person can try out in sandbox mode: command lines that work when pasted."""

import json
import os
import re
import shlex
import sys
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from relay.config import presets
from relay.sources.body import FORM, JSON
from relay.sources.proof import Evidence
from relay.sources.rules import Rule
from relay.sources.sign import Message, signed
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
    fields = {**example(source), **dict.fromkeys(source.mapping.boxes, "yes")}
    pairs = [f"{quote(name, safe='')}={_text(value)}" for name, value in fields.items()]
    return " ".join([f"curl {shlex.quote(url)}", *(f"--data-urlencode {shlex.quote(p)}" for p in pairs)])


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def curl_webhook(source: Source, url: str, secret: str | None) -> str | None:
    """Return a command that posts an example as this sender would; None where one line cannot.

    Only what the source would really take is shown: the proof, the mapping and its filters are tried.
    """
    verifier, now = source.verifier, time.time()
    if secret is None and verifier and verifier.signs:
        return None  # nothing can be signed with a secret that must not be shown
    shown = secret or "YOUR-SECRET"
    key = verifier.key(shown) if verifier else b""
    body, content_type = presets.sample(source.preset) if source.preset else example_body(source)
    made = signed(source, url, body, content_type, key, now, f"example-{int(now)}")
    return made.as_curl() if _is_taken(source, made, now, with_proof=secret is not None) else None


def _is_taken(source: Source, made: Message, now: float, *, with_proof: bool) -> bool:
    fields = source.read(made.body, made.headers["Content-Type"]).fields
    headers = {name.lower(): value for name, value in made.headers.items()}
    query = dict(parse_qsl(urlsplit(made.url).query))
    evidence = Evidence(headers, query, made.body, url=made.url, fields=lambda: fields)
    if with_proof and not source.admits(evidence, now):
        return False
    if source.is_unknown(fields, headers) or source.is_excluded(fields, headers):
        return False
    return source.mapping.apply(fields).ok


# --- an example body ------------------------------------------------------------------------------------


def example_body(source: Source) -> tuple[bytes, str]:
    """Return an example for a source of nobody's preset, and its content type."""
    if source.is_form:
        return urlencode({**example(source), **dict.fromkeys(source.mapping.boxes, "yes")}).encode(), FORM
    body = {**_nested(example(source)), **dict.fromkeys(source.mapping.boxes, True)}
    return json.dumps(body).encode(), JSON


def example(source: Source) -> dict[str, Any]:
    """Return example fields for a source, by the sender's names: those that are plain keys or dotted."""
    found: dict[str, Any] = {}
    for field, rule in source.mapping.every.items():
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

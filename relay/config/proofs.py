"""The proof that a source asks for, and its secrets."""

import re
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError, fields, post_load, validates_schema

from relay.config.environment import Problem
from relay.config.made_up import secret_of
from relay.config.reading import Reference, SecretReference, Surroundings
from relay.config.schemas import Duration, Strict, Text, choice, header_name
from relay.sources.proof import BEARER, ENCODINGS, PLACEHOLDERS, SCHEMES, SECRET_ENCODINGS, Verifier

NONE = "none"
"""``verify = "none"``: anybody may post."""


def _beginning(text: str) -> str:
    return header_name(text).lower()


class VerifySchema(Strict):
    """``[sources.x.verify]``"""

    scheme = choice(*SCHEMES, required=True)
    header = Text(header_name)
    query = fields.String()
    body = fields.String()
    prefix = fields.String()
    pairs = choice(",", ";")
    signature_key = fields.String()
    timestamp_key = fields.String()
    separator = fields.String()
    encoding = choice(*ENCODINGS)
    signed = fields.String()
    timestamp_header = Text(header_name)
    timestamp_unit = choice("s", "ms")
    tolerance = Duration(1, 86400)
    id_header = Text(header_name)
    families = fields.List(Text(_beginning))
    secret_encoding = choice(*SECRET_ENCODINGS)
    issuer = fields.String()
    body_claim = fields.String()

    @validates_schema(skip_on_field_errors=True)
    def check_place(self, verify: dict[str, Any], **_: Any) -> None:
        """A proof stands somewhere, a signature in a header."""
        places = [key for key in ("header", "query", "body") if verify.get(key)]
        if verify["scheme"] == "basic":
            return
        if not places:
            raise ValidationError("must say where the proof is: header, query or body")
        if verify["scheme"] != "token" and places != ["header"]:
            raise ValidationError(f'scheme = "{verify["scheme"]}" takes its proof from a header')

    @validates_schema(skip_on_field_errors=True)
    def check_signed(self, verify: dict[str, Any], **_: Any) -> None:
        """What is signed covers the body, and what it names can be found."""
        signed = verify.get("signed", "{body}")
        said = [
            f"knows no {{{name}}}" for name in re.findall(r"\{([^}]*)\}", signed) if name not in PLACEHOLDERS
        ]
        if "{id}" in signed and not verify.get("id_header"):
            said.append("covers {id}: name the id_header")
        if "{body}" not in signed:
            said.append("must cover {body}")
        if "{timestamp}" in signed and not (verify.get("timestamp_header") or verify.get("pairs")):
            said.append("covers {timestamp}: name the timestamp_header")
        if said:
            raise ValidationError(said, "signed")

    @post_load
    def build(self, verify: dict[str, Any], **_: Any) -> Verifier:
        if verify["scheme"] == "basic":
            verify = {"header": "Authorization", **verify}
        return Verifier(**{**verify, "families": tuple(verify.get("families", ()))})


class Verify(fields.Nested):
    """A verify table, or ``"none"``."""

    def __init__(self) -> None:
        super().__init__(VerifySchema)

    def _deserialize(self, value: Any, *rest: Any, **options: Any) -> Any:
        return NONE if value == NONE else super()._deserialize(value, *rest, **options)


class SecretReferences(fields.List[Any]):
    """One reference, or a list of them while a secret is being replaced."""

    def __init__(self) -> None:
        super().__init__(SecretReference())

    def _deserialize(self, value: Any, *rest: Any, **options: Any) -> Any:
        if not isinstance(value, list):
            return [self.inner.deserialize(value)]
        return super()._deserialize(value, *rest, **options)


@dataclass(frozen=True)
class Proof:
    """How a source's senders prove themselves. ``made_up``: the secret invented for the sandbox."""

    verifier: Verifier | None = None
    keys: tuple[bytes, ...] = ()
    made_up: str | None = None
    is_open: bool = False
    """Whether a webhook takes what anybody posts."""


def read_proof(
    name: str, table: dict[str, Any], loaded: dict[str, Any], around: Surroundings
) -> tuple[Proof, list[Problem]]:
    """Return a source's proof. ``table`` is what the file says, ``loaded`` what of it is right."""
    where = f"sources.{name}"
    if loaded.get("kind") != "webhook":
        return Proof(), _for_webhooks_only(table, loaded, where)
    if loaded.get("verify") == NONE:
        return Proof(is_open=True), []
    if "verify" not in table and "secret" not in table:
        what = 'is needed: a preset, a verify table, secret alone (a bearer token), or verify = "none"'
        return Proof(BEARER), [Problem(f"{where}.verify", what)]
    verifier = loaded.get("verify", BEARER)
    if "secret" in table and "secret" not in loaded:  # it is wrong, which has been said
        return Proof(verifier), []
    keys, made_up, problems = _read_keys(name, verifier, loaded.get("secret", []), around)
    if verifier.needs_url and not around.public_url and not (around.is_sandbox or around.offline):
        problems.append(Problem(f"{where}.verify.signed", "covers the address: set RELAY_PUBLIC_URL"))
    return Proof(verifier, keys, made_up), problems


def _for_webhooks_only(table: dict[str, Any], loaded: dict[str, Any], where: str) -> list[Problem]:
    if loaded.get("kind") != "form" or not ("verify" in table or "secret" in table):
        return []
    return [Problem(f"{where}.verify", 'is for kind = "webhook"; browsers cannot keep a secret')]


def _read_keys(
    name: str, verifier: Verifier, references: list[Reference], around: Surroundings
) -> tuple[tuple[bytes, ...], str | None, list[Problem]]:
    where = f"sources.{name}.secret"
    if not references:
        return (), None, [Problem(where, 'is needed, like secret = "env:NAME"')]
    keys: list[bytes] = []
    made_up = None
    problems: list[Problem] = []
    for reference in references:
        if around.sandbox_url and around.lacks(reference):
            text = made_up = secret_of(name, verifier, around.database)
        else:
            text, said = around.secret(reference, where)
            problems += said
        key, said = _key(verifier, text, where)
        problems += said
        keys += [key] if key else []
    return tuple(keys), made_up, problems


def _key(verifier: Verifier, text: str, where: str) -> tuple[bytes, list[Problem]]:
    if not text:
        return b"", []
    if verifier.scheme == "basic" and ":" not in text:  # no sender could ever show it
        return b"", [Problem(where, 'the secret must be user:password, as scheme = "basic" asks for both')]
    try:
        key = verifier.key(text)
    except ValueError as problem:
        return b"", [Problem(where, f"the secret {problem}")]
    return key, [] if key.strip() else [Problem(where, "the secret is empty")]

"""Turns the tables of relay.toml into destinations and sources, and knows the presets."""

import re
from collections.abc import Mapping as Dict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from marshmallow import Schema, ValidationError

from relay import quota
from relay.config.environment import (
    LOOPBACK,
    Problem,
    is_public,
    is_set,
    is_url,
    look_up,
    read_secret_file,
    suggest,
)
from relay.config.fields import UPDATE_FIELDS, _entries, _flat, _place
from relay.config.presets import preset
from relay.config.proofs import _made_up_secret
from relay.config.reading import _NAME
from relay.config.schemas import (
    ConfigSchema,
    DestinationSchema,
    RuleSchema,
    SourceSchema,
    VerifySchema,
    by_key,
    flatten,
)
from relay.config.sources import _compiled, _header, _over, _ping
from relay.destination import Destination
from relay.sources.body import Limits
from relay.sources.contact import is_region
from relay.sources.fields import DEFAULT_TYPES
from relay.sources.mapping import CONTACTS, PROFILE_FIELDS, Mapping, Rule
from relay.sources.paths import Path as FieldPath
from relay.sources.proof import BEARER, Verifier
from relay.sources.source import Captcha, Handshake, Source


class Reader:
    """Turns the tables of relay.toml into destinations and sources, collecting problems."""

    def __init__(
        self,
        environ: Dict[str, str],
        values: Dict[str, Any],
        problems: list[Problem],
        sandbox_url: str | None,
        offline: bool,
    ) -> None:
        self._environ = environ
        self._values = values
        self._problems = problems
        self._sandbox_url = sandbox_url
        self._offline = offline
        self._file = values["RELAY_CONFIG"]
        self.uses_sandbox = False
        self.made_up: dict[str, str] = {}
        self.warnings: list[str] = []

    def _problem(self, where: str, what: str) -> None:
        self._problems.append(Problem(f"{self._file}: {where}", what))

    def _load(self, schema: Schema, table: Any, where: str) -> dict[str, Any] | None:
        """Return a table, without the keys that are wrong, so that what stands beside them is checked too."""
        if not isinstance(table, dict):
            self._problem(where, "must be a table")
            return None
        loaded: dict[str, Any]
        try:
            loaded = schema.load(table)
        except ValidationError as problem:
            wrong = by_key(problem)
            known = {f.data_key or name for name, f in schema.fields.items()}
            for key, messages in wrong.items():
                unknown = key not in known
                said: Any = [suggest(key, known, "unknown key")] if unknown else messages
                self._problems += flatten(f"{self._file}: {where}.{key}", said)
            needed = [name for name, field in schema.fields.items() if field.required]
            right = {key: value for key, value in table.items() if key not in wrong}
            loaded = schema.load(right, partial=needed)
        return loaded

    def secret(self, reference: Any, where: str) -> str | None:
        """Return the secret that ``env:NAME`` or ``file:/path`` refers to; None with a problem noted."""
        kind, _, name = str(reference).partition(":")
        if kind == "env" and name:
            try:
                text = look_up(self._environ, name)
            except ValueError as problem:
                self._problem(where, str(problem))
                return None
            if text:
                return text
            if not self._offline:
                self._problem(where, f"the environment variable {name} is not set")
            return None
        if kind == "file" and name:
            try:
                text = read_secret_file(name)
            except ValueError as problem:
                if not self._offline:
                    self._problem(where, str(problem))
                return None
            if not text and not self._offline:
                self._problem(where, f"{name} is empty")
            if is_public(name):
                self.warnings.append(f"{where}: everybody on this machine can read {name}; chmod 600 it")
            return text or None
        self._problem(where, 'must be "env:NAME" or "file:/path": secrets do not belong in this file')
        return None

    def read(self, config: dict[str, Any] | None) -> tuple[dict[str, Destination], dict[str, Source]]:
        """Return what the file describes; nothing if it could not be read."""
        if config is None:
            return {}, {}
        known = tuple(ConfigSchema().fields)
        for key in sorted(config.keys() - set(known)):
            self._problem(key, suggest(key, known, "unknown key"))
        tables: dict[str, dict[str, Any]] = {key: {} for key in known}
        for key in known:
            if isinstance(config.get(key, {}), dict):
                tables[key] = config.get(key, {})
            else:
                self._problem(key, "must be a table")
        destinations = self.destinations(tables["destinations"])
        return destinations, self.sources(tables["sources"], tuple(tables["destinations"]))

    # --- destinations -----------------------------------------------------------------------------

    def destinations(self, tables: dict[str, Any]) -> dict[str, Destination]:
        found = {}
        for name, table in tables.items():
            where = f"destinations.{name}"
            self._check_name(name, where)
            loaded = self._load(DestinationSchema(), table, where)
            if loaded is not None and (made := self._destination(name, loaded, where)):
                found[name] = made
        if not tables:
            self._problem("destinations", "at least one is needed, like [destinations.ocamba] with its token")
        return found

    def _check_name(self, name: str, where: str) -> None:
        if not _NAME.fullmatch(name):
            self._problem(where, "names are lower-case letters, digits, - and _")

    def _destination(self, name: str, loaded: dict[str, Any], where: str) -> Destination | None:
        url, token, sandbox = loaded["url"], loaded.get("token", ""), False
        self._check_url(url, f"{where}.url")
        if self._is_missing(token) and (self._sandbox_url or self._offline):
            url, token, sandbox = self._sandbox_url or "http://127.0.0.1/", "sandbox", True
            self.uses_sandbox = True
        elif "token" in loaded:
            token = self.secret(token, f"{where}.token") or ""
        if re.search(r"[^\x21-\x7e]", token):
            self._problem(f"{where}.token", "the token must be visible ASCII characters without spaces")
        try:
            windows = quota.parse_windows(loaded["limits"])
        except ValueError as problem:
            self._problem(f"{where}.limits", str(problem))
            return None
        if self._problems:
            return None
        reference = str(loaded["token"])
        return Destination(
            name=name,
            url=url,
            token=token,
            windows=windows,
            sandbox=sandbox,
            token_file=reference[5:] if reference.startswith("file:") else None,
            retry=tuple(loaded["retry"]),
            **{key: loaded[key] for key in ("parallel", "deadline", "ambiguous", "give_up_after")},
        )

    def _is_missing(self, reference: str) -> bool:
        name = reference.removeprefix("env:")
        return reference.startswith("env:") and not is_set(self._environ, name)

    def _check_url(self, url: str, where: str) -> None:
        if not is_url(url):
            self._problem(where, "must be an https address")
        elif urlsplit(url).scheme != "https" and urlsplit(url).hostname not in LOOPBACK:
            self._problem(where, "must be https; http is for a loopback host only")
        elif urlsplit(url).username or urlsplit(url).password:
            self._problem(where, "must not hold a user name or password")

    # --- sources ----------------------------------------------------------------------------------

    def sources(self, tables: dict[str, Any], destinations: tuple[str, ...]) -> dict[str, Source]:
        found = {}
        for name, table in tables.items():
            where = f"sources.{name}"
            self._check_name(name, where)
            if not isinstance(table, dict):
                self._problem(where, "must be a table")
                continue
            whole = self._with_preset(table, where)
            loaded = self._load(SourceSchema(), whole, where) if whole is not None else None
            if loaded is not None and (made := self._source(name, loaded, where, destinations)):
                found[name] = made
        if not tables:
            self._problem("sources", "at least one is needed, like [sources.newsletter]")
        return found

    def _with_preset(self, table: dict[str, Any], where: str) -> dict[str, Any] | None:
        if "preset" not in table:
            return table
        try:
            base = preset(str(table["preset"]))["source"]
        except KeyError as problem:
            self._problem(f"{where}.preset", str(problem.args[0]))
            return None
        merged = {**base, **table}
        for key in ("fields", "verify"):
            if key in table:
                merged[key] = _over(base.get(key), table[key])
        return merged

    def _source(
        self, name: str, loaded: dict[str, Any], where: str, destinations: tuple[str, ...]
    ) -> Source | None:
        destination = self._choose_destination(loaded, where, destinations)
        self._check_source(loaded, where)
        if "kind" not in loaded:
            self._mapping(loaded, where, keep_good=True)
            return None
        is_form = loaded["kind"] == "form"
        verifier, open_to_all = self._verifier(loaded, where)
        secrets = self._secrets(name, loaded, verifier, where)
        defaults = self._defaults(is_form or open_to_all)
        loaded = {**defaults, **loaded}
        mapping = self._mapping(loaded, where, keep_good=not is_form)
        for key in ("client_limits", "source_limits", "recipient_limits"):
            loaded[key] = None if loaded[key] == "none" else loaded[key]
        disposable = self._domains(loaded, where)
        captcha = self._captcha(loaded, where)
        if open_to_all:
            self.warnings.append(f'source {name} takes submissions without proof (verify = "none")')
        if verifier is not None and verifier.needs_url and not self._values["RELAY_PUBLIC_URL"]:
            if not (self.uses_sandbox or self._offline):
                self._problem(f"{where}.verify.signed", "covers the address: set RELAY_PUBLIC_URL")
        if self._problems or mapping is None:
            return None
        return Source(
            name=name,
            kind=loaded["kind"],
            destination=destination,
            mapping=mapping,
            preset=loaded.get("preset"),
            verifier=verifier,
            secrets=secrets,
            origins=tuple(origin.rstrip("/").lower() for origin in loaded.get("origins", ())),
            reply=tuple(loaded["reply"]),
            limits=Limits(
                loaded.get("max_body", Limits.body),
                loaded.get("max_fields", Limits.fields),
                loaded.get("max_field", Limits.field),
            ),
            json_fields=tuple(loaded.get("json_fields", ())),
            only=_compiled(loaded.get("only")),
            only_header=_header(loaded.get("only_header")),
            test=_compiled(loaded.get("test")),
            test_header=_header(loaded.get("test_header")),
            ping=_ping(loaded.get("ping")),
            handshake=Handshake(**loaded["handshake"]) if "handshake" in loaded else None,
            id_path=FieldPath(loaded["id"]) if "id" in loaded else None,
            captcha=captcha,
            disposable=disposable,
            updates=bool(loaded.get("update")),
            properties_as=loaded.get("custom_properties_as", "object"),
            page=loaded.get("page", {}),
            **{
                key: loaded[key]
                for key in [
                    "enabled",
                    "thanks",
                    "region",
                    "honeypot",
                    "wait",
                    "client_limits",
                    "source_limits",
                    "recipient_limits",
                    "id_header",
                    "repeat_window",
                    "retention",
                    "success_status",
                    "on_failure",
                    "min_seconds",
                ]
                if key in loaded
            },
        )

    @staticmethod
    def _defaults(like_form: bool) -> dict[str, Any]:
        if like_form:
            return {
                "wait": 0.0,
                "reply": [],
                "client_limits": "5/second; 60/minute",
                "source_limits": "600/hour; 5000/day",
                "recipient_limits": "20/day",
                "repeat_window": 600.0,
            }
        return {
            "wait": 5.0,
            "reply": ["id"],
            "client_limits": "none",
            "source_limits": "none",
            "recipient_limits": "none",
            "repeat_window": 7 * 86400.0,
        }

    def _verifier(self, loaded: dict[str, Any], where: str) -> tuple[Verifier | None, bool]:
        """Return the verifier, and whether a webhook is explicitly open to everybody."""
        table = loaded.get("verify")
        if loaded["kind"] == "form":
            if table is not None or "secret" in loaded:
                self._problem(f"{where}.verify", 'is for kind = "webhook"; browsers cannot keep a secret')
            return None, False
        if table == "none":
            return None, True
        if table is None:
            if "secret" not in loaded:
                self._problem(
                    f"{where}.verify",
                    'is needed: a preset, a verify table, secret alone (a bearer token), or verify = "none"',
                )
            return BEARER, False
        count = len(self._problems)
        checked = self._load(VerifySchema(), table, f"{where}.verify")
        if checked is None or len(self._problems) > count:
            return BEARER, False  # so that the secrets are checked too
        self._check_verify(checked, f"{where}.verify")
        return Verifier(**checked), False

    def _check_verify(self, verify: dict[str, Any], where: str) -> None:
        places = [key for key in ("header", "query", "body") if verify.get(key)]
        if verify["scheme"] == "basic":
            verify.setdefault("header", "Authorization")
        elif not places:
            self._problem(where, "must say where the proof is: header, query or body")
        elif verify["scheme"] != "token" and places != ["header"]:
            self._problem(where, f'scheme = "{verify["scheme"]}" takes its proof from a header')
        for name in re.findall(r"\{([^}]*)\}", verify.get("signed", "{body}")):
            if name not in ("body", "timestamp", "id", "method", "url"):
                self._problem(f"{where}.signed", f"knows no {{{name}}}")
        if "{id}" in verify.get("signed", "") and not verify.get("id_header"):
            self._problem(f"{where}.signed", "covers {id}: name the id_header")
        if "{body}" not in verify.get("signed", "{body}"):
            self._problem(f"{where}.signed", "must cover {body}")
        stamped = verify.get("timestamp_header") or verify.get("pairs")
        if "{timestamp}" in verify.get("signed", "") and not stamped:
            self._problem(f"{where}.signed", "covers {timestamp}: name the timestamp_header")

    def _secrets(
        self, name: str, loaded: dict[str, Any], verifier: Verifier | None, where: str
    ) -> tuple[bytes, ...]:
        if verifier is None:
            return ()
        references = loaded.get("secret", [])
        references = references if isinstance(references, list) else [references]
        if not references and ("verify" in loaded or "secret" in loaded):
            self._problem(f"{where}.secret", 'is needed, like secret = "env:NAME"')
        return tuple(
            key
            for reference in references
            if (key := self._secret_key(name, reference, verifier, f"{where}.secret"))
        )

    def _secret_key(self, name: str, reference: Any, verifier: Verifier, where: str) -> bytes | None:
        if self._sandbox_url and self._is_missing(str(reference)):
            self.made_up[name] = _made_up_secret(name, verifier)
            return verifier.key(self.made_up[name])
        text = self.secret(reference, where)
        if text is None:
            return None
        try:
            key = verifier.key(text)
        except ValueError as problem:
            self._problem(where, f"the secret {problem}")
            return None
        if not key.strip():
            self._problem(where, "the secret is empty")
        return key

    def _check_source(self, loaded: dict[str, Any], where: str) -> None:
        region, thanks = loaded.get("region"), loaded.get("thanks")
        if region is not None and not is_region(region):
            self._problem(f"{where}.region", f'knows no "{region}"; use a code like "DE" or "US"')
        if thanks is not None and not is_url(thanks):
            self._problem(f"{where}.thanks", "must be a whole address like https://www.example.com/thanks")
        for origin in loaded.get("origins", ()):
            parts = urlsplit(origin)
            if origin != "*" and (not is_url(origin) or parts.path not in ("", "/") or parts.query):
                self._problem(
                    f"{where}.origins",
                    f'"{origin}" is no origin; write https://www.example.com, without a path',
                )
        if loaded.get("handshake", {}).get("kind") in ("echo", "hmac") and "secret" not in loaded:
            self._problem(f"{where}.handshake", 'of this kind needs a secret, like secret = "env:NAME"')

    def _choose_destination(self, loaded: dict[str, Any], where: str, destinations: tuple[str, ...]) -> str:
        name = loaded.get("destination")
        if name is None and len(destinations) == 1:
            return destinations[0]
        if name is None:
            if destinations:
                self._problem(f"{where}.destination", "is needed, as there are several")
            return ""
        if name not in destinations and destinations:
            self._problem(f"{where}.destination", suggest(name, destinations, f'knows no "{name}"'))
        return str(name)

    def _domains(self, loaded: dict[str, Any], where: str) -> frozenset[str]:
        if "disposable" not in loaded:
            return frozenset()
        try:
            text = Path(loaded["disposable"]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            self._problem(f"{where}.disposable", f"cannot read {loaded['disposable']}")
            return frozenset()
        lines = (line.strip().lower() for line in text.splitlines())
        return frozenset(line for line in lines if line and not line.startswith("#"))

    def _captcha(self, loaded: dict[str, Any], where: str) -> Captcha | None:
        if "captcha" not in loaded:
            return None
        table = loaded["captcha"]
        self._check_url(table["url"], f"{where}.captcha.url")
        secret = self.secret(table["secret"], f"{where}.captcha.secret") or ""
        return Captcha(table["url"], secret, table["field"])

    # --- fields -----------------------------------------------------------------------------------

    def _mapping(self, loaded: dict[str, Any], where: str, keep_good: bool) -> Mapping | None:
        count = len(self._problems)
        tables = loaded.get("fields", {})
        rules = self._rules(tables, PROFILE_FIELDS, f"{where}.fields")
        extra = self._rules(_flat(loaded.get("update", {})), UPDATE_FIELDS, f"{where}.update")
        if not any(name in rules for name in CONTACTS) and len(self._problems) == count:
            self._problem(f"{where}.fields", "must map email or mobile_phone_number")
        entries = loaded.get("entries")
        consent = self._consent(loaded.get("consent"), f"{where}.consent")
        if len(self._problems) > count:
            return None
        return Mapping(
            rules,
            region=loaded.get("region"),
            consent=consent,
            keep_good_contact=keep_good,
            entries=_entries(entries),
            extra=extra,
        )

    def _rules(self, tables: dict[str, Any], allowed: tuple[str, ...], where: str) -> dict[str, Rule]:
        rules = {}
        for name, table in tables.items():
            if name.partition(":")[0] not in allowed:
                is_later = name in UPDATE_FIELDS
                else_ = "map it under [sources.x.update]" if is_later else f"one of {', '.join(allowed)}"
                what = "is no field of Create Profile"
                self._problem(f"{where}.{name}", suggest(name, allowed, what, else_))
                continue
            rule = self._rule(name, table, f"{where}.{name}")
            if rule is not None:
                rules[name] = rule
        return rules

    def _rule(self, name: str, table: Any, where: str) -> Rule | None:
        if isinstance(table, str):
            table = {"from": table}
        count = len(self._problems)
        loaded = self._load(RuleSchema(), table, where)
        if loaded is None or len(self._problems) > count:
            return None
        origins = [key for key in ("from", "first", "labels", "value") if key in loaded]
        if not origins or ("value" in origins and len(origins) > 1):
            self._problem(where, "needs one of from, first, labels or value")
            return None
        joined = loaded.get("from", [])
        first = list(loaded.get("first", []))
        if "labels" in loaded:
            first.append({key: loaded[key] for key in ("labels", "within", "strip") if key in loaded})
        default_type = DEFAULT_TYPES.get(name, "list" if name == "lists" else "text")
        if name in DEFAULT_TYPES and loaded.get("type", default_type) != default_type:
            self._problem(f"{where}.type", f'must be "{default_type}", or left out')
        try:
            return Rule(
                type=loaded.get("type", default_type),
                joined=tuple(_place(p) for p in (joined if isinstance(joined, list) else [joined])),
                first=tuple(_place(p) for p in first),
                required=loaded.get("required", False),
                choices=tuple(loaded.get("choices", ())),
                **{key: loaded[key] for key in ("default", "max_length", "value") if key in loaded},
            )
        except ValueError as problem:
            self._problem(where, str(problem))
            return None

    def _consent(self, given: Any, where: str) -> dict[str, str]:
        if given is None:
            return {}
        if isinstance(given, str) and given:
            return dict.fromkeys(CONTACTS, given)
        if isinstance(given, dict) and all(
            name in CONTACTS and isinstance(box, str) and box for name, box in given.items()
        ):
            return given
        self._problem(where, 'must be a field name, or like { email = "news_mail" }')
        return {}


# --- presets ---------------------------------------------------------------------------------------

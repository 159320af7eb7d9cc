"""What ``init`` writes: relay.toml and the environment file, as text made from answers."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

UPSTREAM = "https://api.ocamba.com/v1/hood/profiles"
_PROFILE = {"email": "email", "phone": "mobile_phone_number"}


@dataclass(frozen=True)
class Answers:
    """What somebody who sets a relay up said. ``roles``: the form's field for each role."""

    source: str
    preset: str = ""
    site: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)
    consent_field: str = ""
    consent_text: str = ""
    consent_value: str = ""
    region: str = ""
    token_file: str = ""

    @property
    def secret_name(self) -> str:
        """The variable of the sender's secret: shells know none that begins with a digit."""
        name = f"{self.source.upper().replace('-', '_')}_SECRET"
        return f"SOURCE_{name}" if name[0].isdigit() else name


def configuration(said: Answers) -> str:
    """Return relay.toml, every line of it explained."""
    token = f"file:{said.token_file}" if said.token_file else "env:OCAMBA_TOKEN"
    lines = [
        "# The relay's configuration. `relay check` checks it; docs/configuration.md has every key.",
        "",
        "[destinations.ocamba]",
        f"url    = {_value(UPSTREAM)}",
        f"token  = {_value(token)}   # where the token is, never the token",
        'limits = "10/second; 150/minute"   # what the whole account may send',
        "",
        *(_webhook(said) if said.preset else _form(said)),
    ]
    return "\n".join(lines) + "\n"


def _webhook(said: Answers) -> Iterator[str]:
    yield f"# Posts to /submit/{said.source}; `relay presets show {said.preset}` says where to click there."
    yield f"[sources.{_key(said.source)}]"
    yield 'kind   = "webhook"'
    yield f"preset = {_value(said.preset)}   # how it proves itself, and where it puts e-mail, phone and name"
    yield f"secret = {_value('env:' + said.secret_name)}   # must be what the sender has"
    if said.region:
        yield f"region = {_value(said.region)}   # of phone numbers without a country code"


def _form(said: Answers) -> Iterator[str]:
    origins = [said.site] if said.site else ["*"]
    yield f"# A form; it posts to /submit/{said.source}, and /forms/{said.source} is a ready page with it."
    yield f"[sources.{_key(said.source)}]"
    yield 'kind     = "form"'
    yield f'origins  = {_value(origins)}   # sites whose pages may post here; "*" is any'
    if said.region:
        yield f"region   = {_value(said.region)}   # of phone numbers without a country code"
    yield 'honeypot = "relay_leave_empty"   # a field people never see; who fills it in is a program'
    if said.consent_field:
        yield f"consent  = {_consent(said)}   # the box; without its tick nothing is sent"
    yield ""
    yield f"[sources.{_key(said.source)}.fields]   # profile field = the form's field"
    for role, profile_field in _PROFILE.items():
        if role in said.roles:
            yield f"{profile_field} = {_value(said.roles[role])}"
    if name := _name(said.roles):
        yield f"full_name = {name}"
    if said.consent_field and said.consent_text:
        yield ""
        yield f"[sources.{_key(said.source)}.page.labels]   # what the ready page says beside the box"
        yield f"{_value(said.consent_field)} = {_value(said.consent_text)}"


def _consent(said: Answers) -> str:
    """Return the box; with what it sends, where that alone would not say yes."""
    from relay.sources.consent import Box

    if Box(said.consent_field).is_ticked({said.consent_field: said.consent_value or "on"}):
        return _value(said.consent_field)
    box = f"{{ field = {_value(said.consent_field)}, yes = {_value([said.consent_value])} }}"
    mapped = [field for role, field in _PROFILE.items() if role in said.roles]
    return f"{{ {', '.join(f'{field} = {box}' for field in mapped)} }}"


def _name(roles: Mapping[str, str]) -> str:
    if "full_name" in roles:
        return _value(roles["full_name"])
    parts = [roles[role] for role in ("first_name", "last_name") if role in roles]
    return f"{{ from = {_value(parts)} }}   # joined by a space" if parts else ""


def _key(name: str) -> str:
    """Return a name as TOML; what the relay does not take as one is for its check to say."""
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else _value(name)


def _value(value: Any) -> str:
    """Return a text or a list of texts as TOML, whose basic strings are JSON's."""
    return json.dumps(value, ensure_ascii=False)


def environment(values: Mapping[str, tuple[str, str]]) -> str:
    """Return the environment file: of each variable its value and what it is for; empty ones as comments."""
    lines = [
        "# Variables of the relay, read by its commands in this folder, by systemd (EnvironmentFile=) and by",
        "# containers (env_file). It holds secrets: keep it readable by the relay's user alone.",
    ]
    for name, (value, why) in values.items():
        lines += ["", f"# {why}", f"{name}={value}" if value else f"#{name}="]
    return "\n".join(lines) + "\n"

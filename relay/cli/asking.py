"""The questions of init, and what the answers come to."""

import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from relay.cli import markup
from relay.cli.draft import Answers
from relay.cli.failed import AskedWrongly
from relay.cli.markup import Input
from relay.cli.opening import note

Variables = dict[str, tuple[str, str]]
"""By name: the value, and what it is for."""


class Questions:
    """Asks a person for what no option said; without a person, also one that no longer answers, takes the
    default."""

    def __init__(self, given: Mapping[str, Any], *, ask: bool) -> None:
        self._given = given
        self._ask = ask

    def says(self, name: str) -> bool:
        """Whether an option, or a person, decides about something."""
        return self._ask or self._given.get(name) is not None

    def answer(self, name: str, question: str, default: str = "", *, is_hidden: bool = False) -> str:
        """Return what the option of that name said, or what a person says."""
        given = self._given.get(name)
        if given is not None or not self._ask:
            return default if given is None else str(given)
        shown = bool(default) and not is_hidden
        try:
            said: str = click.prompt(question, default=default, show_default=shown, hide_input=is_hidden)
        except click.Abort as stopped:
            if sys.stdin.isatty() or not isinstance(stopped.__context__, EOFError):
                raise
            click.echo()
            note("nobody answers: what no option says is left at its default")
            self._ask = False
            return default
        return said.strip()


def source(questions: Questions) -> Answers:
    """Return the first source, and where the account's token is."""
    preset = questions.answer("preset", "A known sender (see `relay presets`); empty for a form of your own")
    site = "" if preset else questions.answer("site", "The site whose page has the form; empty for any")
    form = () if preset else _form(questions)
    box, text = ("", "") if preset else _consent(questions, form)
    return Answers(
        source=questions.answer("name", "What to call it", preset or "newsletter"),
        preset=preset,
        site=site.rstrip("/"),
        roles={} if preset else _roles(form),
        consent_field=box,
        consent_text=text,
        consent_value=markup.yes_of(form, box),
        region=questions.answer("region", "Country of phone numbers without a country code, like DE").upper(),
        token_file=_token_file(
            questions.answer("token_file", "A file with the account's token; empty for none")
        ),
    )


def _form(questions: Questions) -> tuple[Input, ...]:
    """Return the form's fields, from a page or from what a person says."""
    if page := questions.answer("html", "A file with the form's HTML, to find its fields; empty for none"):
        found = markup.inputs(markup.text_of(Path(page).read_bytes()), _labels())
        click.echo(f"fields found: {', '.join(one.name for one in found) or 'none'}", err=True)
        return tuple(found)
    return _named(questions.answer("fields", "The form's fields", "email,phone,first_name,last_name"))


def _named(text: str) -> tuple[Input, ...]:
    """Return fields from "email,phone" or "email=mail,phone=tel"."""
    autocomplete = {role: word for word, role in markup.AUTOCOMPLETE.items()}
    found = []
    for part in filter(None, map(str.strip, text.split(","))):
        role, equals, name = part.partition("=")
        if equals and role not in autocomplete:
            raise AskedWrongly(f"--fields knows {', '.join(autocomplete)}, not {role}")
        found.append(Input(name or role, autocomplete=autocomplete.get(role, "") if equals else ""))
    return tuple(found)


def _roles(form: tuple[Input, ...]) -> dict[str, str]:
    found = markup.roles(form, _labels())
    if "email" not in found and "phone" not in found:
        names = ", ".join(one.name for one in form) or "none"
        raise AskedWrongly(f"which field is the e-mail? found: {names}; say --fields email=NAME,phone=NAME")
    return found


def _consent(questions: Questions, form: tuple[Input, ...]) -> tuple[str, str]:
    """Return the box that allows to write to a person, and its text; a guess only where there is one box,
    and it does not say no."""
    boxes = markup.boxes(form)
    only = boxes[0] if len(boxes) == 1 and markup.agrees(form, boxes[0]) else ""
    box = questions.answer("consent_field", "The box that allows to write; empty if there is none", only)
    if boxes and not only and not questions.says("consent_field"):
        raise AskedWrongly(f"which box allows to write? one of {', '.join(boxes)}; say --consent-field")
    return box, questions.answer("consent", "What stands beside that box") if box else ""


def _token_file(path: str) -> str:
    """Return where a token is, looked at now rather than at the first start."""
    from relay.config.environment import paste_problem, read_secret_file

    if not path:
        return ""
    whole = str(Path(path).resolve())
    try:
        token = read_secret_file(whole)
    except ValueError as problem:
        raise AskedWrongly(f"the token's file {problem}") from None
    if not token or (wrong := paste_problem(token)):
        raise AskedWrongly(f"{whole}: the token {wrong if token else 'is missing'}")
    return whole


def _labels() -> dict[str, list[str]]:
    from relay.config.presets import shared_labels

    return {role: shared_labels(role) for role in markup.ROLES}


def variables(questions: Questions, said: Answers | None) -> Variables:
    """Return what the environment file holds: values, and what each is for."""
    token = "" if said and said.token_file else _token(questions)
    public_url = questions.answer(
        "public_url", "The address the world will use for this relay; empty for later"
    )
    zone = questions.answer("time_zone", "The time zone of times that are shown", "UTC")
    found = {
        "OCAMBA_TOKEN": (token, "the account's token; without one, everything goes to the sandbox"),
        "RELAY_ADMIN_TOKEN": (secrets.token_urlsafe(32), "the operator's token, for dashboard and API"),
        "RELAY_PUBLIC_URL": (public_url, "the address the world uses, like https://relay.example.com"),
        "RELAY_TRUSTED_PROXIES": ("", "how many reverse proxies stand in front, like 1"),
        "RELAY_TIME_ZONE": (zone, "of what is shown; times are stored in UTC"),
        **_alerts(questions),
    }
    if said and said.preset:
        found[said.secret_name] = (secrets.token_hex(24), f"what {said.preset} proves itself with")
    return found


def _token(questions: Questions) -> str:
    return questions.answer("", "The account's token (not shown; empty for later)", is_hidden=True)


def _alerts(questions: Questions) -> Variables:
    """Return where alerts go; by mail only if it is known who takes the mail."""
    address = questions.answer("alert", "Where alerts go: an e-mail address or https://…; empty for nowhere")
    if not address or "://" in address:
        return {"RELAY_ALERT_URL": (address, "where alerts are posted as JSON")}
    smtp = questions.answer("smtp", "Who takes mail, like smtp://user:password@host:587; empty for later")
    if not smtp:
        note("alerts by mail need --smtp: see RELAY_ALERT_MAIL in the environment file")
        address, hint = "", f"; {address} was wished, and needs the two below"
    else:
        hint = ""
    return {
        "RELAY_ALERT_MAIL": (address, f"who gets alerts{hint}"),
        "RELAY_MAIL_FROM": (address.split(",")[0], "the sender of mail"),
        "RELAY_SMTP_URL": (smtp, "who takes mail, like smtp://user:password@host:587"),
    }

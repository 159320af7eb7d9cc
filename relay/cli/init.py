"""The command init: asks what has to be known, and writes what the relay needs to start."""

import tempfile
from pathlib import Path
from typing import Any

import click

from relay.cli import draft
from relay.cli.asking import Questions, source, variables
from relay.cli.envfile import ENVIRONMENT_FILE, read_variables, surroundings, write_privately
from relay.cli.opening import note

CONFIGURATION_FILE = "relay.toml"


@click.command()
@click.option("--site", metavar="URL", help="The site whose page has the form, like https://www.example.com.")
@click.option("--public-url", metavar="URL", help="The address the world will use for this relay.")
@click.option("--source", "name", metavar="NAME", help="What to call the first source.")
@click.option("--preset", metavar="NAME", help="A known sender instead of a form; see `relay presets`.")
@click.option("--html", type=click.Path(exists=True, dir_okay=False), help="A page with the form.")
@click.option(
    "--fields", metavar="NAMES", help="The form's fields: email,phone,name or email=mail,phone=tel."
)
@click.option("--consent-field", metavar="NAME", help="The box that allows to write; empty: there is none.")
@click.option("--consent", metavar="TEXT", help="What stands beside that box.")
@click.option("--region", metavar="CC", help="Country of numbers without a country code, like DE.")
@click.option("--token-file", type=click.Path(), help="A file that holds the account's token.")
@click.option("--time-zone", metavar="ZONE", help="Zone of times that are shown, like Europe/Berlin.")
@click.option("--alert", metavar="ADDRESS", help="Where alerts go: an e-mail address or https://….")
@click.option("--smtp", metavar="URL", help="Who takes mail: smtp://user:password@host:587.")
@click.option("--yes", is_flag=True, help="Ask nothing: take what the options say, and defaults.")
def init(yes: bool, **given: Any) -> None:
    """Set a relay up in this folder; what is there already stays as it is."""
    questions = Questions(given, ask=not yes)
    configuration, environment = Path(CONFIGURATION_FILE), Path(ENVIRONMENT_FILE)
    said = None if _is_there(configuration) else source(questions)
    made = None if _is_there(environment) else variables(questions, said)
    text = draft.configuration(said) if said else ""
    own = read_variables(environment) if made is None else {n: v for n, (v, _) in made.items() if v}
    environ = surroundings(own)
    if said:
        _check_draft(text, environ)
    else:  # where it is: what it names stands beside it
        _check(configuration, environ)
    _make_keys(environ)
    if said:
        write_privately(configuration, text, 0o644)
        click.echo(f"{configuration} written")
    if made:
        write_privately(environment, draft.environment(made))
        click.echo(f"{environment} written, readable by you alone")
        click.echo(f"\nThe operator's token, shown this once: {made['RELAY_ADMIN_TOKEN'][0]}")
    if said or made:
        _tell_what_next(said, has_token=not made or bool(made["OCAMBA_TOKEN"][0]))


def _is_there(file: Path) -> bool:
    if file.exists():
        note(f"{file} is there already and stays as it is")
    return file.exists()


def _check(file: Path, environ: dict[str, str]) -> None:
    """Refuse what the relay would not start with, before anything is written. Raises Unusable."""
    from relay.config import settings

    settings.load({**environ, "RELAY_CONFIG": str(file)}, offline=True)


def _check_draft(text: str, environ: dict[str, str]) -> None:
    """Check a relay.toml that is not written yet. Raises Unusable."""
    from relay.config.environment import Problem, Unusable

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / CONFIGURATION_FILE
        file.write_text(text, encoding="utf-8")
        try:
            _check(file, environ)
        except Unusable as unusable:
            raise Unusable(
                Problem(one.where.replace(str(file), CONFIGURATION_FILE), one.what)
                for one in unusable.problems
            ) from None


def _make_keys(environ: dict[str, str]) -> None:
    """Make the keys that the first start would make, so that they can be copied before it."""
    from relay.config.environment import is_sqlite, read_environment, sqlite_path
    from relay.vault import keys_beside

    values, _ = read_environment(environ)
    if values["RELAY_SECRET_KEYS"] or not is_sqlite(values["RELAY_DATABASE_URL"]):
        return
    database = sqlite_path(values["RELAY_DATABASE_URL"])
    is_new = not database.with_name(f"{database.name}.keys").exists()
    keys_beside(database)
    if is_new:
        click.echo(
            f"{database}.keys written: without it nothing stored can be read, so keep a copy elsewhere"
        )


def _tell_what_next(said: draft.Answers | None, *, has_token: bool) -> None:
    steps = [] if has_token else [f"put the account's token into {ENVIRONMENT_FILE} (OCAMBA_TOKEN=…)"]
    if said and said.preset:
        steps.append(f"`relay presets show {said.preset}` says where to click at the sender;")
        steps[-1] += f" give it the secret {said.secret_name} of {ENVIRONMENT_FILE}"
    steps.append("`relay check` looks everything over; `relay serve` starts it")
    if said and not said.preset:
        steps.append(f"the form is at /forms/{said.source}; your own page posts to /submit/{said.source}")
    click.echo("\nWhat next:")
    for number, step in enumerate(steps, 1):
        click.echo(f"{number}. {step}")

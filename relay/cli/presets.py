"""Commands about known senders: presets, presets show."""

import json
import os

import click

from relay.cli.failed import AskedWrongly


@click.group(invoke_without_command=True)
@click.pass_context
def presets(ctx: click.Context) -> None:
    """List the known senders, or show one."""
    if ctx.invoked_subcommand is None:
        from relay.config.presets import preset, preset_names

        for name in preset_names():
            known = preset(name)
            click.echo(f"{name:20} {known['sure']:11} {known['title']}")


@presets.command()
@click.argument("name")
def show(name: str) -> None:
    """Show where to click at a sender, and what its preset holds."""
    from relay.config.presets import preset

    try:
        known = preset(name)
    except KeyError as problem:
        raise AskedWrongly(str(problem.args[0])) from None
    setup = known["setup"].strip().replace("{url}", _submit_url())
    click.echo(f"{known['title']} ({known['sure']})\n\n{setup}\n")
    for note in known.get("notes", []):
        click.echo(f"- {note}")
    click.echo("\n" + json.dumps(known["source"], indent=2, ensure_ascii=False))


def _submit_url() -> str:
    from relay.config import environment

    values, _ = environment.read_environment(os.environ)
    return f"{values['RELAY_PUBLIC_URL'] or 'https://<your relay>'}/submit/<source>"

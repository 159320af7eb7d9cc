"""Commands that move many submissions: import, export."""

import csv
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relay.cli.envfile import opened_privately, whole_or_none
from relay.cli.failed import FAILED, AskedWrongly, Failed
from relay.cli.filtering import NO_MATCH, known_filter, narrowed
from relay.cli.opening import note, open_to_act, open_to_look
from relay.operator.wording import count_of

if TYPE_CHECKING:
    from relay.operator.imports import Imported, Problem, Reject

_ADDED = "line", "why"
"""The columns of a file of rows that came back, before those that they had."""


@click.command()
@narrowed
@click.option(
    "--format", "format_", type=click.Choice(["jsonl", "csv", "sheet"]), default="jsonl", show_default=True
)
@click.option(
    "--people", is_flag=True, help="With names and contacts, or what was sent, where it is still there."
)
@click.option("--output", metavar="FILE", help="A new file, readable by you alone; else standard output.")
def export(format_: str, people: bool, output: str | None, **chosen: Any) -> None:
    """Write out what a filter shows; `sheet` is CSV that a spreadsheet can be trusted with."""
    operator, settings = open_to_look()
    filter_ = known_filter(operator, settings, chosen)
    pieces = operator.export(filter_, format_, people=people)
    if not operator.submissions(replace(filter_, limit=1)):
        note(NO_MATCH)
    if output is None:
        for piece in pieces:
            click.echo(piece.encode(), nl=False)  # UTF-8, whatever the terminal writes in
        return
    try:
        with whole_or_none(Path(output)) as file:
            file.writelines(pieces)
    except FileExistsError:
        raise Failed(f"{output} exists already") from None
    click.echo(f"{output} written")


def _names(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """Return what each column is called. The last equals sign divides: headings have some, too."""
    pairs = [(column.strip(), name) for column, _, name in (text.rpartition("=") for text in given)]
    if wrong := next((text for text, pair in zip(given, pairs, strict=True) if not all(pair)), None):
        raise click.BadParameter(f"takes 'Column=field', not {wrong!r}")
    columns = [column for column, _ in pairs]
    if twice := next((column for column in columns if columns.count(column) > 1), None):
        raise click.BadParameter(f"names {twice!r} twice")
    return dict(pairs)


@click.command("import")
@click.argument("source")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--map", "names", multiple=True, metavar="'COLUMN=FIELD'", callback=_names, help="Repeatable.")
@click.option("--encoding", help="If it was guessed wrongly, like utf-8 or cp1252.")
@click.option("--rejected", metavar="FILE", help="Where rows that cannot be used go (FILE.rejected.csv).")
@click.option("--dry-run", is_flag=True, help="Only count, and show the first problems.")
def import_(
    source: str,
    file: Path,
    names: dict[str, str],
    encoding: str | None,
    rejected: str | None,
    dry_run: bool,
) -> int:
    """Take old sign-ups of a table in, behind fresh ones. Safe to run twice: a row is a repeat."""
    operator, _ = open_to_act()
    target = Path(rejected or f"{file}.rejected.csv")
    if target.exists() and target.samefile(file):
        raise AskedWrongly(f"{target} is the table itself")
    with ExitStack() as opened:
        table = opened.enter_context(file.open("rb"))
        bar = opened.enter_context(click.progressbar(length=max(1, file.stat().st_size), label=file.name))
        reject = _ignored if dry_run else _rejecting(target, opened)

        def tell(_: "Imported") -> None:
            bar.update(table.tell() - bar.pos)

        found = operator.import_table(
            source, table, names, encoding=encoding, tell=tell, reject=reject, dry_run=dry_run
        )
    if found.guessed:
        note(f"read as {found.guessed}, which is a guess: where names come out wrong, say --encoding")
    for problem in found.problems:
        click.echo(f"line {problem.line}: {problem.why}", err=True)
    click.echo(_told(found, dry_run))
    if found.refused and not dry_run:
        click.echo(f"{count_of(found.refused, 'row')} that cannot be used: {target}")
    return FAILED if found.refused else 0


def _told(found: "Imported", dry_run: bool) -> str:
    taken = f"{found.queued:,} {'would be queued' if dry_run else 'queued'}"
    unread = "" if found.unread_from is None else f"; nothing from line {found.unread_from} on was read"
    repeats, refused = f"{found.repeats:,} stored before", f"{found.refused:,} cannot be used"
    return f"{count_of(found.rows, 'row')}: {taken}, {repeats}, {refused}{unread}"


def _ignored(_: "Problem", __: Sequence[str]) -> None:
    return


def _rejecting(target: Path, opened: ExitStack) -> "Reject":
    """Return what writes a row, with its line and why, into a file that only its owner can read."""
    made: list[Any] = []

    def reject(problem: "Problem", columns: Sequence[str]) -> None:
        # Rows that came back once have a line and a reason already: the new ones stand in their place.
        rest = slice(2 if tuple(columns[:2]) == _ADDED else 0, None)
        if not made:
            target.unlink(missing_ok=True)
            made.append(csv.writer(opened.enter_context(opened_privately(target))))
            made[0].writerow([*_ADDED, *columns[rest]])
        made[0].writerow([problem.line, problem.why, *problem.cells[rest]])

    return reject

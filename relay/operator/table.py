"""A table in a file: its encoding and delimiter found out, its rows read one after the other."""

import csv
import io
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import charset_normalizer

from relay.operator.errors import Nonsense, Unfitting

_SAMPLE_BYTES = 64 * 1024
_DELIMITERS = ",;\t|"
_LINES = 200
"""So many lines tell what divides cells."""
_NAMED_DELIMITER = re.compile(r'"?sep=([^\w"\s]|\t)"?(?=[\r\n])', re.IGNORECASE)
"""A first line by which spreadsheets say it; it is not part of the table."""
_BROKEN = re.compile("[\0\ud800-\udfff]")
_ARCHIVE = b"PK\x03\x04"
_COMMON = "cp1252"
_OLD_ENCODINGS = [_COMMON, "cp1250", "cp1251", "utf_16", "mac_roman", "cp850"]
"""The last two are what Excel writes as CSV for Macintosh and for MS-DOS."""
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


@dataclass(frozen=True)
class Row:
    """One row: the line it begins in, and its cells as they are; or what is wrong with it."""

    line: int
    cells: tuple[str, ...] = field(default=(), repr=False)
    problem: str | None = None


class Table:
    """Reads a file that can be sought in. ``encoding`` and ``delimiter`` are what was found out.

    ``is_guess``: whether the text fits more encodings than one, and may come out wrong.

    ``unread_from``: the line from which on nothing could be read, once rows have ended there. Where quotes do
    not match, nobody can tell a note that goes over several lines from rows: reading on would make people up.
    """

    def __init__(self, file: BinaryIO, encoding: str | None = None) -> None:
        """``encoding``: if it was guessed wrongly. Raises Unfitting, Nonsense where there is no heading."""
        sample = file.read(_SAMPLE_BYTES)
        if sample.startswith(_ARCHIVE):
            raise Unfitting("the file is a spreadsheet's own, or an archive: save the table as CSV")
        file.seek(0)
        self.encoding = encoding or _encoding(sample)
        self.is_guess = encoding is None and self.encoding in _OLD_ENCODINGS
        try:
            head = sample.decode(self.encoding, "ignore")
            self._text = io.TextIOWrapper(file, self.encoding, errors="surrogateescape", newline="")
        except (LookupError, ValueError):
            raise Nonsense(f"knows no encoding {self.encoding[:40]!r}") from None
        named = _NAMED_DELIMITER.match(head.removeprefix("\ufeff"))
        self.delimiter = named[1] if named else _delimiter(head)
        self._reader = csv.reader(self._text, delimiter=self.delimiter, strict=True)
        self.unread_from: int | None = None
        self.columns = self._heading(2 if named else 1)

    def _heading(self, row: int) -> tuple[str, ...]:
        try:
            first = list(itertools.islice(self._reader, row))
        except csv.Error as problem:
            raise Unfitting(f"the heading cannot be read: {problem}") from None
        except UnicodeError:
            raise Nonsense(f"the file is no text in {self.encoding}: say its encoding") from None
        columns = tuple(name.strip() for name in first[-1]) if len(first) == row else ()
        if not any(columns):
            raise Unfitting("the file has no heading: its first line must name the columns")
        if doubled := [name for name in columns if name and columns.count(name) > 1]:
            raise Unfitting(f"the heading names {doubled[0][:40]!r} twice")
        return columns

    def rows(self) -> Iterator[Row]:
        """Yield every row that is not empty, up to the first that cannot be read."""
        while self.unread_from is None:
            line = self._reader.line_num + 1
            try:
                cells = next(self._reader, None)
            except (csv.Error, UnicodeError) as problem:
                why = problem if isinstance(problem, csv.Error) else f"no text in {self.encoding}"
                self.unread_from = line
                yield Row(line, problem=f"cannot be read, nor what follows from this line on: {why}")
                continue
            if cells is None:
                break
            if any(cell.strip() for cell in cells):
                yield Row(line, tuple(cells), self._problem(cells))
        self._text.detach()  # the file is its owner's to close

    def _problem(self, cells: list[str]) -> str | None:
        if any(cell.strip() for cell in cells[len(self.columns) :]):
            return f"has {len(cells)} cells, and the heading {len(self.columns)}"
        return f"is no text in {self.encoding}" if any(map(_is_broken, cells)) else None


def _is_broken(text: str) -> bool:
    return _BROKEN.search(text) is not None


def _encoding(sample: bytes) -> str:
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    if wide := _wide(sample):
        return wide
    whole = sample[: sample.rfind(b"\n") + 1] or sample  # not cut within a character
    try:
        whole.decode("utf-8")
    except UnicodeDecodeError:
        return _old_encoding(whole)
    return "utf-8"


def _wide(sample: bytes) -> str | None:
    """Return which UTF-16 it is without a mark: of most characters one half is zero, always the same one."""
    most = max(2.0, len(sample) // 2 * 0.6)
    low, high = sample[1::2].count(0), sample[::2].count(0)
    if low > most and high < low / 10:
        return "utf-16-le"
    return "utf-16-be" if high > most and low < high / 10 else None


def _old_encoding(sample: bytes) -> str:
    """Return the likely encoding of a text that is not UTF-8; the most common one where several fit."""
    found = charset_normalizer.from_bytes(sample, cp_isolation=_OLD_ENCODINGS)
    best = found.best()
    fit = {
        name for match in found if best and match.chaos <= best.chaos for name in match.could_be_from_charset
    }
    return _COMMON if best is None or _COMMON in fit else best.encoding


def _delimiter(head: str) -> str:
    """Return what divides most rows into as many cells as the heading.

    Where several do, the one that is least like punctuation, before a space, and makes the most cells.
    """

    def fit(delimiter: str) -> tuple[float, int, int]:
        lines = itertools.islice(io.StringIO(head, newline=""), _LINES)
        rows = [cells for cells in csv.reader(lines, delimiter=delimiter) if cells]
        heading = len(rows[0]) if rows else 0
        if heading < 2:
            return 0.0, 0, 0
        alike = sum(len(cells) == heading for cells in rows) / len(rows)
        return alike, -sum(cell.startswith(" ") for cells in rows for cell in cells), heading

    return max(_DELIMITERS, key=fit)

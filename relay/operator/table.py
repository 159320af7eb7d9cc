"""A table in a file: its encoding and delimiter found out, its rows read one after the other."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import charset_normalizer

from relay.operator.errors import Unfitting

_SAMPLE_BYTES = 64 * 1024
_DELIMITERS = ",;\t|"
_OLD_ENCODINGS = ["cp1252", "cp1250", "cp1251", "utf_16"]
_COMMON = "cp1252"
_OLD_ENCODINGS = [_COMMON, "cp1250", "cp1251", "utf_16"]
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


@dataclass(frozen=True)
class Row:
    """One row: the line it ends in, and its cells by column; or what is wrong with it."""

    line: int
    cells: dict[str, str]
    problem: str | None = None


class Table:
    """Reads a file that can be sought in. ``encoding`` and ``delimiter`` are what was found out."""

    def __init__(self, file: BinaryIO, encoding: str | None = None) -> None:
        """``encoding``: if it was guessed wrongly. Raises Unfitting if there is no heading."""
        sample = file.read(_SAMPLE_BYTES)
        file.seek(0)
        self.encoding = encoding or _encoding(sample)
        self._text = io.TextIOWrapper(file, self.encoding, errors="surrogateescape", newline="")
        head = sample.decode(self.encoding, "ignore")
        self.delimiter = _delimiter(head)
        self._reader = csv.reader(self._text, delimiter=self.delimiter)
        self.columns = tuple(name.strip() for name in next(self._reader, []))
        if not any(self.columns):
            raise Unfitting("the file has no heading: its first line must name the columns")
        if doubled := [name for name in self.columns if name and self.columns.count(name) > 1]:
            raise Unfitting(f"the heading names {doubled[0][:40]!r} twice")

    def rows(self) -> Iterator[Row]:
        """Yield every row that is not empty."""
        while True:
            try:
                cells = next(self._reader, None)
            except csv.Error as problem:
                yield Row(self._reader.line_num, {}, f"is no row of a table: {problem}")
                continue
            if cells is None:
                self._text.detach()  # the file is its owner's to close
                return
            if any(cell.strip() for cell in cells):
                yield self._row(cells)

    def _row(self, cells: list[str]) -> Row:
        line = self._reader.line_num
        named = {name: cell for name, cell in zip(self.columns, cells, strict=False) if name}
        if len(cells) > len(self.columns) and any(cell.strip() for cell in cells[len(self.columns) :]):
            return Row(line, named, f"has {len(cells)} cells, and the heading {len(self.columns)}")
        if any(_is_broken(cell) for cell in cells):
            return Row(line, named, f"is no text in {self.encoding}")
        return Row(line, named)


def _is_broken(text: str) -> bool:
    return "\0" in text or any("\ud800" <= character <= "\udfff" for character in text)


def _encoding(sample: bytes) -> str:
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    whole = sample[: sample.rfind(b"\n") + 1] or sample  # not cut within a character
    try:
        whole.decode("utf-8")
    except UnicodeDecodeError:
        return _old_encoding(whole)
    return "utf-8"


def _old_encoding(sample: bytes) -> str:
    """Return the likely encoding of a text that is not UTF-8; the most common one where several fit."""
    found = charset_normalizer.from_bytes(sample, cp_isolation=_OLD_ENCODINGS)
    best = found.best()
    fit = {
        name for match in found if best and match.chaos <= best.chaos for name in match.could_be_from_charset
    }
    return _COMMON if best is None or _COMMON in fit else best.encoding


def _delimiter(head: str) -> str:
    try:
        return csv.Sniffer().sniff(head, _DELIMITERS).delimiter
    except csv.Error:  # one column, or quotes that confuse it: what stands in the heading most often
        line = head.partition("\n")[0]
        return max(_DELIMITERS, key=line.count)

"""Import and export by command, and marking what was restored."""

import csv
import json
import stat

import pytest

from tests.cli.conftest import Site

TABLE = "E-Mail;Vorname;phone\nimp1@example.com;Ada;+49 171 1234567\nnonsense;Bob;\nimp2@example.com;Cy;\n"
MAP = ("--map", "E-Mail=email", "--map", "Vorname=first_name")


def test_a_table_is_tried_then_taken_in_and_its_bad_rows_come_back(site: Site) -> None:
    (site.folder / "old.csv").write_text(TABLE)
    tried = site.run("import", "newsletter", "old.csv", *MAP, "--dry-run")
    assert tried.status == 1 and "3 rows: 2 would be queued, 0 stored before, 1 cannot be used" in tried.out
    assert "line 3: " in tried.err and "nonsense" not in tried.err + tried.out
    assert not (site.folder / "old.csv.rejected.csv").exists()

    done = site.run("import", "newsletter", "old.csv", *MAP)
    assert "3 rows: 2 queued, 0 stored before, 1 cannot be used" in done.out
    rejected = site.folder / "old.csv.rejected.csv"
    assert stat.S_IMODE(rejected.stat().st_mode) == 0o600
    head, row = csv.reader(rejected.read_text().splitlines())
    assert head[:2] == ["line", "why"] and row[0] == "3" and row[2:] == ["nonsense", "Bob", ""]

    again = site.run("import", "newsletter", "old.csv", *MAP)
    assert "0 queued, 2 stored before, 1 cannot be used" in again.out


def test_rows_come_back_under_the_whole_heading_and_as_they_were(site: Site) -> None:
    table = "email,,phone,first_name\nnope\nbad,x,,Bob,too,many\n,,,  Cy \n"
    (site.folder / "old.csv").write_text(table)
    site.run("import", "newsletter", "old.csv")

    back = site.folder / "old.csv.rejected.csv"
    head, short, long, blank = csv.reader(back.read_text().splitlines())
    assert head == ["line", "why", "email", "", "phone", "first_name"]
    assert short[:1] + short[2:] == ["2", "nope"]
    assert long[:1] + long[2:] == ["3", "bad", "x", "", "Bob", "too", "many"]
    assert blank[:1] + blank[2:] == ["4", "", "", "", "  Cy "]


def test_rows_that_came_back_are_mended_and_taken(site: Site) -> None:
    (site.folder / "old.csv").write_text("email,first_name\nonce,Ann\ntwice,Bob\n")
    site.run("import", "newsletter", "old.csv")
    back = site.folder / "old.csv.rejected.csv"
    back.write_text(back.read_text().replace("once,", "once@example.com,"))

    again = site.run("import", "newsletter", back.name)

    assert "1 queued, 0 stored before, 1 cannot be used" in again.out
    head, row = csv.reader((site.folder / f"{back.name}.rejected.csv").read_text().splitlines())
    assert head == ["line", "why", "email", "first_name"] and row[2:] == ["twice", "Bob"]


def test_a_guessed_encoding_is_said(site: Site) -> None:
    (site.folder / "old.csv").write_bytes("email,first_name\nada@example.com,Łukasz Żółć\n".encode("cp1250"))
    tried = site.run("import", "newsletter", "old.csv", "--dry-run")
    assert "a guess: where names come out wrong, say --encoding" in tried.err
    told = site.run("import", "newsletter", "old.csv", "--dry-run", "--encoding", "cp1250")
    assert "guess" not in told.err


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "utf-16"])
def test_an_encoding_that_does_not_fit_is_one_line(site: Site, encoding: str) -> None:
    (site.folder / "old.csv").write_text(TABLE)
    done = site.run("import", "newsletter", "old.csv", *MAP, "--encoding", encoding)
    assert done.status == 2 and len(done.err.splitlines()) == 1 and encoding in done.err


def test_rows_do_not_come_back_into_the_table_itself(site: Site) -> None:
    (site.folder / "old.csv").write_text(TABLE)
    done = site.run("import", "newsletter", "old.csv", *MAP, "--rejected", "./old.csv")
    assert done.status == 2 and "is the table itself" in done.err
    assert (site.folder / "old.csv").read_text() == TABLE


def test_what_was_not_read_is_said_however_many_problems_stand_before_it(site: Site) -> None:
    rows = ["nonsense,Bob"] * 30 + ['torn@example.com,"never ends', "lost@example.com,Cy"]
    (site.folder / "torn.csv").write_text("\n".join(["email,first_name", *rows, ""]))
    done = site.run("import", "newsletter", "torn.csv")
    assert done.status == 1
    assert "31 rows: 0 queued, 0 stored before, 31 cannot be used" in done.out
    assert "nothing from line 32 on was read" in done.out


def test_a_heading_may_have_blanks_around_it_and_equals_signs_within(site: Site) -> None:
    (site.folder / "old.csv").write_text(" My = Mail ,b\nada@example.com,Ada\n")
    done = site.run("import", "newsletter", "old.csv", "--dry-run", "--map", " My = Mail =email")
    assert done.status == 0 and "1 would be queued" in done.out
    for wrong in ("=email", "Mail=", "=", ""):
        assert site.run("import", "newsletter", "old.csv", "--map", wrong).status == 2


def test_a_column_or_source_that_is_not_there_is_named(site: Site) -> None:
    (site.folder / "old.csv").write_text(TABLE)
    for wrong, said in (("Mail=email", "there is no column 'Mail'"), ("phone=frist", "looks at no 'frist'")):
        done = site.run("import", "newsletter", "old.csv", *MAP, "--map", wrong)
        assert done.status == 2 and said in done.err
    lost = site.run("import", "nowhere", "old.csv")
    assert lost.status == 2 and "there is no source nowhere" in lost.err
    assert site.run("import", "newsletter", "old.csv", "--map", "nothing").status == 2
    twice = site.run("import", "newsletter", "old.csv", "--map", "E-Mail=email", "--map", "E-Mail=phone")
    assert twice.status == 2 and "'E-Mail' twice" in twice.err
    assert site.run("import", "newsletter", "missing.csv").status == 2


def test_an_export_is_what_the_list_shows(site: Site) -> None:
    said = site.run("export", "--state", "held")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert sorted(row["receipt"] for row in rows) == sorted(site.receipts["held"])
    assert "h0@example.com" not in said.out
    table = list(csv.DictReader(site.run("export", "--state", "held", "--format", "csv").out.splitlines()))
    assert [row["receipt"] for row in table] == [row["receipt"] for row in rows]


def test_an_export_of_nothing_says_so_beside_the_file(site: Site) -> None:
    said = site.run("export", "--state", "dead")
    assert (said.status, said.out, said.err) == (0, "", "note: no submission matches\n")
    assert site.run("export", "--state", "dead", "--format", "csv").out.startswith("receipt,source,")


def test_people_are_exported_into_a_file_of_ones_own(site: Site) -> None:
    done = site.run("export", "--state", "held", "--people", "--output", "people.jsonl")
    file = site.folder / "people.jsonl"
    assert done.out == "people.jsonl written\n" and "h0@example.com" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = site.run("export", "--output", "people.jsonl")
    assert again.status == 1 and "exists already" in again.err


def test_a_restored_database_is_held_and_what_waits_is_marked(site: Site) -> None:
    assert site.run("restored").out.startswith("marked as restored: ocamba held")
    assert "held (restored) until resumed" in site.run("status").out
    queued = json.loads(site.run("submissions", "list", "--state", "queued", "--json").out)["submissions"]
    assert len(queued) == 3 and all(row["may_be_duplicate"] for row in queued)

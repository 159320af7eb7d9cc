"""Old sign-ups come in from tables, and rows go out as files."""

import csv
import io
import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from relay.config.settings import Settings
from relay.delivery import DEAD, INVALID
from relay.intake.entry import entry_of
from relay.operator import digest
from relay.operator.actor import Actor
from relay.operator.errors import Misnamed, Missing, Nonsense, NotAllowed, Unfitting
from relay.operator.exports import as_text
from relay.operator.filter import Filter
from relay.operator.imports import Imported, Problem, submission_of
from relay.operator.operator import Operator
from relay.operator.table import Table
from relay.outbox.outbox import Outbox
from relay.outbox.schema import deliveries
from relay.sources.mapping import Mapped
from tests.kit.inside import offline
from tests.kit.relay import HOOK, NEWSLETTER
from tests.kit.stored import rows_of

SOURCES: dict[str, Any] = {
    "newsletter": NEWSLETTER | {"region": "DE"},
    "asking": NEWSLETTER | {"consent": {"email": "news"}},
    "either": NEWSLETTER
    | {"fields": {"email": {"first": ["mail", "email"]}, "mobile_phone_number": "phone"}},
    "updating": HOOK | {"wait": 0, "update": {"custom_properties": {"city": "city"}}},
    "deep": HOOK | {"wait": 0, "retention": "2d", "fields": {"email": "answers[?type=='email'].email | [0]"}},
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return offline(tmp_path, SOURCES)


def taken(operator: Operator, data: bytes | str, source: str = "newsletter", **more: Any) -> Imported:
    raw = data.encode() if isinstance(data, str) else data
    names = more.pop("names", {})
    return operator.import_table(source, io.BytesIO(raw), names, **more)


def profiles(operator: Operator) -> list[tuple[str, str, str]]:
    text = "".join(operator.export(Filter(limit=1000), "csv", people=True))
    found = csv.DictReader(io.StringIO(text))
    return [(row["email"], row["mobile_phone_number"], row["full_name"]) for row in found]


# --- in ---------------------------------------------------------------------------------------------------

TABLE = "email;phone;first_name;last_name\r\nada@example.com;0171 1234567;Zoë;Müller\r\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_encoding_and_delimiter_are_found_out(operator: Operator, encoding: str, delimiter: str) -> None:
    rows = TABLE.replace(";", delimiter) + delimiter.join(["", "0171 7654321", "José", "Núñez"]) + "\r\n\r\n"

    found = taken(operator, rows.encode(encoding))

    assert (found.rows, found.queued, found.refused) == (2, 2, 0), found
    assert profiles(operator) == [
        ("", "+491717654321", "José Núñez"),
        ("ada@example.com", "+491711234567", "Zoë Müller"),
    ]


@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "cp850"])
def test_what_excel_saved_in_an_old_encoding_is_read_and_said_to_be_a_guess(
    operator: Operator, encoding: str
) -> None:
    rows = "ada@example.com;;Jürgen;Groß\nbob@example.com;;Zoë;Müller\ncy@example.com;;André;Lefèvre\n"
    table = "email;phone;first_name;last_name\n" + rows

    assert taken(operator, table, dry_run=True).guessed is None
    assert taken(operator, table.encode(encoding)).guessed == encoding
    assert [name for _, _, name in profiles(operator)] == ["André Lefèvre", "Zoë Müller", "Jürgen Groß"]


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_line_that_names_the_delimiter_is_no_heading(operator: Operator, first: str, encoding: str) -> None:
    table = f"{first}\r\nemail;first_name\r\nada@example.com;Ada, of Turin\r\nnonsense;\r\n"

    found = taken(operator, table.encode(encoding))

    assert (found.queued, [problem.line for problem in found.problems]) == (1, [4])
    assert profiles(operator) == [("ada@example.com", "", "Ada, of Turin")]


@pytest.mark.parametrize(
    "table",
    [
        "email;first_name\nada@example.com;Ada, of Turin, Italy\n",
        "email,first_name\nada@example.com,Ada; of Turin|Italy\n",
        '"email, private";first_name\nada@example.com;"Ada, of; Turin"\n',
        "email, private;first_name;x, y\nada@example.com;Ada;\nbob@example.com;Bob;\n",
        "email;last, first\nada@example.com;Lovelace, Ada\n",
        "email|first_name\r" + "ada@example.com|Ada, so; and so\r" * 3,
    ],
)
def test_a_delimiter_within_cells_misleads_nobody(operator: Operator, table: str) -> None:
    column = "email" if table.startswith("email;") or "private" not in table else "email, private"
    assert taken(operator, table, names={column: "email"}).refused == 0
    assert all(email.endswith("@example.com") for email, _, _ in profiles(operator))


def test_finding_the_delimiter_out_takes_no_longer_by_the_character() -> None:
    began = time.perf_counter()
    for hostile in (',"a,"a', '"', ";,|\t", "\n", '""', "x,\n"):
        Table(io.BytesIO(b"email,first_name\n" + (hostile * 65536).encode()[:65536]))
    assert time.perf_counter() - began < 2


def test_columns_are_given_the_names_of_the_source(operator: Operator) -> None:
    table = "E-Mail,Vorname\nada@example.com,Ada\n"
    with pytest.raises(Unfitting, match="no column holds a contact of newsletter"):
        taken(operator, table)
    with pytest.raises(Unfitting, match="there is no column 'Mail'"):
        taken(operator, table, names={"Mail": "email"})

    with pytest.raises(Misnamed, match="looks at no 'frist_name'; it looks at email, first_name"):
        taken(operator, table, names={"E-Mail": "email", "Vorname": "frist_name"})

    assert taken(operator, table, names={"E-Mail": "email", "Vorname": "first_name"}).queued == 1
    assert taken(operator, table, "deep", names={"E-Mail": "email"}).queued == 1
    assert profiles(operator) == [("ada@example.com", "", ""), ("ada@example.com", "", "Ada")]


@pytest.mark.parametrize("heading", ["email,E-Mail", "E-Mail,email"])
def test_a_column_that_is_mapped_goes_before_one_that_only_has_the_name(
    operator: Operator, heading: str
) -> None:
    row = heading.replace("E-Mail", "ada@example.com").replace("email", "other@example.com")

    assert taken(operator, f"{heading}\n{row}\n", names={"E-Mail": "email"}).queued == 1

    assert [email for email, _, _ in profiles(operator)] == ["ada@example.com"]


@pytest.mark.parametrize("name", ["mail", "email"])
def test_what_a_source_would_look_at_before_a_mapped_column_is_left_out(
    operator: Operator, name: str
) -> None:
    table = "mail,E-Mail\nother@example.com,ada@example.com\n"

    assert taken(operator, table, "either", names={"E-Mail": name}).queued == 1

    assert [email for email, _, _ in profiles(operator)] == ["ada@example.com"]


def test_a_column_with_the_whole_name_is_not_joined_to_another(operator: Operator) -> None:
    table = "email,Name,last_name\nada@example.com,Ada Lovelace,Lovelace\n"

    taken(operator, table, names={"Name": "full_name"})

    assert [name for _, _, name in profiles(operator)] == ["Ada Lovelace"]


def test_columns_to_be_joined_may_be_mapped_apart(operator: Operator) -> None:
    table = "email,Vorname,last_name\nada@example.com,Ada,Lovelace\n"

    taken(operator, table, names={"Vorname": "first_name"})

    assert [name for _, _, name in profiles(operator)] == ["Ada Lovelace"]


def test_two_columns_for_one_field_are_refused(operator: Operator) -> None:
    table = "A,B\nada@example.com,bob@example.com\n"
    with pytest.raises(Unfitting, match="'A' and 'B' are both the email of newsletter"):
        taken(operator, table, names={"A": "email", "B": "email"})
    with pytest.raises(Unfitting, match="'mobile_phone_number' and 'phone' are both"):
        taken(operator, "email,mobile_phone_number,phone\na@example.com,0171 1234567,\n")


def test_a_missing_consent_is_never_overridden(operator: Operator) -> None:
    table = "email,news\nada@example.com,yes\nbob@example.com,\ncat@example.com,no\n"

    found = taken(operator, table, "asking")

    assert (found.queued, found.refused) == (1, 2)
    assert [problem.line for problem in found.problems] == [3, 4]
    assert taken(operator, "email\ndan@example.com\n", "asking").refused == 1
    assert [email for email, _, _ in profiles(operator)] == ["ada@example.com"]


def test_the_proof_of_consent_says_when_it_came_in_and_not_that_it_was_given_then(operator: Operator) -> None:
    before = time.time()

    taken(operator, "email,news\nada@example.com,yes\n", "asking")

    (found,) = operator.page(Filter())["submissions"]
    proof = found["consent"]["email"]
    assert proof["ticked"] and datetime.fromisoformat(proof["imported_at"]).timestamp() >= before - 1
    assert "at" not in proof


def test_what_cannot_be_used_is_said_by_line_and_given_back(operator: Operator) -> None:
    rows = ["email,phone", "ada@example.com,", "nonsense,", '"two', 'lines@example.com",']
    table = "\n".join([*rows, "a@example.com,1,2,3", ",", "\xff,", ""])
    back: list[Problem] = []

    found = taken(operator, table.encode("latin-1"), reject=lambda problem, _: back.append(problem))

    assert (found.queued, found.refused) == (1, len(back))
    assert back == found.problems
    assert back[0].line == 3 and back[0].cells == ("nonsense", "")
    assert "nonsense" not in back[0].why and "nonsense" not in repr(back[0])
    assert [problem.line for problem in back] == [3, 4, 6, 8], "the line that each begins in"


TORN = {
    "a quote never ends": 'owner@example.com,"never ends\nghost@example.com,Ghost\n',
    "a quote ends in another row": 'owner@example.com,"never ends\nb@example.com,"Müller, Bea"\n',
    "a quote within a quoted note": 'owner@example.com,"5" pipe\nghost@example.com,Ghost\n"\n',
    "a note too long": f'owner@example.com,"{"x" * 140_000}\nghost@example.com,Ghost\n"\n',
}


@pytest.mark.parametrize("torn", TORN.values(), ids=TORN.keys())
def test_after_a_row_that_cannot_be_read_nobody_is_made_up_and_nobody_lost(
    operator: Operator, torn: str
) -> None:
    table = f"email,first_name\ngood@example.com,A\n{torn}last@example.com,B\n"

    found = taken(operator, table)

    assert [email for email, _, _ in profiles(operator)] == ["good@example.com"]
    assert (found.queued, found.refused, found.unread_from) == (1, 1, 3)
    assert found.problems[-1].line == 3 and "from this line on" in found.problems[-1].why
    mended = table.replace(torn, "owner@example.com,\n")
    assert (taken(operator, mended).queued, taken(operator, mended).unread_from) == (2, None)


def test_a_heading_whose_quote_never_ends_is_refused(operator: Operator) -> None:
    with pytest.raises(Unfitting, match="heading cannot be read"):
        taken(operator, 'email,"first_name\nada@example.com,Ada\n')


def test_a_dry_run_counts_and_stores_nothing(operator: Operator) -> None:
    found = taken(operator, TABLE + "nonsense;;;\n", dry_run=True)
    assert (found.rows, found.queued, found.refused) == (2, 1, 1)
    assert profiles(operator) == []


def test_a_dry_run_tells_repeats_as_the_run_after_it_does(operator: Operator, outbox: Outbox) -> None:
    taken(operator, "email\nstored@example.com\ngone@example.com\n")
    (gone,) = operator.find("gone@example.com")["submissions"]
    dead = sa.update(deliveries).where(deliveries.c.receipt == gone["receipt"]).values(state=DEAD)
    outbox.write(lambda conn: conn.execute(dead))
    once = "".join(f"person-{number}@example.com\n" for number in range(300))
    table = f"email\nstored@example.com\ngone@example.com\n{once}{once}PERSON-1@example.com\n"

    tried = taken(operator, table, dry_run=True)
    done = taken(operator, table)

    assert (tried.queued, tried.repeats) == (done.queued, done.repeats)
    assert done.repeats >= 301


def test_a_dry_run_knows_what_it_would_mend(operator: Operator, settings: Settings, outbox: Outbox) -> None:
    source = settings.sources["newsletter"]
    sent = submission_of({"email": "ada@example.com"}, time.time())
    outbox.put(entry_of(source, sent, Mapped(), INVALID, "no contact", outbox.vault))
    table = "email\nada@example.com\n"

    tried = taken(operator, table, dry_run=True)

    assert (tried.queued, tried.repeats) == (0, 1)
    done = taken(operator, table)
    assert (done.queued, done.repeats) == (0, 1)


def imports_noted(operator: Operator) -> list[dict[str, Any]]:
    return [act for act in operator.audit(Filter())["audit"] if act["action"] == "import"]


def test_an_import_is_in_the_audit_log_before_anybody_of_it_is_stored(operator: Operator) -> None:
    seen: list[int] = []

    def look(_: Imported) -> None:
        seen.append(len(imports_noted(operator)))

    taken(operator, TABLE, tell=look)

    assert seen == [1]
    over, begun = imports_noted(operator)
    assert (begun["count"], begun["detail"]) == (0, {"source": "newsletter", "stage": "begun"})
    said = {"source": "newsletter", "repeats": 0, "refused": 0, "stage": "over"}
    assert (over["count"], over["detail"]) == (1, said)


def test_a_table_is_safe_to_import_twice_and_after_a_crash(operator: Operator) -> None:
    table = "email\n" + "".join(f"person-{number}@example.com\n" for number in range(600))

    class Crash(Exception):
        pass

    def crash(_: Imported) -> None:
        raise Crash

    with pytest.raises(Crash):
        taken(operator, table, tell=crash)
    done = len(profiles(operator))
    assert 0 < done < 600
    over, begun = imports_noted(operator)
    assert begun["detail"] == {"source": "newsletter", "stage": "begun"}
    assert over["count"] == done and over["detail"]["stage"] == "stopped"

    again = taken(operator, table)
    assert (again.queued, again.repeats) == (600 - done, done)
    assert taken(operator, table).queued == 0
    assert len(profiles(operator)) == 600


MISTAKEN = "E-Mail,Vorname,Telefon\nada@example.com,Ada,0171 1234567\nbob@example.com,Bob,0171 7654321\n"
ALL_OF_IT = {"E-Mail": "email", "Vorname": "first_name", "Telefon": "mobile_phone_number"}


@pytest.mark.parametrize(
    "first", [["E-Mail"], ["Telefon"], ["E-Mail", "Telefon"], ["Telefon", "Vorname"]], ids=str
)
@pytest.mark.parametrize("is_less_first", [True, False])
def test_a_table_imported_again_with_another_mapping_sends_nobody_twice(
    operator: Operator, first: list[str], is_less_first: bool
) -> None:
    maps = [{column: ALL_OF_IT[column] for column in first}, ALL_OF_IT]
    once, again = (taken(operator, MISTAKEN, names=names) for names in maps[:: 1 if is_less_first else -1])

    assert (once.queued, once.repeats) == (2, 0)
    assert (again.queued, again.repeats) == (0, 2)
    assert len(profiles(operator)) == 2


def test_one_person_in_a_table_is_one_profile(operator: Operator) -> None:
    rows = ["email;phone;first_name", "ada@example.com;;Ada", "Ada@Example.COM;;Ada Maria"]
    rows += [";0171 1234567;Bob", ";+49 171 1234567;Robert", "bob@example.com;0171/1234567;Bob"]

    found = taken(operator, "\n".join(rows))

    assert (found.queued, found.repeats) == (2, 3)


def test_a_family_may_share_a_telephone(operator: Operator) -> None:
    table = "email;phone\nada@example.com;0171 1234567\nbob@example.com;0171 1234567\n"
    assert taken(operator, table).queued == 2


def test_who_is_stored_at_one_source_is_new_at_another(operator: Operator) -> None:
    table = "email,news\nada@example.com,yes\n"
    assert (taken(operator, table).queued, taken(operator, table, "asking").queued) == (1, 1)


def test_a_test_of_the_source_keeps_nobody_out(operator: Operator) -> None:
    operator.test("newsletter", {"email": "ada@example.com"}, send=True)
    assert taken(operator, "email,first_name\nada@example.com,Ada\n").queued == 1


def test_imported_ones_wait_behind_fresh_ones(operator: Operator, outbox: Outbox) -> None:
    taken(operator, TABLE)
    (row,) = rows_of(outbox, limit=1)
    assert (row["state"], row["lane"]) == ("queued", 1)


def test_imported_ones_are_no_arrivals_of_today(
    settings: Settings, operator: Operator, outbox: Outbox
) -> None:
    taken(operator, TABLE)

    found = next(one for one in operator.sources() if one["source"] == "newsletter")
    assert found["last"] is None and found["counts"] == {"1h": 0, "24h": 0, "7d": 0}
    assert sum(found["hours"]) == 0
    assert "newsletter: 0; the last one: never" in digest.made(settings, outbox)["text"]


@pytest.mark.parametrize("data", [b"", b"\n", b"email,email\na@example.com,b@example.com\n", b"\x00\x01\x02"])
def test_what_is_no_table_is_refused(operator: Operator, data: bytes) -> None:
    with pytest.raises(Unfitting):
        taken(operator, data)


def test_who_brings_the_spreadsheet_itself_is_told_what_to_do(operator: Operator) -> None:
    with pytest.raises(Unfitting, match="save the table as CSV"):
        taken(operator, b"PK\x03\x04\x14\x00\x06\x00email,first_name\r\n")


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "base64", "undefined", "utf-16", "idna", "a\0b"])
def test_an_encoding_that_does_not_fit_is_refused(operator: Operator, encoding: str) -> None:
    with pytest.raises(Nonsense, match="encoding"):
        taken(operator, TABLE, encoding=encoding)
    assert profiles(operator) == []


def test_a_table_that_breaks_off_within_a_character_is_read_up_to_there(operator: Operator) -> None:
    rows = "".join(f"person-{number}@example.com\n" for number in range(2000))
    found = taken(operator, f"email\n{rows}".encode("utf-16") + b"\x00")
    assert found.unread_from is not None and found.refused == 1 and found.problems[0].why.endswith("utf-16")
    assert found.queued == found.unread_from - 2 > 0


def test_who_may_not_brings_nothing_in_or_out(settings: Settings, outbox: Outbox) -> None:
    clerk = Operator(settings, outbox, Actor("ada", "act"))
    with pytest.raises(NotAllowed):
        taken(clerk, TABLE)
    with pytest.raises(NotAllowed):
        clerk.export(Filter(), "csv", people=True)
    with pytest.raises(Missing):
        taken(Operator(settings, outbox), TABLE, "nowhere")
    assert rows_of(outbox, limit=1) == []


# --- out --------------------------------------------------------------------------------------------------


def test_a_file_names_nobody_unless_it_is_asked_to(operator: Operator) -> None:
    taken(operator, TABLE)
    for format_ in ("jsonl", "csv", "sheet"):
        assert "ada@example.com" not in "".join(operator.export(Filter(), format_))
        assert "ada@example.com" in "".join(operator.export(Filter(), format_, people=True))
    (line,) = "".join(operator.export(Filter(), "jsonl")).splitlines()
    assert json.loads(line)["contact_hint"] == "a***@example.com"
    acts = operator.audit(Filter())["audit"]
    assert {act["action"] for act in acts} == {"export", "import"}


def test_of_what_could_not_be_mapped_a_file_has_all_that_was_sent(
    operator: Operator, settings: Settings, outbox: Outbox
) -> None:
    source = settings.sources["deep"]
    sent = submission_of({"who": "ada@example.com", "=1+1": ["x", 2]}, time.time())
    outbox.put(entry_of(source, sent, Mapped(), INVALID, "no contact", outbox.vault))

    (line,) = "".join(operator.export(Filter(state=INVALID), "jsonl", people=True)).splitlines()
    assert json.loads(line)["body"] == {"who": "ada@example.com", "=1+1": ["x", 2]}
    text = "".join(operator.export(Filter(state=INVALID), "sheet", people=True))
    (row,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert json.loads(row["body"])["who"] == "ada@example.com" and row["email"] == ""
    assert "ada@example.com" not in "".join(operator.export(Filter(state=INVALID), "jsonl"))


def test_a_file_has_the_update_that_follows_a_profile(operator: Operator) -> None:
    taken(operator, "email,city\nada@example.com,Turin\n", "updating")

    (line,) = "".join(operator.export(Filter(), "jsonl", people=True)).splitlines()

    assert json.loads(line)["update"] == {"custom_properties": {"city": "Turin"}}
    assert "Turin" not in "".join(operator.export(Filter(), "jsonl"))


def test_a_file_says_until_when_a_row_is_kept(operator: Operator, settings: Settings, outbox: Outbox) -> None:
    taken(operator, "email\nada@example.com\n")
    source = settings.sources["deep"]
    now = time.time()
    sent = submission_of({"who": "nobody"}, now)
    outbox.put(entry_of(source, sent, Mapped(), INVALID, "no contact", outbox.vault))

    invalid, queued = map(json.loads, "".join(operator.export(Filter(), "jsonl")).splitlines())

    until = datetime.fromisoformat(invalid["kept_until"]).timestamp()
    assert until == pytest.approx(now + 2 * 86400, abs=5)
    assert queued["kept_until"] is None


@pytest.mark.parametrize(
    "name", ["=1+1", "@SUM(A1)", "-1", "+1", '=HYPERLINK("http://x")', "\uff1d1+1", "\uff20SUM(A1)"]
)
def test_a_spreadsheet_runs_nothing_that_was_typed_into_a_form(operator: Operator, name: str) -> None:
    cells = io.StringIO()
    person = ["a@example.com", "+49 171 1234567", name]
    csv.writer(cells).writerows([["email", "phone", "first_name"], person])
    taken(operator, cells.getvalue())

    text = "".join(operator.export(Filter(), "sheet", people=True))

    assert text.startswith("\ufeff")
    (row,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert not any((cell or "").startswith(("=", "+", "-", "@", "\uff1d", "\uff20")) for cell in row.values())
    assert row["mobile_phone_number"] == "'+491711234567" and name in row["full_name"]
    plain = "".join(operator.export(Filter(), "csv", people=True))
    assert "+491711234567" in plain and "'+49" not in plain


def test_a_file_for_a_spreadsheet_comes_in_again_as_it_was_typed(operator: Operator) -> None:
    taken(operator, "email,phone,first_name,last_name\na@example.com,0171 1234567,=Ada,'t Hooft\n")
    file = "".join(operator.export(Filter(), "sheet", people=True))

    taken(operator, file, "updating")

    assert set(profiles(operator)) == {("a@example.com", "+491711234567", "=Ada 't Hooft")}
    assert len(profiles(operator)) == 2


def test_harmless_cells_are_left_alone() -> None:
    assert [as_text(cell) for cell in ("", "Ada", "a-b", "1")] == ["", "Ada", "a-b", "1"]


@pytest.fixture
def growth(operator: Operator) -> Callable[[int], float]:
    def seconds(count: int) -> float:
        table = "email,first_name\n" + "".join(f"p{count}-{n}@example.com,Ada\n" for n in range(count))
        began = time.perf_counter()
        assert taken(operator, table).queued == count
        return time.perf_counter() - began

    return seconds


def test_a_larger_table_takes_no_longer_by_the_row(growth: Callable[[int], float]) -> None:
    growth(500)
    small, large = growth(1000), growth(5000)
    assert large / 5000 < 2 * small / 1000

"""Setting a relay up: what is asked, what is written, and that it can be done twice."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import click
import pytest
from click.testing import CliRunner

from relay.cli.envfile import read_variables, write_privately
from relay.cli.main import commands
from relay.config import settings
from relay.config.settings import Settings
from relay.vault import keys_beside
from tests.cli.conftest import CLEARED, Said
from tests.kit.processes import full_after

Run = Callable[..., Said]
PAGE = """
<form role="search"><input name="q"></form>
<form action="/old" method="post">
  <input type="hidden" name="csrf" value="x"><input name="EMAIL" type="email" required>
  <input type="tel" name="fon"><input name="Vorname"><input name="Nachname" autocomplete="family-name">
  <textarea name="message"></textarea>
  <input type="checkbox" name="news" value="1"><button name="go">Go</button>
</form>
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (*CLEARED, "OCAMBA_TOKEN", "RELAY_TIME_ZONE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder: Path) -> Settings:
    """The settings that were written, as the server would read them with a token."""
    variables = read_variables(folder / "relay.env")
    named = {"OCAMBA_TOKEN": "t", **variables, "RELAY_CONFIG": str(folder / "relay.toml")}
    return settings.load({**named, "RELAY_DATABASE_URL": f"sqlite:///{folder}/var/relay.db"})


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_everything_is_written_and_passes_check(run: Run, folder: Path) -> None:
    site = ("--site", "https://www.example.com/", "--region", "de", "--time-zone", "Europe/Berlin")
    said = run("init", "--yes", *site, "--consent-field", "news", "--consent", 'Write to me: "yes"')
    assert (said.status, said.err) == (0, "")
    assert mode(folder / "relay.env") == mode(folder / "var/relay.db.keys") == 0o600
    source = written(folder).sources["newsletter"]
    assert (source.region, source.origins) == ("DE", ("https://www.example.com",))
    assert source.page["labels"] == {"news": 'Write to me: "yes"'}
    assert run("check").out == "ok: 1 source, 1 destination; no token: sandbox mode\n"


def test_the_operators_token_is_shown_once(run: Run, folder: Path) -> None:
    said = run("init", "--yes")
    token = read_variables(folder / "relay.env")["RELAY_ADMIN_TOKEN"]
    assert len(token) >= 24 and said.out.count(token) == 1
    assert token not in run("init", "--yes").out


def test_a_second_time_changes_nothing(run: Run, folder: Path) -> None:
    run("init", "--yes")
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    said = run("init", "--yes", "--site", "https://other.example.com")
    assert said.status == 0 and said.out == "" and said.err.count("stays as it is") == 2
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_a_missing_environment_file_is_added_to_a_configuration(run: Run, folder: Path) -> None:
    run("init", "--yes", "--source", "shop")
    (folder / "relay.env").unlink()
    said = run("init", "--yes")
    assert said.status == 0 and (folder / "relay.env").exists()
    assert "shop" in written(folder).sources


def test_a_configuration_that_is_there_is_looked_at_where_it_stands(run: Run, folder: Path) -> None:
    """What it names stands beside it, and it is read as by every other command."""
    run("init", "--yes")
    (folder / "relay.env").unlink()
    (folder / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    with (folder / "relay.toml").open("a") as file:
        file.write('[sources.newsletter.page]\nlogo = "logo.svg"\n')
    assert run("init", "--yes").status == 0
    (folder / "relay.toml").write_text("# as a shell of Windows writes it", encoding="utf-16")
    said = run("init", "--yes")
    assert (said.status, said.err.splitlines()[-1]) == (2, "relay.toml: is not UTF-8; save it as that")


def test_what_a_full_disk_cut_short_is_not_left_behind(folder: Path) -> None:
    """The next try would find it there, and leave it as it is."""
    with full_after(40):
        with pytest.raises(OSError, match="too large"):
            write_privately(folder / "relay.env", "OCAMBA_TOKEN=\n" * 10)
        with pytest.raises(OSError, match="too large"):
            keys_beside(folder / "relay.db")
    assert list(folder.iterdir()) == []


def test_the_fields_of_a_page_are_found(run: Run, folder: Path) -> None:
    (folder / "page.html").write_text(PAGE)
    assert run("init", "--yes", "--html", "page.html").status == 0
    text = (folder / "relay.toml").read_text()
    for line in (
        'email = "EMAIL"',
        'mobile_phone_number = "fon"',
        'full_name = { from = ["Vorname", "Nachname"] }',
    ):
        assert line in text
    assert 'consent  = "news"' in text, "a box is taken for the consent rather than for nothing"


BODIES = {
    "somebody else's address first": (
        "<input type=email name=friend_email><input type=email name=email>",
        ['email = "email"'],
    ),
    "a second address first": (
        "<input type=email name=email2><input type=email name=email>",
        ['email = "email"'],
    ),
    "names in brackets": (
        '<input name="fields[email]"><input name="fields[first_name]"><input name="fields[last_name]">',
        ['email = "fields[email]"', 'full_name = { from = ["fields[first_name]", "fields[last_name]"] }'],
    ),
    "a box with words of its own": (
        '<input type=email name=email><input type=checkbox name=news value="I want it">',
        ['consent  = { email = { field = "news", yes = ["I want it"] } }'],
    ),
}


@pytest.mark.parametrize(("inputs", "lines"), BODIES.values(), ids=BODIES)
def test_what_a_page_means_is_found(run: Run, folder: Path, inputs: str, lines: list[str]) -> None:
    (folder / "page.html").write_text(f"<form>{inputs}<button>Join</button></form>")
    assert run("init", "--yes", "--html", "page.html").status == 0
    text = (folder / "relay.toml").read_text()
    assert [line for line in lines if line not in text] == []
    assert written(folder).sources["newsletter"].mapping is not None


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "iso-8859-1"])
@pytest.mark.parametrize("meta", ["", '<meta charset="{}">'])
def test_a_page_is_read_in_its_own_character_set(run: Run, folder: Path, codec: str, meta: str) -> None:
    head = meta.format(codec.removesuffix("-sig"))
    page = f'{head}<form><input type=email name=email><input type=tel name="Téléphone"></form>'
    (folder / "page.html").write_bytes(page.encode(codec))
    assert run("init", "--yes", "--html", "page.html").status == 0
    assert 'mobile_phone_number = "Téléphone"' in (folder / "relay.toml").read_text(encoding="utf-8")


def test_a_senders_secret_has_a_name_that_shells_know(run: Run, folder: Path) -> None:
    assert run("init", "--yes", "--source", "1", "--preset", "typeform").status == 0
    assert 'secret = "env:SOURCE_1_SECRET"' in (folder / "relay.toml").read_text().replace("  ", " ")
    assert "\nSOURCE_1_SECRET=" in (folder / "relay.env").read_text()


def test_which_of_two_boxes_means_consent_is_never_guessed(run: Run, folder: Path) -> None:
    (folder / "page.html").write_text(PAGE.replace("</form>", '<input type="checkbox" name="terms"></form>'))
    said = run("init", "--yes", "--html", "page.html")
    assert said.status == 2 and "news, terms" in said.err and not (folder / "relay.toml").exists()
    assert run("init", "--yes", "--html", "page.html", "--consent-field", "").status == 0
    assert "consent" not in (folder / "relay.toml").read_text()


@pytest.mark.parametrize(
    "box",
    [
        '<input type="checkbox" name="no_newsletter" value="1">',
        '<input type="checkbox" name="emailOptOut">',
        '<input type="checkbox" name="contact" value="No, do not write to me">',
        '<input type="checkbox" name="keine_werbung">',
    ],
)
def test_a_box_that_says_no_is_not_guessed_to_be_consent(run: Run, folder: Path, box: str) -> None:
    (folder / "page.html").write_text(f'<form><input type="email" name="email">{box}</form>')
    said = run("init", "--yes", "--html", "page.html")
    assert said.status == 2 and "--consent-field" in said.err and not (folder / "relay.toml").exists()


@pytest.mark.parametrize("kind", ["radio", "checkbox"])
@pytest.mark.parametrize(("no", "yes"), [("No thanks", "Please"), ("n", "y"), ("unchecked", "contact me")])
def test_of_a_no_and_a_yes_the_yes_is_consent(run: Run, folder: Path, kind: str, no: str, yes: str) -> None:
    answers = "".join(f'<input type="{kind}" name="news" value="{word}">' for word in (no, yes))
    (folder / "page.html").write_text(f'<form><input type="email" name="email">{answers}</form>')
    assert run("init", "--yes", "--html", "page.html", "--consent-field", "news").status == 0
    box = written(folder).sources["newsletter"].mapping.consent["email"]
    assert box.is_ticked({"news": yes}) and not box.is_ticked({"news": no})


def test_fields_can_be_named_by_what_they_are(run: Run, folder: Path) -> None:
    assert run("init", "--yes", "--fields", "email=feld1,phone=feld2").status == 0
    assert written(folder).sources["newsletter"].mapping is not None
    assert 'mobile_phone_number = "feld2"' in (folder / "relay.toml").read_text()


@pytest.mark.parametrize(
    ("words", "named"),
    {
        "no contact among the fields": (["--fields", "one,two"], "--fields"),
        "an unknown role": (["--fields", "mail=x"], "email"),
        "an unknown sender": (["--preset", "typefrom"], "typeform"),
        "a zone that is none": (["--time-zone", "Berlin"], "RELAY_TIME_ZONE"),
        "an address that is none": (["--public-url", "relay"], "RELAY_PUBLIC_URL"),
        "a name that is none": (["--source", "my form"], "my form"),
        "a token's file that is missing": (["--token-file", "nowhere"], "nowhere"),
        "a country that is none": (["--region", "XX"], "region"),
    }.values(),
)
def test_what_cannot_be_used_is_said_before_anything_is_written(
    run: Run, folder: Path, words: list[str], named: str
) -> None:
    said = run("init", "--yes", *words)
    assert (said.status, said.out) == (2, "") and named in said.err
    assert list(folder.iterdir()) == []


def test_a_token_that_was_pasted_badly_is_refused(run: Run, folder: Path) -> None:
    (folder / "token").write_text('"abc"\n')
    said = run("init", "--yes", "--token-file", "token")
    assert said.status == 2 and "quotes" in said.err and "abc" not in said.err
    (folder / "token").write_text("abc\n")
    (folder / "token").chmod(0o600)
    assert run("init", "--yes", "--token-file", "token").status == 0
    assert written(folder).destinations["ocamba"].token == "abc"


def test_a_known_sender_gets_a_secret_of_its_own(run: Run, folder: Path) -> None:
    said = run("init", "--yes", "--preset", "contact-form-7", "--source", "blog")
    assert said.status == 0 and "presets show contact-form-7" in said.out
    assert len(read_variables(folder / "relay.env")["BLOG_SECRET"]) == 48
    assert written(folder).sources["blog"].kind == "webhook"


def test_alerts_by_mail_are_complete_or_left_for_later(run: Run, folder: Path) -> None:
    run("init", "--yes", "--alert", "ops@example.com", "--smtp", "smtp://localhost:25")
    assert written(folder).alert_mail
    for file in ("relay.env", "relay.toml"):
        (folder / file).unlink()
    said = run("init", "--yes", "--alert", "ops@example.com")
    assert said.status == 0 and "--smtp" in said.err and not written(folder).alert_mail


def test_a_person_is_asked_for_all_of_it(folder: Path) -> None:
    (folder / "page.html").write_text(PAGE)
    answers = ["", "https://www.example.com", "page.html", "", "Yes, news", "shop", "DE", "", "tok-en"]
    answers += ["https://relay.example.com", "Europe/Vienna", "https://alerts.example.com/x"]
    with mock.patch.dict(os.environ):
        done = CliRunner().invoke(commands, ["init"], input="\n".join(answers) + "\n")
    assert done.exit_code == 0, done.output
    assert "EMAIL, fon, Vorname, Nachname" in done.output and "tok-en" not in done.output
    found = written(folder)
    assert found.destinations["ocamba"].token == "tok-en"
    assert found.public_url == "https://relay.example.com"
    assert found.sources["shop"].page["labels"] == {"news": "Yes, news"}


@pytest.mark.parametrize("answers", ["", "\nhttps://www.example.com\n"], ids=["at all", "any more"])
def test_where_nobody_answers_the_defaults_are_taken(folder: Path, answers: str) -> None:
    with mock.patch.dict(os.environ):
        done = CliRunner().invoke(commands, ["init"], input=answers)
    assert done.exit_code == 0 and "nobody answers" in done.output
    assert written(folder).sources["newsletter"].origins == ((answers or "*").strip(),)
    assert (mode(folder / "relay.env"), mode(folder / "var" / "relay.db.keys")) == (0o600, 0o600)


def test_who_stops_the_questions_has_nothing_written(folder: Path) -> None:
    with mock.patch.dict(os.environ), mock.patch("click.prompt", side_effect=click.Abort):
        done = CliRunner().invoke(commands, ["init"])
    assert done.exit_code == 1 and list(folder.iterdir()) == []


# --- the environment file ---------------------------------------------------------------------------------


def test_commands_read_the_file_in_their_folder_and_the_environment_goes_before(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("init", "--yes")
    with (folder / "relay.env").open("a") as file:
        file.write("RELAY_PUBLIC_URL=https://file.example.com\nOCAMBA_TOKEN=from-the-file\n")
    assert run("check").out.endswith("ready to send\n")
    monkeypatch.setenv("RELAY_PUBLIC_URL", "https://set.example.com")
    assert "https://set.example.com/submit/" in run("presets", "show", "typeform").out


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"  \n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
def test_the_file_is_read_as_editors_save_it(run: Run, folder: Path, mark: bytes, end: bytes) -> None:
    run("init", "--yes")
    lines = (mark + b"OCAMBA_TOKEN=tok=en", b"; a remark", b"", b"RELAY_TIME_ZONE = Europe/Berlin")
    (folder / "relay.env").write_bytes(end.join((*lines, b"")))
    assert run("check").out.endswith("ready to send\n")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b"export OCAMBA_TOKEN=t0ken\n", "relay.env, line 1: must be NAME=value"),
        (b"PORT=8000\nOCAMBA_TOKEN: t0ken\n", "relay.env, line 2: must be NAME=value"),
        (b'OCAMBA_TOKEN="t0\nken"\n', "relay.env, line 2: must be NAME=value"),
        (b"OCAMBA_TOKEN=t0\0ken\n", "relay.env, line 1: must be NAME=value"),
        ("OCAMBA_TOKEN=t0ken\n".encode("utf-16"), "relay.env: is not UTF-8"),
    ],
)
def test_a_line_that_would_be_passed_over_is_refused(run: Run, folder: Path, text: bytes, where: str) -> None:
    """Without the token that it was meant to give, people would go to the sandbox."""
    run("init", "--yes")
    (folder / "relay.env").write_bytes(text)
    said = run("check")
    assert said.status == 2 and said.err.startswith(where)
    assert len(said.err.splitlines()) == 1 and "t0" not in said.err

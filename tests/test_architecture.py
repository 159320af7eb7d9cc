"""Which room may know which, where each library lives, and how large a file may get."""

import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "relay"

ORDER = (
    *("clock", "events", "metrics", "network", "outcome", "private", "quota", "vault"),
    *("destination", "health", "delivery", "sources"),
    *("config", "outbox", "dispatch", "intake", "operator", "process"),
    *("sandbox", "web", "server", "cli", "__main__"),
)
"""Each room may import those before it, and none after it."""

HOMES = {
    "flask": {"web", "sandbox"},
    "flask_wtf": {"web"},
    "werkzeug": {"web", "sandbox", "sources"},
    "jinja2": {"web"},
    "apispec": {"web"},
    "gunicorn": {"server"},
    "requests": {"dispatch"},
    "urllib3": {"dispatch"},
    "limits": {"quota", "intake"},
    "redis": set(),
    "marshmallow": {"sources", "config", "web"},
    "jmespath": {"sources", "config"},
    "sqlalchemy": {"outbox"},
    "psycopg": {"outbox"},
    "sqlite3": {"outbox"},
    "pysqlite3": {"outbox"},
    "cryptography": {"vault"},
    "prometheus_client": {"metrics"},
    "email_validator": {"sources"},
    "idna": {"sources"},
    "phonenumbers": {"sources", "sandbox"},
    "jwt": {"sources"},
    "click": {"cli"},
    "charset_normalizer": {"operator"},
}
"""Where a library may be imported; a library that is not named may be imported nowhere."""

VALUES = ("outcome", "destination", "health", "delivery", "sources")
"""Values and pure functions: no clock, network, file, environment or thread."""

WORLD = {
    "os",
    "time",
    "socket",
    "threading",
    "subprocess",
    "random",
    "secrets",
    "logging",
    "shutil",
    "tempfile",
}


def room_of(file: Path) -> str:
    return file.relative_to(ROOT).with_suffix("").parts[0]


FILES = {file: ast.parse(file.read_text(encoding="utf-8")) for file in sorted(ROOT.rglob("*.py"))}
ROOMS = sorted({room_of(file) for file in FILES} - {"__init__"})


def imports(room: str) -> Iterator[tuple[str, str]]:
    """Every import in a room, wherever it stands: the file, and the dotted name imported."""
    for file, tree in FILES.items():
        if room_of(file) != room:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from ((str(file.relative_to(ROOT)), alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file} imports by a relative path"
                for alias in node.names:
                    yield str(file.relative_to(ROOT)), f"{node.module}.{alias.name}"


def test_every_room_has_its_place_in_the_order() -> None:
    assert set(ROOMS) == set(ORDER)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_before_it(room: str) -> None:
    for file, name in imports(room):
        top, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if top == "relay" and other in ORDER and other != room:
            assert ORDER.index(other) < ORDER.index(room), f"relay/{file} imports {name}"


@pytest.mark.parametrize("room", ROOMS)
def test_a_library_is_imported_at_home_only(room: str) -> None:
    for file, name in imports(room):
        library = name.partition(".")[0]
        if library in HOMES or library not in {"relay", *sys.stdlib_module_names}:
            assert room in HOMES.get(library, ()), f"relay/{file} imports {library}"


@pytest.mark.parametrize("room", VALUES)
def test_values_know_nothing_of_the_world(room: str) -> None:
    for file, name in imports(room):
        assert name.partition(".")[0] not in WORLD, f"relay/{file} imports {name}"


@pytest.mark.parametrize("room", sorted({file.parent for file in FILES} - {ROOT}), ids=lambda room: room.name)
def test_a_room_says_what_lives_in_it(room: Path) -> None:
    assert len(ast.get_docstring(FILES[room / "__init__.py"]) or "") > 100


def test_the_environment_is_read_in_few_places() -> None:
    readers = {
        str(file.relative_to(ROOT))
        for file, tree in FILES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
        if isinstance(node.value, ast.Name) and node.value.id == "os"
    }
    allowed = {"config/settings.py", "server/hooks.py", "server/serve.py", "metrics.py"}
    assert readers <= allowed | {"cli/checking.py", "cli/envfile.py", "cli/presets.py", "cli/running.py"}


def test_files_and_functions_are_read_in_one_sitting() -> None:
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in FILES}
    assert {str(file) for file, length in lengths.items() if length > 320} == set()
    assert statistics.median(lengths.values()) <= 110
    for file, tree in FILES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 40, f"{file}: {node.name}"


def test_no_two_files_of_tests_have_one_name() -> None:
    """Rooms of tests are no packages: of two such files one cannot be loaded, and a whole run ends there."""
    names = Counter(file.name for file in (ROOT.parent / "tests").glob("*/test_*.py"))
    assert [name for name, times in names.items() if times > 1] == []

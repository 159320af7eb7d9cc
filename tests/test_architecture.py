"""Who may know whom: faces → verbs → edges → core, and each package has one home."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "relay"

CORE = (
    *("source", "verification", "submission", "mapping", "contact"),
    *("delivery", "destination", "outcome", "receipt", "timestamp"),
)
"""Values and pure functions: no clock, network, database, environment or Flask."""

SHARED = ("clock", "disk", "events", "quota", "vault")
"""Small pieces that know one outside thing and nothing of the relay; anybody may use them."""

VALUE_FROM_SHARED = ("destination", "quota", ["Window"])
"""The one thing that the core takes from there: a value."""

EDGES = {
    "settings": ("environment", "tables", "reader", "settings"),
    "outbox": (
        "schema",
        "database",
        "entry",
        "statements",
        "storing",
        "sending",
        "listing",
        "upkeep",
        "outbox",
    ),
    "upstream": ("upstream",),
}
"""Each speaks to one outside thing, and none to another; later modules of one use the earlier."""

VERBS = ("checker", "watch", "dispatcher", "intake", "operator", "running")
"""What is done; each may use those before it. ``running`` puts them together."""

FACES = ("web", "sandbox", "serving", "cli", "arriving", "worker", "__main__")
"""How the world meets it; each may use those before it."""

HOMES = {
    "flask": ("web", "sandbox"),
    "werkzeug": ("web", "sandbox", "submission"),
    "jinja2": ("web",),
    "apispec": ("web.description",),
    "gunicorn": ("serving", "worker"),
    "requests": ("upstream",),
    "urllib3": ("upstream",),
    "limits": ("quota",),
    "redis": (),
    "marshmallow": ("mapping", "tables", "reader", "web.description"),
    "jmespath": ("mapping", "verification", "tables", "reader"),
    "sqlalchemy": (
        *("schema", "database", "statements"),
        *("storing", "sending", "listing", "upkeep", "outbox"),
    ),
    "psycopg": (),
    "sqlite3": ("database",),
    "pysqlite3": ("database",),
    "cryptography": ("vault",),
    "prometheus_client": ("events",),
    "email_validator": ("contact",),
    "phonenumbers": ("contact", "sandbox"),
    "jwt": ("verification",),
}
"""Where a package may be imported; a folder stands for all of its modules."""

PURE = {
    "base64",
    "binascii",
    "collections",
    "dataclasses",
    "datetime",
    "email",
    "functools",
    "hashlib",
    "hmac",
    "json",
    "math",
    "re",
    "typing",
    "unicodedata",
    "urllib",
}
"""What the core may use of the standard library: nothing that knows the time or the world."""

ENVIRONMENT = {
    "settings": {"*"},
    "cli": {"*", "RELAY_ROLE", "RELAY_CONFIG"},  # what the command line says, for the settings to read
    "serving": {"HOST", "PORT", "SHARED_COUNTS", "GUNICORN_FD", "LISTEN_FDS"},
    "events": {"SHARED_COUNTS"},
}
"""Which variables are read or set elsewhere than in settings; ``*``: handed on whole."""


def _name(file: Path) -> str:
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


MODULES = {_name(file): ast.parse(file.read_text(encoding="utf-8")) for file in sorted(ROOT.rglob("*.py"))}
del MODULES["__init__"]


def _top(module: str) -> str:
    return module.partition(".")[0]


@cache
def _imports(module: str) -> list[tuple[str, list[str]]]:
    """Every import of a module, wherever it stands: the module imported, and the names taken from it."""
    return list(_walk(module))


def _walk(module: str) -> Iterator[tuple[str, list[str]]]:
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative path"
            names = [alias.name for alias in node.names]
            below = [name for name in names if f"{node.module}.{name}".removeprefix("relay.") in MODULES]
            yield from ((f"{node.module}.{name}", []) for name in below)
            if rest := [name for name in names if name not in below]:
                yield str(node.module), rest


def _ours(module: str) -> dict[str, list[str]]:
    """The relay's modules that a module imports, by name, with what it takes from them."""
    found: dict[str, list[str]] = {}
    for name, taken in _imports(module):
        if name.startswith("relay."):
            found.setdefault(name.removeprefix("relay."), []).extend(taken)
    return found


def _may_import(module: str) -> set[str]:
    """What a module may import, by the layers above."""
    top = _top(module)
    if top in SHARED:
        return set()
    if top in CORE:
        return set(CORE)
    below = {*CORE, *SHARED}
    for modules in EDGES.values():
        if top in modules:
            return below | set(modules[: modules.index(top)])
    below |= {module for modules in EDGES.values() for module in modules}
    if top in VERBS:
        return below | set(VERBS[: VERBS.index(top)])
    return below | set(VERBS) | set(FACES[: FACES.index(top) + 1])


def test_every_module_has_a_place_in_the_layers() -> None:
    placed = [*CORE, *SHARED, *VERBS, *FACES, *(module for modules in EDGES.values() for module in modules)]
    assert len(placed) == len(set(placed))
    assert {_top(module) for module in MODULES} == set(placed)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_the_layers(module: str) -> None:
    for imported, taken in _ours(module).items():
        if (module, imported, taken) != VALUE_FROM_SHARED:
            assert _top(imported) in _may_import(module), f"{module} imports {imported}"


def test_no_edge_knows_another() -> None:
    for edge, modules in EDGES.items():
        others = {module for name, group in EDGES.items() if name != edge for module in group}
        for module in modules:
            assert not others & _ours(module).keys()


def test_nothing_imports_in_a_circle() -> None:
    order: list[str] = []

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join((*path, module))
        if module not in order:
            for imported in _ours(module):
                if imported in MODULES and _top(imported) != _top(module):
                    visit(imported, (*path, module))
            order.append(module)

    for module in MODULES:
        visit(module, ())


@pytest.mark.parametrize("package", HOMES)
def test_each_package_has_one_home(package: str) -> None:
    users = {module for module in MODULES for name, _ in _imports(module) if _top(name) == package}
    strangers = {user for user in users if user not in HOMES[package] and _top(user) not in HOMES[package]}
    assert not strangers


def test_every_package_from_elsewhere_is_known_here() -> None:
    used = {_top(name) for module in MODULES for name, _ in _imports(module)}
    assert used - set(sys.stdlib_module_names) - {"relay"} <= HOMES.keys()


@pytest.mark.parametrize("module", CORE)
def test_the_core_is_pure(module: str) -> None:
    standard = {_top(name) for name, _ in _imports(module)} & set(sys.stdlib_module_names)
    assert standard <= PURE


@pytest.mark.parametrize("module", CORE)
def test_the_core_asks_no_clock(module: str) -> None:
    asked = {
        ast.unparse(node)
        for node in ast.walk(MODULES[module])
        if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today", "time", "monotonic")
    }
    assert not {text for text in asked if text.startswith(("time.", "datetime.", "date."))}


def _environment_uses(tree: ast.AST) -> Iterator[str]:
    """The variables a module reads or sets through ``os``; ``*`` where the whole is handed on."""
    inner: set[ast.AST] = set()
    for node in ast.walk(tree):
        key: ast.expr | None = None
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            inner.add(node.value)
            key = node.slice
        elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("os.environ.", "os.getenv")):
            inner.update(ast.walk(node.func))
            key = node.args[0]
        elif isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ" and node not in inner:
            yield "*"
        if key is not None:
            yield str(key.value) if isinstance(key, ast.Constant) else ast.unparse(key).rpartition(".")[2]


@pytest.mark.parametrize("module", MODULES)
def test_the_environment_is_read_in_settings_only(module: str) -> None:
    """Elsewhere only what is set for a child or for a library, and no more than is named above."""
    assert set(_environment_uses(MODULES[module])) <= ENVIRONMENT.get(module, set())


def test_only_settings_and_the_command_line_name_variables_of_the_relay() -> None:
    allowed = {"environment", "settings", "reader", "cli"}
    for module, tree in MODULES.items():
        keys = [key for key in _environment_uses(tree) if key.startswith("RELAY_")]
        assert not keys or module in allowed


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is(module: str) -> None:
    assert ast.get_docstring(MODULES[module])


def test_the_story_names_files_that_exist() -> None:
    story = ast.get_docstring(ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))) or ""
    named = [word.strip("`,.():;") for word in story.split() if ".py" in word]
    assert len(named) >= 10
    assert all((ROOT / name).exists() for name in named)

"""The package: built, installed into an environment of its own, and used from an empty folder."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import relay
from tests.kit.processes import eventually, free_port

ROOT = Path(__file__).resolve().parents[1]
UV = [sys.executable, "-m", "uv"]


def done(*command: str, cwd: Path = ROOT) -> str:
    """What a command printed; it must have worked."""
    ran = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment(), check=False)
    assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
    return ran.stdout


def environment(**more: str) -> dict[str, str]:
    """Without what would let this checkout be found instead of the package."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RELAY_", "OCAMBA_"))}
    kept.pop("PYTHONPATH", None)
    return kept | {"UV_SYSTEM_CERTS": "1"} | more


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The command relay, in a fresh environment that holds the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("package")
    done(*UV, "build", "--quiet", "--wheel", "--out-dir", str(folder), ".")
    (wheel,) = folder.glob("*.whl")
    done(*UV, "venv", "--quiet", "--python", sys.executable, str(folder / "venv"))
    python = str(folder / "venv/bin/python")
    done(*UV, "pip", "install", "--quiet", "--python", python, "-c", "requirements.txt", str(wheel))
    return str(folder / "venv/bin/relay")


@contextmanager
def served(command: str, folder: Path) -> Iterator[str]:
    """The relay of a folder, from `relay serve` until it is told to stop."""
    port = free_port()
    output = (folder / "output").open("w")
    process = subprocess.Popen(
        [command, "serve"], cwd=folder, env=environment(PORT=str(port)), stdout=output, stderr=output
    )
    try:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: process.poll() is not None or is_ready(url), 30, "the relay is ready")
        assert process.poll() is None, (folder / "output").read_text()
        yield url
    finally:
        process.terminate()
        process.wait(30)
        output.close()


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_it_knows_its_version_and_what_ships_with_it(installed: str, tmp_path: Path) -> None:
    assert done(installed, "--version", cwd=tmp_path) == f"relay {relay.__version__}\n"
    assert "typeform" in done(installed, "presets", cwd=tmp_path)


def test_without_a_configuration_it_says_how_to_get_one(installed: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [installed, "serve"], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2 and "relay init" in ran.stderr and ran.stderr.count("\n") == 1


def test_an_empty_folder_is_set_up_and_served(installed: str, tmp_path: Path) -> None:
    done(installed, "init", "--yes", "--site", "https://www.example.com", cwd=tmp_path)
    with served(installed, tmp_path) as url:
        with urllib.request.urlopen(f"{url}/forms/newsletter", timeout=10) as page:
            assert page.status == 200 and b'name="email"' in page.read()
        with urllib.request.urlopen(
            f"{url}/submit/newsletter", b"email=ada%40example.com", timeout=10
        ) as answer:
            assert answer.status in (201, 202)
        assert "newsletter" in done(installed, "submissions", "list", cwd=tmp_path)


@pytest.mark.slow
def test_the_bill_of_materials_names_everything_that_is_locked_or_vendored() -> None:
    bill = json.loads((ROOT / done(sys.executable, ".ci/sbom").strip()).read_text(encoding="utf-8"))
    locked = re.findall(r"^([a-z0-9-]+)==([\w.]+)", (ROOT / "requirements.txt").read_text("utf-8"), re.M)
    named = {(one["name"], one["version"]) for one in bill["components"]}
    assert {*locked, ("htmx.org", "2.0.11")} <= named
    assert bill["metadata"]["component"]["version"] == relay.__version__

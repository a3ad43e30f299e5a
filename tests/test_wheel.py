"""The built wheel holds every package and data file: an editable install works without, and hides it."""

import json
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest

from tests.conftest import REPOSITORY

PACKAGES = ("rssam", "baselines", "data_prep", "benchmarks", "reports")
DATA = ("reports/templates/*", "reports/results/*", "benchmarks/execution/counted_costs.json")
"""Not the bundles in folders of reports/results: they are read in a clone."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy without what git ignores, with the tested environment's setuptools."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(REPOSITORY / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "rssam_bench.py"):
        shutil.copy(REPOSITORY / name, folder / "source" / name)
    # What pip does without isolation, without its three processes.
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(folder)!r})"
    command = [sys.executable, "-c", build]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder / "source")
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def command(wheel, tmp_path_factory):
    """`rssam-bench` of a fresh environment that sees the tested site-packages, and not the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet"]
    install.append("--no-compile")  # the commands below compile what they import
    subprocess.run([*install, "--disable-pip-version-check", wheel], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    # A folder named in a .pth file is searched, and the .pth files in it, such as an editable install's, are not read.
    (site / "tested.pth").write_text(sysconfig.get_path("purelib") + "\n")

    def run(*arguments):
        home = ("--home", str(folder / "home"))
        return subprocess.run(
            [folder / "bin" / "rssam-bench", *home, *map(str, arguments)],
            capture_output=True, text=True, check=False, cwd=folder, env={"PATH": "/usr/bin:/bin"},
        )  # fmt: skip

    return run


def test_every_module_and_data_file_is_in_it(wheel):
    code = (
        path for package in PACKAGES for name in ("*.py", "py.typed") for path in (REPOSITORY / package).rglob(name)
    )
    data = (path for pattern in DATA for path in REPOSITORY.glob(pattern) if path.is_file())
    expected = {"rssam_bench.py"} | {path.relative_to(REPOSITORY).as_posix() for path in (*code, *data)}
    found = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert found == expected


def test_its_commands_run_outside_the_checkout(command, tmp_path):
    done = command("--help")
    assert done.returncode == 0, done.stderr
    assert "reproduce" in done.stdout
    done = command("models", "--json")
    assert done.returncode == 0, done.stderr
    assert {"rs-sam", "unet"} <= {model["name"] for model in json.loads(done.stdout)}
    done = command("report", "table5", "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    for name in ("report.md", "report.html", "table5.tex", "table5.csv"):
        assert (tmp_path / "report" / name).stat().st_size > 200

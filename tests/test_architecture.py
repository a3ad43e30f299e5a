"""The order of the packages, ground to roof: an import never points up and never runs in a circle.

And what the light commands may not import, where paths of the home are joined, and how large a folder may be.
"""

import ast
import subprocess
import sys
from functools import cache

import pytest

from tests.conftest import REPOSITORY
from tests.structure import ORDER, PACKAGES, imports, modules, place, places, tree

BASELINES_MAY_USE = {
    "rssam.contract", "rssam.errors", "rssam.lora", "rssam.sam.attention", "rssam.sam.autocast", "rssam.sam.encoder",
    "rssam.sam.encoder_sizes", "rssam.sam.loading", "rssam.sam.mask_decoder", "rssam.weights.folder",
    "rssam.encoders.declared", "rssam.encoders.network", "rssam.model",  # of the systems with an encoder of choice
}  # fmt: skip
MOST_MODULES = 14
LINES = {name: number for number, line in enumerate(ORDER) for name in line}


def test_the_order_names_every_place_once():
    named = [name for line in ORDER for name in line]
    assert len(named) == len(set(named))
    assert set(named) == places()


@pytest.mark.parametrize("package", PACKAGES)
def test_no_import_points_up_or_to_the_same_line(package):
    """So there are no circles of places. `benchmarks.cli` is on the last line: nothing can import it."""
    wrong = [
        f"{module} imports {other}"
        for module in modules()
        if module.split(".")[0] == package
        for other in imports(module)
        if place(other) != place(module) and LINES[place(other)] >= LINES[place(module)]
    ]
    assert not wrong


def test_no_circle_of_modules():
    """Within a place too. Imports inside functions count."""
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in done:
            for other in imports(module):
                visit(other, (*path, module))
            done.add(module)

    for module in modules():
        visit(module, ())


def test_the_model_stands_alone():
    """rssam and baselines know neither the data nor the benchmark, in functions either."""
    for module in modules():
        if (package := module.split(".")[0]) in ("rssam", "baselines"):
            allowed = ("rssam",) if package == "rssam" else ("rssam", "baselines")
            assert {other.split(".")[0] for other in imports(module)} <= set(allowed), module


@pytest.mark.parametrize("module", [name for name in modules() if name.startswith("baselines.")])
def test_baselines_know_the_parts_of_sam_only(module):
    assert {name for name in imports(module) if not name.startswith("baselines.")} <= BASELINES_MAY_USE


def test_the_command_line_alone_reaches_the_reports():
    reaching = {
        place(module)
        for module in modules()
        if module.startswith("benchmarks.") and any(other.startswith("reports.") for other in imports(module))
    }
    assert reaching == {"benchmarks.cli"}


def test_no_folder_is_too_large():
    for package in PACKAGES:
        for folder in (REPOSITORY / package).rglob("*/"):
            found = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
            assert len(found) <= MOST_MODULES, folder


def test_one_class_joins_the_paths_below_the_home():
    """`home / "data"` stood in 18 modules."""
    joined = []
    for module in modules():
        if module == "benchmarks.results.home":
            continue
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
                left = node.left
                name = left.id if isinstance(left, ast.Name) else left.attr if isinstance(left, ast.Attribute) else ""
                joined += [f"{module}:{node.lineno}"] if name == "home" else []
    assert not joined


def imported(names: str, *, by: str) -> bool:
    """Whether one of these top-level packages is loaded once the statement has run."""
    return not loaded(by).isdisjoint(names.split())


@cache
def loaded(statement: str) -> frozenset[str]:
    """All modules that a new process has loaded once the statement has run."""
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return frozenset(done.stdout.split())


LIGHT = (
    "rssam, data_prep, benchmarks, reports, baselines, benchmarks.protocol.registry, benchmarks.protocol.tables, "
    "benchmarks.results.store, benchmarks.cli.app, data_prep.registry"
)
MODEL = "import rssam, rssam.model, rssam.inference.vectors"


def test_declarations_and_command_line_import_nothing_heavy():
    assert not imported("torch lightning_fabric mlflow", by=f"import {LIGHT}")
    assert imported("torch", by=MODEL)  # so the test can fail


def test_importing_a_door_imports_no_library_of_what_is_behind_it():
    heavy = "torch lightning mlflow pandas scipy rasterio matplotlib typer rich"
    assert not imported(heavy, by="import rssam, data_prep, benchmarks, reports")
    assert imported("pandas", by="from reports import read_results")  # so the test can fail


def test_preparing_imports_no_scipy():
    """Every worker would: with scipy.stats in three processes `prepare` took half as long again."""
    assert not imported("scipy", by=f"import {LIGHT}")


def test_importing_the_model_loads_no_data_set_code():
    assert not imported("data_prep benchmarks reports baselines", by=MODEL)

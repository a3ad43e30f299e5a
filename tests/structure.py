"""The packages as they are: modules, places and imports, read from the code. Run it to renew docs/architecture.md."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("rssam", "baselines", "data_prep", "benchmarks", "reports")

ORDER: tuple[frozenset[str], ...] = tuple(
    frozenset(line.split())
    for line in """
    rssam.errors rssam.parameters
    rssam.files
    rssam.weights
    rssam.contract
    rssam.sam
    rssam.lora rssam.modules rssam.inference
    rssam.model
    rssam.config
    baselines
    data_prep.errors data_prep.splits
    data_prep.plugins data_prep.processes data_prep.images
    data_prep.manifest
    data_prep.dataset data_prep.loading data_prep.checks
    data_prep.synthetic
    data_prep.prepare
    data_prep.rasters
    data_prep.datasets
    data_prep.registry
    benchmarks.signals benchmarks.failures benchmarks.metrics
    benchmarks.protocol
    benchmarks.results benchmarks.training
    benchmarks.export benchmarks.tracking benchmarks.speed benchmarks.conformance
    benchmarks.execution
    benchmarks.scoring benchmarks.console benchmarks.doctor benchmarks.inventory
    reports.statistics reports.select reports.audit
    reports.tables
    reports.verdicts reports.figures
    reports.extra_tables
    reports.render
    reports.bundle reports.model_card reports.readme reports.write
    benchmarks.cli
    """.strip().splitlines()
)
"""Places from ground to roof. A place may import those of the lines above its own."""


@cache
def modules() -> tuple[str, ...]:
    """Return every module of the packages by its dotted name, except the doors `__init__.py` of packages and rooms."""
    found = []
    for package in PACKAGES:
        for path in (REPOSITORY / package).rglob("*.py"):
            parts = path.relative_to(REPOSITORY).with_suffix("").parts
            if parts[-1] != "__init__" or (package == "baselines" and len(parts) == 3):  # a system's declaration
                found.append(".".join(parts))
    return tuple(sorted(found))


def place(module: str) -> str:
    """Return the room a module is in, or the module itself where it stands directly in a package."""
    parts = module.split(".")
    if parts[0] == "baselines":
        return "baselines"
    return ".".join(parts[:2])


def places() -> set[str]:
    """Return all places."""
    return {place(module) for module in modules()}


@cache
def imports(module: str) -> frozenset[str]:
    """Return our modules that a module imports anywhere, inside functions and for type checking too."""
    tree = ast.parse((REPOSITORY / (module.replace(".", "/") + ".py")).read_text())
    named = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            named |= {node.module, f"{node.module}.__init__", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
    return frozenset(named & set(modules())) - {module}


def arrows() -> dict[str, set[str]]:
    """Return the places that each place imports."""
    found: dict[str, set[str]] = {name: set() for name in places()}
    for module in modules():
        found[place(module)] |= {place(other) for other in imports(module)} - {place(module)}
    return found

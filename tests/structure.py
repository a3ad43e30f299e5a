"""The packages as they are: modules, places and imports, read from the code. Run it to renew docs/architecture.md."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("rssam", "baselines", "data_prep", "benchmarks", "reports")
PAGE = REPOSITORY / "docs" / "architecture.md"
BEGIN = "<!-- begin of packages: made by `python -m tests.structure`, not by hand -->"
END = "<!-- end of packages -->"

ORDER: tuple[frozenset[str], ...] = tuple(
    frozenset(line.split())
    for line in """
    rssam.amounts rssam.errors rssam.escape rssam.foreign_json rssam.kinds rssam.on_demand rssam.parameters
    rssam.files rssam.value_range
    rssam.weights
    rssam.contract
    rssam.sam rssam.overlay
    rssam.lora rssam.modules rssam.inference rssam.encoders
    rssam.model
    rssam.config
    baselines
    data_prep.errors data_prep.facts data_prep.file_names data_prep.rules
    data_prep.splits
    data_prep.plugins data_prep.processes data_prep.images
    data_prep.manifest
    data_prep.manifest_file
    data_prep.dataset data_prep.loading data_prep.checks
    data_prep.synthetic
    data_prep.prepare
    data_prep.rasters
    data_prep.datasets
    data_prep.registry
    data_prep.prepared
    benchmarks.fabric benchmarks.signals benchmarks.failures benchmarks.divergence benchmarks.metrics
    benchmarks.tensors
    benchmarks.protocol
    benchmarks.results benchmarks.training benchmarks.starting_weights
    benchmarks.earlier_version benchmarks.find_run benchmarks.needs
    benchmarks.export benchmarks.speed benchmarks.conformance
    benchmarks.tracking
    benchmarks.execution
    benchmarks.scoring benchmarks.console benchmarks.doctor benchmarks.inventory
    benchmarks.reproduction
    reports.formatting reports.thop_parameters
    reports.statistics reports.select reports.audit
    reports.tables
    reports.verdicts reports.figures
    reports.extra_tables
    reports.render
    reports.bundle reports.model_card reports.read reports.readme reports.write
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
def tree(module: str) -> ast.Module:
    """Return the code of a module, parsed."""
    return ast.parse((REPOSITORY / (module.replace(".", "/") + ".py")).read_text())


@cache
def imports(module: str) -> frozenset[str]:
    """Return our modules that a module imports anywhere, inside functions and for type checking too."""
    named = set()
    for node in ast.walk(tree(module)):
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


def drawn_arrows() -> dict[str, set[str]]:
    """Return the arrows that no chain of other arrows implies: the transitive reduction."""
    direct = arrows()

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        todo = [start]
        while todo:
            new = direct[todo.pop()] - found
            found |= new
            todo += new
        return found

    implied = {name: set().union(*map(reached, others)) for name, others in direct.items()}
    return {name: others - implied[name] for name, others in direct.items()}


def diagram() -> str:
    """Return the places as a Mermaid flowchart with a box for each package. An arrow means "imports"."""
    drawn = drawn_arrows()
    lines = ["flowchart TB"]
    for package in PACKAGES:
        names = [name for name in _ground_to_roof() if name.split(".")[0] == package]
        if names == [package]:
            lines.append(f"    {package}")
            continue
        boxes = [f"        {_box(name)}[{name.removeprefix(f'{package}.')}]" for name in names]
        lines += [f"    subgraph {package}", *boxes, "    end"]
    for name in reversed(_ground_to_roof()):
        lines += [f"    {_box(name)} --> {_box(other)}" for other in sorted(drawn[name])]
    return "\n".join(lines)


def purposes() -> str:
    """Return a Markdown table of the places, ground to roof: path and first paragraph of the docstring."""
    lines = ["| | |", "|---|---|"]
    for name in _ground_to_roof():
        path = name.replace(".", "/")
        folder = (REPOSITORY / path).is_dir()
        source = (REPOSITORY / (f"{path}/__init__.py" if folder else f"{path}.py")).read_text()
        paragraph = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")[0]
        lines.append(f"| `{path}{'/' if folder else '.py'}` | {' '.join(paragraph.split())} |")
    return "\n".join(lines)


def renewed(page: str) -> str:
    """Return the page with the part between the marks made anew. Raises ValueError unless it has each mark once."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise ValueError(f"{PAGE.name} needs the lines {BEGIN!r} and {END!r}, once each and in this order")
    return f"{before}{BEGIN}\n\n```mermaid\n{diagram()}\n```\n\n{purposes()}\n\n{END}{after}"


def _ground_to_roof() -> list[str]:
    return [name for line in ORDER for name in sorted(line)]


def _box(name: str) -> str:
    """Return the identifier of a place in the diagram."""
    return name.replace(".", "_")


def main() -> None:
    """Renew docs/architecture.md in place."""
    PAGE.write_text(renewed(PAGE.read_text()))
    sys.stdout.write(f"{PAGE.relative_to(REPOSITORY)} holds what the code gives\n")


if __name__ == "__main__":
    main()

"""Start the command line, unless other packages of the same names stand before its own.

A folder `benchmarks/` or `reports/` of the user's own does, where it is first on the import path.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("rssam", "baselines", "data_prep", "benchmarks", "reports")


def shadowed() -> list[tuple[str, Path]]:
    """Return our packages in whose place others would be imported, and the folder of each such other."""
    here, found = Path(__file__).resolve().parent, []
    for name in PACKAGES:
        spec = find_spec(name)
        folders = [Path(folder).resolve() for folder in (spec.submodule_search_locations or ())] if spec else []
        if folders[:1] != [here / name]:
            found.append((name, folders[0] if folders else Path(spec.origin or "nowhere") if spec else here / name))
    return found


def in_words(found: list[tuple[str, Path]]) -> str:
    """Return one sentence on shadowed packages, with the remedy."""
    listed = ", ".join(f"{name} is {folder}" for name, folder in found)
    return (
        f"other packages stand before those of rssam-bench on the import path: {listed}. Run from another folder, take "
        "the folder above out of PYTHONPATH, or rename it"
    )


def main() -> None:
    """Run `rssam-bench`."""
    if found := shadowed():
        sys.exit(f"error: {in_words(found)}")
    from rssam.errors import UserError

    try:
        from benchmarks.cli.app import main as run
    except UserError as error:  # a system that lacks what the packages are built on
        sys.exit(f"error: {error}")
    run()

"""Bundle results for others, and check a bundle: the commands `publish` and `verify`. Heavy imports stand inside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cli.options import Json, items_argument, print_json, root, screen, warnings
from rssam.amounts import counted


def publish(
    out: Annotated[Path, typer.Option(metavar="FILE.zip", help="The bundle to write.")],
    items: Annotated[list[str] | None, items_argument("The results behind table1 to table7, still-sam. [all]")] = None,
    as_json: Json = False,
) -> None:
    """Bundle results with their splits and provenance for others: counts and tables, no pixels, no private paths."""
    from reports.bundle.publish import publish as write_bundle

    bundle = write_bundle(items or [], out, root.home)
    if as_json:
        print_json({
            "file": str(bundle.path), "results": bundle.results, "scores": bundle.submissions, "splits": bundle.splits,
            "notes": list(bundle.notes),
        })  # fmt: skip
        return
    for note in bundle.notes:
        warnings.print(note)
    screen.print(
        f"wrote {bundle.path.resolve()}: {counted(bundle.results, 'result')}, {counted(bundle.submissions, 'score')}, "
        f"{counted(bundle.splits, 'split')}; check it with: rssam-bench verify {bundle.path}"
    )


def verify(
    source: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A bundle, packed or unpacked.")],
    as_json: Json = False,
) -> None:
    """Check a bundle: keys, digests, splits, counts and printed tables. Lists every problem; exit code 1 if any."""
    from reports.bundle.verify import check

    checked = check(source)
    amounts = (
        f"{counted(checked.results, 'result')}, {counted(checked.submissions, 'score')}, "
        f"{counted(checked.splits, 'split')}, {counted(checked.images, 'image count')}"
    )
    if as_json:
        print_json({
            "problems": checked.problems, "results": checked.results, "scores": checked.submissions,
            "splits": checked.splits, "rows": checked.images, "uses": list(checked.uses),
        })  # fmt: skip
    else:
        for problem in checked.problems:
            screen.print(f"- {problem}")
        for sentence in checked.uses:
            screen.print(sentence)
        verdict = counted(len(checked.problems), "problem") if checked.problems else "no problem found"
        screen.print(f"{source}: {verdict} ({amounts})")
    if checked.problems:
        raise typer.Exit(1)

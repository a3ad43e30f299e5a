"""The commands `publish` and `verify`, with their options. Heavy imports stand inside: help needs none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cli.options import Json, print_json, root, screen, warnings


def publish(
    out: Annotated[Path, typer.Option(metavar="FILE.zip", help="The bundle to write.")],
    items: Annotated[
        list[str] | None, typer.Argument(metavar="[ITEM...]", help="The results behind table1 to table7. [all]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Bundle results with their splits and provenance for others: counts and tables, no pixels, no private paths."""
    from reports.bundle.publish import publish as write_bundle

    found = write_bundle(items or [], out, root.home)
    if as_json:
        print_json({
            "file": str(found.path), "results": found.results, "scores": found.submissions, "splits": found.splits,
            "notes": list(found.notes),
        })  # fmt: skip
        return
    for note in found.notes:
        warnings.print(note, soft_wrap=True)
    screen.print(
        f"wrote {found.path.resolve()}: {found.results} results, {found.submissions} scores, {found.splits} splits; "
        f"check it with: rssam-bench verify {found.path}",
        soft_wrap=True,
    )


def verify(
    source: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A bundle, packed or unpacked.")],
    as_json: Json = False,
) -> None:
    """Check a bundle: keys, digests, splits, counts and printed tables. Lists every problem; exit code 1 if any."""
    from reports.bundle.verify import check

    found = check(source)
    looked = f"{found.results} results, {found.submissions} scores, {found.splits} splits, {found.images} image counts"
    if as_json:
        print_json({
            "problems": found.problems, "results": found.results, "scores": found.submissions, "splits": found.splits,
            "rows": found.images,
        })  # fmt: skip
    else:
        for problem in found.problems:
            screen.print(f"- {problem}", soft_wrap=True)
        count = len(found.problems)
        verdict = f"{count} problem{'s' if count > 1 else ''}" if count else "no problem found"
        screen.print(f"{source}: {verdict} ({looked})", soft_wrap=True)
    if found.problems:
        raise typer.Exit(1)

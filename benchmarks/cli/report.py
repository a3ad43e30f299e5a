"""Show what was run, and the paper's arithmetic: the commands `report`, `audit` and `mlflow`. They train nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cli.options import Json, items_argument, print_json, root, screen, warnings


def report(
    items: Annotated[list[str] | None, items_argument("Tables, figures, claims, still-sam. [all]")] = None,
    formats: Annotated[str, typer.Option("--format", help="Of: md, tex, csv, html.")] = "md,tex,csv,html",
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("report"),
    image: Annotated[
        list[str] | None, typer.Option(help="Also this image in the figures, as DATASET:STEM; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write every table, ours beside the paper, from result files alone, and the figures (PNG, PDF); trains nothing."""
    from reports.write import write_report_of

    written = write_report_of(items or ["all"], formats.split(","), out, root.home, named=image or [])
    if as_json:
        print_json([str(path) for path in written.paths])
    elif written.filled:
        for path in written.paths:
            screen.print(f"wrote {path.resolve()}")
    if as_json or written.filled:
        for note in written.notes:
            warnings.print(note)
    if as_json:
        return
    page = min(written.paths, key=lambda path: {".html": 0, ".md": 1}.get(path.suffix, 2))
    if written.filled:
        screen.print(f"filled: {', '.join(written.filled)}; open {page}")
    else:
        asked, next_item = " ".join(items or ["these tables"]), " ".join(items or ["table5"])
        screen.print(
            f"nothing is filled yet, because no run of {asked} is finished in {root.home}: {page} has no number of "
            f"yours; next: rssam-bench reproduce {next_item}"
        )


def audit(as_json: Json = False) -> None:
    """Check the paper's arithmetic: how its numbers were made, and which of them contradict each other."""
    from dataclasses import asdict

    from reports.audit.audit import audit as findings

    if as_json:
        print_json([asdict(finding) for finding in findings()])
        return
    for finding in findings():
        screen.print(f"{finding.verdict}: {finding.finding}")
        for line in finding.evidence:
            screen.print(f"    {line}")
        screen.print(f"    -> {finding.consequence}\n")


def mlflow(port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000) -> None:
    """Show the runs of this home in MLflow, on this machine alone, until Ctrl-C; prints the link to open."""
    from benchmarks.results.home import Home
    from benchmarks.tracking.server import serve

    if code := serve(Home(root.home), port, lambda link: screen.print(f"open {link}")):
        raise typer.Exit(code)

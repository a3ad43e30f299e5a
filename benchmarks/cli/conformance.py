"""Check by the command `conformance` whether a user's system keeps what every system must. Torch is imported inside."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmarks.cli.options import Json, print_json, screen


def conformance(
    system: Annotated[str, typer.Argument(metavar="MODULE:CLASS", help="Your system, or a system of this suite.")],
    as_json: Json = False,
) -> None:
    """Check a system of your own: shapes, gradients, determinism, round trip, a task it must learn. Exit 1 if not."""
    from benchmarks.protocol.custom import find_model

    model = find_model(system)
    from benchmarks.conformance import CHECKS, examine

    checks = []
    for check, fault in examine(model):
        checks.append({"check": check.name, "promise": check.promise, "passed": not fault, "fault": fault})
        if not as_json:
            screen.print(f"{'FAILED' if fault else 'passed'} {check.name}: {check.promise}")
            if fault:
                screen.print(f"       -> {fault}")
    failed = [check for check in checks if not check["passed"]]
    if as_json:
        print_json({"system": model.name, "passed": not failed, "checks": checks})
    else:
        screen.print(f"{model.name}: {len(CHECKS) - len(failed)} of {len(CHECKS)} checks passed")
    if failed:
        raise typer.Exit(1)

"""Assemble the command line with its root options.

Heavy imports stand inside the commands: help and status need no torch.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from benchmarks.cli.conformance import conformance
from benchmarks.cli.export import export
from benchmarks.cli.metrics import metrics
from benchmarks.cli.options import note, root, screen, warnings
from benchmarks.cli.predict import predict
from benchmarks.cli.prepare import prepare
from benchmarks.cli.publish import publish, verify
from benchmarks.cli.report import audit, mlflow, report
from benchmarks.cli.reproduce import reproduce
from benchmarks.cli.score import evaluate, score
from benchmarks.cli.speed import speed
from benchmarks.cli.status import datasets, doctor, models, status
from benchmarks.failures import explain
from benchmarks.results.home import open_home
from benchmarks.training.device_layout import DevicesUnfit, local_rank
from rssam.errors import UnknownName, UserError


def _keep_default(parameter: Any) -> Any:
    """Return a parameter that converts what was typed alone: a default has its type already.

    To convert anything typer imports pydantic, which takes as long as all that `status` does.
    """
    convert = parameter.process_value

    def process(context: typer.Context, value: Any) -> Any:
        source = context.get_parameter_source(parameter.name)
        if source is None or source.name != "DEFAULT" or parameter.required:
            return convert(context, value)
        several = parameter.nargs == -1 or getattr(parameter, "multiple", False)
        default = () if value is None and several else value
        return default if parameter.callback is None else parameter.callback(context, parameter, default)

    if "process_value" not in vars(parameter):
        parameter.process_value = process
    return parameter


class Command(TyperCommand):
    """A command whose defaults are kept as they are."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return its parameters, with `--help`."""
        return [_keep_default(parameter) for parameter in super().get_params(ctx)]


class Program(TyperGroup):
    """The program, whose defaults are kept as they are."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return its parameters, with `--help`."""
        return [_keep_default(parameter) for parameter in super().get_params(ctx)]


app = typer.Typer(
    cls=Program,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Reproduce RS-SAM (ACCV 2024), and compare SAM-based segmentation of remote-sensing images fairly.",
)


def _show_version(asked_for: bool) -> None:
    if asked_for:
        from importlib.metadata import version as package_version

        screen.print(f"rssam-bench {package_version('rssam-bench')}")
        raise typer.Exit


@app.callback()
def options(
    home: Annotated[Path | None, typer.Option(help="Data, weights, runs and results. [$RSSAM_HOME]")] = None,
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    """Root options, before the command."""
    root.debug, root.given_home = debug, home
    root.home = open_home(home, note).root


for command in (
    prepare, reproduce, report, status, predict, score, evaluate, metrics, export, publish, verify, speed, audit,
    models, datasets, doctor, conformance, mlflow,
):  # fmt: skip
    app.command(cls=Command)(command)


def main() -> None:
    """Run the command line; a user's mistake ends in a sentence, not in a traceback."""
    screen.quiet = warnings.quiet = local_rank() > 0  # of several ranks the first prints
    try:
        app()
    except (UserError, OSError) as error:
        if root.debug:
            raise
        warnings.print(f"error: {explain(error, root.home)[0]}")
        sys.exit(2 if isinstance(error, UnknownName | DevicesUnfit) else 1)

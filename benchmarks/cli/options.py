"""What all commands share: the root options, options of several commands, two consoles, JSON for programs."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from benchmarks.protocol.recipe import PrecisionChoice
from rssam.escape import terminal

ProfileName = Literal["smoke", "demo", "mini", "fair", "paper"]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
OwnModel = Annotated[
    str | None,
    typer.Option("--model", metavar="MODULE:CLASS", help="The class of a system of your own, which no file may name."),
]
PrecisionOption = Annotated[
    PrecisionChoice,
    typer.Option("--precision", help="auto is fp32 on the CPU; on GPUs bf16, or fp16 if they lack native bf16."),
]


@dataclass
class Root:
    """The root options; one process runs one command."""

    home: Path = Path()
    debug: bool = False


class PlainConsole(Console):
    """A console that no printed text controls: names and messages may come from files of others."""

    def render_str(self, text: str, **options: Any) -> Text:
        """See Console."""
        return super().render_str(terminal(text), **options)


root = Root()
screen = PlainConsole(highlight=False, markup=False)  # no markup: "[Errno 28]" in a message is no style
warnings = PlainConsole(stderr=True, highlight=False, markup=False)


def print_json(value: Any) -> None:
    """Write a value to the standard output, for programs."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def require_one(run: str | None, adapter: Path | None) -> None:
    """Raise a usage error unless one of the two options is given that name a trained network."""
    if (run is None) == (adapter is None):
        raise typer.BadParameter("give one of --run KEY and --adapter FILE")

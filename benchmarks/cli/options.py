"""Declare what all commands share: root options, common options, completion, two consoles, JSON for programs."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeGuard

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.protocol.recipe import PrecisionChoice
from benchmarks.results.home import Home, default_home
from rssam.escape import terminal
from rssam.sam.encoder_sizes import EncoderInit

if TYPE_CHECKING:
    from benchmarks.needs import Need

ProfileName = Literal["smoke", "demo", "mini", "fair", "paper"]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
OwnModel = Annotated[
    str | None,
    typer.Option("--model", metavar="MODULE:CLASS", help="The class of a system of your own, which no file may name."),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="SAM encoder of every row: vit_b, vit_l, vit_h; vit_t and vit_s, with the smallest variants of systems.",
    ),
]
PrecisionOption = Annotated[
    PrecisionChoice,
    typer.Option("--precision", help="auto is fp32 on the CPU; on GPUs bf16, or fp16 if they lack native bf16."),
]


@dataclass
class Root:
    """Root options; a process runs one command."""

    home: Path = Path()
    debug: bool = False
    given_home: Path | None = None  # as --home was typed; None if it was not

    def repeated(self, text: str) -> str:
        """Repeat the --home that was given in every command that a text names: without it the hint is of another."""
        if self.given_home is None:
            return text
        home = shlex.quote(str(self.given_home))
        return _COMMAND.sub(lambda found: f"rssam-bench --home {home} ", text)


_COMMAND = re.compile(
    r"\brssam-bench (?=(?:prepare|reproduce|report|status|predict|score|evaluate|metrics|export|publish|verify|speed|"
    r"models|datasets|doctor)\b)"
)


class PlainConsole(Console):
    """Console that no printed text controls, because names and messages may come from files of others.

    Commands in what it prints repeat the --home that was given.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Return text in which `--home` is repeated and nothing controls the terminal; see `Console`."""
        return super().render_str(terminal(root.repeated(text)), **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects with `--home` repeated in their text; lines of text are left to the terminal to wrap."""
        options.setdefault("soft_wrap", all(isinstance(item, str) for item in objects))
        super().print(*(Text(root.repeated(item.plain)) if _is_plain(item) else item for item in objects), **options)


def _is_plain(item: object) -> TypeGuard[Text]:
    return isinstance(item, Text) and not item.spans


root = Root()
screen = PlainConsole(highlight=False, markup=False)  # no markup: "[Errno 28]" in a message is no style
warnings = PlainConsole(stderr=True, highlight=False, markup=False)


def note(*texts: str | None) -> None:
    """Print notes on the error screen, those that there are."""
    for text in filter(None, texts):
        warnings.print(f"note: {text}")


def show_needs(needs: Iterable[Need]) -> None:
    """Say on the error screen what is missing, where it comes from, and what to run."""
    for need in needs:
        warnings.print(need.missing)
        facts = Table.grid(padding=(0, 1))
        for heading, text in need.facts:
            facts.add_row(f"  {heading}:", text)
        warnings.print(facts)
        for purpose, command in need.commands:
            warnings.print(f"  {purpose}:\n    {command}")


def print_json(value: Any) -> None:
    """Write a value to the standard output, for programs."""
    sys.stdout.write(json.dumps(_repeated(value), indent=1) + "\n")


def _repeated(value: Any) -> Any:
    """Return a value whose texts repeat the --home that was given."""
    if isinstance(value, Mapping):
        return {name: _repeated(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_repeated(item) for item in value]
    return root.repeated(value) if isinstance(value, str) else value


def complete_items() -> list[str]:
    """Return tables, figures and the rest, of which typer offers the shell those that begin as what was typed."""
    from benchmarks.protocol.targets import ITEMS

    return [*ITEMS, "all"]


def complete_systems() -> list[str]:
    """Return systems of this suite and of installed packages, which are not imported."""
    from benchmarks.protocol.custom import GROUP
    from benchmarks.protocol.registry import MODELS
    from data_prep.plugins import declared

    return list(dict.fromkeys((*MODELS, *(entry.name for entry in declared(GROUP)))))


def complete_datasets(context: typer.Context) -> list[str]:
    """Return data sets, with those of the home that is typed before."""
    from data_prep.plugins import declared
    from data_prep.registry import DATASETS, GROUP, register_home

    register_home(Home(_typed_home(context)).data)
    return list(dict.fromkeys((*DATASETS, *(entry.name for entry in declared(GROUP)))))


def complete_prepared(context: typer.Context) -> list[str]:
    """Return what `prepare` takes."""
    return [*complete_datasets(context), "weights", "folder"]


def complete_weights() -> list[str]:
    """Return checkpoints."""
    from rssam.weights.registry import WEIGHTS

    return list(WEIGHTS)


def complete_keys(context: typer.Context) -> list[str]:
    """Return keys of finished runs of the home that is typed before."""
    from benchmarks.results.store import Store

    return Store(_typed_home(context)).keys


def _typed_home(context: typer.Context) -> Path:
    """Return the home of a command line that is not run yet."""
    typed = context.find_root().params.get("home")
    return (Path(typed) if typed else default_home()).expanduser().resolve()


def items_argument(text: str) -> Any:
    """Declare tables, figures and other items as the arguments of a command."""
    return typer.Argument(metavar="[ITEM...]", help=text, autocompletion=complete_items)


def dataset_option(text: str) -> Any:
    """Declare `--dataset`."""
    return typer.Option("--dataset", help=text, autocompletion=complete_datasets)


def run_option(text: str) -> Any:
    """Declare `--run`, which names finished runs."""
    return typer.Option("--run", metavar="RUN", help=text, autocompletion=complete_keys)


A_RUN = "finished run: its key or the beginning of it, table5:3, or rs-sam@deepglobe"
RunOption = Annotated[str | None, run_option(f"A {A_RUN}; see: rssam-bench status")]


def finished_run(text: str) -> str:
    """Return the key of the finished run that was typed, see `find_run`. Raises UserError if there is none."""
    from benchmarks.find_run import find_run
    from benchmarks.inventory import without_result
    from benchmarks.results.store import Store
    from rssam.errors import UserError

    key = find_run(root.home, text)
    if key not in Store(root.home).keys:
        raise UserError(without_result(root.home, text))
    return key


def require_one(run: str | None, adapter: Path | None) -> str | None:
    """Return the key of the run, if one was named. Raises a usage error unless one of the two options is given."""
    if (run is None) == (adapter is None):
        raise typer.BadParameter("give one of --run KEY and --adapter FILE")
    return None if run is None else finished_run(run)


ItemProfile = Annotated[
    ProfileName | None, typer.Option(help="With ITEM: the recipe and its sizes. [paper; still-sam: fair]")
]
ItemDataset = Annotated[str | None, dataset_option("With ITEM: the rows on another data set.")]
ItemEncoder = Annotated[str | None, typer.Option(help="With ITEM: SAM encoder of every row.")]
ItemInit = Annotated[EncoderInit | None, typer.Option(help="With ITEM: how networks start.")]

"""List what runs need that has to be fetched: data sets and checkpoints, where each comes from, the next command."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.protocol.run import Run
from benchmarks.results.home import Home
from data_prep.datasets.published import archive_names, find_file
from data_prep.manifest_file import MANIFEST_NAME
from data_prep.registry import PUBLICATIONS
from rssam.weights.folder import WeightsFolder
from rssam.weights.registry import WEIGHTS

STAND_INS = 24
"""Stand-in scenes that hints propose."""


@dataclass(frozen=True)
class Need:
    """Data set or checkpoint: whether it is there, what is known of its source, and the commands that make it."""

    name: str  # "data deepglobe", "weights vit_b"
    ready: bool
    missing: str  # what was looked for and not found, in one line
    facts: tuple[tuple[str, str], ...]
    commands: tuple[tuple[str, str], ...]  # what each is for, and the command
    megabytes: int | None = None  # to download, where it is known


def places(home: Path) -> tuple[Path, Path]:
    """Return the folders in which published files are looked for: downloads of the home, then the working folder."""
    return Home(home).downloads, Path.cwd()


def find_archive(home: Path, name: str) -> Path | None:
    """Return the archive of a data set if it lies where it is looked for."""
    return find_file(archive_names(name), places(home))


def find_checkpoint(home: Path, name: str) -> Path | None:
    """Return the published file of a checkpoint if it lies where it is looked for."""
    return find_file([WEIGHTS[name].published_file], places(home))


def data_need(home: Path, name: str) -> Need:
    """Return what is known of a data set; of one that this suite does not know the source is not known either."""
    publication = PUBLICATIONS.get(name)
    names = archive_names(name)
    looked = f": no {', '.join(names)} in {' or '.join(map(str, places(home)))}" if publication else ""
    commands = [("with the data anywhere", f"rssam-bench prepare {name} --source FILE_OR_FOLDER")]
    if publication:
        commands.insert(0, (f"with {names[0]} in one of these folders", f"rssam-bench prepare {name}"))
    commands.append(("with stand-ins, which claim nothing", f"rssam-bench prepare {name} --synthetic {STAND_INS}"))
    return Need(
        f"data {name}", (Home(home).dataset(name) / MANIFEST_NAME).is_file(), f"{name} is not prepared{looked}",
        tuple(publication.facts()) if publication else (), tuple(commands),
    )  # fmt: skip


def weights_need(home: Path, name: str) -> Need:
    """Return what is known of a checkpoint."""
    weights, folder = WEIGHTS[name], WeightsFolder(Home(home).weights)
    facts = (
        ("source", weights.url), ("size", f"{weights.megabytes} MB"), ("licence", weights.licence),
        ("file", f"{weights.published_file}, looked for in {' or '.join(map(str, places(home)))}"),
    )  # fmt: skip
    commands = (
        ("to download", f"rssam-bench prepare weights {name}"),
        ("with the file anywhere", f"rssam-bench prepare weights {name} --source FILE"),
    )
    return Need(
        f"weights {name}", folder.path(name).is_file(), f"weights {name} are not in {folder.root}", facts,
        commands[1:] if weights.licence_first else commands, weights.megabytes,
    )  # fmt: skip


def needs(home: Path, runs: Iterable[Run]) -> list[Need]:
    """Return every data set and checkpoint that the runs read, each once."""
    data, weights = dict[str, Need](), dict[str, Need]()
    for run in runs:
        data.setdefault(run.dataset.name, data_need(home, run.dataset.name))
        weights |= {name: weights_need(home, name) for name in run.model.weights_needed() if name not in weights}
    return [*data.values(), *weights.values()]

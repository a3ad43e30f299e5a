"""Write and read adapters: a trained system as one safetensors file of what was trained, with its origin.

Frozen parameters are not in it: they are those of published checkpoints (the base), named by their SHA-256. So an
adapter of a SAM-based system is a few per cent of the network. It gives the network back bit for bit wherever the base
is prepared. What is read is tensors and JSON; no file of this kind can carry code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from benchmarks.export.load_run import TrainedNetwork, declared_model, load_run, recorded_bands, recorded_range
from benchmarks.find_run import find_run
from benchmarks.metrics.counts import Scores
from benchmarks.protocol.custom import find_model
from benchmarks.results.counted_test import CLASS, TITLE
from benchmarks.results.home import Home, open_home
from benchmarks.results.json_files import nan_to_none
from benchmarks.results.result import IDENTITY, RESULT_KINDS, Result
from benchmarks.tensors import content_digest, differences, trained_state
from benchmarks.training.reproducibility import seeded
from data_prep.facts import FACTS
from rssam.contract import Model, Task
from rssam.errors import UserError
from rssam.files import write_durable
from rssam.foreign_json import parse_json
from rssam.kinds import ANY, COUNT, LINE, PLAIN, WORD, Each, fault, row, whole
from rssam.weights.folder import WeightsFolder
from rssam.weights.prepared_file import read_header
from rssam.weights.registry import WEIGHTS

ENTRY = "rssam-bench adapter"
"""The one entry of the file's metadata, as JSON."""
FORMAT = 2

_CHECKPOINT = {"sha256": WORD, "licence?": LINE, "url?": LINE}
KINDS = {
    "format": COUNT,
    "key": WORD,
    "title": TITLE,
    "identity": {**IDENTITY, "model": {**IDENTITY["model"], "name": ANY}},  # `declared_model` looks it up
    "task": {
        "classes": [CLASS],
        "image_size": row("height and width", 2, whole(1, 1 << 14)),
    },
    "base": Each(WORD, _CHECKPOINT),
    "start": Each(WORD, _CHECKPOINT),
    "result": PLAIN,
    "data": FACTS,
    "provenance": RESULT_KINDS["provenance"],
}
"""Kinds of the parts of the metadata."""


class AdapterUnusable(UserError):
    """Raised for a file that is no adapter, is damaged, or does not fit the network or the base that is there."""


def write_adapter(
    path: Path, trained: TrainedNetwork, result: Result, interval: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Write the adapter of a finished run, down to the disk, and return its metadata. Raises DataError if it is full.

    Args:
        path: the file.
        trained: the network.
        result: of the same run.
        interval: what the metadata say of the interval of the result's Dice, as JSON values; None for nothing.
    """
    tensors = {name: value.cpu().contiguous() for name, value in trained_state(trained.net).items()}
    description = describe(trained, result, interval)
    description["sha256"] = content_digest(tensors, description)
    write_durable(path, save(tensors, metadata={ENTRY: json.dumps(description)}))
    return description


def describe(trained: TrainedNetwork, result: Result, interval: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the metadata of an adapter as JSON values, except the digest of its content."""
    frozen = trained.net.state_dict().keys() - trained_state(trained.net).keys()
    base = trained.start if frozen else {}  # where everything was trained, nothing of the base is left
    scores = {name: nan_to_none(getattr(result.scores, name)) for name in Scores.__dataclass_fields__}
    return {
        "format": FORMAT,
        "key": result.key,
        "title": trained.model.title,
        "identity": dict(result.identity),
        "task": {"classes": list(trained.task.classes), "image_size": list(trained.task.image_size)},
        "base": _published(base),
        "start": _published(trained.start),
        "result": {
            "scores": scores,
            **(interval or {"dice_interval": None}),
            "constant_dice": nan_to_none(result.constant_dice),
            "average": result.average,
            "test_images": len(result.images),
            "best_epoch": result.best_epoch,
            "parameters": dict(result.parameters),
        },
        # Not the lists of test images: they are in the result, and name files of data that is not passed on.
        "data": {name: value for name, value in result.data.items() if not isinstance(value, list)},
        "provenance": dict(result.provenance),
    }


def load_adapter(path: Path, weights: WeightsFolder, given: Model | None = None) -> TrainedNetwork:
    """Return the network of an adapter, with its base from `weights`; in evaluation mode, on the CPU.

    `given` is the system that the user named with --model, for one that is not registered: an adapter names no code.

    Raises AdapterUnusable if the file is damaged, if it does not fit the network (listing every tensor), or if the base
    is missing or another. Raises UnknownName if this version has no such system.
    """
    description, tensors = _read(path)
    model = declared_model(description["identity"], given)
    height, width = description["task"]["image_size"]
    task = Task(tuple(description["task"]["classes"]), (height, width))
    _require_shapes(path, model, task, tensors)
    _require_base(path, description["base"], weights)
    with seeded(description["identity"]["seed"], deterministic=False):  # some may be frozen at random numbers
        # without a base, no checkpoint of its start need be read
        base_is_read = description["base"] or not model.weights_needed()
        net = model.build(task, weights) if base_is_read else model.architecture(task)
    _require_fit(path, net, tensors)
    for name, value in trained_state(net).items():
        value.copy_(tensors[name])
    start = {name: checkpoint["sha256"] for name, checkpoint in description["start"].items()}
    precision, dataset = description["identity"]["precision"], description["identity"]["dataset"]["name"]
    bands, value_range = recorded_bands(description["data"]), recorded_range(description["data"])
    collapsed = is_collapsed(description["result"])
    return TrainedNetwork(
        net.eval(), model, task, precision, description["key"], dataset, start, bands, value_range, collapsed,
        description["identity"],
    )  # fmt: skip


def is_collapsed(result: Any) -> bool:
    """Return whether an adapter says of its test that Dice is NaN, or not above that of a constant answer."""
    try:
        dice, constant = result["scores"]["dice"], result["constant_dice"]
        return constant is not None and (dice is None or not dice > constant)
    except (LookupError, TypeError):
        return False  # it is for people to read, and so of no kind


def load_network(
    run: str | None = None,
    *,
    adapter: Path | str | None = None,
    model: str | None = None,
    home: Path | str | Home | None = None,
) -> TrainedNetwork:
    """Return the network of a finished run, or of an exported adapter, in evaluation mode and on the CPU.

    Args:
        run: a key or its beginning, a row as "table5:5", or "rs-sam@roads". It must name one finished run. Leave it out
            with an adapter.
        adapter: a file of `rssam-bench export`.
        model: the class "module:Class" of a system of your own. It is needed because neither results nor adapters may
            name code to import.
        home: the home folder with the run, and with the checkpoint beneath an adapter; see `open_home`.

    Raises:
        UserError: Neither or both of run and adapter are given. No finished run is so named, or several, which the
            message lists. Parameters or a checkpoint beneath are missing or damaged, or do not fit the system.

    Examples:
        The run of docs/python.md, by system and data set:

        >>> from benchmarks import load_network
        >>> trained = load_network("rs-sam@roads", home="example")
        >>> trained.task.classes, trained.precision
        (('road',), '32-true')
    """
    if (run is None) == (adapter is None):
        raise UserError("give one of run and adapter")
    folder = open_home(home)
    given = None if model is None else find_model(model)
    if run is not None:
        return load_run(folder.root, find_run(folder.root, run), given)
    assert adapter is not None
    return load_adapter(Path(adapter), WeightsFolder(folder.weights), given)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return metadata and tensors of a whole adapter. Raises AdapterUnusable."""
    if not path.is_file():
        raise AdapterUnusable(f"expected an adapter at {path}, found no file: rssam-bench export --run KEY --out FILE")
    try:
        metadata = read_header(path)
        tensors = load_file(path)
        description = parse_json(metadata[ENTRY].encode()) if ENTRY in metadata else None
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:  # RuntimeError: torch's, of an odd tensor
        raise AdapterUnusable(f"{path} is damaged or no safetensors file ({error}): {_AGAIN}") from error
    if not isinstance(description, dict):
        raise AdapterUnusable(f"{path} is a safetensors file, but no adapter of rssam-bench: {_AGAIN}")
    if description.get("format") == 1:
        raise AdapterUnusable(f"{path} was made by rssam-bench 0.1: use rssam-bench 0.1.0 for it, or export a new run")
    if description.get("format") != FORMAT:
        raise AdapterUnusable(
            f"{path} has adapter format {ascii(description.get('format'))[:60]}, this version reads {FORMAT}: use the "
            "rssam-bench that wrote it"
        )
    if description.pop("sha256", None) != content_digest(tensors, description):
        raise AdapterUnusable(f"{path} is damaged: its content does not have the SHA-256 written into it: {_AGAIN}")
    if words := fault(description, KINDS):
        raise AdapterUnusable(f"{path} does not say what an adapter does ({words}): {_AGAIN}")
    return description, tensors


_AGAIN = "fetch it again, or write it with: rssam-bench export --run KEY --out FILE.safetensors"


def _require_shapes(path: Path, model: Model, task: Task, tensors: Mapping[str, Tensor]) -> None:
    """Raise AdapterUnusable unless the tensors are those of the system with these options; takes no memory for it."""
    try:
        with torch.device("meta"):
            net = model.architecture(task)
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise AdapterUnusable(
            f"{path} has options with which {model.name} cannot be built ({type(error).__name__}): {_AGAIN}"
        ) from error
    _require_fit(path, net, tensors)


def _require_fit(path: Path, net: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Raise AdapterUnusable listing the tensors that the network does not have so."""
    if faults := differences(trained_state(net), tensors):
        raise AdapterUnusable(f"{path} does not fit the system that it names: {'; '.join(faults)}. {_AGAIN}")


def _require_base(path: Path, base: Mapping[str, Mapping[str, Any]], weights: WeightsFolder) -> None:
    """Raise AdapterUnusable unless every checkpoint beneath the adapter is prepared, and identical."""
    for name, checkpoint in base.items():
        if name not in WEIGHTS:
            raise AdapterUnusable(f"{path} is on top of the checkpoint {name}, which this version does not know")
        digest, remedy = checkpoint["sha256"], WEIGHTS[name].remedy
        if not digest.startswith(WEIGHTS[name].sha256):
            remedy = (
                f"rssam-bench prepare weights {name} --source FILE.pth, with the file of SHA-256 {digest}: "
                "it is not the published one"
            )
        if not weights.path(name).is_file():
            raise AdapterUnusable(f"{path} needs the checkpoint {name}, which is not in {weights.root}. Run: {remedy}")
        if (prepared := weights.digest(name)) != digest:
            raise AdapterUnusable(
                f"{path} was trained on top of {name} with SHA-256 {digest[:12]}..., and "
                f"{weights.path(name)} was made from {prepared[:12]}...: delete that file and run: {remedy}"
            )


def _published(start: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {
        name: {"sha256": sha256, "licence": WEIGHTS[name].licence, "url": WEIGHTS[name].url}
        for name, sha256 in start.items()
    }

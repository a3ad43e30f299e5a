"""Load a finished run as a network: its declaration from the result, its best parameters from its home."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from benchmarks.protocol.custom import model_of_result
from benchmarks.protocol.recipe import Precision
from benchmarks.protocol.run import from_json_value
from benchmarks.results.custom_system import SYSTEM
from benchmarks.results.home import Home
from benchmarks.results.result import Result
from benchmarks.results.store import Store
from benchmarks.training.checkpoint import LAST, CheckpointDamaged, Checkpoints, candidate_name, read_checkpoint
from benchmarks.training.reproducibility import seeded
from rssam.contract import Model, Task
from rssam.errors import UnknownName, UserError
from rssam.value_range import ValueRange
from rssam.weights.folder import WeightsFolder


class NotTrained(UserError):
    """Raised for a key without a usable result, or whose parameters are no longer there."""


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with the parameters of its best epoch, in evaluation mode, on the CPU; `load_network` returns it.

    `rssam.predict_array(trained.net, trained.task, pixels)` maps an image of any size.

    Attributes:
        net: takes images float [B, 3, H, W] in 0..1, and gives logits float32 [B, channels, H, W].
        model: its declaration, with the options of the run.
        task: classes, and the size of the images that it takes.
        precision: it was trained and tested in: "32-true", "bf16-mixed" or "16-mixed". `predict_array` computes in
            float32 unless `half` is given.
        key: of the run.
        dataset: name of the data set that it was trained on.
        start: SHA-256 of each pretrained checkpoint beneath, by name.
        bands: numbers from 1 of the bands that the training images were read by, if they were named.
        value_range: the values that became 0 and 255 in the training images; None for images of 8 bits. Its method
            `to_bytes` stretches pixels [3, H, W] likewise.
        collapsed: whether its Dice on the test images was not above that of a constant answer.
        identity: what decided the numbers of its run, as its result has it.

    Examples:
        The network of docs/python.md, on an image float [1, 3, H, W] in 0..1:

        >>> import torch
        >>> from benchmarks import load_network
        >>> trained = load_network("rs-sam@roads", home="example")
        >>> with torch.inference_mode():
        ...     trained.net(torch.rand(1, 3, *trained.task.image_size)).shape
        torch.Size([1, 1, 64, 64])
    """

    net: nn.Module
    model: Model
    task: Task
    precision: Precision
    key: str
    dataset: str
    start: Mapping[str, str]
    bands: tuple[int, int, int] | None = None
    value_range: ValueRange | None = None
    collapsed: bool = False
    identity: Mapping[str, Any] | None = None

    @property
    def warning(self) -> str | None:
        """Return what whoever uses the network must know; None if there is nothing."""
        if not self.collapsed:
            return None
        return f"{self.key} is collapsed: on its test images its Dice was not above that of a constant answer"


def declared_model(identity: Mapping[str, Any], given: Model | None = None, noted: object = None) -> Model:
    """Return the system of a result's identity, with the result's options.

    Args:
        identity: as stored in a result or an adapter. It may come from elsewhere: only registered names are looked up.
        given: the system that the user named with --model, for one that is not registered.
        noted: the class noted in the result, for the message.

    Raises UnknownName if there is no such system or option, UserError if `given` is another system or version.
    """
    name, options = identity["model"]["name"], dict(identity["model"]["options"])
    model = model_of_result(name, given, noted)
    field_names = {field.name for field in dataclasses.fields(model)}  # type: ignore[arg-type]
    if unknown := sorted(options.keys() - field_names):
        raise UnknownName(f"the result is of {name} with the options {', '.join(unknown)}, which this version lacks")
    if model.version != identity["model"]["version"]:
        raise UserError(
            f"the result is of version {identity['model']['version']} of {name}, and this is version {model.version}: "
            "use the rssam-bench that made it"
        )
    values = {name: from_json_value(value) for name, value in options.items()}
    odd = [name for name, value in values.items() if not _like(getattr(model, name), value)]
    if odd:
        raise UnknownName(f"the result is of {name} with values of another kind for {', '.join(odd)}")
    return dataclasses.replace(model, **values)  # type: ignore[type-var]


def _like(default: object, value: object) -> bool:
    """Return whether an option's value is of the kind of its default; nothing is known of a default of None."""
    if default is None or value is None:
        return True
    return type(value) is type(default) or (isinstance(default, float) and type(value) is int)


def load_run(home: Path, key: str, given: Model | None = None) -> TrainedNetwork:
    """Return the network of a finished run of `home`.

    `given` is the system that the user named with --model, for one that is not registered: a result names no code.
    Raises NotTrained if the key has no result, or its parameters are gone or damaged. Raises UnknownName if its system
    is not registered. Raises WeightsNotFound if a checkpoint beneath is not prepared, CheckpointForeign if another is.
    """
    store, weights = Store(home), WeightsFolder(Home(home).weights)
    result = store.get(key)
    if result is None:
        raise NotTrained(store.no_result(key))
    system = result.provenance.get(SYSTEM)
    model, task = declared_model(result.identity, given, system and system.get("class")), result.task
    with seeded(result.identity["seed"], deterministic=False):  # as in training: some may be frozen at random numbers
        net = model.build(task, weights)
    start = {name: weights.digest(name) for name in model.weights_needed()}
    try:
        Checkpoints(_best_folder(store, result), start).load_best(net, result.best_epoch)
    except CheckpointDamaged as error:
        raise NotTrained(f"{error}. {_train_again(store, key)}") from error
    identity = result.identity
    return TrainedNetwork(
        net.eval(), model, task, identity["precision"], key, identity["dataset"]["name"], start,
        recorded_bands(result.data), recorded_range(result.data), result.collapsed, identity,
    )  # fmt: skip


def _train_again(store: Store, key: str) -> str:
    return f"Delete {store.path(key)} and {store.work(key)}, and reproduce its table to train it again"


def recorded_bands(data: Mapping[str, Any]) -> tuple[int, int, int] | None:
    """Return the bands that were named when the training data were prepared; None where none were."""
    return (data["bands"]["red"], data["bands"]["green"], data["bands"]["blue"]) if "bands" in data else None


def recorded_range(data: Mapping[str, Any]) -> ValueRange | None:
    """Return the range of values that was declared when the training data were prepared; None for 8 bits."""
    return ValueRange.alike(data["scale"]["min"], data["scale"]["max"]) if "scale" in data else None


def _best_folder(store: Store, result: Result) -> Path:
    """Return the folder with the parameters of the result's best epoch: that of the chosen rate. Raises NotTrained."""
    work, rates = store.work(result.key), result.identity["recipe"]["rates"]
    if result.best_rate is not None and result.best_rate not in rates:
        raise NotTrained(
            f"{store.path(result.key)} names the rate {result.best_rate:g}, which its recipe does not have"
        )
    diverged = {rate.rate for rate in result.diverged}  # their losses before that may be lower
    chosen = [rate for rate in rates if rate == result.best_rate] or [rate for rate in rates if rate not in diverged]
    folders = [work / candidate_name(rates, rate) for rate in chosen]
    # Earlier versions recorded no rate: among several their last checkpoints say which was chosen.
    needed = [folder / LAST for folder in folders] if len(folders) > 1 else []
    needed = needed or [Checkpoints(folders[0]).best(result.best_epoch)]
    if missing := [path for path in needed if not path.is_file()]:
        raise NotTrained(
            f"the run {result.key} has a result, but its parameters are gone: expected {missing[0]}. "
            f"{_train_again(store, result.key)}"
        )
    if len(folders) == 1:
        return folders[0]
    return min(folders, key=lambda folder: float(read_checkpoint(folder / LAST).progress["best_loss"]))

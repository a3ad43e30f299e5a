"""Write and read checkpoints without pickles: trained tensors, optimiser, random states, progress in safetensors.

Frozen parameters are not written: they are in the pretrained checkpoint whose digest stands in the metadata. Each file
holds the SHA-256 of its own content, so that a damaged file is found. The file before it is kept to fall back on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from benchmarks.divergence import DivergedRate
from benchmarks.tensors import content_digest, differences, trained_state
from rssam.errors import UserError
from rssam.files import sync_folder, write_durable

LAST, PREVIOUS, FRESH = "last.safetensors", "previous.safetensors", "fresh.safetensors"
DIVERGED = "diverged.json"
"""Says in the folder of one rate of several that it diverged, so that a resumed run does not train it again."""
METADATA = "rssam-bench"
"""The one entry of a file's metadata, as JSON: several would come in no order, and equal files differ."""
FORMAT = 2
_MODEL, _OPTIMIZER, _RANDOM = "model.", "optimizer.", "random."


class CheckpointDamaged(UserError):
    """Raised for a checkpoint that cannot be read, or whose content is not what was written."""


class CheckpointForeign(UserError):
    """Raised for a whole checkpoint that belongs to another network."""


@dataclass(frozen=True)
class CheckpointContent:
    """Content of a checkpoint file."""

    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]  # "<index of the parameter>.<name>"
    random: dict[str, Tensor]
    progress: dict[str, Any]
    start: dict[str, str]


@dataclass
class Checkpoints:
    """Checkpoints of a training in its folder: the last, the one before it, and the best of each.

    `start` gives the digest of each pretrained checkpoint the network was built from; `say` is told of damage.
    """

    folder: Path
    start: Mapping[str, str] = field(default_factory=dict)
    say: Callable[[str], None] = lambda _: None

    def best(self, epoch: int) -> Path:
        """Return the file with the parameters of an epoch that was the best so far."""
        return self.folder / f"best-{epoch:04d}.safetensors"

    def save_best(self, net: nn.Module, epoch: int) -> None:
        """Keep the parameters of `epoch`; to be called before `save`."""
        self._write(self.best(epoch), net, {"epoch": epoch})

    def save(
        self,
        net: nn.Module,
        optimizer: torch.optim.Optimizer,
        progress: Mapping[str, Any],
        random: Mapping[str, Tensor],
    ) -> None:
        """Write the last checkpoint; the last so far stays as the previous. Raises DataError if the disk is full.

        Args:
            net: the network.
            optimizer: its optimiser.
            progress: JSON values, which name the best epoch as "best_epoch".
            random: states of the random generators.
        """
        last, previous = self.folder / LAST, self.folder / PREVIOUS
        fresh = self.folder / FRESH
        self._write(fresh, net, progress, optimizer, random)
        best_before = _best_epoch(last)
        if last.exists():
            os.replace(last, previous)
        os.replace(fresh, last)  # a kill between the two loses nothing: `resume` looks for all three
        sync_folder(self.folder)
        kept = {self.best(epoch) for epoch in (progress["best_epoch"], best_before) if epoch}
        for path in self.folder.glob("best-*.safetensors"):
            if path not in kept:
                path.unlink()

    def resume(
        self, net: nn.Module, optimizer: torch.optim.Optimizer
    ) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """Restore in place from the newest whole checkpoint: (progress, random states), or None to start anew.

        A damaged one is named to `say`. Raises CheckpointForeign if one belongs to another network.
        """
        paths = [self.folder / name for name in (FRESH, LAST, PREVIOUS) if (self.folder / name).is_file()]
        for number, path in enumerate(paths):
            try:
                content = read_checkpoint(path)
                if epoch := content.progress["best_epoch"]:
                    read_checkpoint(self.best(epoch))
                self._restore(path, content, net, optimizer)
            except CheckpointDamaged as error:
                fallback = (
                    f"going on from {paths[number + 1].name}, which was saved before it"
                    if number + 1 < len(paths)
                    else "there is no whole one before it, so this training starts from its beginning"
                )
                self.say(f"{error}: {fallback}")
                path.unlink()  # or it would be kept as the one before the next
                continue
            return content.progress, content.random
        return None

    def save_divergence(self, diverged: DivergedRate) -> None:
        """Note that this training diverged. Raises DataError if the disk is full."""
        write_durable(self.folder / DIVERGED, json.dumps(diverged.to_json()).encode())

    def divergence(self) -> DivergedRate | None:
        """Return how this training diverged; None if it did not. A damaged note is named to `say` and is none."""
        path = self.folder / DIVERGED
        if not path.is_file():
            return None
        try:
            return DivergedRate.from_json(json.loads(path.read_text()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.say(f"{path} cannot be read ({type(error).__name__}): this rate is trained again")
            return None

    def load_best(self, net: nn.Module, epoch: int) -> None:
        """Leave the network with the parameters of its best epoch. Raises CheckpointDamaged."""
        path = self.best(epoch)
        self._restore(path, read_checkpoint(path), net)

    def _write(
        self,
        path: Path,
        net: nn.Module,
        progress: Mapping[str, Any],
        optimizer: torch.optim.Optimizer | None = None,
        random: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Write a checkpoint atomically, down to the disk. Raises DataError if the disk is full."""
        tensors = {f"{_MODEL}{name}": value for name, value in trained_state(net).items()}
        tensors |= {f"{_RANDOM}{name}": value for name, value in (random or {}).items()}
        if optimizer is not None:
            for index, state in optimizer.state_dict()["state"].items():
                tensors |= {f"{_OPTIMIZER}{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
        tensors = {name: value.cpu().contiguous() for name, value in tensors.items()}
        metadata: dict[str, Any] = {"format": FORMAT, "progress": dict(progress), "start": dict(self.start)}
        metadata["sha256"] = content_digest(tensors, metadata)
        write_durable(path, save(tensors, metadata={METADATA: json.dumps(metadata)}))

    def _restore(
        self, path: Path, content: CheckpointContent, net: nn.Module, optimizer: torch.optim.Optimizer | None = None
    ) -> None:
        """Put the content of `path` into the network (and optimiser), all of it or nothing.

        Raises CheckpointForeign listing every tensor that is missing, unexpected or of another shape, or if the
        pretrained checkpoint beneath is another one.
        """
        if content.start != dict(self.start):
            raise CheckpointForeign(
                f"{path} was trained on top of {content.start or 'no pretrained weights'}, and this network is built "
                f"from {dict(self.start) or 'none'}: delete the folder {path.parent}, and the run's result if there is "
                "one, to train anew"
            )
        state_of_net = trained_state(net)
        faults = differences(state_of_net, content.model)
        groups = optimizer.param_groups if optimizer is not None else []
        parameters = [parameter for group in groups for parameter in group["params"]]
        if optimizer is not None:
            faults += _optimizer_differences(parameters, content.optimizer)
        if faults:
            raise CheckpointForeign(
                f"{path} belongs to another network: {'; '.join(faults)}. Delete the folder {path.parent}, and the "
                "run's result if there is one, to train anew"
            )
        for name, value in state_of_net.items():
            value.copy_(content.model[name])
        if optimizer is not None:
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in content.optimizer.items():
                index, _, key = name.partition(".")
                if value.shape == (like := parameters[int(index)]).shape:
                    # a fused kernel needs the parameter's layout
                    value = torch.empty_like(like, dtype=value.dtype, device="cpu").copy_(value)
                state.setdefault(int(index), {})[key] = value
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def candidate_name(rates: Sequence[float], rate: float) -> str:
    """Return the folder of a rate's checkpoints within a run's; a recipe of one rate has them in the run's own."""
    return f"rate-{rate:g}" if len(rates) > 1 else ""


def read_checkpoint(path: Path) -> CheckpointContent:
    """Read a checkpoint and compare its digest.

    Raises CheckpointDamaged, naming the file and what was found, CheckpointForeign if rssam-bench 0.1 wrote it.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as stream:
            metadata = json.loads((stream.metadata() or {})[METADATA])
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
        if "format" not in metadata:
            raise CheckpointForeign(f"{path} was made by rssam-bench 0.1 and is left as it is: use rssam-bench 0.1.0")
        digest, progress, start = metadata.pop("sha256"), metadata["progress"], metadata["start"]
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointDamaged(f"{path} is not a readable checkpoint ({type(error).__name__}: {error})") from error
    if content_digest(tensors, metadata) != digest:
        raise CheckpointDamaged(f"{path} is damaged: its content does not have the SHA-256 that was written into it")
    model, optimizer, random = (
        {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        for prefix in (_MODEL, _OPTIMIZER, _RANDOM)
    )
    return CheckpointContent(model, optimizer, random, progress, start)


def _optimizer_differences(parameters: list[Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """Return the differences of the optimiser's state.

    Every parameter must have the same entries or none, of its own shape or scalars.
    """
    by_index: dict[str, dict[str, Tensor]] = {}
    for name, value in found.items():
        index, _, key = name.partition(".")
        by_index.setdefault(index, {})[key] = value
    keys = {key for state in by_index.values() for key in state}
    parameter_of = {str(index): parameter for index, parameter in enumerate(parameters)}
    missing = [f"{index}.{key}" for index, state in by_index.items() for key in sorted(keys - state.keys())]
    unexpected = sorted(index for index in by_index if index not in parameter_of)
    of_another_shape = [
        f"{index}.{key} (expected {tuple(parameter_of[index].shape)}, found {tuple(value.shape)})"
        for index, state in by_index.items()
        if index in parameter_of
        for key, value in state.items()
        if value.ndim and value.shape != parameter_of[index].shape
    ]
    lists = (("missing", missing), ("unexpected", unexpected), ("of another shape", of_another_shape))
    return [f"in the optimiser's state {difference} {', '.join(names)}" for difference, names in lists if names]


def _best_epoch(path: Path) -> int:
    """Return the best epoch that a checkpoint names, 0 if there is none or the file cannot be read."""
    try:
        with safe_open(path, framework="pt", device="cpu") as stream:
            return int(json.loads(stream.metadata()[METADATA])["progress"]["best_epoch"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return 0

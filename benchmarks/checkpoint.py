"""Checkpoints without pickles: one safetensors file with what was trained, the optimiser's state and the progress.

Frozen parameters are not written: they are in the named checkpoint whose digest is in the run's key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from data_prep.base import write_atomic
from rssam.contract import UserError

_MODEL, _OPTIMIZER = "model.", "optimizer."


class CheckpointDamaged(UserError):
    """A checkpoint that cannot be read, or that does not belong to this network."""


def trained_state(net: nn.Module) -> dict[str, Tensor]:
    """What training can change: trainable parameters and persistent buffers (running statistics), by name."""
    frozen = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    return {name: value.detach() for name, value in net.state_dict().items() if name not in frozen}


def save_checkpoint(
    path: Path, net: nn.Module, optimizer: torch.optim.Optimizer | None, progress: Mapping[str, Any]
) -> None:
    """Write network, optimiser and `progress` (JSON values) atomically. Raises DataError if the disk is full."""
    tensors = {f"{_MODEL}{name}": value.cpu().contiguous() for name, value in trained_state(net).items()}
    if optimizer is not None:
        for index, state in optimizer.state_dict()["state"].items():
            for name, value in state.items():
                tensors[f"{_OPTIMIZER}{index}.{name}"] = torch.as_tensor(value).cpu().contiguous()
    write_atomic(path, save(tensors, metadata={"progress": json.dumps(dict(progress))}))


def load_checkpoint(path: Path, net: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> dict[str, Any]:
    """Restore network (and optimiser) in place; return the saved progress.

    Raises CheckpointDamaged if the file cannot be read or its names are not exactly those of this network.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as stream:
            progress = json.loads(stream.metadata()["progress"])
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointDamaged(f"{path} is not a readable checkpoint ({error}): delete it and run again") from error
    saved = {name.removeprefix(_MODEL): value for name, value in tensors.items() if name.startswith(_MODEL)}
    wanted = trained_state(net)
    if saved.keys() != wanted.keys():
        missing, unexpected = sorted(wanted.keys() - saved.keys()), sorted(saved.keys() - wanted.keys())
        raise CheckpointDamaged(
            f"{path} belongs to another network: missing {missing[:5]}, unexpected {unexpected[:5]}"
        )
    for name, value in wanted.items():
        value.copy_(saved[name])
    if optimizer is not None:
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith(_OPTIMIZER):
                index, key = name.removeprefix(_OPTIMIZER).split(".", 1)
                state.setdefault(int(index), {})[key] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return dict(progress)

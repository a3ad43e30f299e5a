"""Convert checkpoints to safetensors, checked against what their name promises. Imports no torch on its own.

Accepted are the published files, and the same networks from elsewhere: retrained, wrapped, in half precision, or under
the names of Hugging Face.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rssam.errors import UserError
from rssam.files import replacement, sha256_file
from rssam.foreign_json import Unreadable
from rssam.weights import checkpoint_file, foreign_names, layout, values
from rssam.weights.folder import (
    CONTENT,
    NO_DIGEST,
    READ_AS,
    WeightsDamaged,
    WeightsFolder,
    WeightsNotFound,
    write_content_digest,
)
from rssam.weights.registry import WEIGHTS, SamWeights, Weights

if TYPE_CHECKING:
    from torch import Tensor

COUNTER = "num_batches_tracked"
"""End of the names of batch norm's counters, the only integers in a checkpoint."""

ROOM = 4
"""A file's tensors may take so many times the size of the published ones, which are in float32."""


def convert_checkpoint(name: str, source: Path, folder: WeightsFolder, expected_sha256: str | None = None) -> Path:
    """Write the checkpoint file `source` into `folder` as the prepared checkpoint `name`; return its path.

    Nothing but tensors is read from `source`, and an existing prepared file is replaced only by a complete one.
    Raises WeightsDamaged if the file's digest does not begin with `expected_sha256`, if it is truncated, or if it is
    not the checkpoint of that name.

    Args:
        name: of the checkpoint, a key of `WEIGHTS`.
        source: the file as it was published.
        folder: where the prepared checkpoint goes.
        expected_sha256: leading hex digits of the published file's digest; None accepts any.
    """
    weights = weights_named(name)
    digest = source_digest(name, source)
    if expected_sha256 is not None and not digest.startswith(expected_sha256):
        raise WeightsDamaged(
            f"expected SHA-256 {expected_sha256[:12]}... for {name}, found {digest[:12]}... in {source}: "
            f"delete it and run: rssam-bench prepare weights {name}"
        )
    for other in WEIGHTS.values():  # two checkpoints may have tensors of the same names and shapes
        if other is not weights and other.sha256 and digest.startswith(other.sha256):
            raise WeightsDamaged(
                f"{source} is the published file of {other.name}, not of {name}. "
                f"Run: rssam-bench prepare weights {other.name} --source FILE"
            )
    tensors, notes = read_checkpoint(weights, source)
    metadata = {"source_sha256": digest, "name": name, **({READ_AS: "; ".join(notes)} if notes else {})}
    return _write(tensors, folder.path(name), metadata)


def source_digest(name: str, source: Path) -> str:
    """Return the SHA-256 of a checkpoint file. Raises WeightsNotFound unless there is a file to read."""
    if not source.is_file():
        instead = "a folder: give the file in it, such as model.safetensors" if source.is_dir() else "no file there"
        raise WeightsNotFound(f"expected the checkpoint {name} at {source}, found {instead}")
    try:
        return sha256_file(source)
    except OSError as error:
        raise WeightsNotFound(f"{source} cannot be read ({error.strerror})") from error


def read_checkpoint(weights: Weights, source: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors of a file under their published names, in float32, and what was found other than published.

    Raises WeightsDamaged if they are not the tensors of `weights`, or hold values that are not finite.
    """
    import torch

    try:
        found = foreign_names.find(weights, checkpoint_file.read(source), torch.Tensor)
    except Unreadable as error:
        raise WeightsDamaged(
            f"expected a PyTorch checkpoint in {source}, found {error}: "
            f"fetch it again with: rssam-bench prepare weights {weights.name}"
        ) from error
    what = f"{source} is not a {'SAM ' if isinstance(weights, SamWeights) else ''}checkpoint of {weights.name}"
    elsewhere = f"Take the file from {weights.url}"
    if found.fault:
        raise WeightsDamaged(f"{what}: {found.fault}. {elsewhere}")
    shapes = {name: tuple(tensor.shape) for name, tensor in found.tensors.items()}
    if fault := layout.fault(weights, shapes) or _kinds_fault(weights, found.tensors):
        raise WeightsDamaged(f"{what}: {fault}. {elsewhere}")
    tensors = dict(_own(found.tensors))
    if fault := values.fault((name, tensor.numpy()) for name, tensor in tensors.items()):
        raise WeightsDamaged(f"{source} is damaged: {fault}. {elsewhere}")
    return tensors, (*found.notes, *_conversions(weights, found.tensors))


def _own(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors in float32, counters in int64, each in memory of its own: safetensors stores no other."""
    import torch

    taken: set[int] = set()
    for name, tensor in tensors.items():
        kept = tensor.detach().to(torch.float32 if tensor.is_floating_point() else torch.int64).contiguous()
        storage = kept.untyped_storage()
        if storage.data_ptr() in taken or storage.nbytes() != kept.numel() * kept.element_size():
            kept = kept.clone()
        taken.add(storage.data_ptr())
        yield name, kept


def _kinds_fault(weights: Weights, tensors: Mapping[str, Tensor]) -> str:
    """Return in what the tensors are not plain numbers in memory, "" if they all are."""
    import torch

    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            return f"expected plain tensors, found {name} of another kind ({tensor.device.type}, {tensor.layout})"
        if not tensor.is_floating_point() and not name.endswith(COUNTER):
            return f"expected floating-point numbers, found {name} of {tensor.dtype}"
    size = sum(tensor.numel() * 4 for tensor in tensors.values()) >> 20
    if size > ROOM * weights.megabytes:
        return f"expected about {weights.megabytes} MB of tensors, found {size} MB"
    return ""


def _conversions(weights: Weights, tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    kinds = sorted(
        {str(tensor.dtype).removeprefix("torch.") for name, tensor in tensors.items()} - {"float32", "int64"}
    )
    notes = [f"{' and '.join(kinds)}, kept as float32"] if kinds else []
    if grid := layout.other_grid(weights, {name: tuple(tensor.shape) for name, tensor in tensors.items()}):
        notes.append(f"position tables of images of {grid} pixels, where SAM's are of 1024x1024")
    return tuple(notes)


def weights_named(name: str) -> Weights:
    """Return the published checkpoint `name`. Raises UserError listing the choices."""
    if name not in WEIGHTS:
        raise UserError(f"unknown weights {name!r}: choose one of {', '.join(WEIGHTS)}")
    return WEIGHTS[name]


def _write(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str]) -> Path:
    """Write a safetensors file under a temporary name beside `path`, then rename it: never half a file at `path`."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacement(path) as (descriptor, temporary):
            save_file(dict(tensors), temporary, metadata={**metadata, CONTENT: NO_DIGEST})
            write_content_digest(temporary)
            os.chmod(temporary, os.fstat(descriptor).st_mode)  # safetensors puts a file of its own there, of mode 0600
    except (OSError, SafetensorError) as error:
        raise UserError(f"could not write {path} ({error}): free some space or set --home to another disk") from error
    return path

"""Convert published checkpoints (.pth) to safetensors, checked against what their name promises. Imports no torch."""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rssam.errors import UserError
from rssam.files import replacement, sha256_file
from rssam.weights.folder import (
    CONTENT,
    NO_DIGEST,
    WeightsDamaged,
    WeightsFolder,
    WeightsNotFound,
    write_content_digest,
)
from rssam.weights.registry import WEIGHTS, BackboneWeights, SamWeights, Weights

if TYPE_CHECKING:
    from torch import Tensor


_PARTS = ("image_encoder", "prompt_encoder", "mask_decoder")


def encoder_shape(checkpoint: Mapping[str, Tensor]) -> tuple[int, int] | None:
    """Return (width, blocks) of the image encoder in a SAM checkpoint, by names and shapes; None if it has none."""
    patch = checkpoint.get("image_encoder.patch_embed.proj.weight")
    blocks = {match[1] for name in checkpoint if (match := re.match(r"image_encoder\.blocks\.(\d+)\.", name))}
    if patch is None or patch.ndim != 4 or not blocks:
        return None
    return patch.shape[0], len(blocks)


def convert_checkpoint(name: str, source: Path, folder: WeightsFolder, expected_sha256: str | None = None) -> Path:
    """Write the published `.pth` file `source` into `folder` as the prepared checkpoint `name`; return its path.

    Nothing but tensors is read from `source`, and an existing prepared file is replaced only by a complete one.
    Raises WeightsDamaged if the file's digest does not begin with `expected_sha256`, if it is truncated, or if it is
    not the checkpoint of that name.
    """
    weights = weights_named(name)
    if not source.is_file():
        raise WeightsNotFound(f"expected the checkpoint {name} at {source}, found no file there")
    digest = sha256_file(source)
    if expected_sha256 is not None and not digest.startswith(expected_sha256):
        raise WeightsDamaged(
            f"expected SHA-256 {expected_sha256[:12]}... for {name}, found {digest[:12]}... in {source}: "
            f"delete it and run: rssam-bench prepare weights {name}"
        )
    tensors = _read_pth(weights, source)
    if isinstance(weights, SamWeights):
        _require_sam(weights, tensors, source)
    elif isinstance(weights, BackboneWeights):
        _require_backbone(weights, tensors, source)
    return _write(tensors, folder.path(name), {"source_sha256": digest, "name": name})


def _require_sam(weights: SamWeights, tensors: Mapping[str, Tensor], source: Path) -> None:
    shape = encoder_shape(tensors)
    if shape is None or {key.split(".")[0] for key in tensors} != set(_PARTS):
        raise WeightsDamaged(
            f"{source} is not a SAM checkpoint: expected tensors named {', '.join(f'{part}.*' for part in _PARTS)}. "
            f"Take the file from {weights.url}"
        )
    if shape != (weights.width, weights.blocks):
        raise WeightsDamaged(
            f"expected a {weights.name} checkpoint ({weights.width} wide, {weights.blocks} blocks), "
            f"found {shape[0]} wide, {shape[1]} blocks in {source}: {_advice(shape)}"
        )


def _require_backbone(weights: BackboneWeights, tensors: Mapping[str, Tensor], source: Path) -> None:
    tensor = tensors.get(weights.tensor)
    found = "no such tensor" if tensor is None else f"shape {tuple(tensor.shape)}"
    if tensor is None or tuple(tensor.shape) != weights.shape:
        raise WeightsDamaged(
            f"{source} is not {weights.name}: expected {weights.tensor} of shape {weights.shape}, found {found}. "
            f"Take the file from {weights.url}"
        )


def weights_named(name: str) -> Weights:
    """Return the published checkpoint `name`. Raises UserError listing the choices."""
    if name not in WEIGHTS:
        raise UserError(f"unknown weights {name!r}: choose one of {', '.join(WEIGHTS)}")
    return WEIGHTS[name]


def _advice(shape: tuple[int, int]) -> str:
    for weights in WEIGHTS.values():
        if isinstance(weights, SamWeights) and shape == (weights.width, weights.blocks):
            return f"it is {weights.name}; run: rssam-bench prepare weights {weights.name} --source FILE"
    return "no published SAM checkpoint has that size"


def _read_pth(weights: Weights, source: Path) -> dict[str, Tensor]:
    """Read the tensors by name in a PyTorch file (.pth) without running any code it may carry."""
    import torch

    try:
        tensors = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise WeightsDamaged(
            f"expected a PyTorch checkpoint in {source}, found a truncated or foreign file: "
            f"fetch it again with: rssam-bench prepare weights {weights.name}"
        ) from error
    if not isinstance(tensors, dict) or not all(
        isinstance(key, str) and isinstance(tensor, torch.Tensor) for key, tensor in tensors.items()
    ):
        raise WeightsDamaged(
            f"{source} is not a checkpoint: expected a dictionary of tensors. Take the file from {weights.url}"
        )
    return tensors


def _write(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str]) -> Path:
    """Write a safetensors file under a temporary name beside `path`, then rename it: never half a file at `path`."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replacement(path) as (descriptor, temporary):
            metadata = {**metadata, CONTENT: NO_DIGEST}
            save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, temporary, metadata=metadata)
            write_content_digest(temporary)
            os.chmod(temporary, os.fstat(descriptor).st_mode)  # safetensors puts a file of its own there, of mode 0600
    except (OSError, SafetensorError) as error:
        raise UserError(f"could not write {path} ({error}): free some space or set --home to another disk") from error
    return path

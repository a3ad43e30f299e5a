"""Named pretrained weights: where they come from, what they must be, and how to find them. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from rssam.contract import UserError
from rssam.weights.http_download import Fetch, Progress

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Weights:
    """A published checkpoint. `sha256` is that of the published file, or its leading digits where no more is known.

    torchvision and timm write the first eight digits into the file's name.
    """

    name: str
    url: str
    sha256: str
    megabytes: int
    licence: str

    @property
    def file(self) -> str:
        """Name of the prepared file."""
        return f"{self.name}.safetensors"


@dataclass(frozen=True)
class SamWeights(Weights):
    """One of SAM's checkpoints. Width and blocks of the image encoder are how a file is recognised."""

    width: int
    blocks: int

    @property
    def file(self) -> str:
        """Name of the prepared file."""
        return f"sam_{self.name}.safetensors"


@dataclass(frozen=True)
class BackboneWeights(Weights):
    """A classifier trained on ImageNet, of which a baseline takes the backbone. One tensor tells whether it is it."""

    tensor: str
    shape: tuple[int, ...]


_SAM = "https://dl.fbaipublicfiles.com/segment_anything"
_TORCHVISION = "https://download.pytorch.org/models"
_TIMM = "https://github.com/rwightman/pytorch-image-models/releases/download"

_ALL: tuple[Weights, ...] = (
    # SAM: from the list in the segment-anything README
    SamWeights(
        name="vit_b",
        url=f"{_SAM}/sam_vit_b_01ec64.pth",
        sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        megabytes=375,
        licence="Apache-2.0",
        width=768,
        blocks=12,
    ),
    SamWeights(
        name="vit_l",
        url=f"{_SAM}/sam_vit_l_0b3195.pth",
        sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        megabytes=1250,
        licence="Apache-2.0",
        width=1024,
        blocks=24,
    ),
    SamWeights(
        name="vit_h",
        url=f"{_SAM}/sam_vit_h_4b8939.pth",
        sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        megabytes=2565,
        licence="Apache-2.0",
        width=1280,
        blocks=32,
    ),
    # Backbones of the CNN and Transformer baselines
    BackboneWeights(
        name="resnet50",
        url=f"{_TORCHVISION}/resnet50-0676ba61.pth",
        sha256="0676ba61",
        megabytes=103,
        licence="BSD-3-Clause",
        tensor="layer4.2.conv3.weight",
        shape=(2048, 512, 1, 1),
    ),
    BackboneWeights(
        name="resnet18",
        url=f"{_TORCHVISION}/resnet18-f37072fd.pth",
        sha256="f37072fd",
        megabytes=47,
        licence="BSD-3-Clause",
        tensor="layer4.1.conv2.weight",
        shape=(512, 512, 3, 3),
    ),
    BackboneWeights(
        name="resnet18_swsl",
        url="https://dl.fbaipublicfiles.com/semiweaksupervision/model_files/"
        "semi_weakly_supervised_resnet18-118f1556.pth",
        sha256="118f1556",
        megabytes=47,
        licence="CC-BY-NC-4.0",
        tensor="layer4.1.conv2.weight",
        shape=(512, 512, 3, 3),
    ),
    BackboneWeights(
        name="vgg16_bn",
        url=f"{_TORCHVISION}/vgg16_bn-6c64b313.pth",
        sha256="6c64b313",
        megabytes=553,
        licence="BSD-3-Clause",
        tensor="features.40.weight",
        shape=(512, 512, 3, 3),
    ),
    BackboneWeights(
        name="hrnet_w18",
        url=f"{_TIMM}/v0.1-hrnet/hrnetv2_w18-8cb57bb9.pth",
        sha256="8cb57bb9",
        megabytes=86,
        licence="MIT",
        tensor="stage4.0.branches.3.0.conv1.weight",
        shape=(144, 144, 3, 3),
    ),
    BackboneWeights(
        name="hrnet_w32",
        url=f"{_TIMM}/v0.1-hrnet/hrnetv2_w32-90d8c5fb.pth",
        sha256="90d8c5fb",
        megabytes=166,
        licence="MIT",
        tensor="stage4.0.branches.3.0.conv1.weight",
        shape=(256, 256, 3, 3),
    ),
    BackboneWeights(
        name="hrnet_w48",
        url=f"{_TIMM}/v0.1-hrnet/hrnetv2_w48-abd2e6ab.pth",
        sha256="abd2e6ab",
        megabytes=311,
        licence="MIT",
        tensor="stage4.0.branches.3.0.conv1.weight",
        shape=(384, 384, 3, 3),
    ),
    BackboneWeights(
        name="r50_vit_b16",
        url=f"{_TIMM}/v0.1-vitjx/jx_vit_base_resnet50_224_in21k-6f7c7740.pth",
        sha256="6f7c7740",
        megabytes=458,
        licence="Apache-2.0",
        tensor="patch_embed.proj.weight",
        shape=(768, 1024, 1, 1),
    ),
)

WEIGHTS: dict[str, Weights] = {weights.name: weights for weights in _ALL}


class WeightsNotFound(UserError):
    """A checkpoint is wanted that is not in the weights folder; the message names the remedy."""


class WeightsDamaged(UserError):
    """A checkpoint cannot be read, or is not the one its name says."""


@dataclass(frozen=True)
class WeightsFolder:
    """The folder of prepared checkpoints: one safetensors file a name, written by `prepare weights`."""

    root: Path

    def path(self, name: str) -> Path:
        """Where the checkpoint `name` lies once it is prepared."""
        return self.root / WEIGHTS[name].file

    def resolve(self, name: str) -> Path:
        """Path of the prepared checkpoint. Raises WeightsNotFound with the command that brings it."""
        path = self.path(name)
        if not path.is_file():
            raise WeightsNotFound(
                f"checkpoint {name} is not in {self.root}. Run: rssam-bench prepare weights {name} "
                f"(downloads {WEIGHTS[name].megabytes} MB), or add --source FILE.pth if you have it, "
                "or use --init scratch to train without it"
            )
        return path

    def digest(self, name: str) -> str:
        """SHA-256 of the file that the prepared checkpoint was made from; it enters the key of every run."""
        path = self.resolve(name)
        digest = read_metadata(path).get("source_sha256")
        if digest is None:
            raise WeightsDamaged(
                f"{path} does not say which file it was made from: delete it and run: "
                f"rssam-bench prepare weights {name} --source FILE.pth"
            )
        return digest


def read_metadata(path: Path) -> dict[str, str]:
    """The text metadata in a safetensors header, without reading a tensor. Raises WeightsDamaged."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length)) if length <= path.stat().st_size else None
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise WeightsDamaged(f"{path} is not a readable safetensors file: delete it and prepare the weights again")
    return dict(header.get("__metadata__", {}))


_PARTS = ("image_encoder", "prompt_encoder", "mask_decoder")


def encoder_shape(checkpoint: Mapping[str, Tensor]) -> tuple[int, int] | None:
    """(width, blocks) of the image encoder in a SAM checkpoint, read from its names and shapes; None if it has none."""
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
    weights = _known(name)
    if not source.is_file():
        raise WeightsNotFound(f"expected the checkpoint {name} at {source}, found no file there")
    with source.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if expected_sha256 is not None and not digest.startswith(expected_sha256):
        raise WeightsDamaged(
            f"expected SHA-256 {expected_sha256[:12]}... for {name}, found {digest[:12]}... in {source}: "
            f"delete it and run: rssam-bench prepare weights {name}"
        )
    tensors = _read_pth(name, source)
    if isinstance(weights, SamWeights):
        _require_sam(weights, tensors, source)
    elif isinstance(weights, BackboneWeights):
        _require_backbone(weights, tensors, source)
    official = "yes" if digest.startswith(weights.sha256) else "no"
    return _write(tensors, folder.path(name), {"source_sha256": digest, "name": name, "official": official})


def _require_sam(weights: SamWeights, tensors: Mapping[str, Tensor], source: Path) -> None:
    found = encoder_shape(tensors)
    if found is None or {key.split(".")[0] for key in tensors} != set(_PARTS):
        raise WeightsDamaged(
            f"{source} is not a SAM checkpoint: expected tensors named {', '.join(f'{part}.*' for part in _PARTS)}. "
            f"Take the file from {weights.url}"
        )
    if found != (weights.width, weights.blocks):
        raise WeightsDamaged(
            f"expected a {weights.name} checkpoint ({weights.width} wide, {weights.blocks} blocks), "
            f"found {found[0]} wide, {found[1]} blocks in {source}: {_advice(found)}"
        )


def _require_backbone(weights: BackboneWeights, tensors: Mapping[str, Tensor], source: Path) -> None:
    tensor = tensors.get(weights.tensor)
    found = "no such tensor" if tensor is None else f"shape {tuple(tensor.shape)}"
    if tensor is None or tuple(tensor.shape) != weights.shape:
        raise WeightsDamaged(
            f"{source} is not {weights.name}: expected {weights.tensor} of shape {weights.shape}, found {found}. "
            f"Take the file from {weights.url}"
        )


def download(name: str, folder: WeightsFolder, progress: Progress = lambda done, total, what: None) -> Path:
    """Fetch the checkpoint `name`, verify its digest, convert it, delete the download; return the prepared path.

    What a cut connection or a kill leaves is continued by the next call. Raises UserError if the network fails,
    WeightsDamaged if the file is not the published one; such a file is deleted.
    """
    weights = _known(name)
    remedy = f"fetch it elsewhere and run: rssam-bench prepare weights {name} --source FILE"
    published = weights.url.rsplit("/", 1)[1]
    fetch = Fetch(weights.url, folder.root / "downloads" / f"{published}.part", name, progress)
    fetch.part.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(fetch.part.with_name(f"{published}.lock")):
        if folder.path(name).is_file():  # brought by another process meanwhile
            return folder.path(name)
        try:
            fetch.run()
        except OSError as error:
            kept = fetch.part.stat().st_size >> 20 if fetch.part.is_file() else 0
            again = f"the {kept} MB that came are kept, run the command again to go on; or " if kept else ""
            raise UserError(f"could not download {weights.url} ({error}): {again}{remedy}") from error
        try:
            path = convert_checkpoint(name, fetch.part, folder, weights.sha256)
        except WeightsDamaged as error:
            fetch.forget()
            raise WeightsDamaged(
                f"the file at {weights.url} is not the published checkpoint {name} and was deleted ({error}): {remedy}"
            ) from error
        fetch.forget()
    return path


def _known(name: str) -> Weights:
    if name not in WEIGHTS:
        raise UserError(f"unknown weights {name!r}: choose one of {', '.join(WEIGHTS)}")
    return WEIGHTS[name]


def _advice(found: tuple[int, int]) -> str:
    for weights in WEIGHTS.values():
        if isinstance(weights, SamWeights) and found == (weights.width, weights.blocks):
            return f"it is {weights.name}; run: rssam-bench prepare weights {weights.name} --source FILE"
    return "no published SAM checkpoint has that size"


def _read_pth(name: str, source: Path) -> dict[str, Tensor]:
    """The tensors by name in a legacy PyTorch file, read without running any code it may carry."""
    import torch

    try:
        tensors = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise WeightsDamaged(
            f"expected a PyTorch checkpoint in {source}, found a truncated or foreign file: "
            f"fetch it again with: rssam-bench prepare weights {name}"
        ) from error
    if not isinstance(tensors, dict) or not all(
        isinstance(key, str) and isinstance(tensor, torch.Tensor) for key, tensor in tensors.items()
    ):
        raise WeightsDamaged(
            f"{source} is not a checkpoint: expected a dictionary of tensors. Take the file from {_known(name).url}"
        )
    return tensors


def _write(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str]) -> Path:
    """Write a safetensors file under a temporary name beside `path`, then rename it: never half a file at `path`."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, temporary, metadata=metadata)
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would shut out others who share the folder
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        os.unlink(temporary)
        raise UserError(f"could not write {path} ({error}): free some space or set --home to another disk") from error
    except BaseException:
        os.unlink(temporary)
        raise
    return path

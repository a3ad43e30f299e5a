"""Every system of the benchmark: a torch-free declaration each, listed in MODELS. `build` imports the network.

Source, licence and differences from the published code stand in the head of each network's file, `baselines/<file>.py`,
which offers `architecture(task, **options)` and `build(task, weights, **options)`. Every field of a class here is an
option that changes the network; `small` is the variant for smoke runs and tests.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from rssam.config import RSSAM
from rssam.contract import Model, Optimisation, Task
from rssam.errors import UnknownName, UserError
from rssam.sam.encoder_sizes import Init, check_encoder

if TYPE_CHECKING:
    from torch import nn

    from rssam.weights.folder import WeightsFolder

Start = Literal["imagenet", "scratch"]
"""What a baseline's backbone starts from: weights trained on ImageNet, or random numbers."""


class Baseline:
    """A system whose network is a file in `baselines/`; every field is passed on by name."""

    file: ClassVar[str]

    def architecture(self, task: Task) -> nn.Module:
        """See `rssam.contract.Model.architecture`."""
        net: nn.Module = import_module(f"baselines.{self.file}.network").architecture(task, **vars(self))
        return net

    def build(self, task: Task, weights: WeightsFolder) -> nn.Module:
        """See `rssam.contract.Model.build`."""
        net: nn.Module = import_module(f"baselines.{self.file}.network").build(task, weights, **vars(self))
        return net


class SamBaseline(Baseline):
    """A baseline on SAM's encoder."""

    encoder: str
    init: Init

    def __post_init__(self) -> None:
        check_encoder(self.encoder, self.init)

    def weights_needed(self) -> tuple[str, ...]:
        """SAM's checkpoint, unless trained from scratch."""
        return (self.encoder,) if self.init == "sam" else ()


class ImageNetBaseline(Baseline):
    """A baseline on a backbone with published weights; `sizes` names them for each value of `size_option`."""

    size_option: ClassVar[str] = "backbone"
    sizes: ClassVar[Mapping[Any, str | None]]
    init: Start

    def __post_init__(self) -> None:
        size = getattr(self, self.size_option)
        if size not in self.sizes:
            raise UnknownName(f"unknown {self.size_option} {size!r}: choose one of {', '.join(map(str, self.sizes))}")
        if self.init not in ("imagenet", "scratch"):
            raise UnknownName(f"unknown init {self.init!r}: choose imagenet or scratch")
        if self.init == "imagenet" and self.sizes[size] is None:
            raise UserError(f"{self.size_option} {size} has no published weights: use --init scratch")

    def weights_needed(self) -> tuple[str, ...]:
        """The ImageNet weights, unless trained from scratch."""
        weights = self.sizes[getattr(self, self.size_option)]
        return (weights,) if self.init == "imagenet" and weights is not None else ()


@dataclass(frozen=True)
class Fcn(ImageNetBaseline):
    """Fully convolutional network on a ResNet-50 of stride 8."""

    name: ClassVar[str] = "fcn"
    title: ClassVar[str] = "FCN"
    version: ClassVar[int] = 1
    file: ClassVar[str] = "fcn"
    published: ClassVar[Optimisation | None] = Optimisation(
        optimizer="sgd",
        rate=0.01,
        weight_decay=1e-4,
        schedule="poly",
        epochs=30,
        source="torchvision, references/segmentation",
    )
    small: ClassVar[Mapping[str, Any]] = {"backbone": "test_resnet"}
    sizes: ClassVar[Mapping[Any, str | None]] = {"resnet50": "resnet50", "test_resnet": None}

    backbone: str = "resnet50"
    init: Start = "imagenet"


@dataclass(frozen=True)
class UNet(Baseline):
    """U-Net with transposed convolutions, from scratch."""

    name: ClassVar[str] = "unet"
    title: ClassVar[str] = "UNet"
    version: ClassVar[int] = 1
    file: ClassVar[str] = "unet"
    published: ClassVar[Optimisation | None] = None  # RMSprop, which no recipe here has
    small: ClassVar[Mapping[str, Any]] = {"width": 16}

    width: int = 64  # channels of the first level, doubled at each of the four below

    def weights_needed(self) -> tuple[str, ...]:
        """None: it starts at random."""
        return ()


@dataclass(frozen=True)
class TransUNet(ImageNetBaseline):
    """A ResNet with a ViT on top and a U-Net decoder."""

    name: ClassVar[str] = "transunet"
    title: ClassVar[str] = "TransUNet"
    version: ClassVar[int] = 1
    file: ClassVar[str] = "transunet"
    published: ClassVar[Optimisation | None] = Optimisation(
        optimizer="sgd", rate=0.01, weight_decay=1e-4, schedule="poly", epochs=150, source="TransUNet, train.py"
    )
    small: ClassVar[Mapping[str, Any]] = {"size": "tiny"}
    size_option: ClassVar[str] = "size"
    sizes: ClassVar[Mapping[Any, str | None]] = {"base": "r50_vit_b16", "tiny": None}

    size: str = "base"  # R50-ViT-B/16
    init: Start = "imagenet"  # ImageNet-21k


@dataclass(frozen=True)
class MANet(ImageNetBaseline):
    """Li et al.'s multi-attention network for remote sensing; not `smp.MAnet`."""

    name: ClassVar[str] = "manet"
    title: ClassVar[str] = "MANet"
    version: ClassVar[int] = 1
    file: ClassVar[str] = "manet"
    published: ClassVar[Optimisation | None] = Optimisation(
        optimizer="adamw",
        rate=6e-4,
        weight_decay=0.01,
        schedule="cosine",
        epochs=105,
        source="GeoSeg's for UNetFormer; it has none for MANet",
    )
    small: ClassVar[Mapping[str, Any]] = {"backbone": "test_resnet"}
    sizes: ClassVar[Mapping[Any, str | None]] = {"resnet50": "resnet50", "resnet18": "resnet18", "test_resnet": None}

    backbone: str = "resnet50"
    init: Start = "imagenet"


@dataclass(frozen=True)
class HRNet(ImageNetBaseline):
    """HRNetV2 with its plain head."""

    name: ClassVar[str] = "hrnet"
    title: ClassVar[str] = "HRNet"
    version: ClassVar[int] = 1
    file: ClassVar[str] = "hrnet"
    published: ClassVar[Optimisation | None] = Optimisation(
        optimizer="sgd",
        rate=0.01,
        weight_decay=5e-4,
        schedule="poly",
        epochs=484,
        source="HRNet-Semantic-Segmentation, seg_hrnet_w48 for Cityscapes",
    )
    small: ClassVar[Mapping[str, Any]] = {"width": "w18_small"}
    size_option: ClassVar[str] = "width"
    sizes: ClassVar[Mapping[Any, str | None]] = {
        "w48": "hrnet_w48", "w32": "hrnet_w32", "w18": "hrnet_w18", "w18_small": None,
    }  # fmt: skip

    width: str = "w48"
    init: Start = "imagenet"


@dataclass(frozen=True)
class UNetFormer(ImageNetBaseline):
    """A ResNet-18 with a decoder of windowed attention."""

    name: ClassVar[str] = "unetformer"
    title: ClassVar[str] = "UNetFormer"
    version: ClassVar[int] = 1
    file: ClassVar[str] = "unetformer"
    published: ClassVar[Optimisation | None] = Optimisation(
        optimizer="adamw",
        rate=6e-4,
        weight_decay=0.01,
        schedule="cosine",
        epochs=105,
        source="GeoSeg, config/vaihingen/unetformer.py",
    )
    small: ClassVar[Mapping[str, Any]] = {"backbone": "test_resnet", "width": 16}
    sizes: ClassVar[Mapping[Any, str | None]] = {"resnet18": "resnet18_swsl", "test_resnet": None}

    backbone: str = "resnet18"
    init: Start = "imagenet"
    width: int = 64  # channels of the decoder


@dataclass(frozen=True)
class SegNet(ImageNetBaseline):
    """VGG16 with batch norm, unpooled with the indices of its pooling."""

    name: ClassVar[str] = "segnet"
    title: ClassVar[str] = "SegNet"
    version: ClassVar[int] = 1
    file: ClassVar[str] = "segnet"
    published: ClassVar[Optimisation | None] = Optimisation(
        optimizer="sgd",
        rate=1e-3,
        weight_decay=5e-4,
        schedule="constant",
        epochs=436,
        source="SegNet-Tutorial, segnet_solver.prototxt: 40,000 steps of 4 on 367 images",
    )
    small: ClassVar[Mapping[str, Any]] = {"width": 16}
    size_option: ClassVar[str] = "width"
    sizes: ClassVar[Mapping[Any, str | None]] = {64: "vgg16_bn", 16: None}

    width: int = 64  # channels of the first stage
    init: Start = "imagenet"


@dataclass(frozen=True)
class SamAdapter(SamBaseline):
    """SAM with prompts made from its patches and high frequencies."""

    name: ClassVar[str] = "sam-adapter"
    title: ClassVar[str] = "SAM Adapter"
    version: ClassVar[int] = 1
    file: ClassVar[str] = "sam_adapter"
    published: ClassVar[Optimisation | None] = Optimisation(
        optimizer="adamw",
        rate=2e-4,
        weight_decay=0.01,
        schedule="cosine",
        epochs=20,
        source="SAM-Adapter, cod-sam-vit-b.yaml",
    )
    small: ClassVar[Mapping[str, Any]] = {"encoder": "vit_t"}

    encoder: str = "vit_b"
    init: Init = "sam"


@dataclass(frozen=True)
class RsamSeg(SamBaseline):
    """SAM Adapter with adapters inside every block."""

    name: ClassVar[str] = "rsam-seg"
    title: ClassVar[str] = "RSAM-Seg"
    version: ClassVar[int] = 1
    file: ClassVar[str] = "rsam_seg"
    published: ClassVar[Optimisation | None] = Optimisation(
        optimizer="adamw",
        rate=2e-4,
        weight_decay=0.01,
        schedule="cosine",
        epochs=120,
        source="RSAM-Seg, cod-sam-vit-l.yaml",
    )
    small: ClassVar[Mapping[str, Any]] = {"encoder": "vit_t"}

    encoder: str = "vit_b"
    init: Init = "sam"
    train_adapters: bool = True  # as its paper says; its code leaves them frozen at random numbers


@dataclass(frozen=True)
class SamLora(SamBaseline):
    """The paper's Baseline: SAMed, LoRA in SAM's encoder and SAM's own mask decoder."""

    name: ClassVar[str] = "sam-lora"
    title: ClassVar[str] = "Baseline (SAM LoRA)"
    version: ClassVar[int] = 1
    file: ClassVar[str] = "sam_lora"
    published: ClassVar[Optimisation | None] = Optimisation(
        optimizer="adamw", rate=5e-3, weight_decay=0.1, schedule="poly", epochs=200, source="SAMed, train.py"
    )
    small: ClassVar[Mapping[str, Any]] = {"encoder": "vit_t"}

    encoder: str = "vit_b"
    init: Init = "sam"
    rank: int = 4  # SAMed; the only rank that gives Table 7's parameter counts


@dataclass(frozen=True)
class SmpUNet(ImageNetBaseline):
    """A control that is not in the paper: smp's U-Net on an ImageNet encoder."""

    name: ClassVar[str] = "unet-smp"
    title: ClassVar[str] = "UNet (smp)"
    version: ClassVar[int] = 1
    file: ClassVar[str] = "unet_smp"
    published: ClassVar[Optimisation | None] = None
    small: ClassVar[Mapping[str, Any]] = {"backbone": "resnet18", "width": 4}
    sizes: ClassVar[Mapping[Any, str | None]] = {"resnet50": "resnet50", "resnet18": "resnet18"}

    backbone: str = "resnet50"
    init: Start = "imagenet"
    width: int = 16  # channels of the last decoder level, doubled at each of the four above


MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        Fcn(), UNet(), TransUNet(), MANet(), HRNet(), UNetFormer(), SegNet(),
        SamAdapter(), RsamSeg(), SamLora(), RSSAM(), SmpUNet(),
    )
}  # fmt: skip
"""The eleven systems in the order of the paper's tables, and a control."""


def variants() -> list[Model]:
    """Every system at every size the paper runs: the Baseline and RS-SAM with ViT-B and with ViT-L."""
    both = (SamLora.name, RSSAM.name)
    return [
        dataclasses.replace(model, **change)  # type: ignore[type-var]
        for model in MODELS.values()
        for change in ([{"encoder": "vit_b"}, {"encoder": "vit_l"}] if model.name in both else [{}])
    ]


def smallest(model: Model) -> Model:
    """The system's smallest variant, from scratch where it has a choice."""
    names = {item.name for item in dataclasses.fields(model)}  # type: ignore[arg-type]
    start = {"init": "scratch"} if "init" in names else {}
    return dataclasses.replace(model, **{**model.small, **start})  # type: ignore[type-var]

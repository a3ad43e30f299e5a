"""Declare the contract between benchmark and system: `Task`, `Optimisation`, and the protocol `Model`.

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from rssam.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rssam.weights.folder import WeightsFolder

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""

IGNORE = 255
"""Label of pixels outside loss and counts, in every data set."""


@dataclass(frozen=True)
class Task:
    """Task of segmentation: class names and the size of the images, fixed when a network is built.

    One class means binary: the background is implied and the network gives one logit. With several classes every pixel
    belongs to one of them, so a background is a class too.

    Attributes:
        classes: names in the order of logits and labels.
        image_size: (height, width) in pixels, multiples of 32.

    Raises:
        ValueError: There is no class.
        UserError: The size is not of multiples of 32.

    Examples:
        >>> from rssam import Task
        >>> Task(classes=("road",), image_size=(512, 512)).binary
        True
        >>> Task(("building", "road", "water"), (256, 256)).channels
        3
    """

    classes: tuple[str, ...]
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        if not self.classes:
            raise ValueError("a task needs at least one class name")
        if min(self.image_size) < 32 or any(side % 32 for side in self.image_size):
            raise UserError(
                f"image size {self.image_size[0]}x{self.image_size[1]} does not fit: "
                "height and width must be multiples of 32 and at least 32"
            )

    @property
    def binary(self) -> bool:
        """Return whether there is one foreground class and an implied background."""
        return len(self.classes) == 1

    @property
    def channels(self) -> int:
        """Return the number of logits per pixel: 1 for a binary task, otherwise one per class."""
        return len(self.classes)


def require_float(images: Tensor) -> None:
    """Raise TypeError if images are integers, because 0..255 would be taken for 0..1. Reads the dtype alone.

    Examples:
        >>> import torch
        >>> from rssam import require_float
        >>> require_float(torch.rand(1, 3, 32, 32))
        >>> require_float(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
        Traceback (most recent call last):
        TypeError: expected images float [B, 3, H, W] in 0..1, found torch.uint8: divide 0..255 by 255
    """
    if not images.is_floating_point():
        raise TypeError(f"expected images float [B, 3, H, W] in 0..1, found {images.dtype}: divide 0..255 by 255")


def to_unit_range(pixels: Tensor) -> Tensor:
    """Return images [..., 3, H, W] as every system takes them, float32 in 0..1.

    uint8 is divided by 255; floats must lie in 0..1 already, and float32 comes back as it is, not copied. Their values
    are read, so call this on the CPU, before images go to a device, and never in a network. The shape is not checked.

    Raises:
        TypeError: The pixels are neither uint8 nor float.
        ValueError: A float is below 0, above 1 or NaN.

    Examples:
        >>> import torch
        >>> from rssam import to_unit_range
        >>> to_unit_range(torch.full((3, 1, 1), 255, dtype=torch.uint8)).flatten()
        tensor([1., 1., 1.])
    """
    if str(pixels.dtype) == "torch.uint8":
        return pixels.float().div_(255)
    if not pixels.is_floating_point():
        raise TypeError(f"expected pixels uint8 in 0..255 or float in 0..1, found {pixels.dtype}")
    low, high = (float(bound) for bound in pixels.aminmax()) if pixels.numel() else (0.0, 0.0)
    if not (low >= 0 and high <= 1):  # NaN too
        raise ValueError(f"expected images float in 0..1, found {low:.4g} to {high:.4g}: divide 0..255 by 255")
    return pixels.float()


@dataclass(frozen=True)
class Optimisation:
    """Optimiser and weight decay that a system's own paper or repository published; only the recipe "fair" takes both.

    Rates, schedule and epochs are those of the recipe, the same for every system.

    Attributes:
        optimizer: "adamw" with betas (0.9, 0.999), or "sgd" with momentum 0.9.
        weight_decay: as PyTorch's optimiser of that name takes it.

    Examples:
        >>> from rssam import Optimisation
        >>> Optimisation(optimizer="sgd", weight_decay=1e-4)
        Optimisation(optimizer='sgd', weight_decay=0.0001)
    """

    optimizer: Literal["adamw", "sgd"]
    weight_decay: float


@runtime_checkable
class Model(Protocol):
    """System under test: a frozen dataclass whose fields are its options.

    The network that `build` returns keeps this:
    `images float [B, 3, H, W] in 0..1 -> logits float32 [B, task.channels, H, W]`, under autocast too.
    Training and evaluation give the same shapes. The network normalises its own input and refuses images of integers,
    see `require_float`.

    A network may have two more methods. The losses of `training_outputs(images) -> list[(weight, logits)]` are added
    with these weights in training, in place of the loss of the logits. The provenance of a run has what
    `class_distances(images) -> list[float]` returns before and after training.

    A declaration may have two more attributes. `cli_options`, of "encoder" and "init", names fields that arguments of
    these names replace. `encoder_rate`, 1 if missing, is the share of the learning rate for the part `encoder`.

    Attributes:
        name: in keys and folders, of small letters, digits and hyphens.
        title: as printed in tables.
        version: a number from 1, raised when the same options would now build another network.
        published: optimiser and weight decay for the recipe "fair"; None takes the recipe's own.

    Examples:
        Every system keeps this contract; docs/extend.md has one to start from. `isinstance` compares names only, and
        `rssam-bench conformance module:Class` checks the whole contract:

        >>> from rssam import RSSAM, Model
        >>> isinstance(RSSAM(), Model)
        True
    """

    name: ClassVar[str]
    title: ClassVar[str]
    version: ClassVar[int]
    published: ClassVar[Optimisation | None]

    @property
    def small(self) -> Mapping[str, Any]:
        """Options of the smallest variant, for the smoke profile and for tests; it has no pretrained weights."""
        ...

    def __hash__(self) -> int: ...

    def architecture(self, task: Task) -> nn.Module:
        """Return the network with random parameters and final freezing: enough to count, on the meta device too."""
        ...

    def build(self, task: Task, weights: WeightsFolder) -> nn.Module:
        """Return a fresh network for `task`; the same random state gives the same network.

        Never downloads. Raises UserError if a checkpoint that is needed is not in `weights`.
        """
        ...

    def weights_needed(self) -> tuple[str, ...]:
        """Return the names of the checkpoints that `build` reads, as `rssam-bench prepare weights` lists them."""
        ...


def cli_options(model: Model) -> tuple[str, ...]:
    """Return which of --encoder and --init, of the command line or a profile, replace the system's fields of that name.

    A system declares them as `cli_options: ClassVar[tuple[str, ...]]`; without it no field is replaced. With "encoder"
    the field is the name of a SAM encoder; with "init" alone the system takes --init scratch, and not sam.
    """
    declared: tuple[str, ...] = getattr(model, "cli_options", ())
    return declared


def encoder_rate(model: Model) -> float:
    """Return which share of the learning rate the part `encoder` of the system's network has.

    A system declares it as `encoder_rate: float`, for a pretrained encoder that is tuned as a whole. Without it all of
    the network has the same rate. What it depends on must be a field, for fields are what is in a run's key.
    """
    share: float = getattr(model, "encoder_rate", 1.0)
    return share

"""Backbones with ImageNet weights for the CNN and Transformer baselines: timm's networks, loaded strictly.

Source: timm (Apache-2.0), whose ResNets have the layers and the parameter names of torchvision's (BSD-3-Clause). The
weights are those of `rssam.weights`. What we do differently: nothing is downloaded while a network is built, and pixels
are normalised inside the network. Loading accepts neither a missing nor an unexpected tensor.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import timm
import torch
from timm.models import FeatureListNet
from torch import Tensor, nn

from rssam.contract import require_float
from rssam.sam.loading import load_exactly, load_weights
from rssam.weights.folder import WeightsDamaged, prepare_again

_MEAN = (0.485, 0.456, 0.406)  # of 0..1 images, as in torchvision
_STD = (0.229, 0.224, 0.225)


class ImageNetNormalise(nn.Module):
    """Normalisation of pixels in 0..1 to the mean and deviation that ImageNet weights were trained with."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...] = _MEAN, std: tuple[float, ...] = _STD) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise images [B, 3, H, W]. Raises TypeError for integers."""
        require_float(images)
        return (images - self.mean) / self.std


def resnet(name: str, out_indices: tuple[int, ...] = (1, 2, 3, 4), output_stride: int = 32) -> FeatureListNet:
    """Return timm's ResNet as feature maps: index 1 is stride 4, 4 the last; `feature_info.channels()` has the widths.

    With output stride 8 the last two stages are dilated instead of strided, as in torchvision's FCN.
    """
    backbone = timm.create_model(
        name, pretrained=False, features_only=True, out_indices=out_indices, output_stride=output_stride
    )
    return cast(FeatureListNet, backbone)


def load_backbone(backbone: nn.Module, path: Path, dropped: tuple[str, ...], prefix: str = "") -> None:
    """Load the prepared weights of a published classifier into `backbone`, strictly.

    Raises WeightsDamaged if a tensor is missing, unexpected or of another shape, or if a part to drop is not there.

    Args:
        backbone: the network whose parameters are replaced.
        path: the prepared file, see `WeightsFolder.path_of`.
        dropped: beginnings of the names of those tensors that only the classifier has.
        prefix: taken off the published names.
    """
    published = load_weights(path)
    for beginning in dropped:
        if not any(name.startswith(beginning) for name in published):
            raise WeightsDamaged(
                f"expected tensors named {beginning}* in the checkpoint {path.stem}, found none. Run: "
                f"{prepare_again(path.stem)}"
            )
    state = {name.removeprefix(prefix): tensor for name, tensor in published.items() if not name.startswith(dropped)}
    # Files older than the counter of batch norm lack it; it plays no part in the forward pass.
    counters = [name for name in backbone.state_dict() if name.endswith("num_batches_tracked") and name not in state]
    load_exactly(backbone, state, fresh=counters, weights=path.stem)

"""Backbones trained on ImageNet, for the CNN and Transformer baselines: timm's networks with published weights.

Source: timm (Apache-2.0), whose ResNets have the layers and the parameter names of torchvision's (BSD-3-Clause); the
weights are those of `rssam.weights`. What we do differently: nothing is downloaded while a network is built, loading
accepts neither a missing nor an unexpected tensor, and pixels are normalised inside the network.
"""

from __future__ import annotations

from typing import cast

import timm
import torch
from timm.models import FeatureListNet
from torch import Tensor, nn

from rssam.sam.loading import load_exactly, load_weights
from rssam.weights.folder import WeightsDamaged, WeightsFolder

_MEAN = (0.485, 0.456, 0.406)  # of 0..1 images, as in torchvision
_STD = (0.229, 0.224, 0.225)


class ImageNetNormalise(nn.Module):
    """Pixels in 0..1 to the mean and deviation that ImageNet weights were trained with."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...] = _MEAN, std: tuple[float, ...] = _STD) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise images [B, 3, H, W]."""
        return (images - self.mean) / self.std


def resnet(name: str, out_indices: tuple[int, ...] = (1, 2, 3, 4), output_stride: int = 32) -> FeatureListNet:
    """timm's ResNet as feature maps: index 1 is stride 4, 4 is the last; `feature_info.channels()` tells the widths.

    With output stride 8 the last two stages are dilated instead of strided, as in torchvision's FCN.
    """
    backbone = timm.create_model(
        name, pretrained=False, features_only=True, out_indices=out_indices, output_stride=output_stride
    )
    return cast(FeatureListNet, backbone)


def load_backbone(
    backbone: nn.Module, weights: WeightsFolder, name: str, dropped: tuple[str, ...], prefix: str = ""
) -> None:
    """Load the published classifier `name` into `backbone`, without its parts whose names start as in `dropped`.

    `prefix` is taken off the published names. Raises WeightsNotFound if the file is not prepared, and WeightsDamaged if
    any other tensor is missing, unexpected or of another shape, or if a part to drop is not there.
    """
    published = load_weights(weights.path_of(name))
    for part in dropped:
        if not any(key.startswith(part) for key in published):
            raise WeightsDamaged(
                f"expected tensors named {part}* in the checkpoint {name}, found none: prepare it again"
            )
    state = {key.removeprefix(prefix): tensor for key, tensor in published.items() if not key.startswith(dropped)}
    # Files older than the counter of batch norm lack it; it plays no part in the forward pass.
    counters = [key for key in backbone.state_dict() if key.endswith("num_batches_tracked") and key not in state]
    load_exactly(backbone, state, fresh=counters)

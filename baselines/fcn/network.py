"""FCN, the fully convolutional network of Shelhamer, Long and Darrell (PAMI 2017), as torchvision builds it today.

Source: torchvision's `fcn_resnet50` without its auxiliary head (BSD-3-Clause); the head is imported, the ResNet is
timm's (Apache-2.0).
What we do differently, and why:
- a ResNet-50 of stride 8, where the cited paper has VGG16 and three strides. It is the form in use, and no other has
  weights and code in a maintained library. With the same parameters it is the same function as torchvision's.
- from scratch it starts as timm starts a ResNet, the last norm of every block at zero; torchvision's start is one.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.segmentation.fcn import FCNHead

from baselines.backbone import ImageNetNormalise, load_backbone, resnet
from rssam.contract import Task


class Fcn(nn.Module):
    """Backbone whose last map keeps stride 8, a head on it, and its logits brought to the input's size."""

    def __init__(self, normalise: nn.Module, backbone: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.normalise = normalise
        self.backbone = backbone
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, channels, H, W] of images [B, 3, H, W] in 0..1."""
        (features,) = self.backbone(self.normalise(images))  # [B, C, H/8, W/8]
        logits = self.classifier(features).float()  # [B, channels, H/8, W/8]
        return F.interpolate(logits, images.shape[-2:], mode="bilinear", align_corners=False)  # [B, channels, H, W]


def architecture(task: Task, *, backbone: str) -> Fcn:
    """Return the network with random parameters, all of them trainable; also for the meta device."""
    layers = resnet(backbone, out_indices=(4,), output_stride=8)
    (width,) = layers.feature_info.channels()
    return Fcn(ImageNetNormalise(), layers, FCNHead(width, task.channels))


def load(net: Fcn, path: Path) -> None:
    """Start the backbone from its prepared ImageNet weights."""
    load_backbone(net.backbone, path, dropped=("fc.",))

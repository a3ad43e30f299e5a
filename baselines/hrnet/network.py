"""HRNetV2 with its plain head (Sun et al., "High-Resolution Representations for Labeling Pixels and Regions",
arXiv:1904.04514). The RS-SAM paper cites the CVPR 2019 paper of the same network.

Source: HRNet/HRNet-Semantic-Segmentation (MIT), read for its facts; the trunk and its ImageNet weights are timm's
(Apache-2.0 and MIT).
What we do differently, and why:
- the four branches themselves go into the head, as in the source. timm's features are by default those of the
  ImageNet classifier, widened to 128 ... 1024 channels: another network.
- between branches, coarse maps are enlarged bilinearly, as in the source. timm keeps the nearest neighbour of the
  classifier. There are no parameters in it, so the ImageNet weights fit both.
- every resize has align_corners=False; the source's branches differ (unset, False, True).
- logits are brought to the input's size here, where the source leaves a quarter and resizes in its loss.
- plain batch norm instead of the synchronised one, which needs several GPUs; this is HRNetV2, not HRNetV2 + OCR.
- convolutions start as timm's (He) and PyTorch's, where the source draws all of them with deviation 0.001.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.backbone import ImageNetNormalise, load_backbone
from rssam.contract import Task

_CLASSIFIER = ("incre_modules.", "downsamp_modules.", "final_layer.", "classifier.")


class HRNet(nn.Module):
    """Four branches of strides 4 to 32 that exchange what they see, and a head on all of them at stride 4."""

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.normalise = ImageNetNormalise()
        self.trunk = trunk
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, channels, H, W] of images [B, 3, H, W] in 0..1."""
        branches = self.trunk(self.normalise(images))  # w, 2w, 4w, 8w channels at H/4, H/8, H/16, H/32
        quarter = branches[0].shape[-2:]
        x = torch.cat([resize(branch, quarter) for branch in branches], dim=1)  # [B, 15 w, H/4, W/4]
        x = self.head(x)  # [B, channels, H/4, W/4]
        return resize(x.float(), images.shape[-2:])  # [B, channels, H, W]


def resize(x: Tensor, size: torch.Size) -> Tensor:
    """Bring x [B, C, h, w] to `size` (height, width), bilinearly."""
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def branches_of(width: str) -> tuple[nn.Module, list[int]]:
    """Return timm's trunk `hrnet_<width>`, which returns its four branches, and their channels."""
    trunk: Any = timm.create_model(
        f"hrnet_{width}", pretrained=False, features_only=True, feature_location="", out_indices=(1, 2, 3, 4)
    )
    for module in trunk.modules():
        if isinstance(module, nn.Upsample):
            module.mode, module.align_corners = "bilinear", False
    return trunk, trunk.feature_info.channels()


def architecture(task: Task, *, width: str) -> HRNet:
    """Return the network with random parameters, all of them trainable; also for the meta device."""
    trunk, widths = branches_of(width)
    channels = sum(widths)
    head = nn.Sequential(
        nn.Conv2d(channels, channels, kernel_size=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, task.channels, kernel_size=1),
    )
    return HRNet(trunk, head)


def load(net: HRNet, path: Path) -> None:
    """Start the trunk from its prepared ImageNet weights."""
    load_backbone(net.trunk, path, dropped=_CLASSIFIER)

"""Control that is not in the paper: smp's U-Net on a ResNet trained on ImageNet.

Source: segmentation_models_pytorch (MIT), whose `Unet` is imported. It is not the paper's U-Net. It has a ResNet
encoder, five decoder levels with nearest-neighbour upsampling, the last without a skip, and a 3x3 head.
What we do differently, and why:
- the encoder loads the published weights of torchvision, strictly and from the weights folder. smp would download its
  own copy of them while the network is built.
- it normalises its own input, which smp leaves to the user.
"""

from __future__ import annotations

from pathlib import Path

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from baselines.backbone import ImageNetNormalise, load_backbone
from rssam.contract import Task


class SmpUNet(nn.Module):
    """smp's network on normalised pixels."""

    def __init__(self, unet: smp.Unet) -> None:
        super().__init__()
        self.normalise = ImageNetNormalise()
        self.unet = unet

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, channels, H, W] of images [B, 3, H, W] in 0..1."""
        logits: Tensor = self.unet(self.normalise(images))  # [B, channels, H, W]
        return logits.float()


def architecture(task: Task, *, backbone: str, width: int) -> SmpUNet:
    """Return the network with random parameters, all of them trainable; also for the meta device."""
    unet = smp.Unet(
        encoder_name=backbone,
        encoder_weights=None,
        decoder_channels=[width * 2**level for level in (4, 3, 2, 1, 0)],
        classes=task.channels,
    )
    return SmpUNet(unet)


def load(net: SmpUNet, path: Path) -> None:
    """Start the encoder from its prepared ImageNet weights."""
    load_backbone(net.unet.encoder, path, dropped=("fc.",))

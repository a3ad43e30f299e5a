"""SAM's image encoder by itself, as a network whose speed can be measured."""

from __future__ import annotations

from torch import Tensor, nn

from rssam.contract import Task
from rssam.sam.encoder_sizes import ENCODERS


class EncoderAlone(nn.Module):
    """SAM's image encoder with its neck, as segment_anything has it, under the forward contract of a network."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> Tensor:
        """Return the neck's map [B, 256, H/16, W/16] of images [B, 3, H, W]."""
        neck: Tensor = self.encoder(images).neck
        return neck


def encoder_alone(name: str, task: Task) -> nn.Module:
    """Return an encoder of SAM with LoRA, frozen except for LoRA."""
    from rssam.lora import add_lora, freeze_encoder
    from rssam.sam.encoder import SamEncoder

    encoder = SamEncoder(ENCODERS[name], task.image_size, neck=True)
    add_lora(encoder, 4)
    freeze_encoder(encoder, "sam")
    return EncoderAlone(encoder)

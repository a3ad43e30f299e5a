"""Segmentation networks on an encoder of choice, for the question what SAM's encoder is still worth.

Sources: DPT (Ranftl et al., "Vision Transformers for Dense Prediction", ICCV 2021) as segmentation_models_pytorch (MIT)
has it, imported. The Baseline's mask decoder and RS-SAM's neck, decoders and refinement are imported too. The
encoders are those of `rssam.encoders`.
What we do differently, and why:
- DPT reads no class token: SAM has none, and so every encoder has the same head.
- RS-SAM's parts start at random, as DPT's do, for SAM's weights are of another encoder's features.
- a pretrained encoder is frozen, adapted with LoRA, or trained as a whole; without weights it is trained as a whole.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

from segmentation_models_pytorch.base.initialization import initialize_decoder, initialize_head
from segmentation_models_pytorch.decoders.dpt.decoder import DPTDecoder, DPTSegmentationHead
from torch import Tensor, nn

from baselines.encoder_swap.options import Head, Start, Tuning
from baselines.sam_lora.network import SamLora, mask_head
from rssam.contract import Task
from rssam.encoders.declared import ENCODERS, Encoder
from rssam.encoders.network import TimmEncoder, load_encoder, make_encoder
from rssam.lora import add_lora, freeze_encoder, lora_parameters
from rssam.model import refine
from rssam.sam.encoder import SamEncoder, sam_neck

AnyEncoder = SamEncoder | TimmEncoder


class DptHead(nn.Module):
    """DPT on the maps of four blocks."""

    def __init__(self, task: Task, encoder: AnyEncoder, declared: Encoder, channels: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.taps = declared.taps
        self.decoder = DPTDecoder(
            encoder_out_channels=declared.widths,
            encoder_output_strides=declared.strides,
            encoder_has_prefix_tokens=False,
            readout="ignore",
            intermediate_channels=(channels, 2 * channels, 4 * channels, 4 * channels),
            fusion_channels=channels,
        )
        self.head = DPTSegmentationHead(channels, task.channels)
        initialize_decoder(self.decoder)
        initialize_head(self.head)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, channels, H, W] of images [B, 3, H, W] in 0..1."""
        maps = self.encoder(images, self.taps).taps  # each [B, width, H/16, W/16]; of stages at their own stride
        fused = self.decoder(maps, [None] * len(maps))  # [B, 256, H/2, W/2]
        logits: Tensor = self.head(fused)  # [B, channels, H, W]
        return logits.float()


class MaskHead(SamLora):
    """The Baseline's mask decoder on the last map, brought to its width by a neck as SAM's."""

    def __init__(self, task: Task, encoder: AnyEncoder, declared: Encoder) -> None:
        super().__init__(task, cast(SamEncoder, encoder), *mask_head(task))
        self.last = declared.taps[-1:]
        self.neck = sam_neck(declared.width)

    def embed(self, images: Tensor) -> Tensor:
        """Return the image embedding [B, 256, H/16, W/16]."""
        embedding: Tensor = self.neck(self.encoder(images, self.last).taps[0])
        return embedding


def architecture(
    task: Task, *, encoder: str, init: Start, tuning: Tuning, head: Head, rank: int, dpt_channels: int
) -> nn.Module:
    """Return the network with random parameters, frozen as `init` and `tuning` say; also for the meta device."""
    declared = ENCODERS[encoder]
    image_encoder = make_encoder(declared, task.image_size)
    if tuning == "lora":
        add_lora(image_encoder, rank)
    freeze_encoder(image_encoder, "scratch" if init == "scratch" or tuning == "full" else "sam")
    if head == "dpt":
        return DptHead(task, image_encoder, declared, dpt_channels)
    if head == "sam":
        return MaskHead(task, image_encoder, declared)
    return refine(task, cast(SamEncoder, image_encoder), declared.width, early=declared.taps[0], last=declared.taps[-1])


def load(net: nn.Module, path: Path) -> None:
    """Start the encoder of `net` from its prepared weights."""
    encoder = cast(AnyEncoder, net.encoder)
    load_encoder(encoder, path, fresh=lora_parameters(encoder))

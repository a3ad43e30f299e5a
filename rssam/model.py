"""RS-SAM's network (Eq. 3, Algorithm 1, Fig. 1) and its ablations (Tables 5 and 6), assembled from plain options.

Source: the paper, which has no public code; SAM's parts are facebookresearch/segment-anything's (Apache-2.0).
What the paper leaves open and what we take, none of it in the paper: F_early is the output of the first
global-attention block. The prediction is divided by sqrt(256), as attention is. A binary task has SAMed's two tokens,
background and foreground, and their difference is the only logit. A row of Table 5 differs from the full model in the
named part only. Without MHFF the features are F-hat of the last decoder; without MFF the tokens are M of the last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rssam.contract import Task
from rssam.lora import add_lora, freeze_encoder, lora_parameters
from rssam.modules.decoder import DecoderChain, class_distance
from rssam.modules.fusion import MFF, MHFF
from rssam.modules.neck import MultiScaleNeck, source_blocks
from rssam.modules.upscaling import SamUpscaling
from rssam.sam.autocast import full_precision
from rssam.sam.encoder import EMBEDDING, SamEncoder
from rssam.sam.encoder_sizes import ENCODERS, SCALES, Chain, EncoderInit
from rssam.sam.loading import checkpoint_part, encoder_state, load_exactly


class RsSam(nn.Module):
    """The forward pass of Algorithm 1. `sources` maps each stride in `scales` to the encoder block its map is from.

    `early` is the block after which F_early is taken.
    """

    def __init__(
        self,
        task: Task,
        encoder: SamEncoder,
        neck: MultiScaleNeck,
        decoders: DecoderChain,
        mff: MFF | None,
        mhff: MHFF | None,
        upscaling: SamUpscaling | None,
        scales: tuple[int, ...],
        sources: Mapping[int, int],
        early: int,
    ) -> None:
        super().__init__()
        self.binary = task.binary
        self.scales = scales
        self.sources = dict(sources)
        self.early = early
        self.taps = sorted({early, *sources.values()})
        self.encoder = encoder
        self.neck = neck
        self.mask_tokens = nn.Embedding(2 if task.binary else task.channels, EMBEDDING)
        self.decoders = decoders
        self.mff = mff
        self.mhff = mhff
        self.upscaling = upscaling

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, channels, H, W] of images [B, 3, H, W] in 0..1."""
        features, tokens, early = self._decode(images)
        fused = features[-1] if self.mhff is None else self.mhff(features, early)  # [B, 256, h, w] of the last scale
        with full_precision(images.device):  # the difference of close tokens, and their product with pixels
            classes = tokens[-1] if self.mff is None else self.mff(tokens)  # [B, T, 256]
            if self.upscaling is None:
                fused = fused.float() / math.sqrt(EMBEDDING)
            else:
                fused, classes = self.upscaling(fused.float(), classes)  # [B, 32, H/4, W/4], [B, T, 32]
            if self.binary:
                classes = classes[:, 1:] - classes[:, :1]  # [B, 1, 256]
            logits = torch.einsum("btc,bchw->bthw", classes, fused)  # [B, channels, H/4, W/4]
            return F.interpolate(logits, images.shape[-2:], mode="bilinear", align_corners=False)  # [B, channels, H, W]

    @torch.no_grad()
    def class_distances(self, images: Tensor) -> list[float]:
        """Return the distance between the closest class tokens after each decoder, in the order of `scales`."""
        _, tokens, _ = self._decode(images)
        return [float(class_distance(state)) for state in tokens]

    def _decode(self, images: Tensor) -> tuple[list[Tensor], list[Tensor], Tensor]:
        """Return F-hat_i [B, 256, h_i, w_i], M_i [B, T, 256] of every decoder, and F_early [B, width, H/16, W/16]."""
        blocks = dict(zip(self.taps, self.encoder(images, self.taps).taps, strict=True))  # each [B, width, H/16, W/16]
        pyramid = self.neck({scale: blocks[index] for scale, index in self.sources.items()})
        features, tokens = self.decoders([pyramid[scale] for scale in self.scales], self.mask_tokens.weight)
        return features, tokens, blocks[self.early]


def architecture(
    task: Task,
    *,
    encoder: str,
    init: EncoderInit,
    neck_source: Literal["last", "layers"],
    mff: bool,
    mhff: bool,
    scales: tuple[int, ...],
    rank: int,
    chain: Chain,
) -> RsSam:
    """Return the network with random parameters, frozen as `init` says; also for the meta device.

    The options are the fields of `rssam.config.RSSAM`, which checks that they fit together.
    """
    size = ENCODERS[encoder]
    image_encoder = SamEncoder(size, task.image_size, neck=False)
    add_lora(image_encoder, rank)
    freeze_encoder(image_encoder, init)
    tokens = 2 if task.binary else task.channels
    sources = source_blocks(size.blocks) if neck_source == "layers" else {}
    return RsSam(
        task,
        image_encoder,
        MultiScaleNeck(size.width, scales),
        DecoderChain(len(scales), chain),
        MFF() if mff else None,
        MHFF(size.width) if mhff else None,
        None if scales[-1] == 4 else SamUpscaling(tokens),
        scales,
        {scale: sources.get(scale, size.blocks - 1) for scale in scales},
        size.global_blocks[0],
    )


def refine(task: Task, encoder: SamEncoder, width: int, *, early: int, last: int) -> RsSam:
    """Return RS-SAM's neck, decoders and refinement, all with random parameters, on an encoder of any kind.

    Args:
        task: what is segmented.
        encoder: called as SAM's is, `encoder(images, taps).taps`; its maps have stride 16.
        width: channels of its maps.
        early: the block after which F_early is taken.
        last: the block after which the neck takes its map.
    """
    return RsSam(
        task, encoder, MultiScaleNeck(width), DecoderChain(len(SCALES), "sam_first"), MFF(), MHFF(width), None,
        SCALES, dict.fromkeys(SCALES, last), early,
    )  # fmt: skip


def load_pretrained(net: RsSam, checkpoint: Mapping[str, Tensor], decoders: bool = True) -> None:
    """Start from SAM: the encoder; with `decoders` also every decoder, the positional code and the 1/16 neck level.

    SAM adds one vector to every pixel that its decoder sees, the prompt "no mask". It goes into the last bias of the
    1/16 level, so that this level and its decoder start as SAM's own. Other levels have no weights of SAM.
    """
    state = encoder_state(checkpoint, net.encoder.size, net.encoder.image_size)
    neck = {name: state.pop(name) for name in list(state) if name.startswith("neck.")}
    load_exactly(net.encoder, state, fresh=lora_parameters(net.encoder))
    if not decoders:
        return
    transformer = checkpoint_part(checkpoint, "mask_decoder.transformer.")
    for decoder in net.decoders.decoders:
        load_exactly(decoder, {f"transformer.{name}": tensor for name, tensor in transformer.items()})
    load_exactly(net.decoders.position, checkpoint_part(checkpoint, "prompt_encoder.pe_layer."))
    if net.upscaling is not None:
        upscaling = checkpoint_part(checkpoint, "mask_decoder.output_upscaling.")
        load_exactly(net.upscaling.output_upscaling, upscaling)
    if "16" in net.neck.levels:  # the only level of SAM's shape; it has nothing else to load
        (no_mask,) = checkpoint_part(checkpoint, "prompt_encoder.no_mask_embed.").values()  # [1, 256]
        neck["neck.3.bias"] = neck["neck.3.bias"] + no_mask[0]
        load_exactly(net.neck.levels["16"], neck)

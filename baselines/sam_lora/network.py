"""Baseline of the paper, SAM LoRA = SAMed (Zhang and Liu, "Customized Segment Anything Model", arXiv:2304.13785).

Source: hitachinsk/SAMed (Apache-2.0), read for its facts; SAM's parts are facebookresearch/segment-anything's
(Apache-2.0), imported.
What we do differently, and why:
- SAM's pixel normalisation, where SAMed has none for its CT slices: these are RGB images.
- a binary task returns foreground minus background, the same as the softmax over SAMed's two tokens. Classes without a
  background (WHDLD) have one token each, where SAMed would add a dead one.
- logits are brought to the input's size, where SAMed shrinks the labels to a quarter.
- the IoU head and the prompt parts that no loss reaches are frozen: SAMed lists 138,062 parameters as trainable
  that never get a gradient.
- weights load at any size and for ViT-L, which SAMed's own rule for the global blocks cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from segment_anything.modeling.prompt_encoder import PromptEncoder
from torch import Tensor, nn
from torch.nn import functional as F

from rssam.contract import Task
from rssam.lora import add_lora, freeze_encoder, lora_parameters
from rssam.sam.autocast import full_precision
from rssam.sam.encoder import EMBEDDING, PATCH, SamEncoder
from rssam.sam.encoder_sizes import ENCODERS, EncoderInit
from rssam.sam.loading import checkpoint_part, encoder_state, load_exactly, load_weights
from rssam.sam.mask_decoder import BatchMaskDecoder

TOKEN_PARTS = ("mask_tokens.", "output_hypernetworks_mlps.", "iou_prediction_head.")
"""Parts of the mask decoder whose shape follows the number of tokens: SAM has 4, so they start at random (as SAMed)."""


class SamLora(nn.Module):
    """SAM without prompts: encoder with LoRA, the "no mask" prompt, and a mask decoder with one token a class."""

    def __init__(
        self, task: Task, encoder: SamEncoder, prompt_encoder: PromptEncoder, mask_decoder: BatchMaskDecoder
    ) -> None:
        super().__init__()
        self.binary = task.binary
        self.encoder = encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, channels, H, W] of images [B, 3, H, W] in 0..1."""
        embedding = self.embed(images)  # [B, 256, H/16, W/16]
        with full_precision(images.device):  # the positional code of neighbouring pixels would blur in bfloat16
            position = self.prompt_encoder.get_dense_pe()  # [1, 256, H/16, W/16]
        _, no_mask = self.prompt_encoder(points=None, boxes=None, masks=None)  # [1, 256, H/16, W/16]
        masks, _ = self.mask_decoder(embedding, position, no_mask)  # [B, tokens, H/4, W/4], float32
        if self.binary:
            masks = masks[:, 1:] - masks[:, :1]  # [B, 1, H/4, W/4]
        return F.interpolate(masks, images.shape[-2:], mode="bilinear", align_corners=False)  # [B, channels, H, W]

    def embed(self, images: Tensor) -> Tensor:
        """Return SAM's image embedding [B, 256, H/16, W/16]."""
        embedding: Tensor = self.encoder(images).neck
        return embedding


def architecture(task: Task, *, encoder: str, init: EncoderInit, rank: int) -> SamLora:
    """Return the network with random parameters, frozen as `init` says; also for the meta device."""
    image_encoder = SamEncoder(ENCODERS[encoder], task.image_size, neck=True)
    add_lora(image_encoder, rank)
    freeze_encoder(image_encoder, init)
    return SamLora(task, image_encoder, *mask_head(task))


def mask_head(task: Task) -> tuple[PromptEncoder, BatchMaskDecoder]:
    """Return SAM's prompt encoder and a mask decoder with a token a class, random but with their final freezing."""
    grid = (task.image_size[0] // PATCH, task.image_size[1] // PATCH)
    prompt_encoder = PromptEncoder(EMBEDDING, grid, task.image_size, mask_in_chans=16)
    prompt_encoder.requires_grad_(False)
    prompt_encoder.no_mask_embed.requires_grad_(True)  # the only prompt that is used

    mask_decoder = BatchMaskDecoder(2 if task.binary else task.channels)
    mask_decoder.iou_prediction_head.requires_grad_(False)  # it has no loss
    return prompt_encoder, mask_decoder


def without_parts(tensors: Mapping[str, Tensor], parts: tuple[str, ...]) -> dict[str, Tensor]:
    """Return the tensors except those whose names start as in `parts`. Raises WeightsDamaged if a part is missing."""
    for prefix in parts:
        checkpoint_part(tensors, prefix)  # raises if there is nothing to leave out: the list is out of date then
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(parts)}


def load_mask_decoder(decoder: BatchMaskDecoder, checkpoint: Mapping[str, Tensor], fresh: tuple[str, ...] = ()) -> None:
    """Start from SAM's mask decoder, except the parts in `fresh`, which keep their random start."""
    state = without_parts(checkpoint_part(checkpoint, "mask_decoder."), fresh)
    load_exactly(decoder, state, [name for name in decoder.state_dict() if name.startswith(fresh)])


def load_pretrained(net: SamLora, checkpoint: Mapping[str, Tensor]) -> None:
    """Start from SAM: encoder, prompt encoder, and the mask decoder except the parts that depend on its tokens."""
    state = encoder_state(checkpoint, net.encoder.size, net.encoder.image_size)
    load_exactly(net.encoder, state, fresh=lora_parameters(net.encoder))
    load_exactly(net.prompt_encoder, checkpoint_part(checkpoint, "prompt_encoder."))
    load_mask_decoder(net.mask_decoder, checkpoint, fresh=TOKEN_PARTS)


def load(net: SamLora, path: Path) -> None:
    """Start from SAM's prepared checkpoint, see `load_pretrained`."""
    load_pretrained(net, load_weights(path))

"""SAM Adapter (Chen et al., "SAM Fails to Segment Anything? SAM-Adapter", ICCV workshops 2023, arXiv:2304.09148).

Source: tianrun-chen/SAM-Adapter-PyTorch (MIT), branch of SAM 1, read for its facts; SAM's parts are
facebookresearch/segment-anything's (Apache-2.0), imported. SAM's four mask tokens stay, and the first mask is used.
What we do differently, and why:
- the positional code and the "no mask" prompt come from SAM's checkpoint. The published code keeps them under other
  names and loads with strict=False, so a pretrained decoder meets a random positional code.
- several classes have one token each, all fresh; the published code knows one class.
- what no loss reaches is frozen: the IoU head, and for one class the heads of the three masks not used. 3,569,872
  parameters train (ViT-B, one class), where the published code lists 4,121,908.
- any height and width, the weights resampled to them (`rssam.sam.encoder`); the published code takes squares, and
  weights of that size only.
- without SAM's weights the whole encoder is trained.
- see also `baselines.prompt_generator`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from segment_anything.modeling.prompt_encoder import PositionEmbeddingRandom
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.prompt_generator import PromptGenerator
from baselines.sam_lora.network import TOKEN_PARTS, load_mask_decoder, without_parts
from rssam.contract import Task
from rssam.lora import freeze_encoder
from rssam.sam.autocast import full_precision
from rssam.sam.encoder import EMBEDDING, PATCH, SamEncoder
from rssam.sam.encoder_sizes import ENCODERS, EncoderInit
from rssam.sam.loading import checkpoint_part, encoder_state, load_exactly, load_weights
from rssam.sam.mask_decoder import BatchMaskDecoder

SAM_TOKENS = 4
"""Mask tokens of SAM: one for a single mask, which is the one used here, and three for the parts of an object."""

_PROMPTS = ("point_embeddings.", "not_a_point_embed.", "mask_downscaling.")
"""Parts of SAM's prompt encoder that nothing uses where there are no prompts."""


class NoPrompt(nn.Module):
    """SAM's prompt encoder without prompts, under its parameter names, for image embeddings of one size."""

    def __init__(self, grid: tuple[int, int]) -> None:
        super().__init__()
        self.grid = grid
        self.pe_layer = PositionEmbeddingRandom(EMBEDDING // 2)
        self.no_mask_embed = nn.Embedding(1, EMBEDDING)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Return the positional code and the "no mask" prompt, both [1, 256, h, w]."""
        no_mask = self.no_mask_embed.weight[:, :, None, None]  # [1, 256, 1, 1]
        with full_precision(no_mask.device):  # the code of neighbouring pixels would blur in bfloat16
            position = self.pe_layer(self.grid)  # [256, h, w]
        return position[None], no_mask.expand(-1, -1, *self.grid)


class SamAdapter(nn.Module):
    """SAM with a prompt before every block of its encoder, and one mask a class from its decoder."""

    def __init__(
        self,
        task: Task,
        encoder: SamEncoder,
        prompt_generator: PromptGenerator,
        prompt_encoder: NoPrompt,
        mask_decoder: BatchMaskDecoder,
    ) -> None:
        super().__init__()
        self.channels = task.channels
        self.encoder = encoder
        self.prompt_generator = prompt_generator
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, channels, H, W] of images [B, 3, H, W] in 0..1."""
        embedding = self.encoder(images, prompter=self.prompt_generator).neck  # [B, 256, H/16, W/16]
        position, no_mask = self.prompt_encoder()  # each [1, 256, H/16, W/16]
        masks, _ = self.mask_decoder(embedding, position, no_mask)  # [B, tokens, H/4, W/4], float32
        masks = masks[:, : self.channels]  # [B, channels, H/4, W/4]: all masks; for one class the first
        return F.interpolate(masks, images.shape[-2:], mode="bilinear", align_corners=False)  # [B, channels, H, W]


def architecture(task: Task, *, encoder: str, init: EncoderInit) -> SamAdapter:
    """Return the network with random parameters, frozen as `init` says; also for the meta device."""
    size = ENCODERS[encoder]
    image_encoder = SamEncoder(size, task.image_size, neck=True)
    freeze_encoder(image_encoder, init)

    mask_decoder = BatchMaskDecoder(SAM_TOKENS if task.binary else task.channels)
    mask_decoder.iou_prediction_head.requires_grad_(False)  # it has no loss
    mask_decoder.output_hypernetworks_mlps[task.channels :].requires_grad_(False)  # heads of masks not used
    return SamAdapter(
        task,
        image_encoder,
        PromptGenerator(size.width, size.blocks),
        NoPrompt((task.image_size[0] // PATCH, task.image_size[1] // PATCH)),
        mask_decoder,
    )


def load_pretrained(net: SamAdapter, checkpoint: Mapping[str, Tensor], fresh: Collection[str] = ()) -> None:
    """Start from SAM in all that SAM has; parameters of the encoder named in `fresh` keep their random start."""
    state = encoder_state(checkpoint, net.encoder.size, net.encoder.image_size)
    load_exactly(net.encoder, state, fresh)
    load_exactly(net.prompt_encoder, without_parts(checkpoint_part(checkpoint, "prompt_encoder."), _PROMPTS))
    load_mask_decoder(net.mask_decoder, checkpoint, fresh=() if net.channels == 1 else TOKEN_PARTS)


def load(net: SamAdapter, path: Path) -> None:
    """Start from SAM's prepared checkpoint, see `load_pretrained`."""
    load_pretrained(net, load_weights(path))

"""SAM's mask decoder for batches of images, without point or box prompts, for the SAM baselines.

Source: facebookresearch/segment-anything (Apache-2.0), subclassed, so parameter names and start are SAM's.
What we do differently, and why: SAM repeats the image embedding once a prompt, which is right for one image only (batch
2 raises). Here tokens are expanded to the batch. All masks are returned, as in SAMed: a token is a class. Tokens, their
perceptrons and their product with pixels are in float32 under autocast. In bfloat16 the difference of two close logits
is lost.
"""

from __future__ import annotations

import torch
from segment_anything.modeling.mask_decoder import MaskDecoder
from torch import Tensor

from rssam.sam.autocast import full_precision
from rssam.sam.encoder import EMBEDDING
from rssam.sam.layer_norm import LayerNorm2d
from rssam.sam.two_way_transformer import MixedTwoWayTransformer


class BatchMaskDecoder(MaskDecoder):  # type: ignore[misc]  # segment_anything is untyped
    """SAM's mask decoder with `tokens` mask tokens, one mask each."""

    def __init__(self, tokens: int) -> None:
        super().__init__(
            transformer_dim=EMBEDDING, transformer=MixedTwoWayTransformer(), num_multimask_outputs=tokens - 1
        )
        self.output_upscaling[1] = LayerNorm2d(EMBEDDING // 4)

    def forward(self, image_embeddings: Tensor, image_pe: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
        """Return masks [B, tokens, 4h, 4w] and predicted IoU [B, tokens].

        `image_embeddings` [B, 256, h, w]; `image_pe` [1, 256, h, w]; `dense`, the mask prompt, [B or 1, 256, h, w].
        """
        tokens = torch.cat((self.iou_token.weight, self.mask_tokens.weight))  # [1 + tokens, 256]
        tokens = tokens.expand(image_embeddings.shape[0], -1, -1)  # [B, 1 + tokens, 256]
        tokens, pixels = self.transformer(image_embeddings + dense, image_pe, tokens)  # pixels [B, h*w, 256]
        pixels = pixels.transpose(1, 2).unflatten(2, image_embeddings.shape[-2:])  # [B, 256, h, w]
        pixels = self.output_upscaling(pixels)  # [B, 32, 4h, 4w]
        with full_precision(pixels.device):
            iou = self.iou_prediction_head(tokens[:, 0])  # [B, tokens]
            heads = [mlp(tokens[:, 1 + index]) for index, mlp in enumerate(self.output_hypernetworks_mlps)]
            weights = torch.stack(heads, dim=1)  # [B, tokens, 32]
            masks = torch.einsum("btc,bchw->bthw", weights, pixels.float())  # [B, tokens, 4h, 4w]
        return masks, iou

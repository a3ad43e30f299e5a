"""The decoders (Eq. 2): one SAM decoder transformer a stride, from coarse to fine, handing on the mask tokens.

Source: the paper; the transformer is facebookresearch/segment-anything's `TwoWayTransformer` (Apache-2.0), imported.
What we do differently, and why: between strides the tokens have a residual, M_i = M_{i-1} + Decoder_i(F_i, M_{i-1}).
SAM's transformer replaces its queries in the first self-attention instead of adding to them; one after another, as
Eq. 2 is printed, they drive the class tokens together until nothing tells them apart, and in bfloat16 training never
starts.
The printed chain stays as `residual=False`. The tokens are carried in float32 under autocast.
"""

from __future__ import annotations

from collections.abc import Sequence

from segment_anything.modeling.prompt_encoder import PositionEmbeddingRandom
from segment_anything.modeling.transformer import TwoWayTransformer
from torch import Tensor, nn

from rssam.sam.autocast import full_precision
from rssam.sam.encoder import EMBEDDING
from rssam.sam.mask_decoder import two_way_transformer


class ScaleDecoder(nn.Module):
    """The decoder of one stride: SAM's two-way transformer between image features and mask tokens."""

    def __init__(self, transformer: TwoWayTransformer) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, features: Tensor, position: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Update features [B, 256, h, w] and tokens [B, T, 256], given the positional code [1, 256, h, w]."""
        tokens, pixels = self.transformer(features, position, tokens)  # [B, T, 256], [B, h*w, 256]
        return pixels.transpose(1, 2).unflatten(2, features.shape[-2:]), tokens  # [B, 256, h, w], [B, T, 256]


class DecoderChain(nn.Module):
    """Eq. 2 over `length` strides; the tokens of one decoder are the input tokens of the next."""

    def __init__(self, length: int, residual: bool = True) -> None:
        super().__init__()
        self.decoders = nn.ModuleList(ScaleDecoder(two_way_transformer()) for _ in range(length))
        self.position = PositionEmbeddingRandom(EMBEDDING // 2)
        self.residual = residual

    def forward(self, features: Sequence[Tensor], tokens: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Map features [B, 256, h_i, w_i] and tokens [T, 256] to F-hat_i [B, 256, h_i, w_i] and M_i [B, T, 256]."""
        state = tokens.float().expand(features[0].shape[0], -1, -1)  # [B, T, 256]
        refined, states = [], []
        for decoder, feature in zip(self.decoders, features, strict=True):
            with full_precision(feature.device):  # in bfloat16 the code of neighbouring pixels would blur
                position = self.position(feature.shape[-2:]).unsqueeze(0)  # [1, 256, h_i, w_i]
            feature, update = decoder(feature, position, state)
            state = state + update.float() if self.residual else update.float()
            refined.append(feature)
            states.append(state)
        return refined, states

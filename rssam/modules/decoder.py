"""Decoders (Eq. 2): one SAM decoder transformer a stride, from coarse to fine, handing on the mask tokens.

Source: the paper; the transformer is facebookresearch/segment-anything's `TwoWayTransformer` (Apache-2.0), subclassed
in `rssam.sam.two_way_transformer`, which keeps tokens in float32 under autocast. The chain as printed draws the class
tokens together, because SAM's transformer replaces its queries in the first self-attention instead of adding to them.
In float32 it learns all the same from a random start. The rounding of bfloat16 is larger than the tokens' distance:
nothing would tell them apart, hence their type here. From attention ten times as steep it does not learn, where
`sam_first` does (docs/measurements.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from segment_anything.modeling.prompt_encoder import PositionEmbeddingRandom
from torch import Tensor, nn

from rssam.sam.autocast import full_precision
from rssam.sam.encoder import EMBEDDING
from rssam.sam.encoder_sizes import Chain
from rssam.sam.two_way_transformer import MixedTwoWayTransformer


class ScaleDecoder(nn.Module):
    """Decoder of one stride: SAM's two-way transformer between image features and mask tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer = MixedTwoWayTransformer()

    def forward(
        self,
        features: Tensor,
        position: Tensor,
        tokens: Tensor,
        query_position: Tensor | None = None,
        replaces_queries: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Update features [B, 256, h, w] and tokens [B, T, 256], given the positional code [1, 256, h, w].

        The other arguments are those of `MixedTwoWayTransformer`.
        """
        tokens, pixels = self.transformer(features, position, tokens, query_position, replaces_queries)
        return pixels.transpose(1, 2).unflatten(2, features.shape[-2:]), tokens  # [B, 256, h, w], [B, T, 256]


class DecoderChain(nn.Module):
    """Eq. 2 over `length` strides; the tokens of one decoder are the input tokens of the next.

    - `printed`: M_i = Decoder_i(F_i, M_{i-1}), each decoder as SAM's.
    - `sam_first`: only the first decoder replaces its queries in its first self-attention; the others add to them.
    - `continued`: the same, and the original tokens are the position of queries throughout, as within SAM's decoder.
    - `residual`: M_i = M_{i-1} + Decoder_i(F_i, M_{i-1}); the sum of Eq. 6 then weighs the updates 4, 3, 2, 1.
    """

    def __init__(self, length: int, chain: Chain) -> None:
        super().__init__()
        self.decoders = nn.ModuleList(ScaleDecoder() for _ in range(length))
        self.position = PositionEmbeddingRandom(EMBEDDING // 2)
        self.chain = chain

    def forward(self, features: Sequence[Tensor], tokens: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Map features [B, 256, h_i, w_i] and tokens [T, 256] to F-hat_i [B, 256, h_i, w_i] and M_i [B, T, 256]."""
        state = tokens.float().expand(features[0].shape[0], -1, -1)  # [B, T, 256]
        query_position = state if self.chain == "continued" else None
        refined, states = [], []
        for index, (decoder, feature) in enumerate(zip(self.decoders, features, strict=True)):
            with full_precision(feature.device):  # in bfloat16 the code of neighbouring pixels would blur
                position = self.position(feature.shape[-2:]).unsqueeze(0)  # [1, 256, h_i, w_i]
            replaces_queries = index == 0 or self.chain in ("printed", "residual")
            feature, update = decoder(feature, position, state, query_position, replaces_queries)
            state = state + update if self.chain == "residual" else update
            refined.append(feature)
            states.append(state)
        return refined, states


def class_distance(tokens: Tensor) -> Tensor:
    """Return the distance of the two closest of T > 1 class tokens [B, T, 256], relative to their length; mean over B.

    It is near 1.4 for independent tokens, and 0 for equal ones. A type that rounds more cannot tell them apart.
    """
    tokens = tokens.float()
    apart = (tokens[:, :, None] - tokens[:, None]).norm(dim=-1)  # [B, T, T]
    own = torch.eye(tokens.shape[1], dtype=torch.bool, device=tokens.device)
    closest = apart.masked_fill(own, torch.inf).amin(dim=(1, 2))  # [B]
    distance: Tensor = (closest / tokens.norm(dim=-1).mean(dim=-1).clamp_min(1e-12)).mean()
    return distance

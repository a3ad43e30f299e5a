"""SAM's upscaling from stride 16 to stride 4, for the control of Table 5 whose decoders all read F_1/16.

Source: facebookresearch/segment-anything's mask decoder (Apache-2.0), whose layers these are. Not in the paper: without
it the control would be scored at stride 16, and the comparison would measure resolution instead of the Neck.
"""

from __future__ import annotations

import torch
from segment_anything.modeling.mask_decoder import MLP
from torch import Tensor, nn

from rssam.sam.encoder import EMBEDDING
from rssam.sam.layer_norm import LayerNorm2d

CHANNELS = EMBEDDING // 8
"""Channels of the upscaled features and of the tokens that are multiplied with them."""


class SamUpscaling(nn.Module):
    """Two transposed convolutions for the features, and a perceptron for each of the `tokens` mask tokens."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(EMBEDDING, EMBEDDING // 4, kernel_size=2, stride=2),
            LayerNorm2d(EMBEDDING // 4),
            nn.GELU(),
            nn.ConvTranspose2d(EMBEDDING // 4, CHANNELS, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(EMBEDDING, EMBEDDING, CHANNELS, num_layers=3) for _ in range(tokens)
        )

    def forward(self, features: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Map features [B, 256, h, w] and tokens [B, T, 256] to features [B, 32, 4h, 4w] and weights [B, T, 32]."""
        weights = [mlp(tokens[:, index]) for index, mlp in enumerate(self.output_hypernetworks_mlps)]
        return self.output_upscaling(features), torch.stack(weights, dim=1)

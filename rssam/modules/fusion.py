"""Multi-scale Progressive Refinement Module: AFFM (Eq. 4, Fig. 5), MHFF (Fig. 4) and MFF (Eq. 5 and 6).

Source: the paper, which has no public code; Attn_local and Attn_global are those of attentional feature fusion (Dai et
al., WACV 2021), written anew.
What the paper leaves open and what we take, none of it in the paper: all widths 256, bottleneck 64. Up is a transposed
2x2 convolution. AP is the mean over channels and ConvLayer a 7x7 convolution ("spatial attention module"). The function
f is applied three times. The Down module of Fig. 4 is not built, because nothing in the text or in Eq. 3 goes down in
scale. Norms are over channels: batch norm fails on the pooled 1x1 map of a single image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rssam.sam.encoder import EMBEDDING
from rssam.sam.layer_norm import LayerNorm2d


def up(channels: int) -> nn.Sequential:
    """Return the Up module: convolution, norm, activation; it doubles height and width."""
    return nn.Sequential(
        nn.ConvTranspose2d(channels, channels, kernel_size=2, stride=2), LayerNorm2d(channels), nn.GELU()
    )


def _channel_attention(channels: int, bottleneck: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, bottleneck, kernel_size=1),
        LayerNorm2d(bottleneck),
        nn.ReLU(),
        nn.Conv2d(bottleneck, channels, kernel_size=1),
        LayerNorm2d(channels),
    ]


class AFFM(nn.Module):
    """Adaptive Feature Fusion Module (Eq. 4): a coarse map, scaled up, and a fine one, weighed against each other."""

    def __init__(self, channels: int = EMBEDDING, bottleneck: int = EMBEDDING // 4) -> None:
        super().__init__()
        self.up = up(channels)
        self.attention_local = nn.Sequential(*_channel_attention(channels, bottleneck))
        self.attention_global = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_channel_attention(channels, bottleneck))
        self.weight = nn.Conv2d(1, 1, kernel_size=7, padding=3)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Map F'_{i-1} [B, C, h, w] and F-hat_i [B, C, 2h, 2w] to F'_i [B, C, 2h, 2w]."""
        coarse = self.up(coarse)  # [B, C, 2h, 2w]
        summed: Tensor = coarse + fine
        attention: Tensor = self.attention_local(summed) + self.attention_global(
            summed
        )  # [B, C, 2h, 2w] + [B, C, 1, 1]
        weight = torch.sigmoid(self.weight(attention.mean(dim=1, keepdim=True)))  # [B, 1, 2h, 2w]
        return coarse * weight + fine * (1 - weight) + attention


class MHFF(nn.Module):
    """Multi-scale Hybrid Feature Fusion (Eq. 3): F-hat of all four strides from coarse to fine, then F_early."""

    def __init__(self, width: int, channels: int = EMBEDDING) -> None:
        super().__init__()
        self.affm = nn.ModuleList(AFFM(channels) for _ in range(3))
        self.early = nn.Sequential(
            nn.Conv2d(width, channels, kernel_size=1), LayerNorm2d(channels), nn.GELU(), up(channels), up(channels)
        )
        # Ends in GELU, not ReLU: the classes' tokens end in one, and two one-sided factors make one-sided logits.
        self.fusion = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False), LayerNorm2d(channels), nn.GELU()
        )

    def forward(self, features: Sequence[Tensor], early: Tensor) -> Tensor:
        """Map F-hat at strides 32, 16, 8, 4 [B, 256, ...] and F_early [B, width, H/16, W/16] to [B, 256, H/4, W/4]."""
        fused: Tensor = features[0]  # [B, 256, H/32, W/32]
        for affm, feature in zip(self.affm, features[1:], strict=True):
            fused = affm(fused, feature)  # [B, 256, H/16, W/16], then H/8, then H/4
        fused = fused + self.early(early)  # [B, 256, H/4, W/4]
        out: Tensor = self.fusion(fused)
        return out


class MFF(nn.Module):
    """Mask Feature Fusion (Eq. 5 and 6): f = ReLU after Linear, applied three times to the sum of all tokens."""

    def __init__(self, channels: int = EMBEDDING) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(layer for _ in range(3) for layer in (nn.Linear(channels, channels), nn.ReLU())))

    def forward(self, tokens: Sequence[Tensor]) -> Tensor:
        """Map M_i [B, T, 256] of every stride to D_fusion [B, T, 256], not negative."""
        fused: Tensor = self.layers(torch.stack(list(tokens)).sum(dim=0))
        return fused

"""Multi-scale Neck (Eq. 1, Fig. 3): four strides from ViT maps of stride 16.

Source: the paper; its reference is ViTDet's feature pyramid (detectron2, Apache-2.0), written anew here.
What the paper leaves open and what we take: U_1, U_2, U_3 are transposed convolutions that halve the channels, and D is
a max-pool. Neck is SAM's own neck, so that the 1/16 level can start from SAM's weights. For "layers 3, 6, 9, and 12" of
Table 6 the same neck is fed four maps instead of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from rssam.sam.encoder import sam_neck
from rssam.sam.encoder_sizes import SCALES
from rssam.sam.layer_norm import LayerNorm2d


class NeckLevel(nn.Module):
    """Line of Eq. 1: resample a map of stride 16 to stride `scale`, then SAM's neck."""

    def __init__(self, width: int, scale: int) -> None:
        super().__init__()
        self.resample, channels = _resample(width, scale)
        self.neck = sam_neck(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, width, H/16, W/16] to [B, 256, H/scale, W/scale]."""
        x = self.resample(x)  # [B, channels, H/scale, W/scale]
        x = self.neck(x)  # [B, 256, H/scale, W/scale]
        return x


class MultiScaleNeck(nn.Module):
    """Eq. 1 for the strides in `scales`; only their levels are built."""

    def __init__(self, width: int, scales: Sequence[int] = SCALES) -> None:
        super().__init__()
        # A loop over SCALES, not over `scales`: a stride asked for twice is one level.
        self.levels = nn.ModuleDict({str(scale): NeckLevel(width, scale) for scale in SCALES if scale in scales})

    def forward(self, sources: Mapping[int, Tensor]) -> dict[int, Tensor]:
        """Map `sources`, a ViT map [B, width, H/16, W/16] for each stride, to [B, 256, H/stride, W/stride]."""
        return {int(scale): level(sources[int(scale)]) for scale, level in self.levels.items()}


def source_blocks(blocks: int) -> dict[int, int]:
    """Return the block (index) after which each stride takes its map: Table 6's "layers 3, 6, 9, and 12"."""
    return {4: blocks // 4 - 1, 8: blocks // 2 - 1, 16: 3 * blocks // 4 - 1, 32: blocks - 1}


def _resample(width: int, scale: int) -> tuple[nn.Module, int]:
    """Return the layer from stride 16 to `scale`, and its output channels."""
    if scale == 4:
        up_1 = nn.ConvTranspose2d(width, width // 2, kernel_size=2, stride=2)
        up_2 = nn.ConvTranspose2d(width // 2, width // 4, kernel_size=2, stride=2)
        return nn.Sequential(up_1, LayerNorm2d(width // 2), nn.GELU(), up_2), width // 4
    if scale == 8:
        return nn.ConvTranspose2d(width, width // 2, kernel_size=2, stride=2), width // 2
    if scale == 16:
        return nn.Identity(), width
    if scale == 32:
        return nn.MaxPool2d(kernel_size=2, stride=2), width
    raise ValueError(f"no level of stride {scale}: choose from {SCALES}")

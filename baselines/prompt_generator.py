"""Prompts for SAM's blocks, made from patches and high frequencies of the image; for SAM Adapter and RSAM-Seg.

Paper: Liu et al., "Explicit Visual Prompting for Low-Level Structure Segmentations", CVPR 2023, arXiv:2303.10883, as
taken over by SAM Adapter. Source: tianrun-chen/SAM-Adapter-PyTorch (MIT), read for its facts.
What we do differently, and why:
- a token's prompt is made from its own patch, as in Explicit Visual Prompting. SAM Adapter's code keeps that code's
  reshape, meant for channels first, on channels last. So it gives each token numbers of other patches and channels.
- the frequencies removed are those in the lower half of both axes. On squares that is the published box of a quarter of
  the area. The published rule for its sides does not fit every rectangle.
- the Fourier transform stays in float32 under autocast: in half precision it takes only powers of two.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rssam.sam.autocast import full_precision
from rssam.sam.encoder import PATCH

SCALE_FACTOR = 32
"""Width of the encoder over width of the features that prompts are made from."""


def high_frequencies(pixels: Tensor) -> Tensor:
    """Remove the frequencies in the lower half of both axes from images [B, C, H, W]; return the magnitude."""
    height, width = pixels.shape[-2:]
    top, left = height // 4, width // 4
    if torch.compiler.is_exporting():
        return _without_complex_numbers(pixels)
    with full_precision(pixels.device):
        spectrum = torch.fft.fft2(pixels.float(), norm="forward")
        spectrum = torch.fft.fftshift(spectrum, dim=(-2, -1))  # frequency 0 at (height // 2, width // 2)
        spectrum[..., top : height - top, left : width - left] = 0
        spectrum = torch.fft.ifftshift(spectrum, dim=(-2, -1))
        details: Tensor = torch.fft.ifft2(spectrum, norm="forward").real.abs()
    return details


def _without_complex_numbers(pixels: Tensor) -> Tensor:
    """Compute `high_frequencies` as products of real matrices, for ONNX, whose operators take no complex tensors.

    What is removed of x is P x Q^T, with P and Q the projections of columns and of rows on their low frequencies. The
    removed box is not symmetric about frequency 0, so both are complex; of their product the real part counts.
    """
    (down, down_i), (across, across_i) = (_low_pass(side, pixels.device) for side in pixels.shape[-2:])
    with full_precision(pixels.device):
        x = pixels.float()
        return (x - (down @ x @ across.T - down_i @ x @ across_i.T)).abs()  # [B, C, H, W]


def _low_pass(side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the real and the imaginary part of the projection on the frequencies that `high_frequencies` removes.

    Both are [side, side], for an axis of `side` pixels, from position (column) to position (row).
    """
    quarter = side // 4
    frequencies = torch.arange(quarter, side - quarter, device=device, dtype=torch.float64) - side // 2
    positions = torch.arange(side, device=device, dtype=torch.float64)
    angles = (2 * torch.pi / side) * positions[:, None] * frequencies  # [side, frequencies]
    cos, sin = angles.cos(), angles.sin()
    return ((cos @ cos.T + sin @ sin.T) / side).float(), ((sin @ cos.T - cos @ sin.T) / side).float()


class PromptGenerator(nn.Module):
    """Generator of a prompt for each block from shared features, `SCALE_FACTOR` times narrower than the encoder."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        narrow = width // SCALE_FACTOR
        self.embedding_generator = nn.Linear(width, narrow)
        self.frequency_generator = nn.Conv2d(3, narrow, kernel_size=PATCH, stride=PATCH)
        self.lightweight_mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(narrow, narrow), nn.GELU()) for _ in range(blocks)
        )
        self.shared_mlp = nn.Linear(narrow, width)
        self.apply(_published_start)

    def forward(self, pixels: Tensor, patches: Tensor) -> list[Tensor]:
        """Return a prompt [B, H/16, W/16, width] for each block; see `rssam.sam.encoder.Prompter`."""
        details = self.frequency_generator(high_frequencies(pixels))  # [B, width/32, H/16, W/16]
        features = self.embedding_generator(patches) + details.permute(0, 2, 3, 1)  # [B, H/16, W/16, width/32]
        return [self.shared_mlp(mlp(features)) for mlp in self.lightweight_mlps]  # each [B, H/16, W/16, width]


def _published_start(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d) and module.bias is not None:
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(module.bias)

"""Count the pixels of images by predicted probability and truth, on the device that predicted them.

All edges of the bins are whole multiples of 1/10,000: so a pixel's cell is one multiplication, and cells are added up
to bins afterwards. Looking each pixel up in the list of edges took several times as long.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from benchmarks.metrics.probability_histogram import EDGES
from rssam.contract import IGNORE

CELLS = 10_000
MIDDLE = CELLS // 2
STARTS = (0, *(round(CELLS * edge) + 1 for edge in EDGES[1:-1]))
"""The first cell of each bin; like a bin, cell n holds its upper edge n / 10,000 and not its lower one."""


def probability_histograms(truth: Tensor, logits: Tensor) -> Tensor:
    """Pixels int64 [B, channels, bins, 2], on the CPU, of masks [B, H, W] and logits [B, C, H, W] on one device.

    Ignored ones are in no bin. One channel is a sigmoid, and its threshold 0.5 a logit of exactly 0, as in the counts.
    Several are a softmax, each class against the rest. What is no number is nowhere foreground.
    """
    images, channels = logits.shape[:2]
    binary = channels == 1
    values = (logits.sigmoid() if binary else logits.softmax(dim=1)).nan_to_num(0)  # [B, C, H, W]
    ignored = truth == IGNORE
    rows = []
    for label in range(channels):
        cells = (values[:, label] * CELLS).ceil_().short()  # [B, H, W]; three times the highest cell fits into int16
        if binary:  # a logit just above 0 has a probability of exactly 0.5 in fp32
            cells = torch.where(logits[:, 0] > 0, cells.clamp(min=MIDDLE + 1), cells.clamp(max=MIDDLE))
        codes = 3 * cells + (truth == label + int(binary)).short().masked_fill_(ignored, 2)
        if images > 1:
            places = torch.arange(images, dtype=torch.int32, device=codes.device).mul_(3 * (CELLS + 1))
            codes = codes.to(torch.int32).add_(places[:, None, None])
        rows.append(torch.bincount(codes.flatten(), minlength=images * 3 * (CELLS + 1)))
    counts = torch.stack(rows).cpu().numpy().reshape(channels, images, CELLS + 1, 3)[..., :2]
    return torch.from_numpy(np.add.reduceat(counts, STARTS, axis=2)).transpose(0, 1)  # [B, C, bins, 2]

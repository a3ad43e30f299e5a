"""Count the pixels of one image by predicted probability and truth, on the device that predicted them.

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


def probability_histogram(truth: Tensor, logits: Tensor) -> Tensor:
    """Return pixels int64 [channels, bins, 2], on the CPU, of a mask [H, W] and logits [C, H, W].

    Ignored pixels are in no bin. A single channel is a sigmoid, and its threshold 0.5 a logit of exactly 0, as in the
    counts. Several are a softmax, each class against the rest. Values that are no number are nowhere foreground.
    """
    binary = len(logits) == 1
    values = (logits.sigmoid() if binary else logits.softmax(dim=0)).nan_to_num(0)  # [C, H, W]
    truth = truth.to(logits.device)
    ignored = truth == IGNORE
    rows = []
    for label, layer in enumerate(values, start=int(binary)):
        cells = (layer * CELLS).ceil_().short()  # [H, W]; three times the highest cell fits into int16
        if binary:  # a logit just above 0 has a probability of exactly 0.5 in fp32
            cells = torch.where(logits[0] > 0, cells.clamp(min=MIDDLE + 1), cells.clamp(max=MIDDLE))
        state = (truth == label).short().masked_fill_(ignored, 2)
        rows.append(torch.bincount((3 * cells + state).flatten(), minlength=3 * (CELLS + 1)))
    counts = torch.stack(rows).cpu().numpy().reshape(len(rows), CELLS + 1, 3)[..., :2]
    return torch.from_numpy(np.add.reduceat(counts, STARTS, axis=1))  # [C, bins, 2]

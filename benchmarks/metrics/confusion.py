"""Decide on labels by logits, and count the pixels of images by true and predicted label, on the device they are on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from benchmarks.metrics.counts import Counts
from rssam.contract import IGNORE, Task


def predicted_labels(logits: Tensor) -> Tensor:
    """Return labels uint8 [..., H, W] of logits [..., C, H, W]."""
    labels: Tensor = logits.select(-3, 0) > 0 if logits.shape[-3] == 1 else logits.argmax(dim=-3)
    return labels.to(torch.uint8)


def confusion_matrices(truth: Tensor, labels: Tensor, task: Task) -> Tensor:
    """Return the confusion matrices int64 [B, K, K] of images from truth and labels uint8 [B, H, W].

    Rows are truth, columns prediction; ignored pixels are in no cell. Raises RuntimeError for a truth of no class.
    """
    size = max(2, task.channels)
    # A pixel's cell from 1 on, 0 where it is ignored, and one beyond them all for a truth of no class. Narrow numbers
    # are counted several times faster than int64; with up to 128 classes no value of a byte overflows int16.
    cells = truth.to(torch.int16 if size <= 128 else torch.int32).mul_(size).add_(labels).add_(1)
    cells = cells.masked_fill_(truth == IGNORE, 0)
    cells_of_one = size * size + 2
    if len(cells) > 1:
        places = torch.arange(len(cells), dtype=torch.int32, device=cells.device).mul_(cells_of_one)
        cells = cells.clamp_(max=cells_of_one - 1).to(torch.int32).add_(places[:, None, None])
    counts = torch.bincount(cells.flatten(), minlength=len(cells) * cells_of_one).view(-1, cells_of_one)
    if counts.shape[0] != len(cells) or counts[:, -1].any():
        raise RuntimeError(f"a mask has labels that are of none of the {size} classes")
    return counts[:, 1:-1].view(-1, size, size)


def confusion_matrix(truth: Tensor, labels: Tensor, task: Task) -> Tensor:
    """Return the confusion matrix int64 [K, K] of one image from truth and labels uint8 [H, W]."""
    return confusion_matrices(truth[None], labels[None], task)[0]


def counts_of(confusions: Sequence[Tensor], task: Task) -> Counts:
    """Return the counts of images from a confusion matrix [K, K] of each."""
    stacked = torch.stack(list(confusions)).cpu().numpy().astype(np.int64)
    return Counts.from_confusion(stacked, binary=task.binary)

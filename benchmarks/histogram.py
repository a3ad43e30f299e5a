"""Counts the pixels of one image by predicted probability and truth, on the device that predicted them."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from benchmarks.probabilities import BINS, EDGES
from rssam.contract import IGNORE


def probability_histogram(truth: Tensor, logits: Tensor) -> Tensor:
    """Pixels int64 [channels, bins, 2] of a mask [H, W] and logits [C, H, W]; ignored pixels are in no bin.

    One channel is binned by its logit: so the threshold 0.5 is a logit of exactly 0, as in the counts. Several are
    binned by softmax, each class against the rest.
    """
    channels = len(logits)
    kept = (truth != IGNORE).flatten()
    edges = _edges(logits.device, channels == 1)
    values = logits if channels == 1 else logits.softmax(dim=0)
    bins = torch.bucketize(values.flatten(1)[:, kept], edges)  # [C, pixels]
    classes = torch.arange(channels, device=logits.device)[:, None]
    truth = truth.to(logits.device).flatten()[kept]
    true = (truth == (1 if channels == 1 else classes)).expand(channels, -1)  # [C, pixels]
    cells = torch.bincount(((classes * BINS + bins) * 2 + true).flatten(), minlength=channels * BINS * 2)
    return cells.view(channels, BINS, 2)


@lru_cache
def _edges(device: torch.device, as_logits: bool) -> Tensor:
    """Inner edges of the bins, fp32 [bins - 1]."""
    inner = torch.tensor(EDGES[1:-1], dtype=torch.float64)
    return (inner.logit() if as_logits else inner).float().to(device)

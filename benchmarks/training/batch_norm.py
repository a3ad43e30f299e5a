"""Merge running statistics of batch norm over ranks, as one device that saw all groups in turn would have them.

An update is r <- (1 - m) r + m s. So k updates take r to a r + b with a = (1 - m)^k, whatever r was. A device that went
from r to r' thus sends b = r' - a r. The updates of all devices are made one after the other from their a and b.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from rssam.errors import UserError


@dataclass(frozen=True)
class BatchNormStats:
    """Means and variances of all batch norms in a row, float64 [values], and their updates so far, int64 [norms]."""

    values: Tensor
    updates: Tensor


def read_stats(net: nn.Module) -> BatchNormStats:
    """Return a copy of the running statistics, on the CPU."""
    norms = _norms(net)
    values = [buffer.detach().double().cpu().reshape(-1) for norm in norms for buffer in _moments(norm)]
    updates = [norm.num_batches_tracked for norm in norms]
    return BatchNormStats(
        torch.cat(values) if values else torch.zeros(0, dtype=torch.float64),
        torch.tensor([int(count) for count in updates if count is not None], dtype=torch.int64),
    )


def write_stats(net: nn.Module, stats: BatchNormStats) -> None:
    """Put values and numbers of updates into the network."""
    norms = _norms(net)
    parts = iter(torch.split(stats.values, [buffer.numel() for norm in norms for buffer in _moments(norm)]))
    for norm, count in zip(norms, stats.updates, strict=True):
        for buffer in _moments(norm):
            buffer.copy_(next(parts).view_as(buffer))
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.fill_(int(count))


def merge_in_order(net: nn.Module, before: BatchNormStats, after: Sequence[BatchNormStats]) -> BatchNormStats:
    """Return the updates that each device made from `before` on, made one device after the other.

    Raises UserError if a batch norm of `net` averages over all updates instead (momentum None).
    """
    norms = _norms(net)
    momenta = [norm.momentum for norm in norms]
    if None in momenta:
        raise UserError("a batch norm without momentum cannot be kept on several devices: use --devices 1")
    decay = 1 - torch.tensor(momenta, dtype=torch.float64)  # [norms]
    widths = torch.tensor([sum(buffer.numel() for buffer in _moments(norm)) for norm in norms], dtype=torch.int64)
    values, updates = before.values, before.updates
    for stats in after:
        new_updates = stats.updates - before.updates  # [norms]
        factor = (decay**new_updates).repeat_interleave(widths)  # [values]
        values = factor * values + (stats.values - factor * before.values)
        updates = updates + new_updates
    return BatchNormStats(values, updates)


def _norms(net: nn.Module) -> list[_BatchNorm]:
    return [module for module in net.modules() if isinstance(module, _BatchNorm) and module.running_mean is not None]


def _moments(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var

"""A small SAM in the official format, tiles to overfit, and interpolation written in NumPy."""

import math

import numpy as np
import torch
from segment_anything.build_sam import _build_sam
from torch import nn
from torch.nn import functional as F

from benchmarks.conformance import has_zero_gradient, tiles
from rssam.sam.encoder_sizes import EncoderSize

__all__ = ["has_zero_gradient", "tiles"]

TINY = EncoderSize("vit_b", width=96, blocks=4, heads=3, global_blocks=(1, 3))


def shake(module, seed=0):
    """Move every parameter off its start, so that zero tables, unit norms and zero biases hide nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return module


def official_sam(size=TINY):
    """segment_anything's own model of 1024 x 1024, of another width and depth."""
    return shake(_build_sam(size.width, size.blocks, size.heads, list(size.global_blocks)))


def linear(values, length, axis=0):
    """Linear interpolation with pixel centres at i + 0.5, repeated beyond the edge."""
    values = np.moveaxis(np.asarray(values, dtype=np.float64), axis, 0)
    out = np.empty((length, *values.shape[1:]))
    for i in range(length):
        at = min(max((i + 0.5) * len(values) / length - 0.5, 0.0), len(values) - 1.0)
        low = math.floor(at)
        high = min(low + 1, len(values) - 1)
        out[i] = values[low] * (1 - (at - low)) + values[high] * (at - low)
    return np.moveaxis(out, 0, axis)


def as_parameter(array):
    return nn.Parameter(torch.from_numpy(array).float())


def resized_official(encoder, size, grid):
    """Turn SAM's ImageEncoderViT into one for `grid`, its tables resampled by the NumPy loop above."""
    table = encoder.pos_embed.detach().numpy()
    encoder.pos_embed = as_parameter(linear(linear(table, grid[0], axis=1), grid[1], axis=2))
    for index in size.global_blocks:
        attention = encoder.blocks[index].attn
        attention.rel_pos_h = as_parameter(linear(attention.rel_pos_h.detach().numpy(), 2 * grid[0] - 1))
        attention.rel_pos_w = as_parameter(linear(attention.rel_pos_w.detach().numpy(), 2 * grid[1] - 1))
    return encoder


def paper_loss(logits, masks):
    """0.2 BCE + 0.8 Dice, pooled over the batch."""
    p = logits.sigmoid()
    dice = 1 - (2 * (p * masks).sum() + 1e-5) / ((p * p).sum() + (masks * masks).sum() + 1e-5)
    return 0.2 * F.binary_cross_entropy_with_logits(logits, masks) + 0.8 * dice


def overfit(net, bfloat16, steps=60):
    """Train on the four tiles until Dice passes 0.9 or the steps are used up; return the last Dice.

    At 1e-4 the rows without MFF take 8 steps with `sam_first`. At 1e-3 the same seed passed on one machine only.
    """
    images, masks = tiles()
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], lr=1e-4)
    dice = 0.0
    for _ in range(steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = net(images)
        assert logits.dtype == torch.float32
        found = (logits.detach() > 0).float()
        dice = float(2 * (found * masks).sum() / (found.sum() + masks.sum()))
        if dice > 0.9:
            break
        optimizer.zero_grad()
        paper_loss(logits, masks).backward()
        optimizer.step()
    return dice


def train_two_steps(net):
    """Two steps on one tile; return (frozen names that changed, trainable names without a gradient in both)."""
    images, masks = (part[:1] for part in tiles())
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    trainable = {name: p for name, p in net.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(trainable.values(), lr=1e-3, fused=True)
    silent = set(trainable)
    for _ in range(2):
        optimizer.zero_grad()
        paper_loss(net(images), masks).backward()
        silent -= {name for name, p in trainable.items() if p.grad is not None and p.grad.abs().max() > 0}
        optimizer.step()
    after = net.state_dict()
    return {n for n in before if n not in trainable and not torch.equal(before[n], after[n])}, silent


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def trainable_parameters(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)

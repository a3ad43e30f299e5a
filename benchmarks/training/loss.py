"""Compute the loss of every system: 0.2 cross-entropy + 0.8 Dice on logits at the label's resolution (paper, Eq. 7).

The Dice term has squared sums, as SAMed's (0.2 and 0.8 are SAMed's defaults too). Unlike SAMed's it leaves the implied
background of a binary task out: with 4 % roads the mean over background and roads is another loss.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from rssam.contract import IGNORE

SMOOTH = 1e-5


def segmentation_loss(logits: Tensor, labels: Tensor, ce_weight: float, dice_weight: float) -> Tensor:
    """Return the loss of a group of images, a scalar in fp32.

    Both terms are pooled over the whole group: the mean of several groups' losses is not the loss of their union.

    Args:
        logits: [B, C, H, W].
        labels: [B, H, W] with 0..C-1 (binary, C = 1: 0 and 1) or 255 for pixels to ignore.
        ce_weight: of the cross-entropy.
        dice_weight: of the Dice loss.
    """
    logits = logits.float()
    valid = (labels != IGNORE).unsqueeze(1)  # [B, 1, H, W]
    if logits.shape[1] == 1:
        target = ((labels == 1).unsqueeze(1) & valid).float()  # [B, 1, H, W]
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")  # [B, 1, H, W]
        probability = logits.sigmoid()
    else:
        classes = torch.arange(logits.shape[1], device=logits.device)
        target = (labels.unsqueeze(1) == classes.view(1, -1, 1, 1)).float()  # [B, C, H, W]
        entropy = -(logits.log_softmax(dim=1) * target).sum(dim=1, keepdim=True)  # [B, 1, H, W]
        probability = logits.softmax(dim=1)
    cross_entropy = (entropy * valid).sum() / valid.sum().clamp(min=1)
    return ce_weight * cross_entropy + dice_weight * dice_loss(probability * valid, target)


def dice_loss(probability: Tensor, target: Tensor) -> Tensor:
    """Return the class mean of 1 - (2 sum pg + s) / (sum p^2 + sum g^2 + s) over the group [B, C, H, W]."""
    pixels = (0, 2, 3)
    overlap = (probability * target).sum(dim=pixels)  # [C]
    mass = probability.square().sum(dim=pixels) + target.square().sum(dim=pixels)  # [C]
    return (1 - (2 * overlap + SMOOTH) / (mass + SMOOTH)).mean()


def training_loss(model: Any, images: Tensor, labels: Tensor, ce_weight: float, dice_weight: float) -> Tensor:
    """Return the loss of a group, with the auxiliary outputs that the network declares.

    Args:
        model: the network.
        images: float [B, 3, H, W] in 0..1.
        labels: integers [B, H, W], 255 is ignored.
        ce_weight: of the cross-entropy.
        dice_weight: of the Dice loss.
    """
    return outputs_loss(training_outputs(model, images), labels, ce_weight, dice_weight)


def training_outputs(model: Any, images: Tensor) -> list[tuple[float, Tensor]]:
    """Return weights and logits [B, C, H, W] of the outputs that are trained."""
    return model.training_outputs(images) if hasattr(model, "training_outputs") else [(1.0, model(images))]


def outputs_loss(outputs: list[tuple[float, Tensor]], labels: Tensor, ce_weight: float, dice_weight: float) -> Tensor:
    """Return the weighted sum of the losses of these outputs.

    Args:
        outputs: weights and logits [B, C, H, W].
        labels: integers [B, H, W], 255 is ignored.
        ce_weight: of the cross-entropy.
        dice_weight: of the Dice loss.
    """
    losses = [weight * segmentation_loss(logits, labels, ce_weight, dice_weight) for weight, logits in outputs]
    return torch.stack(losses).sum()

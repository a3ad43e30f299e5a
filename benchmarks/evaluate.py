"""Validation loss and test counts, at the label's own resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.counts import Counts
from benchmarks.loss import segmentation_loss
from benchmarks.spec import Recipe
from data_prep.loading import PreparedSet, grid
from data_prep.loading import crop as crop_item
from rssam.contract import IGNORE, Task


@dataclass(frozen=True)
class Evaluation:
    """What a pass over a split gives: stems, counts, and the predicted labels [H, W] of every image."""

    images: tuple[str, ...]
    counts: Counts
    native_counts: Counts | None
    predictions: tuple[NDArray[np.uint8], ...]


def to_float(images: Tensor, device: torch.device) -> Tensor:
    """uint8 images to the device, then 0..1 in fp32: a quarter of the bytes travel."""
    return images.to(device, non_blocking=True).float().div_(255)


@torch.inference_mode()
def validation_loss(
    net: nn.Module,
    data: PreparedSet,
    recipe: Recipe,
    device: torch.device,
    between: Callable[[], None] | None = None,
) -> float:
    """Mean loss over groups of `recipe.group` images (or windows) in the order of their stems, each image once.

    `between` is called after every group; what it raises ends the pass.
    """
    net.eval()
    total, seen = torch.zeros((), device=device, dtype=torch.float64), 0
    for images, labels in _grouped(_windows(data, recipe.crop), recipe.group):
        logits = net(to_float(images, device))  # [B, C, H, W]
        loss = segmentation_loss(logits, labels.to(device), recipe.ce_weight, recipe.dice_weight)
        total += loss.double() * len(images)
        seen += len(images)
        if between is not None:
            between()
    return float(total) / seen


@torch.inference_mode()
def evaluate(
    net: nn.Module,
    data: PreparedSet,
    task: Task,
    crop: int | None,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Predict every image of `data` once and count; images larger than the crop are covered by a grid of crops.

    Binary labels are the sign of the logit (probability 0.5), others the largest logit. Where the source had a finer
    mask, the same logits are upsampled to it and counted a second time.
    """
    net.eval()
    names, confusions, native_confusions, predictions = [], [], [], []
    for index in range(len(data)):
        item = data[index]
        mask, native = item["mask"], item.get("native_mask")
        logits = _predict(net, item["image"], crop, device)  # [C, H, W]
        labels = predicted_labels(logits)  # [H, W]
        names.append(item["name"])
        confusions.append(confusion_matrix(mask.to(device), labels, task))
        predictions.append(labels.to(torch.uint8).cpu().numpy())
        if native is not None and native.shape != mask.shape:
            finer = F.interpolate(logits[None], tuple(native.shape), mode="bilinear", align_corners=False)[0]
            native_confusions.append(confusion_matrix(native.to(device), predicted_labels(finer), task))
        if progress is not None:
            progress(index + 1, len(data))
    return Evaluation(
        images=tuple(names),
        counts=_counts(confusions, task),
        native_counts=_counts(native_confusions, task) if len(native_confusions) == len(names) else None,
        predictions=tuple(predictions),
    )


def predicted_labels(logits: Tensor) -> Tensor:
    """Labels int64 [H, W] of logits [C, H, W]."""
    labels: Tensor = logits[0] > 0 if logits.shape[0] == 1 else logits.argmax(dim=0)
    return labels.long()


def confusion_matrix(truth: Tensor, labels: Tensor, task: Task) -> Tensor:
    """Confusion matrix int64 [K, K] of one image, rows truth, columns prediction; ignored pixels are in no cell."""
    size = max(2, task.channels)
    kept = truth != IGNORE
    pairs = truth[kept].long() * size + labels[kept]
    cells: Tensor = torch.bincount(pairs, minlength=size * size)
    return cells.view(size, size)


def _predict(net: nn.Module, image: Tensor, crop: int | None, device: torch.device) -> Tensor:
    """Logits fp32 [C, H, W] of one uint8 image [3, H, W]."""
    if crop is None:
        whole: Tensor = net(to_float(image[None], device)).float()[0]
        return whole
    height, width = image.shape[-2:]
    windows = grid((height, width), crop)
    batch = torch.stack([image[:, top : top + crop, left : left + crop] for top, left in windows])
    parts = net(to_float(batch, device)).float()  # [windows, C, crop, crop]
    logits: Tensor = parts.new_empty(parts.shape[1], height, width)
    for (top, left), part in zip(windows, parts, strict=True):
        logits[:, top : top + crop, left : left + crop] = part
    return logits


def _windows(data: PreparedSet, side: int | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Every image and its labels, or every window of the grid that covers it."""
    for index in range(len(data)):
        item = data[index]
        if side is None:
            yield item["image"], item["mask"]
            continue
        height, width = item["mask"].shape
        for top, left in grid((height, width), side):
            window = crop_item(item, top, left, side)
            yield window["image"], window["mask"]


def _grouped(items: Iterator[tuple[Tensor, Tensor]], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Stacks of up to `size` items; the last may be smaller."""
    group: list[tuple[Tensor, Tensor]] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield torch.stack([image for image, _ in group]), torch.stack([mask for _, mask in group])
            group = []
    if group:
        yield torch.stack([image for image, _ in group]), torch.stack([mask for _, mask in group])


def _counts(confusions: Sequence[Tensor], task: Task) -> Counts:
    stacked = torch.stack(list(confusions)).cpu().numpy().astype(np.int64)
    return Counts.from_confusion(stacked, binary=task.binary)

"""Compute the validation loss and the test counts of a network, at the label's own resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.metrics.count_probabilities import probability_histogram
from benchmarks.metrics.counts import Counts
from benchmarks.protocol.recipe import Recipe
from benchmarks.training.loss import segmentation_loss
from benchmarks.training.rank_group import SingleProcess
from data_prep.loading.torch_dataset import Item, PreparedDataset, grid
from data_prep.loading.torch_dataset import crop as crop_item
from rssam.contract import IGNORE, Task

_ImageCounts = tuple[str, Tensor, Tensor | None, Tensor]
"""Stem, confusion matrix, that of the native mask, and the histogram of probabilities."""


@dataclass(frozen=True)
class Evaluation:
    """Counts of a pass over a split, with the predicted labels [H, W] of every image and histograms.

    Histograms are int64 [images, channels, bins, 2], at the prepared label's resolution; see `probability_histogram`.
    """

    images: tuple[str, ...]
    counts: Counts
    native_counts: Counts | None
    predictions: tuple[NDArray[np.uint8], ...]
    histograms: NDArray[np.int64] | None = None


def to_float(images: Tensor, device: torch.device) -> Tensor:
    """Return uint8 images on the device as 0..1 in fp32: a quarter of the bytes travel. Raises TypeError for others."""
    if images.dtype != torch.uint8:
        raise TypeError(f"expected images uint8 in 0..255, found {images.dtype}: they are divided by 255 here")
    return images.to(device, non_blocking=True).float().div_(255)


@torch.inference_mode()
def validation_loss(
    net: nn.Module,
    data: PreparedDataset,
    recipe: Recipe,
    device: torch.device,
    between: Callable[[], None] | None = None,
    ranks: SingleProcess | None = None,
    watch: Callable[[Tensor, Tensor, Tensor], None] | None = None,
) -> float:
    """Compute the mean loss over groups of `recipe.group` images (or windows) in the order of stems, each image once.

    The ranks take groups in turn; the sum is made in the order of the groups all the same.

    Args:
        net: the network, on the device.
        data: the val split.
        recipe: size of groups and crops, weights of the loss.
        device: where the network is.
        between: called after every group, equally often on each rank; what it raises ends the pass.
        ranks: the ranks of a run on several devices.
        watch: gets images uint8, labels and logits of every group of this rank.
    """
    ranks = ranks or SingleProcess()
    net.eval()
    places = _windows(data, recipe.crop)
    read = lru_cache(maxsize=1)(data.__getitem__)  # windows of one image follow each other: decode it once
    groups = [places[first : first + recipe.group] for first in range(0, len(places), recipe.group)]
    sums = torch.zeros(len(groups), device=device, dtype=torch.float64)
    for first in range(0, len(groups), ranks.size):
        if (number := first + ranks.rank) < len(groups):
            images, labels = _stacked(read, groups[number], recipe.crop)
            labels, logits = labels.to(device), net(to_float(images, device))  # logits [B, C, H, W]
            loss = segmentation_loss(logits, labels, recipe.ce_weight, recipe.dice_weight)
            sums[number] = loss.double() * len(images)
            if watch is not None:
                watch(images, labels, logits)
        if between is not None:
            between()
    total = 0.0
    for loss_sum in ranks.total(sums.cpu()).tolist():  # each is 0 on all devices but one
        total += loss_sum
    return total / len(places)


@torch.inference_mode()
def evaluate(
    net: nn.Module,
    data: PreparedDataset,
    task: Task,
    crop: int | None,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
    ranks: SingleProcess | None = None,
) -> Evaluation:
    """Predict every image of `data` once and count; images larger than the crop are covered by a grid of crops.

    Binary labels are the sign of the logit (probability 0.5), others the largest logit. Where the source had a finer
    mask, the same logits are upsampled to it and counted a second time. The ranks take images in turn and all have the
    counts of all images; rank zero alone has the predictions.

    Args:
        net: the network, on the device.
        data: the images, with native masks if these are to be counted.
        task: classes of the network.
        crop: side of the squares that cover an image, None for whole images.
        device: where the network is.
        progress: called as progress(done, total), equally often on each rank.
        ranks: the ranks of a run on several devices.
    """
    ranks = ranks or SingleProcess()
    net.eval()
    counted: dict[int, _ImageCounts] = {}
    predicted: dict[int, NDArray[np.uint8]] = {}
    for first in range(0, len(data), ranks.size):
        if (index := first + ranks.rank) < len(data):
            item = data[index]
            mask, native = item["mask"], item.get("native_mask")
            logits = predict_logits(net, item["image"], crop, device)  # [C, H, W]
            labels = predicted_labels(logits)  # [H, W]
            finer = None
            if native is not None and native.shape != mask.shape:
                upsampled = F.interpolate(logits[None], tuple(native.shape), mode="bilinear", align_corners=False)[0]
                finer = confusion_matrix(native.to(device), predicted_labels(upsampled), task).cpu()
            mask = mask.to(device)
            histogram = probability_histogram(mask, logits)  # [C, bins, 2]
            counted[index] = item["name"], confusion_matrix(mask, labels, task).cpu(), finer, histogram
            predicted[index] = labels.cpu().numpy()
        if progress is not None:
            progress(min(first + ranks.size, len(data)), len(data))
    counted = ranks.collect(counted, len(data))
    predicted = ranks.collect(predicted, len(data), rank_zero_only=True)
    names, confusions, finer_confusions, histograms = zip(*(counted[index] for index in range(len(data))), strict=True)
    native_confusions = [confusion for confusion in finer_confusions if confusion is not None]
    return Evaluation(
        images=names,
        counts=_counts(confusions, task),
        native_counts=_counts(native_confusions, task) if len(native_confusions) == len(names) else None,
        predictions=tuple(predicted[index] for index in sorted(predicted)),
        histograms=torch.stack(histograms).numpy(),
    )


def predicted_labels(logits: Tensor) -> Tensor:
    """Return labels uint8 [H, W] of logits [C, H, W]."""
    labels: Tensor = logits[0] > 0 if logits.shape[0] == 1 else logits.argmax(dim=0)
    return labels.to(torch.uint8)


def confusion_matrix(truth: Tensor, labels: Tensor, task: Task) -> Tensor:
    """Return the confusion matrix int64 [K, K] of one image from truth and labels uint8 [H, W].

    Rows are truth, columns prediction; ignored pixels are in no cell. Raises RuntimeError for a truth of no class.
    """
    size = max(2, task.channels)
    # A pixel's cell from 1 on, 0 where it is ignored. Narrow numbers are counted several times faster than int64; with
    # up to 128 classes no value of a byte overflows int16.
    cells = truth.to(torch.int16 if size <= 128 else torch.int32).mul_(size).add_(labels).add_(1)
    counts: Tensor = torch.bincount(cells.masked_fill_(truth == IGNORE, 0).flatten(), minlength=size * size + 1)[1:]
    return counts.view(size, size)


def predict_logits(net: nn.Module, image: Tensor, crop: int | None, device: torch.device) -> Tensor:
    """Return logits fp32 [C, H, W] of a uint8 image [3, H, W]; a grid of crops covers it where there is a crop.

    Args:
        net: the network.
        image: uint8 [3, H, W].
        crop: side of a window in pixels; None for the whole image at once.
        device: of the network.
    """
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


def _windows(data: PreparedDataset, side: int | None) -> list[tuple[int, int, int]]:
    """Return (index, top, left) of all windows of the grids that cover the images; of images where `side` is None."""
    return [
        (index, top, left)
        for index, entry in enumerate(data.entries)
        for top, left in ([(0, 0)] if side is None else grid(entry.size, side))
    ]


def _stacked(
    read: Callable[[int], Item], places: Sequence[tuple[int, int, int]], side: int | None
) -> tuple[Tensor, Tensor]:
    """Return images and labels of some windows; `read` gives an image with its mask by its index."""
    items = [read(index) if side is None else crop_item(read(index), top, left, side) for index, top, left in places]
    return torch.stack([item["image"] for item in items]), torch.stack([item["mask"] for item in items])


def _counts(confusions: Sequence[Tensor], task: Task) -> Counts:
    stacked = torch.stack(list(confusions)).cpu().numpy().astype(np.int64)
    return Counts.from_confusion(stacked, binary=task.binary)

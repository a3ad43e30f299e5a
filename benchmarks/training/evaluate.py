"""Compute the validation loss and the test counts of a network, at the label's own resolution."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.metrics.confusion import confusion_matrices, confusion_matrix, counts_of, predicted_labels
from benchmarks.metrics.count_probabilities import probability_histograms
from benchmarks.metrics.counts import Counts
from benchmarks.protocol.recipe import Recipe
from benchmarks.training.loss import segmentation_loss
from benchmarks.training.rank_group import ALONE, SingleProcess
from data_prep.loading.torch_dataset import Item, PreparedDataset, grid
from data_prep.loading.torch_dataset import crop as crop_item
from rssam.contract import Task

_ImageCounts = tuple[str, Tensor, Tensor | None, Tensor]
"""Stem, confusion matrix, that of the native mask, and the histogram of probabilities."""


@dataclass(frozen=True)
class Evaluation:
    """Counts of a pass over a split, with the predicted labels [H, W] of every image and histograms.

    Histograms are int64 [images, channels, bins, 2], at the prepared label's resolution; see `probability_histograms`.
    """

    images: tuple[str, ...]
    counts: Counts
    native_counts: Counts | None
    predictions: tuple[NDArray[np.uint8], ...]
    histograms: NDArray[np.int64]


def sent(pixels: Tensor, device: torch.device) -> Tensor:
    """Return pixels on the device; nothing waits for a GPU, because they leave from pinned memory."""
    return (pixels.pin_memory() if device.type == "cuda" else pixels).to(device, non_blocking=True)


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
    ranks: SingleProcess = ALONE,
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
    net.eval()
    places = _windows(data, recipe.crop)
    read = lru_cache(maxsize=1)(data.__getitem__)  # windows of one image follow each other: decode it once
    groups = [places[first : first + recipe.group] for first in range(0, len(places), recipe.group)]
    sums = torch.zeros(len(groups), device=device, dtype=torch.float64)
    for first in range(0, len(groups), ranks.size):
        if (number := first + ranks.rank) < len(groups):
            images, labels = _stacked(read, groups[number], recipe.crop)
            labels, logits = sent(labels, device), net(to_float(sent(images, device), device))  # logits [B, C, H, W]
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
    ranks: SingleProcess = ALONE,
    together: int = 1,
    readers: int = 1,
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
        together: images or squares that are predicted at once, as far as whole images give so many.
        readers: threads that read the next images meanwhile.
    """
    net.eval()
    sizes = {entry.size for entry in data.entries}
    squares = max(1 if crop is None else len(grid(size, crop)) for size in sizes)
    images = max(1, together // squares) if len(sizes) == 1 else 1  # of a batch
    starts = range(0, len(data), images * ranks.size)
    batches = [range(first, len(data))[images * ranks.rank :][:images] for first in starts]
    counted: dict[int, _ImageCounts] = {}
    predicted: dict[int, NDArray[np.uint8]] = {}
    with closing(_read_ahead(data, batches, readers)) as read:
        for first, batch, items in zip(starts, batches, read, strict=True):
            if items:
                counts, labels = _count(net, items, task, crop, device)
                counted.update(zip(batch, counts, strict=True))
                predicted.update(zip(batch, labels, strict=True))
            if progress is not None:
                progress(min(first + images * ranks.size, len(data)), len(data))
    counted = ranks.collect(counted, len(data))
    predicted = ranks.collect(predicted, len(data), rank_zero_only=True)
    names, confusions, finer_confusions, histograms = zip(*(counted[index] for index in range(len(data))), strict=True)
    native_confusions = [confusion for confusion in finer_confusions if confusion is not None]
    return Evaluation(
        images=names,
        counts=counts_of(confusions, task),
        native_counts=counts_of(native_confusions, task) if len(native_confusions) == len(names) else None,
        predictions=tuple(predicted[index] for index in sorted(predicted)),
        histograms=torch.stack(histograms).numpy(),
    )


def _read_ahead(
    data: PreparedDataset, batches: Sequence[Sequence[int]], readers: int
) -> Generator[list[Item], None, None]:
    """Yield the items of each batch, while those of the next are read."""
    with ThreadPoolExecutor(max(1, readers)) as pool:
        begun: list[Future[Item]] | None = None
        for batch in (*batches, ()):
            following = [pool.submit(data.__getitem__, index) for index in batch]
            if begun is not None:
                yield [item.result() for item in begun]
            begun = following


def _count(
    net: nn.Module, items: Sequence[Item], task: Task, crop: int | None, device: torch.device
) -> tuple[list[_ImageCounts], NDArray[np.uint8]]:
    """Predict a batch; return the counts of each image, and labels [B, H, W]. The device is waited for at the end."""
    natives = [item.get("native_mask") for item in items]
    finer = [native if native is not None and native.shape != item["mask"].shape else None
             for native, item in zip(natives, items, strict=True)]  # fmt: skip
    masks = sent(torch.stack([item["mask"] for item in items]), device)
    logits = predict_logits(net, torch.stack([item["image"] for item in items]), crop, device)  # [B, C, H, W]
    labels = predicted_labels(logits)  # [B, H, W]
    confusions, histograms = confusion_matrices(masks, labels, task), probability_histograms(masks, logits)
    finer_confusions = [
        None if native is None else _finer_confusion(sent(native, device), of_image, task)
        for native, of_image in zip(finer, logits, strict=True)
    ]
    of_images = zip(confusions.cpu(), finer_confusions, histograms, strict=True)
    counts = [
        (item["name"], confusion, None if finest is None else finest.cpu(), histogram)
        for item, (confusion, finest, histogram) in zip(items, of_images, strict=True)
    ]
    return counts, labels.cpu().numpy()


def _finer_confusion(native: Tensor, logits: Tensor, task: Task) -> Tensor:
    """Return the confusion matrix of a native mask [h, w] and logits [C, H, W], which are upsampled to it."""
    upsampled = F.interpolate(logits[None], tuple(native.shape), mode="bilinear", align_corners=False)
    return confusion_matrix(native, predicted_labels(upsampled)[0], task)


def predict_logits(net: nn.Module, images: Tensor, crop: int | None, device: torch.device) -> Tensor:
    """Return logits fp32 [B, C, H, W] of images uint8 [B, 3, H, W]; grids of crops cover them where there is a crop."""
    if crop is None:
        whole: Tensor = net(to_float(sent(images, device), device)).float()
        return whole
    height, width = images.shape[-2:]
    windows = grid((height, width), crop)
    batch = torch.stack([image[:, top : top + crop, left : left + crop] for image in images for top, left in windows])
    parts = net(to_float(sent(batch, device), device)).float()  # [B * windows, C, crop, crop]
    logits: Tensor = parts.new_empty(len(images), parts.shape[1], height, width)
    for number, (top, left) in enumerate(windows):
        logits[..., top : top + crop, left : left + crop] = parts[number :: len(windows)]
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

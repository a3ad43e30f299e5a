"""Measure how far apart a network's class tokens are, before and after training; outside of every step."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from benchmarks.fabric import Fabric
from benchmarks.training.evaluate import to_float
from data_prep.loading.torch_dataset import PreparedDataset
from rssam.contract import Task


def class_distances(net: nn.Module, data: PreparedDataset, task: Task, fabric: Fabric) -> list[float]:
    """Return the distances that `net` declares as `class_distances(images)`; empty where it declares none.

    They are of the first image, at its top left where the task's images are smaller, in the precision of `fabric`.
    No random number is drawn. The network is left on the device of `fabric`, in the mode it was in.

    Args:
        net: the network.
        data: prepared images, of which the first is taken.
        task: the size of images that the network takes.
        fabric: device and precision.
    """
    measure: Callable[[Tensor], list[float]] | None = getattr(net, "class_distances", None)
    if measure is None:
        return []
    height, width = task.image_size
    images = to_float(data[0]["image"][None, :, :height, :width], fabric.device)
    training = net.training
    net.to(fabric.device).eval()
    with fabric.autocast():
        distances: list[float] = measure(images)
    net.train(training)
    return distances

"""Choose the device and the number of data workers."""

from __future__ import annotations

import ctypes
import os
from typing import Literal

from benchmarks.training.device_layout import Device
from rssam.errors import UserError

DeviceChoice = Literal["auto", "cpu", "cuda"]


def cuda_devices() -> int:
    """Return the number of CUDA devices that the driver offers, 0 without a driver. Needs no torch."""
    name = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return 0
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def choose_workers(wish: int | None, device: Device, jobs: int = 1) -> int:
    """Return how many processes read images for each of `jobs` runs: the wish, otherwise a number by the cores.

    On the CPU it is 0: the network uses every core itself, and reading takes next to none of its time.
    """
    if wish is not None:
        return wish
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if device == "cpu" else max(1, min(8, cores // 2 // jobs))


def choose_device(wish: DeviceChoice) -> Device:
    """Return the device for a wish. Raises UserError if a GPU is asked for and there is none."""
    if wish == "cpu":
        return "cpu"
    if cuda_devices():
        return "cuda"
    if wish == "cuda":
        raise UserError("--device cuda was asked for, but the driver offers no CUDA device; use --device cpu")
    return "cpu"

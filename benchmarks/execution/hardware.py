"""Choose the device, the precision and the number of data workers."""

from __future__ import annotations

import ctypes
import os
from typing import Literal, get_args

from benchmarks.protocol.recipe import PRECISION_NAMES, PRECISIONS, Precision, PrecisionChoice
from benchmarks.training.device_layout import Device
from rssam.errors import UnknownName, UserError

DeviceChoice = Literal["auto", "cpu", "cuda"]
NATIVE_BF16 = 8
"""Major compute capability from which GPUs multiply bfloat16, as in `torch.cuda.is_bf16_supported`: Ampere."""
_CAPABILITY_MAJOR = 75  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
_CPU_BF16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")


def cuda_devices() -> int:
    """Return the number of CUDA devices that the driver offers, 0 without a driver. Needs no torch."""
    return len(cuda_capabilities())


def cuda_capabilities() -> list[int]:
    """Return the major compute capability of each CUDA device that the driver offers. Needs no torch."""
    name = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return []
    count = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    majors = []
    for number in range(count.value):
        device, major = ctypes.c_int(), ctypes.c_int()
        driver.cuDeviceGet(ctypes.byref(device), number)
        driver.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, device)
        majors.append(major.value)
    return majors


def has_native_bf16(device: Device) -> bool:
    """Return whether the device, or every one of several, multiplies bfloat16 itself, not by way of float32.

    Where the driver offers no device (a Ray cluster's head), those of the nodes are taken to. Imports torch for CPUs.
    """
    if device == "cuda":
        return all(major >= NATIVE_BF16 for major in cuda_capabilities())
    import torch

    # versions before 2.11 cannot tell
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(capabilities.get(name, False) for name in _CPU_BF16)


def choose_precision(wish: PrecisionChoice, device: Device) -> Precision:
    """Return the precision of a training: auto is fp32 on the CPU, and on GPUs bf16, or fp16 without native bf16."""
    if wish != "auto":
        return _named(wish)
    if device == "cpu":
        return "32-true"
    return "bf16-mixed" if has_native_bf16(device) else "16-mixed"


def choose_predicting_precision(wish: PrecisionChoice, device: Device, trained: Precision) -> Precision:
    """Return the precision in which a trained network predicts; auto is as trained on GPUs that do it natively.

    Otherwise auto is fp32: float16 might overflow in a network that was trained in bfloat16.
    """
    if wish != "auto":
        return _named(wish)
    native = device == "cuda" and (trained != "bf16-mixed" or has_native_bf16(device))
    return trained if native else "32-true"


def _named(wish: PrecisionChoice) -> Precision:
    if wish not in PRECISIONS:
        raise UnknownName(f"unknown precision {wish!r}: choose from auto, {', '.join(PRECISIONS)}")
    return PRECISIONS[wish]


def precision_note(precision: Precision, device: Device) -> str | None:
    """Return what to say of half precision on this device, None where it is the usual one."""
    name = PRECISION_NAMES[precision]
    if name == "fp32" or (device == "cuda" and (name == "fp16" or has_native_bf16(device))):
        return None
    if name == "bf16" and has_native_bf16(device):
        return f"{name} on this CPU, which multiplies it natively: numbers are rounded otherwise than in fp32"
    place = "GPU" if device == "cuda" else "CPU"
    return f"{name} is computed in software on this {place}, which may take longer than fp32"


def choose_workers(wish: int | None, device: Device, jobs: int = 1) -> int:
    """Return how many processes read images for each of `jobs` runs: as requested, otherwise a number by the cores.

    On the CPU it is 0: the network uses every core itself, and reading takes next to none of its time.
    """
    if wish is not None:
        return wish
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if device == "cpu" else max(1, min(8, cores // 2 // jobs))


def choose_device(wish: DeviceChoice) -> Device:
    """Return the requested device. Raises UserError if a GPU is asked for and there is none, or for another name."""
    if wish not in get_args(DeviceChoice):
        raise UnknownName(f"unknown device {wish!r}: choose from {', '.join(get_args(DeviceChoice))}")
    if wish != "cpu" and cuda_devices():
        return "cuda"
    if wish == "cuda":
        raise UserError("--device cuda was asked for, but the driver offers no CUDA device; use --device cpu")
    return "cpu"

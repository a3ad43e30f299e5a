"""Measure the memory of one call: its peak, and by how much the peak exceeds what was held before."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.results.provenance import peak_memory


@dataclass(frozen=True)
class CallMemory:
    """Bytes of one call: the peak of all that was held, and the peak less what was held before the call."""

    peak: int
    above: int


def memory_of(run: Callable[[], object], device: torch.device) -> CallMemory | None:
    """Measure a call: memory allocated on CUDA, resident memory of this process on Linux; None elsewhere."""
    run()  # what is allocated once, gradients and states of the optimiser too, is no part of a call
    if device.type == "cuda":
        wait_for(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        run()
        wait_for(device)
        return CallMemory(peak_memory(device), peak_memory(device) - before)
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what glibc keeps for later would hide as much of the call
        Path("/proc/self/clear_refs").write_text("5")  # begins the highest resident size anew
        before = _resident("VmRSS")
        run()
        highest = _resident("VmHWM")
    except (OSError, AttributeError):  # another system, or another libc
        return None
    return CallMemory(highest, highest - before)


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _resident(field: str) -> int:
    """Return the bytes that a line of this process's status gives in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))

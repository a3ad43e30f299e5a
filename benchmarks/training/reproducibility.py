"""Random seeds, determinism, and the record of where a result was made."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import random
import resource
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

RECORDED = (
    "rssam-bench", "torch", "torchvision", "segment-anything", "segmentation-models-pytorch", "timm", "lightning",
    "numpy", "pillow",
)  # fmt: skip
"""Packages whose version may change a number."""


@contextmanager
def seeded(seed: int, *, deterministic: bool = True) -> Iterator[None]:
    """Seed every generator inside the block and put their states back afterwards.

    `deterministic` demands deterministic kernels: on the CPU the same command twice then gives the same counts, bit for
    bit. On CUDA some backward kernels have no deterministic form; there the same seed gives close results, not equal
    ones, and the demand is left out.
    """
    states = random.getstate(), np.random.get_state(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
            torch.use_deterministic_algorithms(states[2])


def random_states(device: torch.device) -> dict[str, torch.Tensor]:
    """The states of all random generators, as tensors."""
    version, words, gauss = random.getstate()
    state: Any = np.random.get_state(legacy=True)
    _, keys, position, has_gauss, cached = state
    states = {
        "torch": torch.get_rng_state(),
        "python": torch.tensor([version, *words]),
        "python_gauss": torch.tensor([] if gauss is None else [gauss], dtype=torch.float64),
        "numpy": torch.tensor([*keys.tolist(), position, has_gauss]),
        "numpy_gauss": torch.tensor([cached], dtype=torch.float64),
    }
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_states(states: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Put back what `random_states` gave."""
    torch.set_rng_state(states["torch"])
    version, *words = states["python"].tolist()
    gauss = states["python_gauss"].tolist()
    random.setstate((version, tuple(words), gauss[0] if gauss else None))
    *keys, position, has_gauss = states["numpy"].tolist()
    np.random.set_state(("MT19937", np.array(keys, np.uint32), position, has_gauss, states["numpy_gauss"].item()))
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


def provenance(device: torch.device) -> dict[str, Any]:
    """Where and with what a result was made: versions, source commit, machine, time. None of it is in the key."""
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in RECORDED}},
        "commit": source_commit(),
        "platform": platform.platform(),
        "device": device_name(device),
        "device_type": device.type,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def source_commit() -> str | None:
    """Commit of the source tree this runs from, "-dirty" if it was changed since; None outside a clone."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--dirty", "--exclude", "*"],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def peak_memory(device: torch.device) -> int:
    """Highest memory so far in bytes: allocated on a CUDA device, resident of this process on the CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if platform.system() == "Darwin" else kilobytes * 1024


def device_name(device: torch.device) -> str:
    """What the maker calls it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()


def _processor() -> str:
    """Name of the processor, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else (platform.processor() or platform.machine())


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None

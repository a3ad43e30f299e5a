"""Record where a result was made: versions, commit, device, memory. Imports torch inside functions alone."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

COMMIT_VARIABLE = "RSSAM_BENCH_COMMIT"
"""Names the commit of a copy of the source tree that came without its history."""
RECORDED = (
    "rssam-bench", "torch", "torchvision", "segment-anything", "segmentation-models-pytorch", "timm", "lightning",
    "numpy", "pillow",
)  # fmt: skip
"""Packages whose version may change a number."""


def provenance(device: torch.device) -> dict[str, Any]:
    """Return where and with what a result was made: versions, source commit, machine, time.

    None of it is in the key.
    """
    import torch

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
    """Return the commit of the source tree this runs from, "-dirty" if it was changed before this was first asked.

    Outside a clone it is what RSSAM_BENCH_COMMIT says, None without.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return os.environ.get(COMMIT_VARIABLE) or None
    return _commit_at_first(root)


@cache
def _commit_at_first(root: Path) -> str | None:
    """Return what git says when first asked: a process runs the code it began with, whatever is committed meanwhile."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--abbrev=12", "--dirty", "--exclude", "*"],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def peak_memory(device: torch.device) -> int:
    """Return the highest memory so far in bytes: allocated on a CUDA device, resident of this process on the CPU."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if platform.system() == "Darwin" else kilobytes * 1024


def device_name(device: torch.device | str) -> str:
    """Return the maker's name of the device."""
    if not str(device).startswith("cuda"):
        return processor_name()
    import torch

    return torch.cuda.get_device_name(device)


def processor_name() -> str:
    """Return the name of the processor, if the system gives it, otherwise its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else (platform.processor() or platform.machine())


@cache
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None

"""Seed the random generators, and save and restore their states."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


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
    """Return the states of all random generators, as tensors."""
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

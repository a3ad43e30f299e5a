"""Autocast in half precision on the CPU and on CUDA, and the scaling of the loss that float16 needs.

Fabric's own rounds images to half precision before the network sees them, where `predict` does not, and takes bfloat16
for float16 on the CPU. In float16 gradients below 6e-8 are zero, so the loss is multiplied before the backward pass.
Where that makes a gradient infinite the step is left out and the scale halved; after 2000 whole steps it is doubled.
"""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.fabric import Fabric, MixedPrecision
from benchmarks.fabric import Precision as FabricPrecision
from benchmarks.protocol.recipe import Precision

SMALLEST_SCALE = 2.0**-14
"""After 30 steps in a row without a whole gradient no scale is left to try."""


class _Autocast(MixedPrecision):
    """Autocast that leaves the images in float32: normalisation and Fourier transform come before the first product."""

    def convert_input(self, data: Any) -> Any:
        """Return the input of the network as it is."""
        return data


def precision_plugin(device: str, precision: Precision) -> FabricPrecision:
    """Return Fabric's part for a precision, with a scaler of the loss for float16."""
    return FabricPrecision() if precision == "32-true" else _Autocast(precision, device)


class LossScale:
    """Scale of the loss in a training: in float16 it adapts itself, otherwise there is none.

    On several devices gradients are averaged before they are checked, so all ranks leave out the same steps.
    """

    def __init__(self, fabric: Fabric, state: dict[str, float]) -> None:
        """Go on from the `state` of a checkpoint, or begin anew if it is empty."""
        self._scaler: torch.amp.GradScaler | None = getattr(fabric.strategy.precision, "scaler", None)
        self._one = torch.ones((), device=fabric.device)
        self._left_out = torch.zeros((), dtype=torch.int64, device=fabric.device)
        if self._scaler is not None:  # one scaler serves all candidates of a run
            self._scaler.load_state_dict(state or torch.amp.GradScaler(fabric.device.type).state_dict())

    @property
    def used(self) -> bool:
        """Return whether the loss is scaled."""
        return self._scaler is not None

    def state(self) -> dict[str, float]:
        """Return what a checkpoint holds, empty where there is no scale."""
        return {} if self._scaler is None else self._scaler.state_dict()

    def step(self, optimizer: Any) -> None:
        """Take a step of Fabric's wrapper, and count it on the device if it is left out because a gradient overflowed.

        The device is not waited for: `take_left_out` reads the count.
        """
        if self._scaler is None:
            optimizer.step()
            return
        before = self._scale()
        optimizer.step()
        self._left_out = self._left_out + (self._scale() < before)

    def take_left_out(self) -> int:
        """Return how many steps were left out since the last call. On CUDA it waits for the device."""
        left_out, self._left_out = int(self._left_out), torch.zeros_like(self._left_out)
        return left_out

    @property
    def exhausted(self) -> bool:
        """Return whether gradients overflow whatever the scale. On CUDA it waits for the device."""
        return self._scaler is not None and self._scaler.get_scale() < SMALLEST_SCALE

    def _scale(self) -> torch.Tensor:
        """Return the scale on the device, where `get_scale` would wait for it."""
        assert self._scaler is not None
        scaled: torch.Tensor = self._scaler.scale(self._one)
        return scaled

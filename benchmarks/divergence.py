"""Name a learning rate whose training diverged: its loss was no longer a number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from rssam.errors import UserError

LossPhase = Literal["training", "validation"]


@dataclass(frozen=True)
class DivergedRate:
    """A learning rate of a recipe, and the epoch, from 1, in which its loss was no longer a number."""

    rate: float
    epoch: int
    phase: LossPhase

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` gives the same rate back."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> DivergedRate:
        """Raises ValueError for a value of another kind, KeyError and TypeError for a missing one."""
        rate, epoch, phase = raw["rate"], raw["epoch"], raw["phase"]
        if type(rate) not in (int, float) or not 0 < rate < math.inf:
            raise ValueError("a rate that diverged is no positive number")
        if type(epoch) is not int or epoch < 1:
            raise ValueError("a rate that diverged names no epoch from 1")
        if phase not in get_args(LossPhase):
            raise ValueError("a rate that diverged names no loss of training or validation")
        return cls(float(rate), epoch, phase)


class TrainingDiverged(UserError):
    """The loss is no longer a number, under all of these rates."""

    def __init__(self, message: str, rates: Sequence[DivergedRate] = ()) -> None:
        super().__init__(message)
        self.rates = tuple(rates)

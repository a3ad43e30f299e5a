"""Name a learning rate whose training diverged: its loss was no longer a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from rssam.errors import UserError
from rssam.kinds import NUMBER, Leaf, fault, one_of, whole

LossPhase = Literal["training", "validation"]

DIVERGED = {
    "rate": Leaf("a positive number", lambda value: NUMBER.fits(value) and value > 0),
    "epoch": whole(1, 1 << 30),
    "phase": one_of(*get_args(LossPhase)),
}
"""Kinds of the parts of a `DivergedRate` in a file."""


@dataclass(frozen=True)
class DivergedRate:
    """Learning rate of a recipe, and the epoch, from 1, in which its loss was no longer a number."""

    rate: float
    epoch: int
    phase: LossPhase

    def to_json(self) -> dict[str, Any]:
        """Return plain values; `from_json` gives the same rate back."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> DivergedRate:
        """Return the rate of plain values. Raises ValueError for a value that is missing or of another kind."""
        if words := fault(raw, DIVERGED):
            raise ValueError(f"a rate that diverged is malformed ({words})")
        return cls(float(raw["rate"]), raw["epoch"], raw["phase"])


class TrainingDiverged(UserError):
    """Raised if the loss is no longer a number, under all of these rates."""

    def __init__(self, message: str, rates: Sequence[DivergedRate] = ()) -> None:
        super().__init__(message)
        self.rates = tuple(rates)

"""clDice of roads: how much of the centre lines of each mask lies within the other.

Source: Shit et al., "clDice - a Novel Topology-Preserving Loss Function for Tubular Structure Segmentation" (CVPR
2021). The score is defined from hard masks V and their skeletons S of truth (L) and prediction (P). Topology precision
is |S_P and V_L| / |S_P|, topology sensitivity |S_L and V_P| / |S_L|, and clDice is their harmonic mean. Skeletons are
scikit-image's `skeletonize`, which the authors' code takes too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmarks.metrics.counts import FloatArray
from benchmarks.metrics.mask_pair import MaskPair
from benchmarks.metrics.relaxed_f1 import parts_and_wholes, two_sided


@dataclass(frozen=True)
class ClDice:
    """clDice, with topology precision and sensitivity."""

    name: ClassVar[str] = "cldice"
    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ("predicted_within", "predicted", "true_within", "true")
    integer: ClassVar[bool] = True
    headline: ClassVar[str] = "cldice"
    title: ClassVar[str] = "clDice"

    def sums(self, pair: MaskPair) -> tuple[int, ...]:
        """Return pixels of each skeleton, and how many of them lie within the other mask, in the order of `columns`."""
        return parts_and_wholes((pair.prediction_skeleton, pair.truth), (pair.truth_skeleton, pair.prediction))

    def scores(self, sums: FloatArray) -> dict[str, FloatArray]:
        """Return topology precision, topology sensitivity and clDice of pooled sums [..., 4]; see `two_sided`."""
        precision, sensitivity, cldice = two_sided(sums)
        return {"topology_precision": precision, "topology_sensitivity": sensitivity, self.headline: cldice}

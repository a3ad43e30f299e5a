"""APLS of roads: whether paths between two places are as long on the map as on the ground.

Average path length similarity, Van Etten, Lindenbaum and Bacastow, "SpaceNet: A Remote Sensing Dataset and Challenge
Series" (2018). Control points on the one graph are snapped to the other, and each path between two of them costs
min(1, |L - L'| / L), or 1 where a point finds no road nearby or the path is broken; the score is 1 minus the mean. It
is taken both ways, truth to prediction and back, and the harmonic mean of the two is APLS.

Ours and SpaceNet's: both graphs come from skeletons of masks here, theirs of the truth from drawn lines; lengths are in
pixels of the prepared mask (1 m on DeepGlobe), with their numbers of metres: points at most 50 apart, a reach of 4,
paths of at least 10, at most 500 points (theirs are drawn at random, ours are evenly spaced in the order of the lines).
Dead ends below 10 pixels are dropped. Where neither mask has a path, APLS is undefined, and 0 where one of them has
none; their code gives 0 for both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from benchmarks.metrics.counts import FloatArray
from benchmarks.metrics.mask_pair import Mask, MaskPair
from benchmarks.metrics.quotient import quotient

if TYPE_CHECKING:
    from benchmarks.metrics.road_graph import Indices, RoadGraph


@dataclass(frozen=True)
class Apls:
    """APLS of each image; all lengths are in pixels of the prepared mask."""

    spacing: float = 50.0
    reach: float = 4.0
    shortest: float = 10.0
    spur: float = 10.0
    points: int = 500

    name: ClassVar[str] = "apls"
    version: ClassVar[int] = 1
    columns: ClassVar[tuple[str, ...]] = ("apls", "defined")
    integer: ClassVar[bool] = False
    headline: ClassVar[str] = "apls"
    title: ClassVar[str] = "APLS"

    def sums(self, pair: MaskPair) -> tuple[float, ...]:
        """APLS and 1, or 0 and 0 where it is undefined: their sums give the mean over the images that have one."""
        score = self.between(pair.truth_skeleton, pair.prediction_skeleton)
        return (0.0, 0) if math.isnan(score) else (score, 1)

    def scores(self, sums: FloatArray) -> dict[str, FloatArray]:
        """Mean over images where it is defined, of sums [..., 2]; NaN if there is none."""
        return {self.headline: quotient(sums[..., 0], sums[..., 1])}

    def between(self, truth: Mask, prediction: Mask) -> float:
        """APLS of two skeletons [H, W], 0..1; NaN where neither has a path."""
        from benchmarks.metrics.road_graph import (
            road_graph,  # SciPy's graphs take a while to import: reports go without
        )

        graphs = tuple(road_graph(skeleton, self.spur) for skeleton in (truth, prediction))
        forth, back = self.one_way(*graphs), self.one_way(*reversed(graphs))
        if math.isnan(forth) and math.isnan(back):
            return math.nan
        return 2 * forth * back / (forth + back) if forth > 0 and back > 0 else 0.0

    def one_way(self, ground: RoadGraph, other: RoadGraph) -> float:
        """Similarity of the paths of one graph to those of another, 0..1; NaN where the first has no path."""
        points = self._at_most_points(ground.control_points(self.spacing))
        if len(points) < 2:
            return math.nan
        pairs = np.triu_indices(len(points), 1)
        lengths = ground.between(points)[pairs]
        counted = np.isfinite(lengths) & (lengths >= self.shortest)
        if not counted.any():
            return math.nan
        snapped = other.nearest(ground.pixels[points], self.reach)
        snapped_points = np.flatnonzero(snapped >= 0)
        other_lengths = np.full((len(points), len(points)), np.inf)
        other_lengths[np.ix_(snapped_points, snapped_points)] = other.between(snapped[snapped_points])
        lengths, other_lengths = lengths[counted], other_lengths[pairs][counted]
        costs = np.minimum(1.0, np.abs(lengths - other_lengths) / lengths)  # [paths]
        return float(1 - costs.mean())

    def _at_most_points(self, points: Indices) -> Indices:
        """At most `self.points` of them, evenly spaced in their order."""
        if len(points) <= self.points:
            return points
        return points[np.linspace(0, len(points) - 1, self.points).round().astype(np.int64)]

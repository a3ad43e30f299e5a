"""APLS of roads: whether paths between two places are as long on the map as on the ground.

Source: average path length similarity, Van Etten, Lindenbaum and Bacastow, "SpaceNet: A Remote Sensing Dataset and
Challenge Series" (2018). Control points on a graph are snapped to the other graph, and each path between two points
costs min(1, |L - L'| / L). It costs 1 where a point finds no road nearby or the path is broken. The score is 1 minus
the mean. It is taken both ways, truth to prediction and back, and the harmonic mean of both is APLS.

Ours and SpaceNet's: both graphs come from skeletons of masks here; SpaceNet's graph of the truth comes from drawn
lines. Lengths are in pixels of the prepared mask (1 m on DeepGlobe), with SpaceNet's numbers of metres. Points are at
most 50 apart, the reach is 4, paths have at least 10. At most 500 points are taken: SpaceNet's are drawn at random,
ours are evenly spaced in the order of the lines. Dead ends below 10 pixels are dropped. APLS is undefined where neither
mask has a path, and 0 where one of them has none; SpaceNet's code gives 0 for both.
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
        """Return APLS and 1, or 0 and 0 where it is undefined: sums of both give the mean over images with a score."""
        score = self.between(pair.truth_skeleton, pair.prediction_skeleton)
        return (0.0, 0) if math.isnan(score) else (score, 1)

    def scores(self, sums: FloatArray) -> dict[str, FloatArray]:
        """Return the mean over images where it is defined, of sums [..., 2]; NaN if there is none."""
        return {self.headline: quotient(sums[..., 0], sums[..., 1])}

    def between(self, truth: Mask, prediction: Mask) -> float:
        """Return the APLS of two skeletons [H, W], 0..1; NaN where neither has a path."""
        # SciPy's graphs take a while to import: reports go without.
        from benchmarks.metrics.road_graph import road_graph

        graphs = tuple(road_graph(skeleton, self.spur) for skeleton in (truth, prediction))
        forth, back = self.one_way(*graphs), self.one_way(*reversed(graphs))
        if math.isnan(forth) and math.isnan(back):
            return math.nan
        return 2 * forth * back / (forth + back) if forth > 0 and back > 0 else 0.0

    def one_way(self, ground: RoadGraph, other: RoadGraph) -> float:
        """Return the similarity of the paths of a graph to those of another, 0..1; NaN where the first has no path."""
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
        """Return at most `self.points` of the points, evenly spaced in their order."""
        if len(points) <= self.points:
            return points
        return points[np.linspace(0, len(points) - 1, self.points).round().astype(np.int64)]

"""Build the graph of roads from a skeleton: its pixels, cut into chains between ends and junctions, with lengths.

Own code on SciPy's graph routines: skan needs numba, which weighs more than all else here together, and sknw is not
kept any more. Neighbours touch by a side (1 pixel apart) or a corner (1.41).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from benchmarks.metrics.counts import FloatArray
from benchmarks.metrics.mask_pair import Mask

Indices = NDArray[np.int64]

HALF = ((0, 1), (1, -1), (1, 0), (1, 1))
"""Steps to four of a pixel's eight neighbours; the others take them back."""


@dataclass(frozen=True, eq=False)
class RoadGraph:
    """Nodes are ends and junctions; junction pixels that touch are one node, which stands on the one in their middle.

    A chain is the pixels between two nodes. A ring without junction has its first pixel, line by line, for a node.
    """

    pixels: FloatArray  # [pixels, 2]: row and column, line by line
    node: Indices  # [pixels]: the node a pixel is of, -1 in a chain
    centres: Indices  # [nodes]: the pixel that each node stands on
    chain: Indices  # [pixels]: the chain a pixel is of, -1 in a node
    offset: FloatArray  # [pixels]: length from the first end of its chain
    ends: Indices  # [chains, 2]: nodes
    lengths: FloatArray  # [chains]

    def control_points(self, spacing: float) -> Indices:
        """Return pixels of all nodes, and of points that cut chains into equal parts of at most `spacing`, sorted."""
        points = list(self.centres)
        in_chains = np.flatnonzero(self.chain >= 0)
        in_chains = in_chains[np.argsort(self.chain[in_chains], kind="stable")]
        sizes = np.bincount(self.chain[in_chains], minlength=len(self.lengths))
        for length, pixels in zip(self.lengths, np.split(in_chains, np.cumsum(sizes)), strict=False):
            parts = int(np.ceil(length / spacing))
            points += [
                pixels[np.argmin(np.abs(self.offset[pixels] - length * part / parts))] for part in range(1, parts)
            ]
        return np.unique(np.asarray(points, dtype=np.int64))

    def nearest(self, places: FloatArray, reach: float) -> Indices:
        """Return the pixel nearest to each place [k, 2]; -1 where none is within `reach`."""
        if not len(self.pixels):
            return np.full(len(places), -1)
        distance, pixel = cKDTree(self.pixels).query(places)
        return np.where(distance <= reach, pixel, -1)

    def between(self, points: Indices) -> FloatArray:
        """Return the shortest paths' lengths between each two of these pixels, [k, k]; infinite where there is none."""
        stops = np.unique(points[self.node[points] < 0])  # pixels inside of chains become nodes for now
        nodes, chains = len(self.centres), np.arange(len(self.lengths))
        vertex = self.node.copy()
        vertex[stops] = nodes + np.arange(len(stops))
        # Everything at which a chain may be entered or left, chain by chain and along each; neighbours are edges.
        offset_of = np.concatenate([np.zeros(len(chains)), self.offset[stops], self.lengths])
        chain_of = np.concatenate([chains, self.chain[stops], chains])
        vertex_of = np.concatenate([self.ends[:, 0], vertex[stops], self.ends[:, 1]])
        order = np.lexsort((offset_of, chain_of))
        offset_of, chain_of, vertex_of = offset_of[order], chain_of[order], vertex_of[order]
        same = chain_of[1:] == chain_of[:-1]
        edges = _shortest(vertex_of[:-1][same], vertex_of[1:][same], np.diff(offset_of)[same])
        graph = _symmetric(*edges, nodes + len(stops))
        lengths: FloatArray = csgraph.dijkstra(graph, directed=False, indices=vertex[points])[:, vertex[points]]
        return lengths


def road_graph(thin: Mask, spur: float = 0.0) -> RoadGraph:
    """Return the graph of a skeleton [H, W]; dead ends shorter than `spur` at junctions are left out, once.

    Thinning gives such spurs to every bump of a mask's outline.
    """
    graph = _graph(thin)
    ways = np.bincount(graph.ends.ravel(), minlength=len(graph.centres))
    dead, joined = (np.sort(ways[graph.ends], axis=1)[:, side] for side in (0, 1))
    short = np.flatnonzero((dead == 1) & (joined >= 3) & (graph.lengths < spur))
    if not len(short):
        return graph
    loose = np.unique(graph.ends[short][ways[graph.ends[short]] == 1])
    removed = np.isin(graph.chain, short) | np.isin(graph.node, loose)
    rows, columns = graph.pixels[removed].astype(np.int64).T
    kept = thin.copy()
    kept[rows, columns] = False
    return _graph(kept)


def _graph(thin: Mask) -> RoadGraph:
    pixels = np.argwhere(thin)
    count = len(pixels)
    first, second = _neighbours(thin)
    places = pixels.astype(np.float64)
    steps = np.hypot(*(places[first] - places[second]).T)
    degree = np.bincount(np.concatenate([first, second]), minlength=count)
    is_node = degree != 2
    component = csgraph.connected_components(_symmetric(first, second, steps, count), directed=False)[1]
    starts = np.unique(component, return_index=True)[1]  # the first pixel of each connected part
    rings = np.setdiff1d(component, component[is_node])
    is_node[starts[rings]] = True

    node = _labelled(is_node, first, second, steps)
    chain = _labelled(~is_node, first, second, steps)
    centres = _middles(places, node)
    # Steps from a chain into a node: two for each chain, at its two ends.
    outward = np.concatenate([
        np.stack([first, second], axis=1)[~is_node[first] & is_node[second]],
        np.stack([second, first], axis=1)[~is_node[second] & is_node[first]],
    ])  # fmt: skip
    outward = outward[np.lexsort((outward[:, 1], outward[:, 0], chain[outward[:, 0]]))]
    inner, outer = outward.reshape(-1, 2, 2).transpose(2, 0, 1)  # each [chains, 2]
    ends = node[outer]
    reach = np.hypot(*(places[inner] - places[centres[ends]]).transpose(2, 0, 1))  # [chains, 2]
    offset = np.zeros(count)
    lengths = np.zeros(len(ends))
    if len(ends):
        inside = ~is_node[first] & ~is_node[second]
        chains = _symmetric(first[inside], second[inside], steps[inside], count)
        along = csgraph.dijkstra(chains, directed=False, indices=inner[:, 0], min_only=True)
        within = chain >= 0
        offset[within] = along[within] + reach[chain[within], 0]
        lengths = offset[inner[:, 1]] + reach[:, 1]
    return RoadGraph(places, node, centres, chain, offset, ends, lengths)


def _neighbours(thin: Mask) -> tuple[Indices, Indices]:
    """Return each pair of skeleton pixels that touch, once, as numbers of pixels line by line."""
    number = np.full(np.add(thin.shape, (1, 2)), -1, dtype=np.int64)
    number[:-1, 1:-1][thin] = np.arange(np.count_nonzero(thin))
    height, width = thin.shape
    inner = number[:height, 1:-1]
    pairs = [(inner, number[down : down + height, 1 + right : 1 + right + width]) for down, right in HALF]
    touching = [(first[(first >= 0) & (second >= 0)], second[(first >= 0) & (second >= 0)]) for first, second in pairs]
    return np.concatenate([first for first, _ in touching]), np.concatenate([second for _, second in touching])


def _labelled(selected: NDArray[np.bool_], first: Indices, second: Indices, steps: FloatArray) -> Indices:
    """Return the number of each chosen pixel's connected group, in the order of first pixels; otherwise -1."""
    kept = selected[first] & selected[second]
    groups = csgraph.connected_components(
        _symmetric(first[kept], second[kept], steps[kept], len(selected)), directed=False
    )[1]
    numbers = np.full(len(selected), -1, dtype=np.int64)
    numbers[selected] = np.unique(groups[selected], return_inverse=True)[1]
    return numbers


def _middles(places: FloatArray, node: Indices) -> Indices:
    """Return for each node the pixel nearest to the mean of its pixels, the first of several."""
    members = np.flatnonzero(node >= 0)
    sizes = np.bincount(node[members])
    means = np.stack([np.bincount(node[members], places[members, axis]) for axis in (0, 1)], axis=1) / sizes[:, None]
    away = np.hypot(*(places[members] - means[node[members]]).T).round(9)
    order = np.lexsort((members, away, node[members]))
    return members[order][np.unique(node[members][order], return_index=True)[1]]


def _shortest(first: Indices, second: Indices, length: FloatArray) -> tuple[Indices, Indices, FloatArray]:
    """Return the shortest of the edges between the same vertices, without loops: a sparse matrix would add them up."""
    low, high = np.minimum(first, second), np.maximum(first, second)
    order = np.lexsort((length, high, low))
    low, high, length = low[order], high[order], length[order]
    kept = low != high
    kept[1:] &= (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    return low[kept], high[kept], length[kept]


def _symmetric(first: Indices, second: Indices, length: FloatArray, count: int) -> sparse.csr_array:
    """Return edges in both directions as a sparse matrix [count, count]."""
    ends = np.concatenate([first, second]), np.concatenate([second, first])
    return sparse.csr_array((np.concatenate([length, length]), ends), shape=(count, count))

"""Road graphs against networkx, and APLS against its formula on roads whose paths can be counted."""

import math

import networkx
import numpy as np
import pytest

from benchmarks.metrics.apls import Apls
from benchmarks.metrics.mask_pair import MaskPair, skeleton
from benchmarks.metrics.road_graph import road_graph
from tests.benchmarks.masks import blank, changed, line, roads


def pixel_graph(thin):
    """Every pixel of a skeleton a node, joined to its neighbours."""
    graph = networkx.Graph()
    for row, column in np.argwhere(thin).tolist():
        graph.add_node((row, column))
        for down, right in ((0, 1), (1, -1), (1, 0), (1, 1)):
            there = row + down, column + right
            if 0 <= there[0] < thin.shape[0] and 0 <= there[1] < thin.shape[1] and thin[there]:
                graph.add_edge((row, column), there, weight=math.hypot(down, right))
    return graph


def ring(side=40, at=10):
    mask = blank()
    mask[at : at + side, at : at + side] = True
    mask[at + 1 : at + side - 1, at + 1 : at + side - 1] = False
    return mask


def test_a_line_is_two_nodes_and_a_chain_with_points_along_it():
    graph = road_graph(line(first=10, last=90))
    assert graph.lengths.tolist() == [80]
    points = graph.control_points(30)
    assert sorted(graph.pixels[points, 1].tolist()) == [10, 37, 63, 90]  # the nearest to 36.7 and 63.3


def test_a_crossing_is_one_node_on_its_middle_with_four_ways():
    thin = line(30, 10, 90) | line(50, 10, 50, height=96, width=64).T
    graph = road_graph(thin)
    middle = [node for node, pixel in enumerate(graph.centres) if graph.pixels[pixel].tolist() == [30, 50]]
    assert len(middle) == 1
    assert np.bincount(graph.ends.ravel())[middle[0]] == 4
    assert sorted(graph.lengths.tolist()) == [20, 20, 40, 40]


def test_a_ring_has_a_node_and_paths_both_ways_round():
    graph = road_graph(skeleton(ring()))
    assert len(graph.centres) == len(graph.lengths) == 1
    points = graph.control_points(graph.lengths[0] / 4)
    lengths = graph.between(points)
    assert lengths.max() <= graph.lengths[0] / 2 + 2
    assert np.allclose(lengths, lengths.T)


@pytest.mark.parametrize("seed", range(6))
def test_lengths_are_those_of_the_pixel_graph(seed):
    thin = skeleton(roads(seed))
    graph = road_graph(thin)
    points = graph.control_points(15)
    found = graph.between(points)
    every = pixel_graph(thin)
    places = [tuple(int(part) for part in graph.pixels[point]) for point in points]
    for number, place in enumerate(places):
        expected = networkx.single_source_dijkstra_path_length(every, place, weight="weight")
        for other, there in enumerate(places):
            if there not in expected:
                assert math.isinf(found[number, other])
            else:  # through a junction a path goes by its middle here, which is a pixel or two round
                assert found[number, other] == pytest.approx(expected[there], rel=0.06, abs=4)
    assert len(points) > 10


def test_spurs_are_left_out_and_the_road_runs_on():
    thin = line(30, 10, 90)
    thin[26:30, 50] = True
    assert len(road_graph(thin).lengths) == 3
    graph = road_graph(thin, spur=10)
    assert sorted(np.bincount(graph.ends.ravel())) == [1, 1, 2]  # what is left of the junction, and the road's ends
    assert graph.lengths.sum() == pytest.approx(80, abs=2)
    assert len(road_graph(thin, spur=2).lengths) == 3


@pytest.mark.parametrize(("moved", "score"), [(0, 1), (4, 1), (5, 0)])
def test_a_line_moved_within_reach_keeps_its_paths(moved, score):
    assert Apls().between(line(30), line(30 + moved)) == score


def test_a_broken_line_by_hand():
    truth = line(first=0, last=100, width=120)
    broken = truth.copy()
    broken[:, 70:75] = False
    # Points at 0, 50, 100: of three paths one is whole. Back: all four paths of the pieces are whole.
    metric = Apls()
    graphs = road_graph(truth), road_graph(broken)
    assert metric.one_way(*graphs) == pytest.approx(1 / 3)
    assert metric.one_way(*reversed(graphs)) == 1
    assert metric.between(truth, broken) == pytest.approx(0.5)


def test_a_detour_costs_what_it_is_longer():
    truth = line(30, 10, 40)  # one path of 30
    detour = blank()
    detour[30:41, 10] = detour[40, 10:41] = detour[30:41, 40] = True  # ends where the road does, 50 long
    graphs = road_graph(truth), road_graph(skeleton(detour))  # thinned, it goes round its corners diagonally
    assert graphs[1].lengths.tolist() == pytest.approx([46 + 2 * math.sqrt(2)])
    expected = 1 - (graphs[1].lengths[0] - 30) / 30
    assert Apls().one_way(*graphs) == pytest.approx(expected)


def formula(ground, other, metric):
    """The definition as a loop."""
    points = ground.control_points(metric.spacing)
    lengths = ground.between(points)
    snapped = []
    for point in points:
        away = np.hypot(*(other.pixels - ground.pixels[point]).T) if len(other.pixels) else np.array([np.inf])
        snapped.append(int(away.argmin()) if away.min() <= metric.reach else None)
    costs = []
    for start in range(len(points)):
        for end in range(start + 1, len(points)):
            if not math.isfinite(lengths[start, end]) or lengths[start, end] < metric.shortest:
                continue
            if snapped[start] is None or snapped[end] is None:
                costs.append(1.0)
                continue
            there = other.between(np.array([snapped[start], snapped[end]]))[0, 1]
            costs.append(min(1.0, abs(lengths[start, end] - there) / lengths[start, end]))
    return 1 - sum(costs) / len(costs)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_equals_the_formula(seed):
    metric = Apls(spacing=20)
    truth = roads(seed)
    graphs = tuple(road_graph(skeleton(mask), metric.spur) for mask in (truth, changed(truth, seed)))
    # Of two pixels equally near either may be the snapped one: a step of difference in one path or another.
    assert metric.one_way(*graphs) == pytest.approx(formula(*graphs, metric), abs=0.01)
    assert 0 < metric.one_way(*graphs) < 1


def test_identical_is_one_empty_is_zero_and_neither_is_undefined():
    metric, truth = Apls(), roads(1)
    assert metric.sums(MaskPair(truth, truth)) == (1.0, 1)
    assert metric.sums(MaskPair(truth, np.zeros_like(truth))) == (0.0, 1)
    assert metric.sums(MaskPair(np.zeros_like(truth), truth)) == (0.0, 1)
    dot = np.zeros_like(truth)
    dot[4, 4] = True
    for empty in (np.zeros_like(truth), dot):
        assert metric.sums(MaskPair(np.zeros_like(truth), empty)) == (0.0, 0)


def test_the_mean_leaves_undefined_images_out():
    assert float(Apls().scores(np.array([0.5 + 1.0 + 0, 2]))["apls"]) == 0.75
    assert math.isnan(float(Apls().scores(np.array([0.0, 0]))["apls"]))


def test_symmetric_the_same_each_time_and_nearly_unchanged_by_flips():
    metric, truth = Apls(), roads(2)
    prediction = changed(truth, 2)
    score = metric.sums(MaskPair(truth, prediction))[0]
    assert metric.sums(MaskPair(truth, prediction))[0] == score
    assert metric.sums(MaskPair(prediction, truth))[0] == pytest.approx(score)
    for axis in (0, 1):
        lines, broken = line(), line()
        broken[:, 40:44] = False
        flipped = metric.between(np.flip(lines, axis), np.flip(broken, axis))
        assert flipped == pytest.approx(metric.between(lines, broken), abs=0.02)


def test_many_points_are_thinned_out_evenly():
    thin = roads(4)
    graph = road_graph(skeleton(thin))
    few = Apls(points=5)
    chosen = few._at_most_points(graph.control_points(5))
    assert len(chosen) == 5
    assert few.one_way(graph, graph) == 1

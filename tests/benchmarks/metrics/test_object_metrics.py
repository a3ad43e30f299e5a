"""Which metrics there are on which data set, and the file that keeps what they found."""

import json
import math

import numpy as np
import pytest

from benchmarks.metrics.apls import Apls
from benchmarks.metrics.boundary_iou import BoundaryIou
from benchmarks.metrics.mask_pair import MaskPair
from benchmarks.metrics.object_metrics import DECLARED, METRICS, choose_metrics, object_metrics
from benchmarks.metrics.relaxed_f1 import RelaxedF1
from benchmarks.results.home import Home
from benchmarks.results.json_files import ResultDamaged
from benchmarks.results.metric_store import MeasuredRun, MetricStore
from data_prep.registry import DATASETS
from rssam.errors import UserError
from tests.benchmarks.masks import changed, line, roads


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_identical_masks_score_one_and_empty_ones_nothing(metric):
    truth = roads(1)
    sums = np.array(metric.sums(MaskPair(truth, truth)), float)
    assert len(sums) == len(metric.columns)
    assert all(value == 1 for value in metric.scores(sums).values())
    empty = np.array(metric.sums(MaskPair(np.zeros_like(truth), np.zeros_like(truth))), float)
    assert not empty.any()
    assert math.isnan(metric.scores(empty)[metric.headline])


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_an_image_without_anything_changes_no_pooled_score(metric):
    sums = np.array([metric.sums(MaskPair(roads(seed), changed(roads(seed), seed))) for seed in (1, 2)], float)
    more = np.concatenate([sums, [metric.sums(MaskPair(np.zeros((8, 8), bool), np.zeros((8, 8), bool)))]])
    assert metric.scores(more.sum(axis=0)) == metric.scores(sums.sum(axis=0))
    assert metric.integer == (sums == sums.round()).all()


def test_ignored_pixels_are_foreground_of_neither():
    truth, prediction = line(30).astype(np.uint8), line(30).astype(np.uint8)
    prediction[50] = 1
    truth[45:] = 255
    assert object_metrics(truth, prediction, [RelaxedF1()]) == {"relaxed": (81, 81, 81, 81)}


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="alike"):
        object_metrics(np.zeros((4, 4), bool), np.zeros((4, 5), bool), [RelaxedF1()])


def test_every_declaration_names_a_data_set_of_one_class_and_metrics():
    for dataset, names in DECLARED.items():
        assert len(DATASETS[dataset].classes) == 1
        assert set(names) <= set(METRICS)
    assert [metric.name for metric in choose_metrics("deepglobe", ["road"])] == ["relaxed", "cldice", "apls"]
    assert choose_metrics("whu", ["building"]) == (BoundaryIou(),)


def test_what_is_chosen_by_name_and_what_is_refused():
    assert choose_metrics("mine", ["road"], ["apls", "relaxed"], buffer=5) == (Apls(), RelaxedF1(5))
    for arguments, said in (
        (("mine", ["road"]), "no metric is declared for mine: name some with --metric, of relaxed, cldice"),
        (("mine", ["road"], ["dice"]), "unknown metric 'dice': choose from relaxed"),
        (("whdld", ["a", "b"], ["apls"]), "whdld has 2 classes"),
        (("whu", ["building"], [], 5), "--buffer is for the metric relaxed, which is not among boundary_iou"),
    ):
        with pytest.raises(UserError, match=said):
            choose_metrics(*arguments)


MEASURED = MeasuredRun(
    "deepglobe-unet-0123456789",
    ("a", "b"),
    "maps",
    "masks",
    {
        RelaxedF1(): np.array([[1, 2, 3, 4], [0, 0, 0, 5]], float),
        RelaxedF1(5): np.array([[2, 2, 4, 4], [0, 0, 0, 5]], float),
        Apls(): np.array([[1 / 3, 1], [0, 0]]),
    },
)


def test_stored_sums_come_back_and_integers_are_stored_as_such(tmp_path):
    store = MetricStore(tmp_path)
    assert store.get(MEASURED.key) is None
    store.put(MEASURED)
    found = store.get(MEASURED.key)
    assert (found.key, found.images, found.maps, found.masks) == (
        "deepglobe-unet-0123456789",
        ("a", "b"),
        "maps",
        "masks",
    )
    assert found.sums.keys() == MEASURED.sums.keys()
    assert all(np.array_equal(found.sums[metric], sums) for metric, sums in MEASURED.sums.items())
    raw = json.loads(Home(tmp_path).metrics(MEASURED.key).read_text())
    assert raw["metrics"][0]["sums"] == [[1, 2, 3, 4], [0, 0, 0, 5]]
    assert "." not in json.dumps(raw["metrics"][0]["sums"])


def test_another_version_of_a_metric_counts_as_not_measured(tmp_path):
    store = MetricStore(tmp_path)
    store.put(MEASURED)
    raw = json.loads(Home(tmp_path).metrics(MEASURED.key).read_text())
    raw["metrics"][0]["version"] = 99
    raw["metrics"][2]["name"] = "unheard of"
    Home(tmp_path).metrics(MEASURED.key).write_text(json.dumps(raw))
    assert set(store.get(MEASURED.key).sums) == {RelaxedF1(5)}


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda raw: raw.update(schema=2), r"format 2; this one reads 1"),
        (lambda raw: raw.pop("images"), "images is missing"),
        (lambda raw: raw["metrics"][0]["sums"].pop(), "4 integers for each of 2 images"),
        (lambda raw: raw["metrics"][0]["sums"][0].__setitem__(0, 0.5), "4 integers for each of 2 images"),
        (lambda raw: raw["metrics"][0]["sums"][0].__setitem__(0, -1), "negative"),
        (lambda raw: raw["metrics"][0]["parameters"].update(wide=1), "wide"),
        (lambda raw: raw.update(key="another"), "its name is not its key, another"),
    ],
)
def test_damaged_files_are_named(tmp_path, damage, said):
    store = MetricStore(tmp_path)
    store.put(MEASURED)
    path = Home(tmp_path).metrics(MEASURED.key)
    raw = json.loads(path.read_text())
    damage(raw)
    path.write_text(json.dumps(raw))
    with pytest.raises(ResultDamaged, match=rf"{path}.*{said}"):
        store.get(MEASURED.key)
    path.write_text(path.read_text()[:50])
    with pytest.raises(ResultDamaged, match="cut off"):
        store.get(MEASURED.key)

"""Rows of a table from stored results: what is averaged, what is kept apart, what is left out."""

import json
import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from benchmarks.metrics.counts import Counts, class_scores
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLES, Row, Table
from benchmarks.results.store import Store
from data_prep import registry as catalog
from reports.select.results import Collection, StoredResult, collect
from reports.tables.frames import heading, table_frames
from tests.reports.fabricate import MADE_UP, PART, TABLE5, WHOLE, fabricate, fill, row_run

PAPER = Setting("paper")


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def published(tmp_path):
    folder = tmp_path / "published"
    folder.mkdir()
    return folder


def frames(home, published, setting=PAPER, table=TABLE5):
    return table_frames(table, collect(home, published), setting)


def publish(folder, result):
    (folder / f"{result.key}.json").write_text(json.dumps(result.to_json()))


def test_nothing_run_gives_one_frame_of_the_papers_numbers(home, published):
    (frame,) = frames(home, published)
    assert frame.rows["state"].tolist() == ["not run"] * 5
    assert frame.rows["dice"].isna().all()
    assert frame.rows["dice_paper"].tolist() == [0.703, 0.756, 0.759, 0.757, 0.765]
    assert frame.runs.empty
    assert frame.results == ()


def test_ours_paper_and_difference(home, published):
    (result, _) = fill(home, [0.70, None, None, None, 0.77])
    (frame,) = frames(home, published)
    row = frame.rows.iloc[0]
    assert row["dice"] == result.scores.dice
    assert row["jaccard"] == result.scores.jaccard
    assert row["dice_difference"] == pytest.approx(result.scores.dice - 0.703)
    assert (row["replicates"], row["keys"], row["state"]) == (1, (result.key,), "done")
    assert frame.rows["state"].tolist() == ["done", "not run", "not run", "not run", "done"]


def test_replicates_are_averaged_and_listed(home, published):
    stored = fill(home, [0.70, None, None, None, 0.77], seeds=((0, 0), (1, 1), (2, 2)))
    (frame,) = frames(home, published)
    assert frame.rows["dice"][0] == pytest.approx(np.mean([result.scores.dice for result in stored[:3]]))
    assert frame.rows["replicates"].tolist() == [3, 0, 0, 0, 3]
    assert frame.runs[["split_seed", "seed"]].to_numpy().tolist() == [[0, 0], [1, 1], [2, 2]] * 2
    assert frame.runs["key"].tolist() == [result.key for result in stored]


def test_an_official_split_makes_no_replicate_of_a_split_seed(home, published):
    for split_seed in (0, 1):
        Store(home).put(fabricate(row_run(0, split_seed=split_seed), digest="official"))
    Store(home).put(fabricate(row_run(0, seed=1, split_seed=1), digest="official"))
    (frame,) = frames(home, published)
    assert frame.rows["replicates"][0] == 2
    assert frame.runs["seed"].tolist() == [0, 1]


def test_a_collapsed_replicate_takes_its_row(home, published):
    fill(home, [0.03, 0.75, None, None, None])
    Store(home).put(fabricate(row_run(0, seed=1, split_seed=1), 0.7))
    (frame,) = frames(home, published)
    assert frame.rows["state"].tolist()[:2] == ["collapsed", "done"]
    assert math.isnan(frame.rows["dice"][0])
    assert math.isnan(frame.rows["dice_difference"][0])
    assert frame.rows["dice_paper"][0] == 0.703
    assert frame.runs["collapsed"].tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("first_options", "other"),
    [
        ({"data": WHOLE}, {"data": PART}),
        ({"data": WHOLE}, {"data": MADE_UP}),
        ({"precision": "32-true"}, {"precision": "bf16-mixed"}),
        ({"digest": "a"}, {"digest": "b"}),
    ],
    ids=["partial", "synthetic", "precision", "digest"],
)
def test_what_differs_in_data_or_precision_is_never_in_one_column(home, published, first_options, other):
    first = fabricate(row_run(0), 0.70, **first_options)
    second = fabricate(row_run(4), 0.77, **other)
    for result in (first, second):
        Store(home).put(result)
    pair = frames(home, published)
    assert sorted(frame.results[0].key for frame in pair) == sorted([first.key, second.key])
    assert all(len(frame.results) == 1 for frame in pair)


def test_the_same_run_on_other_data_is_no_replicate(home, published):
    for data in (WHOLE, PART):
        Store(home).put(fabricate(row_run(0), 0.7, data=data))
    assert [frame.rows["replicates"][0] for frame in frames(home, published)] == [1, 1]


def test_a_replicate_that_may_belong_to_either_version_of_the_data_stands_alone(home, published):
    for digest, split_seed, row in (("a", 0, 0), ("b", 0, 1), ("c", 1, 0)):
        Store(home).put(fabricate(row_run(row, split_seed=split_seed), digest=digest))
    trio = frames(home, published)
    assert [len(frame.results) for frame in trio] == [1, 1, 1]
    disagree = "Results under this setting disagree on files they share; here the SHA-256 of split 0 is"
    assert sum(any(note.startswith(disagree) for note in frame.notes) for frame in trio) == 2


def test_other_checkpoints_of_one_name_are_kept_apart(home, published):
    first, second = fabricate(row_run(0), 0.70), fabricate(row_run(4), 0.77)
    second = replace(second, identity={**second.identity, "weights": ["another file"]})
    for result in (first, second):
        Store(home).put(result)
    assert [len(frame.results) for frame in frames(home, published)] == [1, 1]


def test_published_results_stand_beside_and_are_no_runs_of_yours(home, published):
    fill(home, [0.70])
    mine = frames(home, published)
    publish(published, fabricate(row_run(4), 0.76))
    publish(published, fabricate(row_run(0), 0.71))
    own, beside = frames(home, published)
    assert (own.source, beside.source) == ("own", "published")
    assert own.rows.equals(mine[0].rows)
    assert beside.rows["dice"].round(3).tolist()[::4] == [0.71, 0.76]


def test_damaged_and_outdated_files_are_left_out_and_named(home, published):
    (good,) = fill(home, [0.70])
    folder = Store(home).results
    (folder / "broken.json").write_text("{")
    forged = good.to_json() | {"identity": {**good.identity, "seed": 5}}
    (folder / "forged.json").write_text(json.dumps(forged))
    old = replace(good, identity={**good.identity, "protocol": 0})
    odd = replace(good, identity={**good.identity, "recipe": {**good.identity["recipe"], "epochs": 7}})
    bare = replace(good, identity={key: value for key, value in good.identity.items() if key != "precision"})
    for result in (old, odd, bare):
        Store(home).put(result)
    collection = collect(home, published)
    assert [item.result.key for item in collection.stored] == [good.key]
    named = sorted(collection.damaged)
    assert len(named) == 3
    assert any(line.startswith("broken.json: ") for line in named)
    assert any(line.startswith("forged.json: the key") for line in named)
    assert f"{bare.key}.json: a part is missing or malformed (identity.precision is missing)" in named
    assert sorted(collection.left_out) == sorted([
        f"{old.key}: made under protocol 0, this version has 2",
        f"{odd.key}: its recipe 'paper' is not one of this version (smoke, demo, mini, fair, paper)",
    ])  # fmt: skip
    assert not any(str(home) in line for line in collection.damaged)


def test_results_of_another_version_of_a_system_are_left_out(home, published):
    result = fabricate(row_run(0))
    Store(home).put(replace(result, identity={**result.identity, "model": {**result.identity["model"], "version": 99}}))
    collection = collect(home, published)
    assert collection.stored == ()
    assert "version 99 of sam-lora, this version has 1" in collection.left_out[0]


def test_dice_at_native_resolution_stands_beside(home, published):
    fill(home, [0.70, 0.75], native=0.72)
    (frame,) = frames(home, published)
    assert frame.extras == ("native_dice",)
    assert frame.rows["native_dice"][0] == pytest.approx(0.72, abs=1e-3)
    assert math.isnan(frame.rows["native_dice"][4])


@dataclass(frozen=True)
class LandCover:
    """Six classes, as WHDLD."""

    name: ClassVar[str] = "land"
    title: ClassVar[str] = "Land"
    version: ClassVar[int] = 1
    classes: ClassVar[tuple[str, ...]] = ("Building", "Bare Soil", "Water")
    image_size: ClassVar[tuple[int, int]] = (256, 256)
    average: ClassVar[str] = "classes"
    expected_pairs: ClassVar[None] = None
    official_sizes: ClassVar[None] = None


def test_several_classes_parameters_and_overall_accuracy(monkeypatch):
    monkeypatch.setitem(catalog.DATASETS, "land", LandCover())
    scores = ("dice", "accuracy", "building", "bare_soil", "water", "params_m")
    row = Row(("RS-SAM",), TABLE5.rows[4].model, dict.fromkeys(scores, 0.5))
    table = Table("table9", "Land cover", "land", ("Model",), scores, (row,))
    confusion = np.array([[[50, 5, 0], [5, 30, 0], [0, 0, 0]]])
    counts = Counts.from_confusion(confusion, binary=False)
    result = fabricate(
        row_run(0, table=table),
        average="classes",
        classes=LandCover.classes,
        images=("a",),
        counts=counts,
        parameters={"total": 1, "trainable": 1, "as_published": 107_400_000},
    )
    (frame,) = table_frames(table, Collection((StoredResult(result, "own"),)), PAPER)
    line = frame.rows.iloc[0]
    assert line["building"] == class_scores(counts)["dice"][0]
    assert line["bare_soil"] == class_scores(counts)["dice"][1]
    assert math.isnan(line["water"])
    assert line["state"] == "done"
    assert line["dice"] == pytest.approx((line["building"] + line["bare_soil"]) / 2)
    assert line["params_m"] == 107.4
    assert frame.extras == ("overall_accuracy", "total_m", "trainable_m")
    assert line["overall_accuracy"] == pytest.approx(80 / 90)


def test_a_table_of_classes_on_another_data_set_knows_what_was_run():
    """It once said that 11 of 11 rows were not run, with all of their numbers above."""
    table = TABLES["table4"]
    setting = Setting("paper", dataset="deepglobe")
    results = [fabricate(setting.run(row.model, "deepglobe"), 0.7) for row in table.rows]
    (frame,) = table_frames(table, Collection(tuple(StoredResult(result, "own") for result in results)), setting)
    assert frame.table.scores == ("road",)
    assert frame.rows["road"].round(3).tolist() == [0.7] * 11
    assert not any("not run" in note for note in frame.notes)
    assert frame.unranked == ""


def test_a_title_names_the_data_set_of_its_results():
    """Results on own data stood under "Comparison on the DeepGlobe data set"."""
    table, elsewhere = TABLES["table1"], Setting("mini", dataset="whu")
    results = [
        fabricate(setting.run(table.rows[0].model, dataset), 0.7)
        for setting, dataset in (
            (Setting("mini"), "deepglobe"),
            (elsewhere, "whu"),
        )
    ]
    own, other = (
        table_frames(table, Collection((StoredResult(result, "own"),)), setting)[0]
        for result, setting in zip(results, (Setting("mini"), elsewhere), strict=True)
    )
    assert heading([own]) == heading([own, other]) == "Comparison on the DeepGlobe data set"
    assert heading([other]) == "Comparison on the DeepGlobe data set; here on whu"

"""Result files: exact round trip, and every way to be unusable named."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.metrics.counts import Counts
from benchmarks.protocol.recipe import PAPER
from benchmarks.protocol.run import ResolvedRun, Run, make_key
from benchmarks.results.json_files import ResultDamaged
from benchmarks.results.result import Result
from benchmarks.results.store import Store, read_results
from data_prep.registry import find_dataset
from rssam.config import RSSAM
from tests.reports.fabricate import PART, row_run
from tests.reports.fabricate import fabricate as fabricate_result


def fabricate(seed: int = 0) -> Result:
    rng = np.random.default_rng(seed)
    counts = Counts(*rng.integers(1, 2**40, (4, 3, 1)))
    identity = ResolvedRun(Run(RSSAM(), find_dataset("deepglobe"), PAPER, seed), "d", ("w",), "32-true").identity()
    return Result(
        identity=json.loads(json.dumps(identity)), average="foreground", classes=("road",), images=("1", "2", "3"),
        counts=counts, native_counts=None, history=({"epoch": 1.0, "val_loss": 0.5},), best_epoch=1,
        parameters={"total": 2}, seconds=1.5, peak_memory=3, data=PART, provenance={},
    )  # fmt: skip


def test_round_trip_is_exact(tmp_path):
    store, result = Store(tmp_path), fabricate()
    assert store.get(result.key) is None
    store.put(result)
    again = store.get(result.key)
    assert again.to_json() == result.to_json()
    assert again.counts.tp.dtype == np.int64
    assert again.declared() == Run(RSSAM(), find_dataset("deepglobe"), PAPER).declared()


def test_native_counts_survive(tmp_path):
    store, result = Store(tmp_path), replace(fabricate(), native_counts=fabricate(1).counts)
    store.put(result)
    assert store.get(result.key).native_counts.to_json() == result.native_counts.to_json()


def damage(path, change):
    raw = json.loads(path.read_text())
    change(raw)
    path.write_text(json.dumps(raw))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda raw: raw.update(schema=3),
            r"made by a newer version of rssam-bench \(result format 3; this one reads 2\): update rssam-bench to read "
            "it",
        ),
        (lambda raw: raw.update(schema=0), "result format 0, this version reads 2"),
        (lambda raw: raw.update(schema=1), "made by rssam-bench 0.1: use rssam-bench 0.1.0 for it"),
        (lambda raw: raw["identity"].update(seed=7), "does not belong to its identity"),
        (lambda raw: raw.pop("counts"), "missing or malformed"),
        (lambda raw: raw["counts"]["tp"].pop(), "four integer tables of one shape"),
        (lambda raw: raw["counts"].update(tp=[[0.5], [1.0], [2.0]]), "four integer tables"),
        (lambda raw: raw["counts"].update(tp=[[-1], [1], [2]]), "negative"),
        (lambda raw: raw["images"].pop(), "do not fit the lists"),
    ],
)
def test_unusable_files_are_named(tmp_path, change, words):
    store, result = Store(tmp_path), fabricate()
    store.put(result)
    damage(store.path(result.key), change)
    with pytest.raises(ResultDamaged, match=words) as error:
        store.get(result.key)
    assert str(store.path(result.key)) in str(error.value)


def test_one_bad_file_does_not_hide_the_others(tmp_path):
    store = Store(tmp_path)
    for seed in (0, 1):
        store.put(fabricate(seed))
    store.path("deepglobe-aaa").write_text("not json")
    found = list(read_results(store.results))
    assert sum(isinstance(item, ResultDamaged) for item in found) == 1
    assert len(found) == 3


def test_collapsed_is_not_above_the_constant_answer():
    every = np.array([[10]])
    all_road = Counts(tp=every, fp=every * 9, fn=every * 0, tn=every * 0)
    none_found = Counts(tp=every * 0, fp=every * 0, fn=every, tn=every * 9)
    better = Counts(tp=every, fp=every * 8, fn=every * 0, tn=every)
    states = [replace(fabricate(), images=("1",), counts=counts).collapsed for counts in (all_road, none_found, better)]
    assert states == [True, True, False]


def test_lock_is_exclusive_and_freed(tmp_path):
    from filelock import Timeout

    store = Store(tmp_path)
    with store.lock("k"), pytest.raises(Timeout):
        store.lock("k").acquire(timeout=0)
    with store.lock("k"):
        pass


@pytest.mark.parametrize(
    "name", ["/../../outside/pwn", "a/b", "..", "net\n\\input{/etc/passwd}", "<b>", "", None, ["net"], "x" * 99]
)
@pytest.mark.parametrize("what", ["model", "dataset"])
def test_a_name_that_is_a_path_or_markup_is_no_name(what, name):
    """`publish` and `metrics` wrote outside of the home: a key is a part of file names, and holds the name."""
    raw = fabricate_result(row_run(0)).to_json()
    raw["identity"] = {**raw["identity"], what: {**raw["identity"][what], "name": name}}
    raw["key"] = make_key(raw["identity"])
    with pytest.raises(ResultDamaged, match="expected a name of a system or a data set"):
        Result.from_json(raw)

"""Runs end to end on tiny pictures: cached, resumed, failed alone, and equal when repeated."""

import dataclasses
import math

import numpy as np
import pytest
from torch import nn

import rssam.files
from baselines.sam_lora import network
from benchmarks.execution.plan import part_of, plan, resolve_all
from benchmarks.execution.runner import execute, execute_all
from benchmarks.protocol.cost import measure
from benchmarks.protocol.recipe import SMOKE
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.tables import TABLE5, TABLES
from benchmarks.results.data_record import train_neighbours
from data_prep.errors import NotPrepared
from data_prep.manifest_file import load_manifest, save_manifest
from rssam.config import RSSAM
from rssam.errors import UserError
from rssam.weights.folder import WeightsNotFound
from tests.benchmarks.prepared import LORA, SIDE, TINY, Watcher, make_session, tiny_run, write_prepared


def resolved(session, *runs):
    return resolve_all(list(runs) or [tiny_run()], session)


def test_trained_then_cached(tmp_path):
    session = make_session(tmp_path)
    [item] = resolved(session, tiny_run(LORA))
    first, second = execute(item, session), execute(item, session)
    assert (first.status, second.status) == ("trained", "cached")
    assert second.result.to_json() == first.result.to_json()
    assert first.result.images == tuple(sorted(first.result.images))
    assert first.result.counts.images == first.result.data["test"] == 2
    assert first.result.native_counts is not None
    assert len(first.result.history) == TINY.epochs
    assert "test_scenes" not in first.result.data
    assert first.result.parameters["total"] > first.result.parameters["trainable"] > 0
    assert first.result.parameters["macs"] == round(measure(item.run.model, item.run.task).gmacs * 1e9) > 0
    assert first.result.provenance["versions"]["torch"]
    assert "train_neighbours" not in first.result.data  # nothing is known of scenes in this folder
    with np.load(session.store.work(item.key) / "probabilities.npz") as saved:
        assert tuple(saved["images"]) == first.result.images
        assert saved["counts"].shape == (2, 1, len(saved["edges"]) - 1, 2)
        assert np.array_equal(saved["counts"].sum(axis=0), second.result.probabilities.counts)
        assert saved["counts"].sum() == 2 * SIDE**2


def test_a_split_by_scenes_is_trained_and_tested_on(tmp_path):
    """The declaration once said blocked while the images were those of the random split."""
    session = make_session(tmp_path)
    folder = session.data_folder("deepglobe")
    manifest = load_manifest(folder, "deepglobe")
    entries = tuple(
        dataclasses.replace(prepared, scene=f"{(int(prepared.stem) - 1000) // 2}") for prepared in manifest.entries
    )
    manifest = dataclasses.replace(manifest, entries=entries)
    save_manifest(folder, manifest)
    run = dataclasses.replace(tiny_run(), split_rule="blocked")
    result = execute(*resolved(session, run), session).result
    wanted = tuple(entry.stem for entry in manifest.splits(0, "blocked")["test"])
    assert result.images == wanted
    assert len(set(result.data["test_scenes"])) < len(wanted) == len(result.data["test_scenes"])
    assert wanted != tuple(entry.stem for entry in manifest.splits(0)["test"])
    assert result.declared() == run.declared()
    assert result.data["train_neighbours"] == []


@pytest.mark.parametrize("official", [False, True])
def test_a_result_remembers_which_test_images_have_neighbours_in_training(tmp_path, official):
    """Neighbours in validation do not count, and an official split may part a scene too."""
    session = make_session(tmp_path)
    folder = session.data_folder("deepglobe")
    manifest = load_manifest(folder, "deepglobe")
    splits = manifest.splits(0)
    test, trained, chosen = (splits[name] for name in ("test", "train", "val"))
    scenes = {test[0].stem: "s", trained[0].stem: "s", test[1].stem: "t", chosen[0].stem: "t"}
    entries = tuple(
        dataclasses.replace(prepared, scene=scenes.get(prepared.stem, prepared.stem)) for prepared in manifest.entries
    )
    save_manifest(folder, dataclasses.replace(manifest, entries=entries, official_split=official))
    [item] = resolved(session)
    result = execute(item, session).result
    assert result.images == (test[0].stem, test[1].stem)
    assert result.data["train_neighbours"] == [test[0].stem]


def test_what_is_trained_on_decides_who_is_a_neighbour(tmp_path):
    """A neighbour that the recipe's limit leaves out was never seen."""
    manifest = load_manifest(make_session(tmp_path).data_folder("deepglobe"), "deepglobe")
    splits = {
        name: tuple(dataclasses.replace(prepared, scene="all") for prepared in some)
        for name, some in manifest.splits(0).items()
    }
    assert train_neighbours(splits) == [prepared.stem for prepared in splits["test"]]
    apart = dataclasses.replace(splits["train"][0], scene="another")
    assert train_neighbours({**splits, "train": (apart,)}) == []
    unknown = {
        name: tuple(dataclasses.replace(prepared, scene=None) for prepared in some) for name, some in splits.items()
    }
    assert train_neighbours(unknown) == []


def test_a_cached_run_reads_no_image(tmp_path):
    session = make_session(tmp_path)
    [item] = resolved(session)
    execute(item, session)
    for picture in session.data_folder("deepglobe").rglob("*.png"):
        picture.unlink()
    fresh = make_session(tmp_path)
    assert execute(resolved(fresh)[0], fresh).status == "cached"


@pytest.mark.parametrize(
    "model",
    [pytest.param(LORA, id="sam-lora"), pytest.param(RSSAM("vit_t", "scratch"), id="rs-sam", marks=pytest.mark.slow)],
)
def test_same_command_same_counts(tmp_path, model):
    """Bit for bit on the CPU, in two homes."""
    results = []
    for name in ("a", "b"):
        write_prepared(tmp_path / name / "data" / "deepglobe", count=9)
        session = make_session(tmp_path / name)
        recipe = dataclasses.replace(TINY, epochs=1, batch=2)  # three steps, as of ten images by fours
        results.append(execute(resolved(session, tiny_run(model, recipe))[0], session).result)
    assert results[0].key == results[1].key
    assert results[0].counts.to_json() == results[1].counts.to_json()
    assert results[0].native_counts.to_json() == results[1].native_counts.to_json()
    drop = [[{**epoch, "seconds": 0} for epoch in result.history] for result in results]
    assert drop[0] == drop[1]


def test_predictions_are_kept_as_bits(tmp_path):
    session = make_session(tmp_path)
    outcome = execute(resolved(session)[0], session)
    with np.load(session.store.work(outcome.key) / "predictions.npz") as saved:
        labels = np.unpackbits(saved["labels"], axis=-1).reshape(saved["shape"])
        assert tuple(saved["images"]) == outcome.result.images
    counts = outcome.result.counts
    assert labels.sum(axis=(1, 2)).tolist() == (counts.tp + counts.fp)[:, 0].tolist()


def test_interrupted_then_resumed_has_the_same_result(tmp_path):
    straight = execute(resolved(make_session(tmp_path / "a"))[0], make_session(tmp_path / "a")).result

    def interrupt(metrics):
        raise KeyboardInterrupt

    session = make_session(tmp_path / "b", observer=Watcher(interrupt))
    with pytest.raises(KeyboardInterrupt):
        execute(resolved(session)[0], session)
    assert not list((tmp_path / "b" / "results").glob("*"))
    session = make_session(tmp_path / "b")
    outcome = execute(resolved(session)[0], session)
    assert outcome.status == "resumed"
    assert outcome.result.counts.to_json() == straight.counts.to_json()


def test_a_run_that_diverges_fails_alone(tmp_path, monkeypatch):
    """NaN in one system: that run is marked failed and not stored, the other is finished."""
    architecture = network.architecture

    def broken(*arguments, **options):
        net = architecture(*arguments, **options)
        nn.init.constant_(net.mask_decoder.mask_tokens.weight, math.nan)
        return net

    monkeypatch.setattr(network, "architecture", broken)
    watcher = Watcher()
    session = make_session(tmp_path, observer=watcher)
    recipe = dataclasses.replace(TINY, epochs=1)
    runs = resolved(session, tiny_run(LORA, recipe), tiny_run(recipe=recipe))
    failed, trained = execute_all(runs, session)
    assert (failed.status, trained.status) == ("failed", "trained")
    assert "loss became nan" in failed.reason
    assert [path.stem for path in session.store.results.glob("*.json")] == [trained.key]
    assert watcher.outcomes == [failed, trained]


def test_edited_and_missing_files_are_named(tmp_path):
    session = make_session(tmp_path)
    folder = session.data_folder("deepglobe")
    images = sorted((folder / "images").glob("*.png"))
    images[0].unlink()
    images[1].write_bytes(images[1].read_bytes() + b"x")
    outcome = execute(resolved(session)[0], session)
    assert outcome.status == "failed"
    assert f"images/{images[0].name}: missing" in outcome.reason
    assert f"images/{images[1].name}: changed since it was prepared" in outcome.reason
    assert "rssam-bench prepare deepglobe" in outcome.reason


def test_too_few_pairs_to_split(tmp_path):
    write_prepared(tmp_path / "data" / "deepglobe", count=1)
    session = make_session(tmp_path)
    outcome = execute(resolved(session)[0], session)
    assert outcome.status == "failed"
    assert "1 pairs are too few to split" in outcome.reason


def test_nothing_starts_before_everything_is_there(tmp_path):
    session = make_session(tmp_path)
    with pytest.raises(WeightsNotFound, match="rssam-bench prepare weights vit_b"):
        resolve_all(plan([TABLE5], Setting("paper"), [0], 0, 1), session)
    (session.data_folder("deepglobe") / "manifest.json").unlink()
    with pytest.raises(NotPrepared, match="rssam-bench prepare deepglobe"):
        resolved(session)


def test_a_damaged_result_is_named_not_overwritten(tmp_path):
    session = make_session(tmp_path)
    [item] = resolved(session)
    execute(item, session)
    session.store.path(item.key).write_text("{")
    outcome = execute(item, session)
    assert outcome.status == "failed"
    assert str(session.store.path(item.key)) in outcome.reason


def test_several_rates_are_decided_by_validation(tmp_path):
    recipe = dataclasses.replace(TINY, epochs=1, rates=(1e-9, 1e-3))
    session = make_session(tmp_path)
    result = execute(resolved(session, tiny_run(recipe=recipe))[0], session).result
    losses = {}
    for rate in recipe.rates:
        other = make_session(tmp_path / str(rate))
        alone = dataclasses.replace(recipe, rates=(rate,))
        losses[rate] = execute(resolved(other, tiny_run(recipe=alone))[0], other).result.history[0]["val_loss"]
    assert result.history[0]["val_loss"] == min(losses.values())


def test_full_disk_fails_the_run_with_a_sentence(tmp_path, monkeypatch):
    import errno

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    session = make_session(tmp_path)
    [item] = resolved(session)
    monkeypatch.setattr(rssam.files.os, "fsync", full)
    outcome = execute(item, session)
    assert outcome.status == "failed"
    assert "no space left on the disk" in outcome.reason
    assert not list(tmp_path.rglob("*.tmp"))


def test_plan_runs_each_different_run_once():
    setting = Setting("smoke")
    once = plan([TABLE5], setting, [0], 0, 1)
    assert len(once) == len(TABLE5.rows)
    assert plan([TABLE5, TABLE5], setting, [0], 0, 1) == once
    twice = plan([TABLE5], setting, [0], 0, 2)
    assert [(run.seed, run.split_seed) for run in twice[:: len(once)]] == [(0, 0), (1, 1)]
    assert {run.recipe for run in twice} == {SMOKE}


def test_the_parts_of_a_plan_are_the_plan():
    runs = plan([TABLE5], Setting("smoke"), [0], 0, 2)
    for parts in (1, 3, len(runs), len(runs) + 2):
        cut = [part_of(runs, f"{number}/{parts}") for number in range(1, parts + 1)]
        assert sorted(map(repr, runs)) == sorted(repr(run) for some in cut for run in some)
        assert max(map(len, cut)) - min(map(len, cut)) <= 1
    for wrong in ("0/4", "5/4", "2", "a/b", "-1/4", "1/0"):
        with pytest.raises(UserError, match="--part is I/N"):
            part_of(runs, wrong)


def test_tables_are_declared_over_known_data_sets():
    from data_prep.registry import DATASETS

    assert all(table.dataset in DATASETS for table in TABLES.values())


def test_a_crop_that_does_not_tile_the_image_is_refused(tmp_path):
    session = make_session(tmp_path)
    outcome = execute(resolved(session, tiny_run(recipe=dataclasses.replace(TINY, crop=96)))[0], session)
    assert outcome.status == "failed"
    assert "squares of 96 pixels, which do not tile the 64x64 of deepglobe" in outcome.reason

"""Rows and classes for which another mean over classes gives another number are named, with both numbers."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.metrics.counts import Counts
from benchmarks.protocol.tables import TABLES
from benchmarks.results.submission import put_submission
from reports.extra_tables.cross_dataset import _shared_notes
from reports.select.results import Collection, StoredResult
from reports.tables.assemble import assemble
from reports.tables.class_means import class_mean_notes
from tests.reports.fabricate import fabricate, row_run
from tests.reports.tables.test_scored_rows import reported, submission

TABLE3 = TABLES["table3"]
CLASSES = ("building", "road", "pavement", "vegetation", "bare soil", "water")


def counts(errors=(), absent=()):
    """One image of six classes, 100 pixels each, 80 of them right; `errors` are (truth, prediction) of all 100."""
    confusion = np.zeros((1, 6, 6), np.int64)
    for k in range(6):
        if k not in absent:
            confusion[0, k, k], confusion[0, k, (k + 1) % 6] = 80, 20
    for truth, prediction in errors:
        confusion[0, truth] = 0
        confusion[0, truth, prediction] = 100
    for k in absent:  # nobody takes anything for it
        moved = confusion[0, :, k].copy()
        confusion[0, :, k] = 0
        np.fill_diagonal(confusion[0], np.diag(confusion[0]) + moved)
    return Counts.from_confusion(confusion, binary=False)


def result(index, seed=0, **changes):
    run = row_run(index, seed=seed, table=TABLE3)
    return fabricate(run, average="classes", classes=CLASSES, images=("a",), counts=counts(**changes))


def frame(*results, table=TABLE3):
    (found,) = assemble([table], Collection(tuple(StoredResult(result, "own") for result in results))).frames
    return found


def test_a_class_never_predicted():
    """Class 4 goes to class 0: five precisions were averaged beside six recalls, 0.767 where it is 0.639."""
    never = counts([(4, 0), (3, 3)])
    assert never.tp[0, 4] == never.fp[0, 4] == 0
    made = fabricate(row_run(0, table=TABLE3), average="classes", classes=CLASSES, images=("a",), counts=never)
    found = frame(made, result(1))
    precisions = [80 / 200, 80 / 100, 80 / 100, 100 / 120, 80 / 80]
    assert found.rows["precision"][0] == pytest.approx(sum(precisions) / 6)
    (note,) = [note_text for note_text in found.notes if "never predicted" in note_text]
    assert note == (
        "A class never predicted counts as precision 0; over the predicted classes alone, FCN has "
        f"{sum(precisions) / 5:.3f} in place of {sum(precisions) / 6:.3f} (bare soil)."
    )


def test_a_class_of_neither_leaves_every_mean():
    found = frame(result(0, absent=(5,)), result(1))
    assert (
        "Classes in neither the test images nor the predictions are left out of every mean, which is then over fewer "
        "classes: FCN (water)."
    ) in found.notes
    assert not any("counts as" in note for note in found.notes)


def test_a_class_predicted_and_never_true_and_means_over_replicates():
    confusion = np.zeros((1, 6, 6), np.int64)
    for k in range(5):
        confusion[0, k, k], confusion[0, k, 5] = 90, 10
    falsely = Counts.from_confusion(confusion, binary=False)
    both = [
        fabricate(
            row_run(0, seed=seed, table=TABLE3), average="classes", classes=CLASSES, images=("a",), counts=seed_counts
        )
        for seed, seed_counts in enumerate((falsely, counts()))
    ]
    expected = (0.9 + 0.8) / 2, (0.75 + 0.8) / 2
    assert class_mean_notes({"FCN": both}) == (
        "A class predicted and in no test image counts as recall 0; over the true classes alone, FCN has "
        f"{expected[0]:.3f} in place of {expected[1]:.3f} (water).",
    )
    assert class_mean_notes({"FCN": both}, ("dice", "precision")) == ()


def test_nothing_is_said_where_every_mean_is_the_same():
    assert class_mean_notes({"FCN": [result(0)]}) == ()
    assert class_mean_notes({"RS-SAM": [fabricate(row_run(0))]}) == ()
    assert class_mean_notes({"FCN": []}) == ()


def test_scored_rows_and_other_data_sets_say_it_too(tmp_path):
    made = submission(of="whdld", name="Mine")
    without = {name: getattr(made.counts, name) * (np.arange(6) != 5) for name in ("tp", "fp", "fn")}
    absent = replace(made, counts=replace(made.counts, **without))
    sentence = (
        "Classes in neither the test images nor the predictions are left out of every mean, which is then over fewer "
        "classes: Mine{} (water)."
    )
    put_submission(tmp_path, absent)
    report, _ = reported(tmp_path, (TABLE3,))
    assert sentence.format(" (scored predictions)") in report.frames[0].notes
    assert sentence.format(f" (`scores/{absent.key}.json`)") in _shared_notes([absent])

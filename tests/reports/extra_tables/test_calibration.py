"""Calibration beside the tables: from results with histograms alone, as a diagnosis and never as a score."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from benchmarks.metrics.counts import Counts
from benchmarks.metrics.probability_histogram import BINS, EDGES, HALF, Histogram
from benchmarks.protocol.tables import TABLES
from benchmarks.results.store import Store
from reports.extra_tables.calibration import calibration_section
from reports.select.results import collect
from reports.tables.assemble import assemble
from reports.write import write_report
from tests.reports.fabricate import TABLE5, fabricate, fill, row_run


def overconfident(seed=0, channels=1, pixels=40_000):
    """Pixels whose probabilities are too far from a half."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((channels, BINS, 2), np.int64)
    for channel in range(channels):
        probabilities = rng.beta(0.05, 0.6, pixels)
        truth = rng.random(pixels) < 0.15 + 0.6 * probabilities
        place = np.searchsorted(EDGES[1:-1], probabilities)
        counts[channel] = np.bincount(place * 2 + truth, minlength=BINS * 2).reshape(BINS, 2)
    return Histogram(counts)


def store(home, numbers, **changes):
    for index in numbers:
        Store(home).put(replace(fabricate(row_run(index), 0.7), probabilities=overconfident(index), **changes))


def frames(home, table=TABLE5):
    return assemble([table], collect(home)).frames


def test_results_without_histograms_have_no_such_chapter(tmp_path):
    fill(tmp_path, [0.7, 0.72])
    assert calibration_section(frames(tmp_path)) == []


def test_the_best_threshold_is_shown_and_no_score_changes(tmp_path):
    fill(tmp_path, [0.7])
    before = frames(tmp_path)[0].rows
    store(tmp_path, [0])
    assert frames(tmp_path)[0].rows.equals(before)
    (section,) = calibration_section(frames(tmp_path), pictures=False)
    (table,) = section.tables
    assert table.picture is None
    found = overconfident(0)
    dice = found.dice()[0]
    (line,) = table.texts
    assert line[3] == f"{dice[HALF - 1]:.3f}"
    assert line[4] == f"{dice.max():.3f}" > line[3]
    assert line[5] == f"{EDGES[1:-1][int(dice.argmax())]:g}"
    assert line[2].startswith(f"{found.calibration_error()[0]:.4f} ± ")
    assert "not scores" in table.notes[0]
    assert len(table.tidy) == BINS - 1


def test_replicates_are_taken_together_and_a_row_that_lacks_one_is_left_out(tmp_path):
    for seed in (0, 1):
        result = fabricate(row_run(0, seed=seed), 0.7)
        Store(tmp_path).put(replace(result, probabilities=overconfident(seed)))
    Store(tmp_path).put(fabricate(row_run(1), 0.7))
    ((line,),) = [table.texts for table in calibration_section(frames(tmp_path), pictures=False)[0].tables]
    assert line[-1] == "2"
    assert line[3] == f"{(overconfident(0) + overconfident(1)).dice()[0, HALF - 1]:.3f}"


def test_several_classes_are_swept_one_against_the_rest(tmp_path):
    table = TABLES["table3"]
    names = ("building", "road", "pavement", "vegetation", "bare soil", "water")
    part = np.full((3, 6), 1000, np.int64)
    result = fabricate(row_run(0, table=table), counts=Counts(part, part // 4, part // 4, 8 * part), classes=names)
    Store(tmp_path).put(replace(result, average="classes", probabilities=overconfident(1, channels=6)))
    ((line,),) = [extra.texts for extra in calibration_section(frames(tmp_path, table), pictures=False)[0].tables]
    assert line[3] == f"{overconfident(1, channels=6).dice()[:, HALF - 1].mean():.3f}"


def test_collapsed_rows_have_no_place_beside_scores(tmp_path):
    Store(tmp_path).put(replace(fabricate(row_run(0), 0.01), probabilities=overconfident()))
    assert calibration_section(frames(tmp_path)) == []


@pytest.mark.parametrize("systems", [1, 5])
def test_every_format_has_it_and_the_picture_opens(tmp_path, systems):
    store(tmp_path, range(systems))
    out = tmp_path / "report"
    paths = write_report(["table5"], ["md", "tex", "csv", "html"], out, tmp_path).paths
    names = {path.name for path in paths}
    assert {"calibration-deepglobe.tex", "calibration-deepglobe.csv", "calibration-deepglobe.png"} <= names
    page = (out / "report.md").read_text()
    assert "## Calibration and thresholds" in page
    assert "(calibration-deepglobe.png)" in page
    assert 'src="data:image/png;base64,' in (out / "report.html").read_text()
    with Image.open(io.BytesIO((out / "calibration-deepglobe.png").read_bytes())) as picture:
        assert picture.width > 500
        assert np.asarray(picture.convert("L")).std() > 5
    assert (out / "calibration-deepglobe.csv").read_text().count("\n") == 1 + systems * (BINS - 1)
    again = write_report(["table5"], ["md", "csv"], tmp_path / "again", tmp_path).paths
    assert {path.name: path.read_bytes() for path in again}["calibration-deepglobe.png"] == (
        out / "calibration-deepglobe.png"
    ).read_bytes()

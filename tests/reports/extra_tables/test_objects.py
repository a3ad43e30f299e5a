"""Object scores from saved maps to the pages: measured once, refused where maps do not fit, shown where they exist."""

import json
import math
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.cli.app import app
from benchmarks.metrics.object_metrics import choose_metrics, object_metrics
from benchmarks.protocol.tables import TABLES
from benchmarks.results.home import Home
from benchmarks.results.metric_store import MetricStore
from benchmarks.results.pixels import read_mask, read_predictions
from benchmarks.results.store import Store
from benchmarks.scoring.measure_objects import measure_run
from data_prep.errors import DataError
from data_prep.manifest_file import load_manifest
from reports.extra_tables.objects import object_tables
from reports.extra_tables.objects_text import cell, object_section
from reports.render.terminal import print_extra
from reports.select.results import collect
from reports.statistics import jackknife, units
from reports.tables.assemble import assemble
from reports.write import write_report
from tests.reports.pictured import LandCover, Roads, Roofs, draw_masks, pretend, write_pictures

SYSTEMS = [row.model for row in TABLES["table5"].rows[:3]]
METRICS = choose_metrics("deepglobe", ["road"])


def silent(done, total, what):
    pass


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Three runs on 60 drawn pictures, 9 of them test images, and one on roofs."""
    home = tmp_path_factory.mktemp("home")
    masks = list(draw_masks(Roads(), 60))
    masks[3][:] = masks[7][:] = 0
    manifest = write_pictures(home, Roads(), masks)
    for number, model in enumerate(SYSTEMS):
        pretend(home, model, Roads(), manifest, 0.35 + 0.2 * number)
    roofs = write_pictures(home, Roofs(), list(draw_masks(Roofs(), 20)))
    pretend(home, TABLES["table2"].rows[0].model, Roofs(), roofs, 0.2)
    return home


@pytest.fixture
def home(drawn, tmp_path):
    return shutil.copytree(drawn, tmp_path / "home")


def results(home, dataset="deepglobe"):
    stored = [stored_result.result for stored_result in collect(home).stored if stored_result.source == "own"]
    return [result for result in stored if result.identity["dataset"]["name"] == dataset]


def extra_tables(tables):
    """As they are printed."""
    return [table for section in object_section(tables) for table in section.tables]


def invoke(home, *arguments):
    return CliRunner().invoke(app, ["--home", str(home), *arguments], catch_exceptions=False)


def test_sums_are_those_of_each_image_whatever_the_number_of_processes(home):
    result = results(home)[0]
    measured, fresh = measure_run(home, result, METRICS, 2, silent)
    assert fresh == METRICS
    maps = read_predictions(Store(home).work(result.key) / "predictions.npz", binary=True)
    entries = {entry.stem: entry for entry in load_manifest(home / "data" / "deepglobe", "deepglobe").entries}
    for number, stem in enumerate(result.images):
        truth = read_mask(home / "data" / "deepglobe", entries[stem])
        expected = object_metrics(truth, maps.labels(stem), METRICS)
        for metric in METRICS:
            assert tuple(measured.sums[metric][number]) == pytest.approx(expected[metric.name])
    alone, _ = measure_run(home, result, METRICS, 1, silent, again=True)
    assert alone.to_json() == measured.to_json()


def test_what_is_stored_is_not_measured_again_until_maps_change(home):
    result = results(home)[0]
    relaxed = (METRICS[0],)
    measure_run(home, result, relaxed, 1, silent)
    assert measure_run(home, result, relaxed, 1, silent)[1] == ()
    assert measure_run(home, result, METRICS, 1, silent)[1] == METRICS[1:]
    maps = Store(home).work(result.key) / "predictions.npz"
    with np.load(maps) as archive:
        parts = dict(archive)
    np.savez(maps, **parts)  # the same maps in another file: measured anew, and accepted
    assert measure_run(home, result, METRICS, 1, silent)[1] == METRICS
    parts["labels"][0] ^= 255
    np.savez(maps, **parts)
    before = Home(home).metrics(result.key).read_bytes()
    with pytest.raises(DataError, match="do not give the counts of the result"):
        measure_run(home, result, METRICS, 1, silent)
    assert Home(home).metrics(result.key).read_bytes() == before


def test_missing_maps_and_changed_masks_are_named(home):
    result = results(home)[0]
    entry = next(
        prepared
        for prepared in load_manifest(home / "data" / "deepglobe", "deepglobe").entries
        if prepared.stem == result.images[0]
    )
    mask = home / "data" / "deepglobe" / entry.mask
    content = mask.read_bytes()
    mask.write_bytes(content + b"x")
    with pytest.raises(DataError, match=f"{entry.mask} was changed"):
        measure_run(home, result, METRICS, 1, silent)
    mask.write_bytes(content)
    (Store(home).work(result.key) / "predictions.npz").unlink()
    with pytest.raises(DataError, match="expected its maps"):
        measure_run(home, result, METRICS, 1, silent)
    assert not Home(home).metrics(result.key).exists()


def test_tables_pool_sums_and_leave_out_one_image_at_a_time(home, monkeypatch):
    for module in (jackknife, units):
        monkeypatch.setattr(module, "FEWEST_UNITS", 5)  # nine test images are here
    for result in results(home):
        measure_run(home, result, METRICS, 1, silent)
    [table], _ = object_tables(assemble([TABLES["table5"]], collect(home)).frames, home)
    printed = extra_tables([table])[0]
    assert printed.heads == ("Method", "Stands in", "Dice", "Relaxed F1 (3 px)", "clDice", "APLS", "Runs")
    assert len(printed.texts) == len(SYSTEMS)
    for row in table.rows:
        (result,) = row.row.results
        stored = MetricStore(home).get(result.key)
        for metric in METRICS:
            sums = stored.sums[metric].astype(float)
            pooled = metric.scores(sums.sum(axis=0))
            assert row.scores[metric].scores == {name: float(value) for name, value in pooled.items()}
            held = [place for place in range(len(sums)) if sums[place].any()]
            without = [float(metric.scores(np.delete(sums, place, 0).sum(axis=0))[metric.headline]) for place in held]
            error = math.sqrt((len(held) - 1) * np.var(without))
            reach = {7: 2.446912, 8: 2.364624, 9: 2.306004}[len(held)] * error
            value = float(pooled[metric.headline])
            limits = row.scores[metric].interval
            assert (limits.low, limits.high) == pytest.approx((max(value - reach, 0), min(value + reach, 1)), abs=1e-6)
            assert "[" in cell(row, metric)
    assert any("each of them has a path" in note for note in printed.notes)
    assert any(note.startswith("Intervals are 95 % of a jackknife over 9 test images") for note in printed.notes)


def test_rows_without_measurement_are_named_and_nothing_measured_shows_nothing(home):
    frames = assemble([TABLES["table5"]], collect(home)).frames
    assert object_tables(frames, home) == ([], ())
    paths = write_report(["table5"], ["md", "tex", "csv", "html"], home / "none", home).paths
    assert not [path for path in paths if path.name.startswith("objects")]
    assert "Scores of objects" not in (home / "none" / "report.md").read_text()
    assert 'id="objects"' not in (home / "none" / "report.html").read_text()
    measure_run(home, results(home)[0], METRICS, 1, silent)
    [table], _ = object_tables(frames, home)
    assert len(table.rows) == 1
    assert len(table.missing) == len(SYSTEMS) - 1
    assert any("rssam-bench metrics" in note for note in extra_tables([table])[0].notes)


def test_every_format_shows_the_measured_columns(home, capsys):
    from rich.console import Console

    assert invoke(home, "metrics", "--workers", "1").exit_code == 0
    out = home / "report"
    write_report(["table5", "table2"], ["md", "tex", "csv", "html"], out, home)
    page = (out / "report.md").read_text()
    assert "## Scores of objects" in page
    report = assemble([TABLES["table5"], TABLES["table2"]], collect(home))
    tables = extra_tables(object_tables(report.frames, home)[0])
    assert [table.id for table in tables] == ["objects-deepglobe", "objects-whu"]
    for table in tables:
        shown = table.texts[0][3]
        assert "[" not in shown  # once an interval of nine images
        assert any(note.startswith("No interval: ") and "where an interval takes 20" in note for note in table.notes)
        assert shown in page
        assert shown in (out / "report.html").read_text()
        assert shown in (out / f"{table.id}.tex").read_text()
        print_extra(table, Console(width=120))
    printed = capsys.readouterr().out
    assert "Boundary IoU" in printed
    assert "APLS" in printed
    lines = (out / "objects-deepglobe.csv").read_text().splitlines()
    assert lines[0].startswith("dataset,setting,method,tables,metric,parameters,score,value,low,high,undefined_images")
    assert len(lines) == 1 + len(SYSTEMS) * (3 + 3 + 1)


def test_a_damaged_file_is_named_and_left_out_and_mended_on_demand(home):
    assert invoke(home, "metrics", "table5", "--workers", "1").exit_code == 0
    path = sorted((home / "metrics").iterdir())[0]
    path.write_text(path.read_text()[:100])
    write_report(["table5"], ["md"], home / "report", home)
    page = (home / "report" / "report.md").read_text()
    assert f"metrics/{path.name}: it is cut off" in page
    assert str(home) not in page
    refused = invoke(home, "metrics", "--run", path.stem, "--workers", "1")
    assert refused.exit_code == 1
    assert "add --again" in refused.output
    assert invoke(home, "metrics", "--run", path.stem, "--again", "--workers", "1").exit_code == 0
    assert MetricStore(home).get(path.stem) is not None


def test_the_command_as_json_by_table_by_run_and_by_option(home):
    key = results(home, "whu")[0].key
    (record,) = json.loads(invoke(home, "metrics", "--run", key, "--json", "--workers", "1").output)
    assert record["state"] == "measured"
    assert [metric["name"] for metric in record["metrics"]] == ["boundary_iou"]
    assert 0 < record["metrics"][0]["scores"]["boundary_iou"] < 1
    (record,) = json.loads(invoke(home, "metrics", "table2", "--json", "--workers", "1").output)
    assert (record["key"], record["state"]) == (key, "cached")
    shown = invoke(home, "metrics", "--run", key, "--metric", "relaxed", "--buffer", "1", "--workers", "1")
    assert "Relaxed F1 (1 px): relaxed precision" in shown.output


def test_a_data_set_of_several_classes_is_left_out_or_refused(home):
    cover = write_pictures(home, LandCover(), list(draw_masks(LandCover(), 20)))
    result = pretend(home, TABLES["table3"].rows[0].model, LandCover(), cover, 0.2)
    shown = invoke(home, "metrics", "table3")
    assert shown.exit_code == 0
    assert "whdld has 6 classes" in shown.output
    refused = CliRunner().invoke(app, ["--home", str(home), "metrics", "--run", result.key])
    assert "whdld has 6 classes" in str(refused.exception)

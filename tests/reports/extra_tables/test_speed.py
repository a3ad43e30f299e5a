"""Records of speed in a report: only if there are some, whole ones only, in every format."""

import io
import json

import pandas as pd
import torch

from baselines.unet import UNet
from benchmarks.speed.timing import Conditions, Operation, alternating, measure_system, save_record
from reports.extra_tables.speed import read_efficiency
from reports.write import write_report
from rssam.contract import Task


def test_a_record_goes_into_every_format_and_damaged_ones_are_named(tmp_path, monkeypatch):
    home, out = tmp_path / "home", tmp_path / "out"
    before = write_report(["all"], ["md", "tex", "csv", "html"], out, home, published=tmp_path / "none")
    assert not any("efficiency" in path.name for path in before.paths)
    assert "Efficiency" not in (out / "report.md").read_text() + (out / "report.html").read_text()
    monkeypatch.setattr("benchmarks.speed.timing.SECONDS_OF_AN_OPERATION", 0.005)
    conditions = Conditions("cpu", "32-true", batch=2, group=2, rounds=7)
    record = measure_system(UNet(width=2), Task(("road",), (32, 32)), conditions)
    path = save_record(home, record)
    assert save_record(home, record) == path
    assert [len(record[name]["rounds"]) for name in ("latency_seconds", "step_seconds")] == [7, 7]
    net = UNet(width=2).architecture(Task(("a",), (32, 32)))
    assert record["parameters"]["total"] == sum(parameter.numel() for parameter in net.parameters())
    (home / "speed" / "half.json").write_text(path.read_text()[:200])
    (home / "speed" / "other.json").write_text(json.dumps({**record, "schema": 99}))
    assert len(read_efficiency(home).records) == 1
    written = write_report(["all"], ["md", "tex", "csv", "html"], out, home, published=tmp_path / "none")
    assert sum(note.startswith(("speed/half.json", "speed/other.json")) for note in written.notes) == 2
    for name in ("report.md", "report.html", "efficiency.tex"):
        text = (out / name).read_text()
        assert f"{record['images_per_second']['median']:.2f}" in text
        assert "half.json" in text
    table = pd.read_csv(io.StringIO((out / "efficiency.csv").read_text()))
    assert table["latency_seconds_median"][0] == record["latency_seconds"]["median"]


def test_rounds_alternate_and_everything_is_warmed_up_first():
    calls = []
    operations = [Operation(name, lambda name=name: calls.append(name), 1) for name in "ab"]
    seconds = alternating(operations, 7, torch.device("cpu"))
    assert {name: len(values) for name, values in seconds.items()} == {"a": 7, "b": 7}
    order = [name for name, last in zip(calls, [None, *calls], strict=False) if name != last]
    assert order == list("ababababab")  # warm-up, then a b, b a, a b, ... seven times

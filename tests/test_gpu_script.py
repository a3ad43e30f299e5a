"""The script for graphics cards, on a lease that is made up on the CPU. Nothing here was measured on a GPU."""

import json
import os
import subprocess
import sys
from importlib import import_module
from multiprocessing import forkserver
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.protocol.registry import MODELS
from benchmarks.results.provenance import COMMIT_VARIABLE, source_commit

FOLDER = Path(__file__).parents[1] / "docs" / "measure"
CARRIED = """
import os, time
from importlib import import_module

def raises(site):
    site.record(system="Half", differs=0.5)
    raise KeyError("one system")

def ends_abruptly(site):
    site.record(system="Whole", differs=0.0)
    os.kill(os.getpid(), 11)

def needs(site, package):
    import_module(package)

def sleeps(site):
    site.record(system="Slow", differs=0.0)
    time.sleep(600)

def keeps(site):
    for number in range(9):
        (site.kept / f"z{number}.json").write_text("{}")
    (site.kept / "a-large.bin").write_bytes(bytes(17 << 20))
"""
LEASE = """
import sys
sys.path.insert(0, {folder!r})
import gpu
from gpu import Step
steps = (
    Step("ceilings", 1, 60, "gpu_steps:ceilings"),
    Step("fcn resumed", 1, 120, "gpu_trainings:resumed", {{"name": "fcn"}}),
    Step("one system", 1, 60, "carried:raises"),
    Step("an abrupt end", 1, 60, "carried:ends_abruptly"),
    Step("an import", 1, 60, "carried:needs", {{"package": "mlflow"}}),
    Step("a module", 1, 60, "no_such_module:step"),
    Step("one timeout", 1, 0.25, "carried:sleeps"),
    Step("another stage", 2, 60, "carried:sleeps"),
    Step("steps", 1, 60, "gpu_steps:training_steps", {{"names": ["unet"], "forward": True}}),
    Step("a short training", 1, 60, "gpu_trainings:short_training"),
    Step("files", 1, 60, "carried:keeps"),
)
sys.exit(gpu.main(steps))
"""
ABSENT = ("mlflow", "rasterio", "ray")
"""Packages that the machine with the card lacks."""


def load(name):
    """Import a module of docs/measure, which imports its neighbours by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        return import_module(name)


@pytest.fixture(scope="module")
def lease(tmp_path_factory):
    """Folder, records and the status of each step of a lease in which some steps fail."""
    folder = tmp_path_factory.mktemp("lease")
    (folder / "wheels").mkdir()
    (folder / "wheels" / "carried.py").write_text(CARRIED)
    for package in ABSENT:
        (folder / "wheels" / f"{package}.py").write_text(f'raise ModuleNotFoundError("no {package} on this machine")')
    options = [
        "--stage",
        "1",
        "--device",
        "cpu",
        "--quick",
        "--out",
        str(folder / "out"),
        "--home",
        str(folder / "home"),
    ]
    carried = [str(folder / "wheels"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", LEASE.format(folder=str(FOLDER)), *options],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(carried), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    records = [json.loads(line) for line in (folder / "out" / "stage1.jsonl").read_text().splitlines()]
    return folder / "out", records, {record["step"]: record for record in records if "end" in record}


def test_what_fails_costs_only_itself(lease):
    """A KeyError or a missing package ended the stage, whose records were written last: nothing was left."""
    _, records, ends = lease
    failed = {"one system", "an abrupt end", "an import", "a module"}
    done = {"ceilings", "fcn resumed", "steps", "a short training", "files"}
    assert {name: end["status"] for name, end in ends.items()} == {
        **dict.fromkeys(done, "done"), **dict.fromkeys(failed, "failed"), "one timeout": "timeout",
    }  # fmt: skip
    assert {record["system"] for record in records if "differs" in record} == {"Half", "Whole", "Slow"}
    reasons = " ".join(str(record.get("reason")) for record in records)
    assert "KeyError: 'one system'" in reasons
    assert "ModuleNotFoundError: no mlflow on this machine" in reasons
    assert "No module named 'no_such_module'" in reasons
    assert "exit -11" in ends["an abrupt end"]["reason"]


def test_the_archive_holds_everything_else(lease):
    out, records, _ = lease
    files = {path.name for path in out.iterdir()}
    assert len(files) == 8
    assert {"stage1.jsonl", "stage1.md", "stage1-history.json", "stage1-prediction.png"} <= files
    assert all(path.stat().st_size <= 16 << 20 for path in out.iterdir())
    summary = (out / "stage1.md").read_text()
    assert "Files left out: a-large.bin, z4.json, z5.json" in summary
    assert "| one timeout | timeout |" in summary
    assert any(record["step"] == "steps" and record.get("forward_seconds") for record in records)
    assert [record["real"] for record in records if "val_loss" in record] == [False]


def test_limits_fit_into_four_minutes():
    """A stage of nine minutes looked at the clock before an attempt only; nine compilations passed it."""
    gpu = load("gpu")
    for stage in (1, 2):
        assert sum(step.seconds for step in gpu.STEPS if step.stage == stage) <= gpu.SECONDS_OF_A_STAGE < 240
    assert set(gpu.SYSTEMS) == set(MODELS)
    named = {tuple(step.function.split(":")) for step in gpu.STEPS}
    assert all(callable(getattr(load(module), name)) for module, name in named)


def test_no_step_begins_after_the_stage(tmp_path, monkeypatch):
    # The list is the whole process's: without it each process that later tests fork imported torch anew, for 3 seconds.
    monkeypatch.setattr(forkserver._forkserver, "_preload_modules", [])
    gpu = load("gpu")
    site = gpu.Site("", "cpu", True, tmp_path, tmp_path / "records.jsonl", tmp_path)
    ends = gpu.run_stage([gpu.Step("late", 1, 60, "carried:sleeps")], site, 0.0)
    assert ends == [{"step": "late", "status": "left out", "reason": "the 0 s of the stage were over"}]
    assert json.loads((tmp_path / "records.jsonl").read_text())["status"] == "left out"


def test_float32_is_compared_without_tf32(tmp_path, monkeypatch):
    """TF32 turned SegNet's pooling indices over: 0.2 of the largest logit, where 0.005 was asked for."""
    steps, seen = load("gpu_steps"), []

    class Net(nn.Conv2d):
        def forward(self, images):
            if not self.training:
                seen.append((torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32))
            return super().forward(images)

    class System:
        title, small = "Net", {}

        def architecture(self, task):
            return Net(3, 1, 3, padding=1)

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(steps, "smallest", lambda model: System())
    steps.system(load("gpu").Site("fcn", "cpu", True, tmp_path, tmp_path / "records.jsonl", tmp_path), "fcn")
    assert seen == [(False, False)] * 2
    assert torch.backends.cudnn.allow_tf32


def test_make_leaves_the_callers_modules():
    """`PYTHONPATH=.` stood before the command: wheels that the caller carried vanished."""
    (recipe,) = (part for part in (FOLDER.parents[1] / "Makefile").read_text().split("\n\n") if "\ngpu:\n" in part)
    assert "PYTHONPATH=" not in recipe


def test_a_commit_without_git(tmp_path, monkeypatch):
    """The results of a copy without history named no commit."""
    monkeypatch.setattr("benchmarks.results.provenance.__file__", str(tmp_path / "a" / "b" / "c.py"))
    assert source_commit() is None
    monkeypatch.setenv(COMMIT_VARIABLE, "3b6e729c0ffe")
    assert source_commit() == "3b6e729c0ffe"

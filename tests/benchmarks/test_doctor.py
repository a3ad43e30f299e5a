"""What the doctor says of RS-SAM's class tokens on a checkpoint, here one of the tiny size."""

import io
import os
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from baselines.unet import UNet
from benchmarks import doctor
from benchmarks.execution.cost_estimate import trained_parameters
from benchmarks.execution.plan import plan
from benchmarks.protocol.targets import choose
from benchmarks.training import checkpoint
from benchmarks.training.optimizer import make_optimizer
from benchmarks.training.reproducibility import random_states
from rssam.contract import Task
from rssam.sam.encoder_sizes import CHAINS
from rssam.weights.convert import convert_checkpoint
from rssam.weights.folder import WeightsFolder
from tests.benchmarks.prepared import TINY, tiny_run
from tests.rssam.fixtures import sam_file, tiny_vit_b

__all__ = ["sam_file", "tiny_vit_b"]


@pytest.fixture
def home(tiny_vit_b, sam_file, tmp_path):
    convert_checkpoint("vit_b", sam_file, WeightsFolder(tmp_path / "weights"))
    return tmp_path


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Run the child's code here, where vit_b is the tiny size."""

    def run(command, **_):
        out = io.StringIO()
        monkeypatch.setattr(sys, "argv", command[3:])
        with redirect_stdout(out):
            exec(command[command.index("-c") + 1], {})
        return SimpleNamespace(returncode=0, stdout=out.getvalue(), stderr="")

    monkeypatch.setattr(doctor.subprocess, "run", run)


def test_doctor_measures_every_chain_on_the_checkpoint(home):
    (check,) = doctor._class_distance(home)
    assert (check.what, check.state) == ("class distance vit_b", "ok")
    assert all(f"{chain} " in check.found for chain in CHAINS)


def test_tokens_that_have_met_are_a_problem(home, monkeypatch):
    monkeypatch.setattr(doctor, "TOO_CLOSE", 10.0)
    (check,) = doctor._class_distance(home)
    assert (check.state, check.remedy) == ("problem", "compare the chains: rssam-bench reproduce table5 --controls")


@pytest.mark.parametrize("rates", [1, 3])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_disk_of_a_training_is_what_its_checkpoints_take(tmp_path, monkeypatch, optimizer, rates):
    """Each was 0.5 GB "at most", where RS-SAM takes 1.0, TransUNet 5.1, and under three rates 2.4 and 11.9."""
    recipe = replace(TINY, optimizer=optimizer, rates=tuple(10.0**-rate for rate in range(rates)))
    net = torch.nn.Linear(1000, 200)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    monkeypatch.setattr(doctor, "trained_parameters", lambda *_: parameters)
    taken = []

    def note_and_replace(*paths, replaced=os.replace):
        taken.append(sum(file.stat().st_size for file in tmp_path.rglob("*.safetensors*")))
        replaced(*paths)

    monkeypatch.setattr(checkpoint.os, "replace", note_and_replace)
    for rate in recipe.rates:
        checkpoints = checkpoint.Checkpoints(tmp_path / checkpoint.candidate_name(recipe.rates, rate))
        checkpoints.folder.mkdir(exist_ok=True)
        tuned = make_optimizer(net, recipe, rate)
        net(torch.rand(1, 1000)).sum().backward()
        tuned.step()
        for epoch in (1, 2, 3):
            checkpoints.save_best(net, epoch)
            checkpoints.save(net, tuned, {"epoch": epoch, "best_epoch": epoch}, random_states(torch.device("cpu")))
    run = tiny_run(recipe=recipe)
    assert doctor.training_gigabytes(run) == pytest.approx(max(taken) / 1e9, rel=0.02)
    for name in (checkpoint.LAST, checkpoint.PREVIOUS):
        for path in tmp_path.rglob(name):
            path.unlink()
    left = sum(file.stat().st_size for file in tmp_path.rglob("*.safetensors")) + 4 * parameters  # MLflow's
    assert doctor.finished_gigabytes(run) - doctor.GIGABYTES_OF_RESULTS == pytest.approx(left / 1e9, rel=0.02)


def test_the_disk_of_everything_is_one_number(tmp_path, monkeypatch):
    """It was 60 GB without an item and 50 GB with `all`."""
    wanted = []
    monkeypatch.setattr(doctor, "_disk", lambda home, gigabytes: wanted.append(gigabytes))
    doctor.examine(tmp_path)
    doctor.examine(tmp_path, plan(*choose(["all"]), [0], 0, None))
    assert wanted[0] == wanted[1]


def test_a_size_that_was_never_counted_is_that_of_the_system_elsewhere():
    sized = trained_parameters(UNet(), Task(("a", "b"), (96, 96)))
    assert sized == pytest.approx(trained_parameters(UNet(), Task(("road",), (512, 512))), rel=0.01)
    assert trained_parameters(UNet(7), Task(("road",), (512, 512))) > 1e8  # the largest


def test_without_a_checkpoint_nothing_is_measured(tmp_path):
    assert doctor._class_distance(tmp_path) == []

"""What the doctor says of RS-SAM's class tokens on a checkpoint, here one of the tiny size."""

import io
import sys
from contextlib import redirect_stdout
from types import SimpleNamespace

import pytest

from benchmarks import doctor
from rssam.sam.encoder_sizes import CHAINS
from rssam.weights.convert import convert_checkpoint
from rssam.weights.folder import WeightsFolder
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


def test_without_a_checkpoint_nothing_is_measured(tmp_path):
    assert doctor._class_distance(tmp_path) == []

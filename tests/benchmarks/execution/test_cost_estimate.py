"""What a plan says before it is run."""

import dataclasses
import json

import pytest

from baselines.sam_lora import SamLora
from baselines.unet import UNet
from benchmarks.execution.cost_estimate import SUSTAINED, forecast, gpu_hours
from benchmarks.execution.observer import NullObserver
from benchmarks.execution.plan import resolve_all
from benchmarks.execution.runner import execute_all
from benchmarks.execution.session import Session
from benchmarks.protocol.recipe import PAPER
from benchmarks.protocol.run import Run
from benchmarks.protocol.setting import Setting
from data_prep.registry import DATASETS
from tests.benchmarks.prepared import TINY, make_session, tiny_run


def test_states(tmp_path):
    empty = Session(tmp_path / "empty", "cpu", NullObserver())
    (nothing,) = forecast([tiny_run()], empty)
    assert (nothing.state, nothing.key) == ("no data", None)
    assert nothing.remedy == "rssam-bench prepare deepglobe --source DIR"

    session = make_session(tmp_path / "home")
    recipe = dataclasses.replace(TINY, epochs=1)
    done, missing = tiny_run(recipe=recipe), tiny_run(UNet(8), recipe)
    lacking = dataclasses.replace(missing, model=SamLora())
    execute_all(resolve_all([done], session), session)
    states = [item.state for item in forecast([done, missing, lacking], session)]
    assert states == ["finished", "missing", "no weights"]
    assert "prepare weights vit_b" in forecast([lacking], session)[0].remedy
    json.dumps([item.to_json() for item in forecast([done, lacking], session)])


def test_hours_are_those_of_finished_runs_of_the_same_system(tmp_path):
    session = make_session(tmp_path)
    recipe = dataclasses.replace(TINY, epochs=1)
    done = tiny_run(recipe=recipe)
    (outcome,) = execute_all(resolve_all([done], session), session)
    # a training pass counts three, an image of 512 is 64 windows of 64; the test comes once
    longer = dataclasses.replace(done, recipe=dataclasses.replace(recipe, epochs=5), seed=1)
    other = dataclasses.replace(done, model=UNet(8))
    sizes = outcome.result.data
    once, test = 3 * sizes["train"] + 64 * sizes["val"], 64 * sizes["test"]
    found, unknown = forecast([longer, other], session)
    wanted = outcome.result.seconds / 3600 * (5 * once + test) / (once + test)
    assert (found.measured, found.left) == (True, pytest.approx(wanted))
    assert (unknown.measured, unknown.hours) == (False, unknown.gpu_hours)


@pytest.mark.slow
def test_hours_by_hand():
    """U-Net: 192.67 GMACs an image at 512, three passes a training image, one a validation image."""
    run = Run(UNet(), DATASETS["deepglobe"], PAPER)
    operations = 2 * 192.67e9 * (200 * (3 * 4358 + 934) + 934)
    assert gpu_hours(run, (4358, 934, 934)) == pytest.approx(operations / SUSTAINED / 3600, rel=1e-3)


def test_crops_rates_and_epochs_multiply():
    run = Setting("smoke").run(UNet(), "deepglobe")
    once = gpu_hours(run, (1, 0, 0))
    twice = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, epochs=2))
    assert gpu_hours(twice, (1, 0, 0)) == pytest.approx(2 * once)
    rates = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, rates=(1e-3, 1e-4)))
    assert gpu_hours(rates, (1, 0, 0)) == pytest.approx(2 * once)
    # 14 crops of 3 passes against the 16 windows of a test image
    assert gpu_hours(run, (0, 0, 1)) == pytest.approx(once * 16 / 42)

"""What a plan says before it is run. Run it to renew the counted costs: 80 seconds of a core."""

import dataclasses
import json
import subprocess
import sys

import pytest

from baselines.sam_lora import SamLora
from baselines.unet import UNet
from benchmarks.execution.cost_estimate import COUNTED_COSTS, SUSTAINED, cost_key, forecast, gpu_hours
from benchmarks.execution.observer import Observer
from benchmarks.execution.plan import resolve_all
from benchmarks.execution.runner import execute_all
from benchmarks.execution.session import Session
from benchmarks.protocol.cost import measure
from benchmarks.protocol.recipe import PAPER
from benchmarks.protocol.registry import variants
from benchmarks.protocol.run import Run
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.targets import WITH_TABLES, tables_of
from benchmarks.speed.step_time import StepTime, time_step
from data_prep.registry import DATASETS
from tests.benchmarks.prepared import TINY, make_session, tiny_run
from tests.conftest import REPOSITORY

SETTINGS = (Setting("paper"), Setting("mini"), Setting("mini", "vit_t", "scratch"), Setting("smoke"), Setting("demo"))
"""Those in README; of the fair profile networks are those of the paper's."""


def counted_runs():
    """One run for each cost that is kept: of every system as listed, of every row and control under every setting."""
    listed = [Setting("paper").run(model, "deepglobe") for model in variants()]
    runs = {cost_key(run.model, run.task): run for run in listed}
    for setting in SETTINGS:
        for table in tables_of(WITH_TABLES.values()):
            if table.compares_encoders and setting.encoder:
                continue
            for row in table.every_row:
                run = setting.run(row.model, table.dataset)
                runs.setdefault(cost_key(run.model, run.task), run)
    return runs


def test_states(tmp_path):
    empty = Session(tmp_path / "empty", "cpu", Observer())
    (nothing,) = forecast([tiny_run()], empty)
    assert (nothing.state, nothing.key) == ("no data", None)
    assert nothing.remedy == "rssam-bench prepare deepglobe"

    session = make_session(tmp_path / "home")
    recipe = dataclasses.replace(TINY, epochs=1)
    done, missing = tiny_run(recipe=recipe), tiny_run(UNet(8), recipe)
    lacking = dataclasses.replace(missing, model=SamLora())
    execute_all(resolve_all([done], session), session)
    states = [item.state for item in forecast([done, missing, lacking], session)]
    assert states == ["finished", "missing", "no weights"]
    assert forecast([done], session)[0].outcome.startswith(("Dice 0.", "collapsed"))
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
    assert (unknown.basis, unknown.hours) == ("unknown", None)  # a U-Net of width 8 was never counted


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


def test_every_row_has_a_counted_cost_and_no_other_has():
    """A row without one would be left out of the hours of a plan."""
    assert json.loads(COUNTED_COSTS.read_text()).keys() == counted_runs().keys()


def test_a_plan_under_demo_has_hours(tmp_path):
    """It said "not timed", and no system of that profile was ever counted."""
    session = Session(tmp_path, "cpu", Observer())
    table = next(iter(tables_of(WITH_TABLES.values())))
    for item in forecast([Setting("demo").run(row.model, table.dataset) for row in table.every_row], session):
        assert (item.basis, item.hours > 0) == ("operations", True)


def counted(run):
    cost = measure(run.model, run.task)
    return {**dataclasses.asdict(cost), "gmacs": round(cost.gmacs, 6)}


def test_counted_costs_are_what_the_networks_have():
    kept = json.loads(COUNTED_COSTS.read_text())
    small = {key: run for key, run in counted_runs().items() if run.recipe.name == "smoke"}
    for key, run in list(small.items())[::6]:
        assert kept[key] == counted(run), key


@pytest.mark.slow
def test_all_counted_costs_are_what_the_networks_have():
    assert json.loads(COUNTED_COSTS.read_text()) == {key: counted(run) for key, run in counted_runs().items()}


def test_systems_are_listed_without_torch(tmp_path):
    """Every network was built to name it: 15 s, of which 9.6 were processor time."""
    code = (
        "import sys, benchmarks.cli.app as c\n"
        "sys.argv = ['rssam-bench', '--home', sys.argv[1], 'models', '--json']\n"
        "try: c.main()\n"
        "except SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=REPOSITORY, capture_output=True, check=True)
    assert len(json.loads(done.stdout)) == len(variants())


@pytest.mark.parametrize("arguments", [["all"], ["table5", "--profile", "smoke"]])
def test_a_dry_run_counts_nothing_and_loads_no_torch(tmp_path, arguments):
    """It built every network on the meta device first: 19 s of a core for the 39 runs of the paper."""
    code = (
        "import sys, benchmarks.cli.app as c\n"
        "given = ['reproduce', *sys.argv[2:], '--device', 'cpu', '--dry-run']\n"
        "sys.argv = ['rssam-bench', '--home', sys.argv[1], *given]\n"
        "try: c.main()\n"
        "except SystemExit: pass\n"
        "sys.exit(bool({'torch', 'lightning_fabric', 'mlflow', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path, *arguments], cwd=REPOSITORY, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"RS-SAM" in done.stdout


def test_timed_steps_give_hours_and_memory(tmp_path):
    """The forecast of the smoke profile on a CPU was "0.0 GPU hours"."""
    session = make_session(tmp_path)
    run = tiny_run()
    (before,) = forecast([run], session)
    assert (before.basis, before.left) == ("unknown", None)
    timed = time_step(session.home, run, "cpu", session.precision)
    (found,) = forecast([run], session)
    sizes = {"train": 10, "val": 2, "test": 2}  # of 14 images
    passes = 2 * (sizes["train"] + 64 * sizes["val"] / 3) + 64 * sizes["test"] / 3  # an image of 512 is 64 windows
    assert (found.basis, found.left) == ("steps", pytest.approx(passes * timed.seconds_an_image / 3600))
    assert found.memory == timed.memory
    assert timed.memory is None or timed.memory > 2**20
    other = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, group=4))
    assert forecast([other], session)[0].basis == "unknown"


def test_a_damaged_step_time_is_timed_anew(tmp_path):
    session = make_session(tmp_path)
    time_step(session.home, tiny_run(), "cpu", session.precision)
    (path,) = (tmp_path / "step-times").iterdir()
    for content in ("{", "[]", '{"seconds_an_image": "x", "memory": 1}'):
        path.write_text(content)
        assert forecast([tiny_run()], session)[0].basis == "unknown"
    assert isinstance(time_step(session.home, tiny_run(), "cpu", session.precision), StepTime)


def main():
    """Renew the counted costs."""
    lines = [f"{json.dumps(key)}: {json.dumps(counted(run))}" for key, run in counted_runs().items()]
    COUNTED_COSTS.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()

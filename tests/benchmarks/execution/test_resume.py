"""A run that was killed with kill -9 and goes on ends as one that was never disturbed: bit for bit on the CPU.

Three systems (batch norm and dropout; SAM with LoRA; a transformer) under the schedule of every profile, at sizes of
seconds; killed after an epoch, and in the middle of one with and without a checkpoint since.
"""

import dataclasses
import json

import pytest
import torch

from baselines.sam_lora import SamLora
from baselines.transunet import TransUNet
from baselines.unetformer import UNetFormer
from benchmarks.execution.plan import resolve_all
from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.registry import MODELS
from benchmarks.training.checkpoint import LAST, read_checkpoint
from rssam.config import RSSAM
from tests.benchmarks.prepared import SIDE, Watcher, make_session, tiny_run, write_prepared
from tests.benchmarks.processes import outcome_of, train_killed

SYSTEMS = {
    "unetformer": dataclasses.replace(MODELS["unetformer"], **{**UNetFormer.small, "init": "scratch"}),
    "sam-lora": SamLora("vit_t", "scratch"),
    "transunet": dataclasses.replace(MODELS["transunet"], **{**TransUNet.small, "init": "scratch"}),
}
# What each profile has of its own (steps or share of warm-up, groups to a batch, rates, augmentation, crops) stays.
SMALLER = {
    "paper": {"epochs": 3, "batch": 2, "group": 1, "crop": SIDE},
    "fair": {"epochs": 2, "batch": 4, "group": 2, "crop": SIDE},
    "mini": {"epochs": 3, "crop": SIDE, "batch": 2, "group": 2},
    "smoke": {"epochs": 2, "crop": SIDE, "crops": 2},
    "demo": {"epochs": 2, "crop": SIDE, "crops": 2, "batch": 2, "group": 2},
}

PAIRS = {"paper": 9, "mini": 9, "smoke": 5, "demo": 5}
"""Of a profile that needs fewer than 14 for three steps an epoch."""

QUICK = {("sam-lora", "paper"), ("transunet", "fair"), ("unetformer", "mini"), ("transunet", "smoke")}
"""Of all, in the quick suite: each system, and each profile but the one that is smoke's with another batch."""


RUN = tiny_run(recipe=dataclasses.replace(PROFILES["paper"].recipe, **SMALLER["paper"]))
"""On `PAIRS["paper"]`, so that an epoch has three steps."""


def declared(system, profile):
    recipe = dataclasses.replace(PROFILES[profile].recipe, **SMALLER[profile])
    return tiny_run(SYSTEMS[system], recipe)


def prepare(home, profile="paper"):
    write_prepared(home / "data" / "deepglobe", PAIRS.get(profile, 14))


def left_behind(home, run, precision="auto"):
    """All that a run leaves that training decides: result without times, and content of every checkpoint."""
    session = make_session(home, precision_choice=precision)
    (resolved,) = resolve_all([run], session)
    result = json.loads(session.store.path(resolved.key).read_text())
    for name in ("seconds", "peak_memory", "provenance"):
        del result[name]
    result["history"] = [{**epoch, "seconds": 0} for epoch in result["history"]]
    work = session.store.work(resolved.key)
    contents = {}
    for path in sorted((*work.rglob(LAST), *work.rglob("best-*.safetensors"))):
        content = read_checkpoint(path)
        progress = {name: value for name, value in content.progress.items() if name not in ("seconds", "history")}
        contents[str(path.relative_to(work))] = (progress, content.model | content.optimizer | content.random)
    predictions = (work / "predictions.npz").read_bytes()
    return result, contents, predictions


def assert_same(found, wanted):
    assert found[0] == wanted[0]
    last = [name for name in wanted[1] if name.endswith(LAST)]
    assert last
    assert found[1].keys() >= set(last)
    for name in wanted[1].keys() & found[1].keys():
        (progress, tensors), (progress_wanted, tensors_wanted) = found[1][name], wanted[1][name]
        assert progress == progress_wanted
        assert tensors.keys() == tensors_wanted.keys()
        assert [key for key, value in tensors_wanted.items() if not torch.equal(tensors[key], value)] == []
    assert found[2] == wanted[2]


@pytest.mark.parametrize(
    ("system", "profile"),
    [
        pytest.param(system, profile, marks=() if (system, profile) in QUICK else pytest.mark.slow)
        for system in SYSTEMS
        for profile in PROFILES
    ],
)
def test_killed_and_resumed_equals_straight(tmp_path, system, profile):
    run = declared(system, profile)
    for name in ("straight", "killed"):
        prepare(tmp_path / name, profile)
    assert outcome_of(train_killed, tmp_path / "straight", run, {}) == 0
    wanted = left_behind(tmp_path / "straight", run)
    states = {name.rpartition(".")[2] for _, tensors in wanted[1].values() for name in tensors}
    assert states & {"exp_avg", "momentum_buffer"}
    home = tmp_path / "killed"
    kills = [
        ({"epochs": 1}, 600.0),  # after an epoch
        ({"steps": 2}, 0.0),  # in the next one, each step saved
        ({"steps": 2}, 600.0),  # a step later, nothing saved since
    ]
    for options, save_every in kills:
        assert outcome_of(train_killed, home, run, options, save_every) == -9
        assert not list((home / "results").glob("*"))
    assert outcome_of(train_killed, home, run, {}) == 0
    assert_same(left_behind(home, run), wanted)


@pytest.mark.parametrize(("precision", "stored"), [("bf16", "bf16-mixed"), ("fp16", "16-mixed")])
def test_half_precision_killed_and_resumed_equals_straight(tmp_path, precision, stored):
    """The scale of the loss was in no checkpoint: a resumed float16 run began at 65536 again, and rounded otherwise."""
    run = RUN
    for name in ("straight", "killed"):
        prepare(tmp_path / name)
    assert outcome_of(train_killed, tmp_path / "straight", run, {}, 600.0, precision) == 0
    assert outcome_of(train_killed, tmp_path / "killed", run, {"epochs": 1}, 600.0, precision) == -9
    assert outcome_of(train_killed, tmp_path / "killed", run, {"steps": 2}, 0.0, precision) == -9
    assert outcome_of(train_killed, tmp_path / "killed", run, {}, 600.0, precision) == 0
    wanted = left_behind(tmp_path / "straight", run, precision)
    assert wanted[0]["identity"]["precision"] == stored
    (progress,) = (progress for name, (progress, _) in wanted[1].items() if name.endswith(LAST))
    assert bool(progress["scaling"]) == (precision == "fp16")
    assert_same(left_behind(tmp_path / "killed", run, precision), wanted)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """What `RUN` leaves behind where nothing disturbed it."""
    home = tmp_path_factory.mktemp("straight")
    prepare(home)
    assert outcome_of(train_killed, home, RUN, {}) == 0
    return left_behind(home, RUN)


def test_the_same_command_twice_is_equal_bit_for_bit(tmp_path, straight):
    prepare(tmp_path)
    assert outcome_of(train_killed, tmp_path, RUN, {}) == 0
    assert straight[0]["identity"]["precision"] == "32-true"
    assert_same(straight, left_behind(tmp_path, RUN))


@pytest.mark.slow
def test_rs_sam_killed_at_every_step(tmp_path):
    """The paper's own system; with a kill at each step and each step saved it advances one step a life."""
    recipe = dataclasses.replace(PROFILES["mini"].recipe, epochs=1, crop=SIDE, batch=4, group=2)
    run = tiny_run(RSSAM("vit_t", "scratch"), recipe)
    assert outcome_of(train_killed, tmp_path / "straight", run, {}) == 0
    lives = 0
    while outcome_of(train_killed, tmp_path / "killed", run, {"steps": 2}, 0.0) == -9:
        lives += 1
    assert lives == 2  # 10 images, 5 groups, 3 steps: killed at steps 2 and 3, each time before it was saved
    assert_same(left_behind(tmp_path / "killed", run), left_behind(tmp_path / "straight", run))


def test_data_workers_change_nothing(tmp_path, straight):
    """Worker processes read ahead of what was trained; the place in the epoch is that of the steps."""
    prepare(tmp_path)
    assert outcome_of(train_with_workers, tmp_path, RUN, 5) == -9  # in the second epoch, one step of it saved
    assert outcome_of(train_with_workers, tmp_path, RUN, None) == 0
    assert_same(left_behind(tmp_path, RUN), straight)


def train_with_workers(home, run, steps):
    from benchmarks.execution.runner import execute
    from tests.benchmarks.processes import Killer

    session = make_session(home, observer=Killer(steps=steps), save_every=0.0, workers=1, keep=True)
    (resolved,) = resolve_all([run], session)
    assert execute(resolved, session).result is not None


def test_a_damaged_checkpoint_costs_an_epoch_and_no_bit(tmp_path, straight):
    prepare(tmp_path)
    assert outcome_of(train_killed, tmp_path, RUN, {"epochs": 2}) == -9
    watcher = Watcher()
    session = make_session(tmp_path, observer=watcher, keep=True)
    (resolved,) = resolve_all([RUN], session)
    path = session.store.work(resolved.key) / LAST
    path.write_bytes(path.read_bytes()[:-1])

    from benchmarks.execution.runner import execute

    assert execute(resolved, session).status == "resumed"
    assert len(watcher.notes) == 1
    assert str(path) in watcher.notes[0]
    assert [epoch["epoch"] for epoch in watcher.epochs] == [2, 3]
    assert_same(left_behind(tmp_path, RUN), straight)

"""One run on several devices against one process: the same training and the same counts, and clear ends.

Two processes on the CPU (gloo), started as torchrun starts them, or by the command line itself.
"""

import dataclasses
import itertools
import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from baselines.sam_lora import SamLora
from baselines.unetformer import UNetFormer
from benchmarks.execution.plan import resolve_all
from benchmarks.execution.runner import execute
from benchmarks.execution.session import Session
from benchmarks.protocol.recipe import FAIR, MINI, PAPER, SMOKE
from benchmarks.protocol.registry import MODELS
from benchmarks.signals import Stop
from benchmarks.training.batch_norm import merge_in_order, read_stats, write_stats
from benchmarks.training.checkpoint import LAST, read_checkpoint
from benchmarks.training.device_layout import DevicesUnfit, Layout, find_layout, require_fit, shares
from benchmarks.training.evaluate import evaluate, validation_loss
from benchmarks.training.rank_group import RankGroup
from data_prep.loading.torch_dataset import PreparedDataset
from data_prep.manifest_file import load_manifest
from tests.benchmarks.prepared import SIDE, TINY, Watcher, make_session, tiny_run, write_prepared
from tests.benchmarks.processes import FORKSERVER
from tests.benchmarks.training.test_evaluate import CPU, TASK, Brightness
from tests.conftest import REPOSITORY

RECIPE = dataclasses.replace(TINY, epochs=2, batch=4, group=2)


@pytest.mark.parametrize("groups", [1, 3, 8, 9, 10, 11])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_shares_are_the_groups_of_every_step_each_once(groups, size):
    every = [shares(groups, 4, rank, size) for rank in range(size)]
    for step, parts in enumerate(zip(*every, strict=True)):
        whole = list(range(4 * step, min(4 * step + 4, groups)))
        assert list(itertools.chain(*(part.groups for part in parts))) == whole
        assert all(list(part.step) == whole and len(part.read) > 0 for part in parts)


@pytest.mark.parametrize(("recipe", "fitting"), [(PAPER, {1, 2, 4}), (FAIR, {1, 2, 4}), (MINI, {1}), (SMOKE, {1})])
def test_devices_must_divide_the_groups_of_a_batch(recipe, fitting):
    for size in range(1, 7):
        if size in fitting:
            require_fit(Layout(size), [recipe])
            continue
        with pytest.raises(DevicesUnfit, match=f"choose {' or '.join(map(str, sorted(fitting)))}$"):
            require_fit(Layout(size), [recipe])


def test_bad_numbers_are_refused_with_a_sentence(tmp_path, monkeypatch):
    with pytest.raises(DevicesUnfit, match="offers 1 CUDA"):
        require_fit(Layout(2), [PAPER], available=1)
    with pytest.raises(DevicesUnfit, match="MASTER_ADDR, MASTER_PORT, NODE_RANK"):
        find_layout(2, 2, {})
    started = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    assert find_layout(None, None, started) == Layout(2, 2, started=True)
    with pytest.raises(DevicesUnfit, match="leave both options out"):
        find_layout(4, None, started)

    command = [sys.executable, "-m", "benchmarks.cli", "--home", tmp_path, "reproduce", "table5", "--devices", "3"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "error: a batch of the paper recipe is 4 group(s) of 6 images, and each device takes whole groups, as many as "
        "the others; 3 cannot: choose 1 or 2 or 4\n"
    )


REPORT = """
import json, os, sys
from benchmarks.cli import app
from benchmarks.training.device_layout import Layout, start_others

def main():
    ended = [process.wait() for process in start_others(Layout(3))]
    names = ("LOCAL_RANK", "WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
    report = json.dumps([sys.argv[1:], ended, *map(os.environ.get, names)])
    os.write(1, f"{report}\\n".encode())  # at once: the lines of two processes may not mix

app.main = main
"""
"""A command line that starts the others, and in each process prints its arguments and what it knows of the others."""

CONSOLE_SCRIPT = "import sys\nfrom benchmarks.cli.app import main\nsys.exit(main())\n"
"""What an installer writes for `rssam-bench`; tests/test_wheel.py runs the real one."""


@pytest.mark.parametrize("way", [["bin/rssam-bench"], ["-m", "benchmarks.cli"]], ids=["console script", "module"])
def test_the_command_is_started_again_for_each_other_device(tmp_path, way):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "rssam-bench").write_text(CONSOLE_SCRIPT)
    (tmp_path / "sitecustomize.py").write_text(REPORT)  # Python imports it at its start
    names = {"LOCAL_RANK", "WORLD_SIZE", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT"}
    environment = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, *way, "reproduce", "two words"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**environment, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(REPOSITORY)])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    reports = sorted((json.loads(line) for line in done.stdout.splitlines()), key=lambda report: report[2])
    port = reports[0][-1]
    assert port.isdigit()
    assert reports == [
        [["reproduce", "two words"], ended, rank, "3", "0", "127.0.0.1", port]
        for rank, ended in (("0", [0, 0]), ("1", []), ("2", []))
    ]


def test_merged_running_statistics_are_those_of_one_device():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 1), nn.BatchNorm2d(5, momentum=0.03))
    net(torch.rand(2, 3, 8, 8))
    start, images = {name: value.clone() for name, value in net.state_dict().items()}, torch.rand(5, 2, 3, 8, 8)
    before, after = read_stats(net), []
    for part in (images[:3], images[3:5], images[5:]):  # three groups, two, none
        net.load_state_dict(start)
        for group in part:
            net(group)
        after.append(read_stats(net))
    write_stats(net, merge_in_order(net, before, after))
    found = {name: value.clone() for name, value in net.state_dict().items()}
    net.load_state_dict(start)
    for group in images:
        net(group)
    for name, value in net.state_dict().items():
        assert torch.allclose(found[name], value, rtol=1e-6, atol=1e-7), name


def join(rank, port, size):
    """Set up the environment that torchrun gives a process."""
    os.environ |= {
        "TORCHELASTIC_RUN_ID": "test", "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size), "RANK": str(rank),
        "LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip


def together(target, *arguments, size=2):
    """Exit codes of `size` processes that call `target` with their rank, a port, the size, and the arguments."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = [FORKSERVER.Process(target=target, args=(rank, port, size, *arguments)) for rank in range(size)]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
    return [process.exitcode for process in started]


def member(rank, port, size, home, run, stop_after, save_every):
    """Execute a run as one of the processes; the first one stops after so many steps, if any."""
    from benchmarks.execution.multi_device import execute_on_devices

    join(rank, port, size)
    stop = Stop()

    class Stopper(Watcher):
        left = stop_after or 0

        def step(self, *_):
            self.left -= 1
            if self.left == 0:
                stop.signal = "SIGTERM"

    session = Session(home, "cpu", Stopper(), stop=stop, save_every=save_every, keep=True)
    outcomes = execute_on_devices(resolve_all([run], session), session, Layout(size, started=True))
    assert (outcomes is None) == (rank > 0)
    if outcomes:
        assert (outcomes[0].status == "interrupted") == bool(stop_after), outcomes[0].reason
        assert stop_after or outcomes[0].result is not None, outcomes[0].reason


def prepared_home(home):
    """23 images to train, 11 groups and an odd one for the last step; 5 to validate and 5 to test."""
    write_prepared(home / "data" / "deepglobe", count=33)
    return make_session(home, keep=True)  # the last checkpoints are compared


def left_behind(session, run):
    """The result of a run and its last checkpoint."""
    (resolved,) = resolve_all([run], session)
    return session.store.get(resolved.key), read_checkpoint(session.store.work(resolved.key) / LAST)


def assert_close(found, wanted, tolerance):
    """Parameters, running statistics and optimiser alike, each tensor up to `tolerance` of its largest value."""
    for part in ("model", "optimizer"):
        tensors, others = getattr(found, part), getattr(wanted, part)
        assert tensors.keys() == others.keys()
        for name, value in others.items():
            if not value.is_floating_point():
                assert torch.equal(tensors[name], value), name
                continue
            off = float((tensors[name] - value).abs().max()) / max(float(value.abs().max()), 1e-12)
            assert off <= tolerance, f"{name} is off by {off:.1e} of its largest value"


SYSTEMS = {
    "without batch norm": SamLora("vit_t", "scratch"),
    "with batch norm": dataclasses.replace(MODELS["unet"], width=4),
    "with dropout": dataclasses.replace(MODELS["unetformer"], **{**UNetFormer.small, "init": "scratch"}),
}


@pytest.mark.parametrize(("system", "group"), [("without batch norm", 1), ("with batch norm", 2)])
def test_two_devices_train_as_one(tmp_path, system, group):
    """Up to the order of float sums: with SGD, each tensor to 2e-5 of its largest value after six steps.

    Adam divides a gradient by its own size, which makes much of the last digits where it is all but zero; so SGD. Of
    23 groups the last step has three, unevenly shared; of 11 it has one and leaves the second device without. Batch
    norm sees whole groups, and its running statistics are merged: left to each device, they were off by their own size.
    """
    recipe = dataclasses.replace(RECIPE, epochs=group, group=group, optimizer="sgd", rates=(0.05,), weight_decay=1e-3)
    run = tiny_run(SYSTEMS[system], recipe)
    alone, shared = prepared_home(tmp_path / "alone"), prepared_home(tmp_path / "shared")
    execute(resolve_all([run], alone)[0], alone)
    assert together(member, shared.home, run, None, 600.0) == [0, 0]
    (undivided, last), (two, last_two) = left_behind(alone, run), left_behind(shared, run)
    assert_close(last_two, last, 2e-5)
    assert (two.key, two.images) == (undivided.key, undivided.images)
    assert two.provenance["devices"] == 2
    for found, wanted in zip(two.history, undivided.history, strict=True):
        assert found["train_loss"] == pytest.approx(wanted["train_loss"], rel=1e-6)
        assert found["val_loss"] == pytest.approx(wanted["val_loss"], rel=1e-6)


def evaluating(rank, port, size, folder):
    """Compare what the team counts with what one process counts, for a network that is the same on all devices."""
    join(rank, port, size)
    data = PreparedDataset(folder, load_manifest(folder, "deepglobe").entries, native=True)
    ranks = RankGroup(Layout(size, started=True), "cpu", "32-true", [])
    calls = []
    for net, crop in itertools.product((Brightness(), nn.Conv2d(3, 1, 3, padding=1)), (None, SIDE // 2)):
        for parameter in net.parameters():
            parameter.data.fill_(0.01)
        found = evaluate(net, data, TASK, crop, CPU, lambda *call: calls.append(call), ranks)
        wanted = evaluate(net, data, TASK, crop, CPU)
        assert found.images == wanted.images
        assert len(set(found.images)) == 5
        assert found.counts.to_json() == wanted.counts.to_json()
        assert found.native_counts.to_json() == wanted.native_counts.to_json()
        assert np.array_equal(found.histograms, wanted.histograms)
        assert sum(counts.sum() for counts in vars(found.counts).values()) == 5 * SIDE**2
        if rank == 0:
            assert all(map(np.array_equal, found.predictions, wanted.predictions))
        recipe = dataclasses.replace(RECIPE, crop=crop)
        assert validation_loss(net, data, recipe, CPU, None, ranks) == validation_loss(net, data, recipe, CPU)
    assert calls == [(2, 5), (4, 5), (5, 5)] * 4
    if rank == 0:
        ranks.release()
    else:
        assert ranks.receive_run() is None


def test_five_images_on_two_devices_are_counted_once_each(tmp_path):
    """A sampler that pads would count six."""
    write_prepared(tmp_path, count=5)
    assert together(evaluating, tmp_path) == [0, 0]


def test_a_stop_in_the_middle_of_an_epoch_changes_nothing(tmp_path):
    """All devices stop at one step; the second command goes on there, with the random states of each: bit for bit."""
    run = tiny_run(SYSTEMS["with dropout"], RECIPE)
    straight, stopped = make_session(tmp_path / "straight"), make_session(tmp_path / "stopped")  # 3 steps an epoch
    assert together(member, straight.home, run, None, 600.0) == [0, 0]
    assert together(member, stopped.home, run, 4, 600.0) == [0, 0]
    assert together(member, stopped.home, run, None, 600.0) == [0, 0]
    (whole, last), (resumed, last_resumed) = left_behind(straight, run), left_behind(stopped, run)
    assert_close(last_resumed, last, 0.0)
    assert last_resumed.random.keys() == last.random.keys()
    assert all(torch.equal(value, last.random[name]) for name, value in last_resumed.random.items())
    assert resumed.counts.to_json() == whole.counts.to_json()


def command(home, *before, **environment):
    """Run the command line on two devices, to its end."""
    words = [*before, "-m", "tests.benchmarks.devices_command", "--home", home, "reproduce", "table5", "--no-track"]
    words += [] if "torch.distributed.run" in before else ["--devices", "2"]
    return subprocess.run(
        [sys.executable, *words, "--device", "cpu"], cwd=REPOSITORY, env={**os.environ, **environment},
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip


@pytest.mark.slow
def test_the_command_line_starts_the_other_device_and_the_first_one_speaks(tmp_path):
    home = prepared_home(tmp_path).home
    done = command(home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained: Dice") == 1
    assert done.stderr == ""
    assert len(list((home / "results").glob("*.json"))) == 1
    assert "cached: Dice" in command(home).stdout


@pytest.mark.slow
def test_torchrun_starts_all(tmp_path):
    home = prepared_home(tmp_path).home
    done = command(home, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained: Dice") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [("error", "device 1: this card is broken; all devices end"), ("kill", "another device ended abruptly")],
)
def test_a_fault_on_one_device_ends_all_with_a_sentence(tmp_path, fault, sentence):
    """And the next command trains: no lock is left, nothing half-written."""
    home = prepared_home(tmp_path).home
    done = command(home, FAULT=fault)
    assert done.returncode == 1
    assert (done.stdout + done.stderr).count(sentence) >= 1
    assert "Traceback" not in done.stdout + done.stderr
    (failure,) = (home / "runs").glob("*/failure.json")
    assert sentence in json.loads(failure.read_text())["reason"]
    assert not list(home.rglob("*.tmp"))
    assert "trained: Dice" in command(home).stdout

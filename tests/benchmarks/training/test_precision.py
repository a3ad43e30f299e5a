"""Training in half precision: what the network sees, steps that overflow, resuming, several devices."""

import dataclasses
from itertools import pairwise

import pytest
import torch
from torch import nn

from benchmarks.training.checkpoint import LAST, Checkpoints, read_checkpoint
from benchmarks.training.device_layout import Layout
from benchmarks.training.loop import Listener, TrainingDiverged, make_fabric, overflows, set_up_training, train
from benchmarks.training.optimizer import make_optimizer
from benchmarks.training.precision import LossScale
from benchmarks.training.rank_group import RankGroup
from benchmarks.training.reproducibility import seeded
from data_prep.loading.torch_dataset import PreparedDataset
from tests.benchmarks.prepared import TINY, write_prepared
from tests.benchmarks.training.test_device_layout import join, together
from tests.benchmarks.training.test_loop import SILENT, Small

HALVES = ("bf16-mixed", "16-mixed")
PLAIN = dataclasses.replace(TINY, optimizer="sgd", warmup=0, weight_decay=0.0, rates=(0.05,))
"""10 images, 5 groups of 2, two groups a step: 3 steps an epoch."""


class Overflowing(nn.Module):
    """A network whose gradient is infinite in the backward passes with the given numbers, as in float16."""

    def __init__(self, at=()):
        super().__init__()
        self.at, self.passes = set(at), 0
        with seeded(0):
            self.conv = nn.Conv2d(3, 1, 3, padding=1)

    def forward(self, images):
        logits = self.conv(images)
        if self.training and logits.requires_grad:
            self.passes += 1
            if self.passes in self.at:
                logits.register_hook(lambda gradient: gradient * torch.inf)
        return logits


@pytest.fixture
def data(tmp_path):
    splits = write_prepared(tmp_path / "data").splits(0)
    return PreparedDataset(tmp_path / "data", splits["train"]), PreparedDataset(tmp_path / "data", splits["val"])


def run(net, work, data, precision, recipe=PLAIN, listener=SILENT, fabric=None, **options):
    fabric = fabric or make_fabric("cpu", precision)
    return train(net, recipe, recipe.rates[0], 0, data, fabric, Checkpoints(work), listener, **options)


def vector(net):
    return torch.cat([parameter.detach().flatten() for parameter in net.parameters()])


@pytest.mark.parametrize("precision", HALVES)
def test_the_network_sees_pixels_as_they_are(precision):
    """Fabric rounds its input: in bfloat16 by half a grey level, before the mean is taken off and before any FFT."""

    class Seen(nn.Conv2d):
        def forward(self, images):
            self.images = images
            return super().forward(images)

    net, pixels = Seen(1, 1, 1), (torch.arange(256) / 255).view(1, 1, 16, 16)
    model = make_fabric("cpu", precision).setup(net)
    logits = model(pixels)
    assert torch.equal(net.images, pixels)
    assert logits.dtype == torch.float32


@pytest.mark.parametrize("precision", HALVES)
def test_steps_are_those_of_fp32_within_rounding(data, tmp_path, precision):
    """The gradient of a batch of two groups is unscaled once: a scale left in would be a step of 65536 times."""
    exact, half = Overflowing(), Overflowing()
    start = vector(exact)
    run(exact, tmp_path / "fp32", data, "32-true")
    run(half, tmp_path / "half", data, precision)
    moved = (vector(exact) - start).norm()
    assert (vector(half) - vector(exact)).norm() < 0.02 * moved


@pytest.mark.parametrize("group", [1, 2])
def test_an_overflow_leaves_its_whole_step_out(data, tmp_path, group):
    """If one group of a step overflows, the gradient of the other is not applied either; the next step is whole."""
    passes = []

    def step(epoch, epochs, number, steps):
        passes.append(vector(net))

    net = Overflowing({group})  # of the two groups of the first step
    told = []
    listener = Listener(step, lambda _: None, overflowed=told.append)
    recipe = dataclasses.replace(PLAIN, epochs=2)
    state = run(net, tmp_path / "work", data, "16-mixed", recipe, listener)
    assert torch.equal(passes[0], vector(Overflowing()))
    assert all(not torch.equal(before, after) for before, after in pairwise(passes))
    assert [epoch["overflows"] for epoch in state.history] == [1.0, 0.0]
    assert overflows(state.history) == 1
    assert told == [1, 1]  # at the end of each epoch: to read the count waits for the device
    scaling = read_checkpoint(tmp_path / "work" / LAST).progress["scaling"]
    assert (scaling["scale"], scaling["_growth_tracker"]) == (2.0**15, 5)


def test_other_precisions_have_no_scale(data, tmp_path):
    state = run(Overflowing(), tmp_path / "work", data, "bf16-mixed")
    assert "overflows" not in state.history[0]
    assert read_checkpoint(tmp_path / "work" / LAST).progress["scaling"] == {}


def test_every_training_begins_at_the_first_scale(data, tmp_path):
    """The candidates of one run share Fabric and its scaler: the second began at the last scale of the first."""
    fabric = make_fabric("cpu", "16-mixed")
    run(Overflowing({1, 3, 5}), tmp_path / "one", data, "16-mixed", fabric=fabric)
    run(Overflowing(), tmp_path / "two", data, "16-mixed", fabric=fabric)
    scales = [read_checkpoint(tmp_path / name / LAST).progress["scaling"]["scale"] for name in ("one", "two")]
    assert scales == [2.0**13, 2.0**16]


def test_gradients_that_never_fit_end_the_training(data, tmp_path):
    """Otherwise every step would be left out, and an untrained network tested."""
    recipe = dataclasses.replace(PLAIN, epochs=20)
    with pytest.raises(TrainingDiverged, match=r"epoch 11 fits float16.*--precision bf16 or fp32"):
        run(Overflowing(range(1, 1000)), tmp_path / "work", data, "16-mixed", recipe)


@pytest.mark.parametrize("precision", HALVES)
def test_interrupted_and_resumed_equals_straight(data, tmp_path, precision):
    """Bit for bit, with a step left out before the interruption: scale, count and growth go on."""
    recipe = dataclasses.replace(TINY, epochs=2)

    class Net(Small):
        def __init__(self, at):
            super().__init__()
            self.at, self.passes = at, 0

        forward = Overflowing.forward
        conv = property(lambda self: super().forward)

    def fresh(at=()):
        with seeded(0):
            return Net(set(at) if precision == "16-mixed" else set())

    def interrupt(epoch, epochs, number, steps):
        if (epoch, number) == (1, 3):
            raise KeyboardInterrupt

    straight, resumed = fresh({3}), fresh({3})
    expected = run(straight, tmp_path / "straight", data, precision, recipe)
    with pytest.raises(KeyboardInterrupt):
        run(resumed, tmp_path / "broken", data, precision, recipe, Listener(interrupt, lambda _: None), save_every=0.0)
    resumed = fresh()  # goes on after the second step, which was left out
    found = run(resumed, tmp_path / "broken", data, precision, recipe)
    assert [{**epoch, "seconds": 0} for epoch in found.history] == [{**e, "seconds": 0} for e in expected.history]
    assert found.history[0].get("overflows") == (1.0 if precision == "16-mixed" else None)
    for name, value in straight.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    scalings = [read_checkpoint(tmp_path / name / LAST).progress["scaling"] for name in ("straight", "broken")]
    assert scalings[0] == scalings[1]


@pytest.mark.parametrize("fused", [False, True])
def test_fused_adamw_leaves_out_the_same_steps(fused):
    """The fused kernel unscales and looks for overflows itself; scaled or not, its steps are those of plain AdamW."""
    nets = {}
    for precision in ("32-true", "16-mixed"):
        fabric, net = make_fabric("cpu", precision), Overflowing()
        raw = make_optimizer(net, dataclasses.replace(PLAIN, optimizer="adamw"), 0.01, fused=fused)
        model, optimizer = set_up_training(fabric, net, raw)
        scale, left_out = LossScale(fabric, {}), []
        for factor in (1, float("inf"), 2) if precision == "16-mixed" else (1, 2):
            torch.manual_seed(0)
            with torch.autocast("cpu", enabled=False):
                loss = model.module.conv(torch.rand(1, 3, 8, 8)).square().mean() * factor
            fabric.backward(loss)
            scale.step(optimizer)
            left_out.append(scale.take_left_out())
            optimizer.zero_grad(set_to_none=True)
        assert left_out == ([0, 1, 0] if precision == "16-mixed" else [0, 0])
        nets[precision] = vector(net)
    torch.testing.assert_close(nets["16-mixed"], nets["32-true"], atol=1e-6, rtol=0)


def half_on_a_rank(rank, port, size, folder):
    """Train on two ranks; in the first step the gradient of the second rank alone overflows."""
    join(rank, port, size)
    splits = write_prepared(folder / f"data{rank}").splits(0)
    data = tuple(PreparedDataset(folder / f"data{rank}", splits[name]) for name in ("train", "val"))
    ranks = RankGroup(Layout(size, started=True), "cpu", "16-mixed", [])
    net, steps = Overflowing({1} if rank == 1 else ()), []
    start = vector(net)
    listener = Listener(lambda *_: steps.append(vector(net)), lambda _: None)
    state = run(net, folder / "work", data, "16-mixed", listener=listener, fabric=ranks.fabric, ranks=ranks)
    assert torch.equal(steps[0], start)
    assert not torch.equal(steps[1], start)
    assert overflows(state.history) == 1
    gathered = ranks.collect({rank: vector(net)}, size)
    assert torch.equal(gathered[0], gathered[1])
    if rank == 0:
        ranks.release()
    else:
        assert ranks.receive_run() is None


def test_an_overflow_on_one_device_leaves_the_step_out_on_all(tmp_path):
    """The gradients are averaged before they are looked at, so scales and parameters of the devices stay equal."""
    assert together(half_on_a_rank, tmp_path) == [0, 0]

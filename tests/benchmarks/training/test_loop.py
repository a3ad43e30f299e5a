"""The training loop: its schedule, its groups, its checkpoints, and that interruption changes nothing."""

import dataclasses
import math

import pytest
import torch
from torch import nn

from benchmarks.protocol.recipe import PAPER
from benchmarks.tensors import trained_state
from benchmarks.training.checkpoint import LAST, Checkpoints
from benchmarks.training.loop import Listener, TrainingDiverged, make_fabric, train
from benchmarks.training.loss import segmentation_loss
from benchmarks.training.optimizer import learning_rate, make_optimizer
from benchmarks.training.reproducibility import seeded
from data_prep.loading.torch_dataset import PreparedDataset
from tests.benchmarks.prepared import TINY, write_prepared

SILENT = Listener(step=lambda *_: None, epoch=lambda _: None)


def best_files(folder):
    return {path.name for path in folder.glob("best-*.safetensors")}


class Small(nn.Module):
    """A network with a frozen part, running statistics and dropout: all that a checkpoint must hold or leave out."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Conv2d(3, 4, 1).requires_grad_(False)
        self.norm = nn.BatchNorm2d(4)
        self.dropout = nn.Dropout2d(0.5)
        self.head = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.norm(self.frozen(images))))


def fresh(seed: int = 0) -> Small:
    with seeded(seed):
        return Small()


def run(net, work, data, recipe=TINY, seed=0, listener=SILENT, **options):
    fabric = make_fabric("cpu", "32-true")
    return train(net, recipe, recipe.rates[0], seed, data, fabric, Checkpoints(work), listener, **options)


@pytest.fixture
def data(tmp_path):
    manifest = write_prepared(tmp_path / "data")
    splits = manifest.splits(0)
    return PreparedDataset(tmp_path / "data", splits["train"]), PreparedDataset(tmp_path / "data", splits["val"])


@pytest.mark.parametrize("warmup", [250, 0.1])
def test_schedule_is_sameds(warmup):
    recipe, steps = dataclasses.replace(PAPER, warmup=warmup), 1000
    first = 250 if warmup == 250 else 100
    for step in range(steps):
        expected = 5e-3 * (step + 1) / first if step < first else 5e-3 * (1.0 - (step - first) / steps) ** 0.9
        assert learning_rate(recipe, 5e-3, step, steps) == pytest.approx(expected, rel=1e-12)


def test_accumulation_is_the_mean_over_groups(data, tmp_path):
    """Two groups of two behind one step: the gradient is the mean of the groups' gradients, not their sum."""
    recipe = dataclasses.replace(TINY, optimizer="sgd", epochs=1, warmup=0, weight_decay=0.0)
    train_set = PreparedDataset(data[0].folder, data[0].entries[:4])
    net, twin = nn.Conv2d(3, 1, 1), nn.Conv2d(3, 1, 1)
    twin.load_state_dict(net.state_dict())
    run(net, tmp_path / "work", (train_set, data[1]), recipe)

    from benchmarks.training.batches import _EpochDataset

    draws = _EpochDataset(train_set, recipe, 0, 1)
    losses = []
    for first in (0, 2):
        images, labels = (torch.stack(parts) for parts in zip(draws[first], draws[first + 1], strict=True))
        losses.append(segmentation_loss(twin(images.float() / 255), labels, 0.2, 0.8))
    torch.stack(losses).mean().backward()
    for name, parameter in twin.named_parameters():
        moved = parameter - recipe.rates[0] * parameter.grad
        assert torch.allclose(dict(net.named_parameters())[name], moved, atol=1e-7)


def test_every_epoch_draws_anew_and_the_seed_decides(data):
    from benchmarks.training.batches import _EpochDataset

    orders = {
        (seed, epoch): tuple(_EpochDataset(data[0], TINY, seed, epoch).order) for seed in (0, 1) for epoch in (1, 2)
    }
    assert len(set(orders.values())) == 4
    assert all(sorted(order) == list(range(len(data[0]))) for order in orders.values())
    assert orders[0, 1] == tuple(_EpochDataset(data[0], TINY, 0, 1).order)


def test_flips_turn_image_and_labels_alike(data):
    from benchmarks.training.batches import _EpochDataset

    draws = _EpochDataset(data[0], dataclasses.replace(TINY, augmentation="flips"), 0, 1)
    assert len(set(draws.turns.tolist())) > 1
    for position in range(len(draws)):
        image, labels = draws[position]
        bright = image.float().mean(dim=0) > 120
        assert (bright == (labels == 1)).float().mean() > 0.95


def test_best_epoch_has_the_lowest_validation_loss(data, tmp_path):
    net = fresh()
    recipe = dataclasses.replace(TINY, epochs=4, rates=(0.3,))
    state = run(net, tmp_path / "work", data, recipe)
    losses = [epoch["val_loss"] for epoch in state.history]
    assert state.best_epoch == losses.index(min(losses)) + 1
    assert state.best_loss == min(losses)
    best = Small()
    best.frozen.load_state_dict(net.frozen.state_dict())
    Checkpoints(tmp_path / "work").load_best(best, state.best_epoch)
    assert all(torch.equal(best.state_dict()[name], value) for name, value in net.state_dict().items())


def test_interrupted_and_resumed_equals_straight(data, tmp_path):
    """Bit for bit on the CPU: parameters, running statistics, optimiser and history."""
    recipe = dataclasses.replace(TINY, epochs=3)
    straight = fresh()
    expected = run(straight, tmp_path / "straight", data, recipe)

    def interrupt(metrics):
        if metrics["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(fresh(), tmp_path / "broken", data, recipe, listener=Listener(lambda *_: None, interrupt))
    resumed = fresh()
    found = run(resumed, tmp_path / "broken", data, recipe)

    assert [{**epoch, "seconds": 0} for epoch in found.history] == [{**e, "seconds": 0} for e in expected.history]
    for name, value in straight.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    for folder in (tmp_path / "straight", tmp_path / "broken"):
        assert {path.name for path in folder.iterdir()} <= {LAST, "previous.safetensors", *best_files(folder)}
    for name in best_files(tmp_path / "straight"):
        assert (tmp_path / "straight" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()


def test_same_seed_same_parameters_other_seed_others(data, tmp_path):
    nets = [fresh(), fresh(), fresh(1)]
    for number, net in enumerate(nets):
        run(net, tmp_path / str(number), data, seed=int(number == 2))
    same, twin, other = (net.head.weight for net in nets)
    assert torch.equal(same, twin)
    assert not torch.equal(same, other)


def test_a_loss_that_is_no_number_stops_the_run(data, tmp_path):
    net = fresh()
    nn.init.constant_(net.head.weight, math.nan)
    with pytest.raises(TrainingDiverged, match=r"loss became nan .* in epoch 1"):
        run(net, tmp_path / "work", data)
    assert not (tmp_path / "work" / LAST).exists()


def test_auxiliary_outputs_are_weighed(data, tmp_path):
    class Auxiliary(nn.Conv2d):
        def training_outputs(self, images):
            logits = self(images)
            return [(1.0, logits), (0.5, logits)]

    recipe = dataclasses.replace(TINY, optimizer="sgd", epochs=1, warmup=0, weight_decay=0.0)
    plain, with_auxiliary = nn.Conv2d(3, 1, 1), Auxiliary(3, 1, 1)
    with_auxiliary.load_state_dict(plain.state_dict())
    start = plain.weight.detach().clone()
    tripled = dataclasses.replace(recipe, limit=None)
    two_images = (PreparedDataset(data[0].folder, data[0].entries[:2]), data[1])
    run(plain, tmp_path / "a", two_images, tripled)
    run(with_auxiliary, tmp_path / "b", two_images, tripled)
    # Steps are differences of weights, which float32 rounds to about 3e-8 each; a step is 1e-4 or so.
    assert (plain.weight - start).abs().max() > 1e-5
    assert torch.allclose(with_auxiliary.weight - start, 1.5 * (plain.weight - start), rtol=1e-4, atol=1.5e-7)


def test_checkpoint_holds_what_was_trained_and_nothing_else():
    names = set(trained_state(fresh()))
    assert not any(name.startswith("frozen") for name in names)
    assert {"head.weight", "norm.running_mean", "norm.num_batches_tracked"} <= names


def walk(net, optimizer, steps):
    """Steps at rates that change, as in training; what each sees depends on its number alone."""
    for number in steps:
        for settings in optimizer.param_groups:
            settings["lr"] = 0.01 / (1 + number)
        torch.manual_seed(number)
        images = torch.rand(2, 3, 8, 8, dtype=torch.float64)
        net(images).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


def test_fused_adamw_equals_plain_and_goes_on_from_it(tmp_path):
    """Ten steps in float64; and five of the fused one after five of the plain one, by a checkpoint."""
    recipe = dataclasses.replace(TINY, optimizer="adamw", weight_decay=0.1)
    nets, states = {}, {}
    for kind in ("plain", "fused", "resumed", "without decay"):
        nets[kind] = net = fresh().double()
        optimizer = make_optimizer(net, recipe, 0.01, fused=kind != "plain")
        assert bool(optimizer.param_groups[0]["fused"]) == (kind != "plain")
        if kind == "without decay":
            optimizer.param_groups[0]["weight_decay"] = 0.0
        if kind == "resumed":
            Checkpoints(tmp_path).resume(net, optimizer)
            assert optimizer.param_groups[0]["fused"] is True
        walk(net, optimizer, range(5 if kind == "resumed" else 0, 5))
        if kind == "plain":
            Checkpoints(tmp_path).save(net, optimizer, {"best_epoch": 0}, {})
        walk(net, optimizer, range(5, 10))
        states[kind] = {name: optimizer.state[p] for name, p in net.named_parameters() if p.requires_grad}
    for kind in ("fused", "resumed"):
        torch.testing.assert_close(nets[kind].state_dict(), nets["plain"].state_dict(), atol=1e-12, rtol=1e-12)
        torch.testing.assert_close(states[kind], states["plain"], atol=1e-12, rtol=1e-12)
    assert states["plain"].keys() == {"norm.weight", "norm.bias", "head.weight", "head.bias"}
    assert all(float(state["step"]) == 10 for state in states["resumed"].values())
    moved = nets["without decay"].head.weight - nets["plain"].head.weight
    assert moved.abs().max() > 1e-5  # the decay is seen


@pytest.mark.parametrize("fused", [False, True])
def test_weight_decay_spares_nothing_that_is_trained(fused):
    """Without a gradient AdamW shrinks by 1 - rate * decay a step: norms and biases too, what is frozen not."""
    net = fresh().double()
    start = {name: p.detach().clone() for name, p in net.named_parameters()}
    optimizer = make_optimizer(net, dataclasses.replace(TINY, optimizer="adamw", weight_decay=0.1), 0.5, fused=fused)
    for _ in range(10):
        for parameter in net.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    for name, parameter in net.named_parameters():
        shrunk = 1.0 if name.startswith("frozen") else (1 - 0.5 * 0.1) ** 10
        torch.testing.assert_close(parameter.detach(), shrunk * start[name], atol=1e-12, rtol=1e-12)

"""Checkpoints: everything comes back bit for bit, and what is wrong with one is named before anything is changed."""

import dataclasses
import json
import os
import random

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from benchmarks.training.checkpoint import (
    LAST,
    PREVIOUS,
    CheckpointDamaged,
    CheckpointForeign,
    Checkpoints,
    read_checkpoint,
)
from benchmarks.training.optimizer import make_optimizer
from benchmarks.training.reproducibility import random_states, restore_random_states, seeded
from tests.benchmarks.prepared import SIDE, TINY
from tests.benchmarks.training.test_loop import fresh

CPU = torch.device("cpu")


def trained(recipe=TINY, steps=1):
    net = fresh()
    optimizer = make_optimizer(net, recipe, 1e-3)
    with seeded(3):
        for _ in range(steps):
            net(torch.rand(2, 3, SIDE, SIDE)).mean().backward()
            optimizer.step()
    return net, optimizer


def saved(folder, epochs=1, start=None):
    """So many epochs saved, each with another best and another state."""
    checkpoints = Checkpoints(folder, start or {})
    for epoch in range(1, epochs + 1):
        net, optimizer = trained(steps=epoch)
        checkpoints.save_best(net, epoch)
        checkpoints.save(net, optimizer, {"epoch": epoch, "best_epoch": epoch}, random_states(CPU))
    return net, optimizer


def resumed(folder, start=None):
    """(progress or None, what was said, network, optimiser)."""
    said = []
    net = fresh(1)
    optimizer = make_optimizer(net, TINY, 1e-3)
    found = Checkpoints(folder, start or {}, said.append).resume(net, optimizer)
    return found and found[0], said, net, optimizer


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_parameters_statistics_and_optimiser_come_back(tmp_path, optimizer):
    recipe = dataclasses.replace(TINY, optimizer=optimizer)
    net, before = trained(recipe)
    Checkpoints(tmp_path).save(net, before, {"epoch": 3, "best_epoch": 0}, {})
    twin = fresh(1)
    after = make_optimizer(twin, recipe, 1e-3)
    assert Checkpoints(tmp_path).resume(twin, after)[0] == {"epoch": 3, "best_epoch": 0}
    for name, value in net.state_dict().items():
        assert name.startswith("frozen") or torch.equal(twin.state_dict()[name], value)
    state, again = before.state_dict()["state"], after.state_dict()["state"]
    assert state.keys() == again.keys()
    assert state
    for index, values in state.items():
        assert values.keys() == again[index].keys()
        assert all(torch.equal(torch.as_tensor(again[index][name]), torch.as_tensor(v)) for name, v in values.items())


def draws():
    return [random.random(), random.gauss(0, 1), *np.random.rand(2), np.random.randn(), *torch.rand(3).tolist()]


def test_random_states_come_back(tmp_path):
    """Every generator, with the second half of a pair of normal numbers that two of them keep."""
    net, optimizer = trained()
    with seeded(5):
        draws()
        Checkpoints(tmp_path).save(net, optimizer, {"best_epoch": 0}, random_states(CPU))
        wanted = draws()
        draws()
        restore_random_states(Checkpoints(tmp_path).resume(net, optimizer)[1], CPU)
        assert draws() == wanted


def test_metadata_and_content(tmp_path):
    """A reader of safetensors finds the digest of the pretrained checkpoint; frozen parameters are not in the file."""
    saved(tmp_path, start={"vit_b": "ab12"})
    with safe_open(tmp_path / LAST, framework="pt") as stream:
        assert json.loads(stream.metadata()["rssam-bench"])["start"] == {"vit_b": "ab12"}
        names = list(stream.keys())
    assert "model.head.weight" in names
    assert "model.norm.running_mean" in names
    assert not any("frozen" in name for name in names)


def flip(path, position):
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "empty": lambda path: path.write_bytes(b""),
    "zeros at the end": lambda path: path.write_bytes(path.read_bytes()[:-64] + bytes(64)),
    "one bit of a tensor": lambda path: flip(path, -5),
    "one bit of a name": lambda path: flip(path, path.read_bytes().index(b"head.weight")),
    "one digit of the progress": lambda path: path.write_bytes(
        path.read_bytes().replace(b'\\"epoch\\": 2', b'\\"epoch\\": 9')
    ),
    "another file": lambda path: path.write_bytes(b"PK\3\4 something else"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_one_is_named_and_the_previous_used(tmp_path, damage):
    saved(tmp_path, epochs=2)
    wanted, _ = trained(steps=1)
    before = (tmp_path / LAST).read_bytes()
    damage(tmp_path / LAST)
    assert (tmp_path / LAST).read_bytes() != before
    progress, said, net, _ = resumed(tmp_path)
    assert progress["epoch"] == 1
    assert torch.equal(net.head.weight, wanted.head.weight)
    assert len(said) == 1
    assert str(tmp_path / LAST) in said[0]
    assert "going on from previous.safetensors" in said[0]


def test_both_damaged_is_said_and_starts_again(tmp_path):
    saved(tmp_path, epochs=2)
    for name in (LAST, PREVIOUS):
        flip(tmp_path / name, -5)
    untouched = fresh(1)
    progress, said, net, optimizer = resumed(tmp_path)
    assert progress is None
    assert torch.equal(net.head.weight, untouched.head.weight)
    assert optimizer.state_dict()["state"] == {}
    assert len(said) == 2
    assert "starts from its beginning" in said[1]


@pytest.mark.parametrize("harm", ["damaged", "lost"])
def test_a_best_that_is_gone_takes_its_checkpoint_with_it(tmp_path, harm):
    """The best parameters are wanted at the end: found out then, the whole training would have been in vain."""
    saved(tmp_path, epochs=2)
    best = tmp_path / "best-0002.safetensors"
    best.unlink() if harm == "lost" else flip(best, -5)
    progress, said, *_ = resumed(tmp_path)
    assert progress["epoch"] == 1
    assert str(best) in said[0]


def test_a_kill_between_the_renames_loses_nothing(tmp_path, monkeypatch):
    net, optimizer = saved(tmp_path)
    replace, calls = os.replace, []

    def killed(source, target):
        if str(source).endswith("fresh.safetensors"):
            raise KeyboardInterrupt
        calls.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        Checkpoints(tmp_path).save(net, optimizer, {"epoch": 2, "best_epoch": 1}, {})
    assert calls
    monkeypatch.undo()
    assert not (tmp_path / LAST).exists()
    progress, said, *_ = resumed(tmp_path)
    assert (progress["epoch"], said) == (2, [])


def test_old_bests_go(tmp_path):
    saved(tmp_path, epochs=4)
    assert {path.name for path in tmp_path.glob("best-*")} == {"best-0003.safetensors", "best-0004.safetensors"}


def test_a_foreign_network_is_refused_with_every_name(tmp_path):
    """Shapes that broadcast were once copied in silence."""
    saved(tmp_path)
    other = nn.Sequential(nn.Conv2d(3, 1, 1))
    optimizer = make_optimizer(other, TINY, 1e-3)
    with pytest.raises(CheckpointForeign) as error:
        Checkpoints(tmp_path).resume(other, optimizer)
    for name in ("0.weight", "0.bias", "head.weight", "head.bias", "norm.running_var", "norm.num_batches_tracked"):
        assert name in str(error.value)

    wide = fresh()
    wide.head = nn.Conv2d(4, 2, 3, padding=1)
    before = wide.head.weight.clone()
    with pytest.raises(CheckpointForeign, match=r"head.bias .*\(2,\).*\(1,\)"):
        Checkpoints(tmp_path).resume(wide, make_optimizer(wide, TINY, 1e-3))
    assert torch.equal(wide.head.weight, before)


def test_an_optimiser_that_does_not_fit_changes_nothing(tmp_path):
    saved(tmp_path)
    net = fresh(1)
    half = torch.optim.AdamW([net.head.bias], lr=1e-3)
    before = net.head.weight.clone()
    with pytest.raises(CheckpointForeign, match="in the optimiser's state unexpected 1, 2, 3"):
        Checkpoints(tmp_path).resume(net, half)
    assert torch.equal(net.head.weight, before)


def test_another_pretrained_checkpoint_is_refused(tmp_path):
    """LoRA's few parameters on top of another SAM load without a murmur, and mean nothing."""
    saved(tmp_path, start={"vit_b": "ab12"})
    with pytest.raises(CheckpointForeign, match=r"ab12.*cd34"):
        resumed(tmp_path, start={"vit_b": "cd34"})


def test_reading_never_unpickles(tmp_path):
    torch.save({"model": 1}, tmp_path / LAST)
    with pytest.raises(CheckpointDamaged):
        read_checkpoint(tmp_path / LAST)

"""How a network attends is no part of what it is: not in the key, and in the counts where a logit is about zero."""

import copy

import numpy as np
import pytest
import torch

from baselines.sam_lora import SamLora
from benchmarks.protocol.run import resolve_run
from benchmarks.training.evaluate import evaluate
from benchmarks.training.loss import training_loss
from benchmarks.training.optimizer import make_optimizer
from benchmarks.training.reproducibility import seeded
from data_prep.loading.torch_dataset import PreparedDataset
from rssam.config import RSSAM
from rssam.contract import Task
from rssam.sam.attention import set_attention
from rssam.weights.folder import WeightsFolder
from tests.benchmarks.prepared import SIDE, TINY, tiny_run, write_prepared

STEPS = 6


def trained_counts(net, manifest, folder, kind):
    """Counts of the test images, and the loss of every step, after training and testing with one kind."""
    net = copy.deepcopy(net).train()
    set_attention(net, kind)
    train, test = (PreparedDataset(folder, manifest.splits(0)[split]) for split in ("train", "test"))
    optimizer, losses = make_optimizer(net, TINY, 1e-3), []
    for number in range(STEPS):
        items = [train[(2 * number + part) % len(train)] for part in range(2)]
        images = torch.stack([item["image"] for item in items]).float() / 255
        loss = training_loss(net, images, torch.stack([item["mask"] for item in items]), 0.2, 0.8)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return evaluate(net, test, Task(("road",), (SIDE, SIDE)), SIDE, torch.device("cpu")).counts, losses


@pytest.mark.parametrize(
    ("model", "kinds", "loss", "pixels"),
    [
        (SamLora("vit_t", "scratch"), ("auto", "folded", "dense"), 1e-3, 1e-3),
        pytest.param(RSSAM("vit_t", "scratch"), ("auto",), 2e-2, 1e-2, marks=pytest.mark.slow),
    ],
    ids=["sam-lora", "rs-sam"],
)
def test_every_kind_trains_to_the_same_counts(model, kinds, loss, pixels, tmp_path):
    """Tolerances: relative, of a step's loss, and the share of pixels that change sides.

    AdamW divides a gradient by its own size, so that what is nothing but rounding steps as far as the others do; six
    steps of RS-SAM with SAM's own blocks and with a written bias parted by 0.7 % of the loss.
    """
    manifest = write_prepared(tmp_path)
    with seeded(0):
        net = model.build(Task(("road",), (SIDE, SIDE)), WeightsFolder(tmp_path))
        counts, losses = trained_counts(net, manifest, tmp_path, "reference")
        found = {kind: trained_counts(net, manifest, tmp_path, kind) for kind in kinds}
    everything = SIDE**2 * len(counts.tp)
    assert losses[-1] < losses[0] - 0.02  # it has learned, so a wrong gradient would show
    assert 0 < counts.tp.sum() + counts.fp.sum() < everything  # and does not call all pixels the same
    for kind, (others, their_losses) in found.items():
        np.testing.assert_allclose(their_losses, losses, rtol=loss, err_msg=kind)
        moved = sum(abs(getattr(others, part) - getattr(counts, part)).sum() for part in ("tp", "fp", "fn", "tn")) / 2
        assert moved <= pixels * everything, (kind, moved)


def test_the_key_does_not_know_the_kind(tmp_path):
    """Neither by name nor by value anywhere in a run's identity: `set_attention` is told to a built network alone."""
    manifest = write_prepared(tmp_path)
    identity = resolve_run(tiny_run(RSSAM("vit_t", "scratch")), manifest, WeightsFolder(tmp_path), "32-true").identity()
    words = set()

    def walk(value):
        if isinstance(value, dict):
            words.update(value)
            for part in value.values():
                walk(part)
        elif isinstance(value, list | tuple):
            for part in value:
                walk(part)
        else:
            words.add(value)

    walk(identity)
    assert "rs-sam" in words
    assert not words & {"kind", "attention", "reference", "tiled", "folded", "dense", "auto"}

"""What checkpoints cost: bytes and share of an epoch, measured for vit_t on this machine, on paper for ViT-B.

From the root of the repository: python docs/measure/checkpoint.py [--rounds 5] [--side 256]. An epoch is that of the
paper's DeepGlobe split: 4358 training and 934 validation images. Its length is measured as whole groups of six images,
forward, backward and optimiser step, times their number; validation is counted as a third of a training pass an image.
A checkpoint is what an epoch writes at most: the last one, optimiser included, and the parameters of a new best.
"""

from __future__ import annotations

import itertools
from statistics import median

import torch
from turns import load, options, say, scratch, take_turns

from baselines.sam_lora import SamLora
from benchmarks.protocol.cost import measure
from benchmarks.protocol.recipe import PAPER
from benchmarks.tensors import trained_state
from benchmarks.training.checkpoint import LAST, Checkpoints
from benchmarks.training.loss import training_loss
from benchmarks.training.optimizer import make_optimizer
from benchmarks.training.reproducibility import random_states, seeded
from data_prep.registry import find_dataset
from rssam.config import RSSAM
from rssam.contract import Task
from rssam.weights.folder import WeightsFolder

TRAIN, VAL = 4358, 934
DISK = 500e6
"""Bytes a second that a disk is taken to write."""
DIGEST = 1e9
"""Bytes a second of SHA-256 and copying on one core."""
SUSTAINED = (40e12, 150e12)
"""Operations a second of the GPU: what a dry run assumes, and what a fast card may reach."""


def measured(model: RSSAM | SamLora, side: int, rounds: int) -> None:
    """Train some groups, save some checkpoints."""
    cpu = torch.device("cpu")
    with seeded(0), scratch() as folder:
        net = model.build(Task(("road",), (side, side)), WeightsFolder(folder))
        optimizer = make_optimizer(net, PAPER, 1e-3)
        images, labels = torch.rand(6, 3, side, side), (torch.rand(6, side, side) > 0.9).to(torch.uint8)
        checkpoints, epochs = Checkpoints(folder), itertools.count(1)

        def train() -> None:
            training_loss(net, images, labels, 0.2, 0.8).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        def save() -> None:
            epoch = next(epochs)
            checkpoints.save_best(net, epoch)
            checkpoints.save(net, optimizer, {"best_epoch": epoch}, random_states(cpu))

        turns = take_turns({"group": train, "save": save}, rounds, warm=False)
        groups, saves = ([one.clock for one in found] for found in turns.values())
        size = (folder / LAST).stat().st_size
        best = checkpoints.best(rounds).stat().st_size
        total = sum(4 * value.numel() for value in net.state_dict().values())
    epoch = median(groups) * (TRAIN + VAL / 3) / 6
    say(
        f"{model.name} {model.encoder} at {side}: network {total / 1e6:.1f} MB; last {size / 1e6:.1f} MB, best "
        f"{best / 1e6:.1f} MB; saved in {median(saves):.3f} s (each {', '.join(f'{one:.3f}' for one in saves)}); "
        f"group {median(groups):.2f} s, epoch {epoch:.0f} s: {median(saves) / epoch:.3%}"
    )


def on_paper(model: RSSAM | SamLora) -> None:
    """Bytes by count, time by bandwidth, the epoch by operations."""
    task = Task(find_dataset("deepglobe").classes, (512, 512))
    cost = measure(model, task)
    with torch.device("meta"):
        net = model.architecture(task)
    trained = sum(value.numel() * value.element_size() for value in trained_state(net).values())
    last, best = trained + 8 * cost.trainable, trained
    seconds = (last + best) * (1 / DISK + 1 / DIGEST)
    step = 2 + cost.trainable / cost.total
    shares = [
        f"{rate / 1e12:.0f} TFLOP/s: epoch {epoch:.0f} s, {seconds / epoch:.2%}"
        for rate in SUSTAINED
        for epoch in [(TRAIN * step + VAL) * 2e9 * cost.gmacs / rate]
    ]
    say(
        f"{model.name} {model.encoder} at 512: network {4 * cost.total / 1e6:.0f} MB; last {last / 1e6:.0f} MB, best "
        f"{best / 1e6:.0f} MB, {seconds:.2f} s at {DISK / 1e6:.0f} MB/s; {'; '.join(shares)}"
    )


def main() -> None:
    """Print a line for each system."""
    asked = options(__doc__, {"--rounds": 5, "--side": 256}).parse_args()
    say(f"load average {load()}, {torch.get_num_threads()} thread(s)")
    for small in (SamLora("vit_t", "scratch"), RSSAM("vit_t", "scratch")):
        measured(small, asked.side, asked.rounds)
    for large in (SamLora(), RSSAM()):
        on_paper(large)


if __name__ == "__main__":
    main()

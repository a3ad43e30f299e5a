"""Check that a system keeps what training, evaluation and reports rely on: one of this suite, or a user's own.

Each check runs on the system's smallest variant from scratch, on a CPU, in seconds. The forward contract is that of
`rssam.contract.Model`; the rest is what training, evaluation, checkpoints and reports assume.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.failures import first_line
from benchmarks.protocol.cost import measure, product_inputs
from benchmarks.protocol.registry import smallest
from benchmarks.training.loss import training_loss
from benchmarks.training.reproducibility import seeded
from rssam.amounts import shortened
from rssam.contract import Model, Task
from rssam.weights.folder import WeightsFolder

NOWHERE = WeightsFolder(Path("/nowhere"))
BINARY = ("road",)
TASK = Task(BINARY, (64, 64))
SIX = ("building", "road", "pavement", "vegetation", "bare soil", "water")
STEPS = 200
"""Within which four tiles must be learned by heart."""


class CheckFailed(AssertionError):
    """Raised for a failed check; the message says what was expected and what was found."""


@dataclass(frozen=True)
class Check:
    """Check of a thing that a system must keep.

    `run` raises CheckFailed, or whatever the system raises, where it is not kept.
    """

    name: str
    promise: str
    run: Callable[[Model], None]


def examine(model: Model) -> Iterator[tuple[Check, str]]:
    """Run every check on the system's smallest variant, and yield each with its fault, empty if it passed."""
    for check in CHECKS:
        fault = ""
        try:
            with seeded(0, deterministic=False):
                check.run(smallest(model))
        except Exception as error:  # noqa: BLE001  (it is the user's code, and after a failure the rest still runs)
            first = first_line(error)
            fault = first if isinstance(error, CheckFailed) else f"{type(error).__name__}: {first}"
        yield check, fault


def require(holds: bool, message: str) -> None:
    """Raise CheckFailed with the sentence if something is not kept."""
    if not holds:
        raise CheckFailed(message)


def tiles() -> tuple[Tensor, Tensor]:
    """Return four images [4, 3, 64, 64] with a bright square of 26 pixels each, and their masks [4, 1, 64, 64]."""
    images = 0.3 * torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    masks = torch.zeros(4, 1, 64, 64)
    for index, (top, left) in enumerate(((0, 8), (20, 30), (36, 2), (10, 36))):
        masks[index, :, top : top + 26, left : left + 26] = 1
    return images + 0.5 * masks, masks


def has_zero_gradient(name: str) -> bool:
    """Return whether the parameter of that name changes no prediction: its gradient is zero except for rounding.

    A bias of keys is the same for every weight in a softmax. The last bias of the last decoder's tokens is the same for
    both classes, of which only the difference is used.
    """
    return name.endswith("k_proj.bias") or name.endswith("transformer.norm_final_attn.bias")


def built(model: Model, task: Task = TASK, seed: int = 0) -> nn.Module:
    """Return a fresh network from the random state of `seed`."""
    torch.manual_seed(seed)
    return model.build(task, NOWHERE)


def loss_of(net: nn.Module, images: Tensor, masks: Tensor) -> Tensor:
    """Return the paper's loss on images [B, 3, H, W] and masks [B, 1, H, W] of 0 and 1."""
    return training_loss(net, images, masks[:, 0].long(), ce_weight=0.2, dice_weight=0.8)


def take_step(net: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, masks: Tensor) -> None:
    """Take an optimiser step; gradients stay."""
    optimizer.zero_grad()
    loss_of(net, images, masks).backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def trainable(net: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that training changes, by name."""
    return {name: parameter for name, parameter in net.named_parameters() if parameter.requires_grad}


def check_declaration(model: Model) -> None:
    """Check for a value that can be compared and hashed, and whose smallest variant needs no file."""
    require(isinstance(model, Model), "it lacks a part of rssam.contract.Model")
    require(hash(model) == hash(copy.deepcopy(model)), "two equal declarations have different hashes")
    needed = model.weights_needed()
    require(needed == (), f"its smallest variant must need no weights (`small`, or init scratch), it needs {needed}")


@torch.no_grad()
def check_forward(model: Model, classes: tuple[str, ...], size: tuple[int, int]) -> None:
    """Check for logits float32 [B, channels, H, W] at the input's resolution, of one image and in training of three."""
    net = built(model, Task(classes, size))
    for batch, training in ((1, False), (3, True)):
        images = torch.rand(batch, 3, *size)
        logits = net.train(training)(images)
        expected = (batch, len(classes), *size)
        shape = tuple(logits.shape)
        require(shape == expected, f"images {tuple(images.shape)} must give logits {expected}, found {shape}")
        require(logits.dtype == torch.float32, f"logits must be float32, found {logits.dtype}")
        require(bool(logits.isfinite().all()), "logits are not finite")
        require(bool(logits.std() > 0), "all logits are equal")


@torch.no_grad()
def check_integers(model: Model) -> None:
    """Refuse images uint8 in 0..255, or give the logits of the same pixels in 0..1."""
    net = built(model).eval()
    pixels = torch.randint(0, 256, (1, 3, 64, 64), dtype=torch.uint8)
    wanted = net(pixels.float() / 255)
    try:
        found = net(pixels)
    except Exception:  # noqa: BLE001  (any refusal will do, and it is the user's code)
        return
    off = float((found - wanted).abs().max())
    require(
        torch.allclose(found, wanted, atol=1e-4, rtol=1e-3),
        f"images uint8 in 0..255 must be refused, found logits that differ by up to {off:.2g} from those of the same "
        "pixels in 0..1: begin forward with rssam.require_float(images)",
    )


@torch.no_grad()
def check_range(model: Model) -> None:
    """Check that images uniform in 0..1, whose deviation is 0.29, reach the first layer on its scale.

    Normalised with ImageNet's numbers theirs is 1.3; normalised twice 5.7, and as if they were 0..255 below 0.01.
    """
    net = built(model).eval()
    first, second = (product_inputs(net, torch.rand(1, 3, 64, 64)) for _ in range(2))
    depends = (values for values, other in zip(first, second, strict=False) if not torch.equal(values, other))
    if (pixels := next(depends, None)) is None:
        return  # products of another kind: nothing is known of its scale
    mean, deviation = float(pixels.mean()), float(pixels.std())
    require(
        abs(mean) <= 10 and 0.05 <= deviation <= 4,
        f"images uniform in 0..1 must reach the first layer with a deviation of 0.05 to 4 and a mean of at most 10, "
        f"found {deviation:.2g} and {mean:.2g}: normalise them once, as images of 0..1",
    )


@torch.no_grad()
def check_batch(model: Model) -> None:
    """Check that in evaluation the logits of an image do not depend on its neighbours in the batch."""
    net = built(model).eval()
    images = torch.rand(3, 3, 64, 64)
    together, alone = net(images)[1:2], net(images[1:2])
    difference = float((together - alone).abs().max())
    equal = torch.allclose(together, alone, atol=1e-4, rtol=1e-3)
    require(equal, f"an image gives other logits beside others than alone, by up to {difference:.2g}")


def check_training(model: Model) -> None:
    """Check that two optimiser steps change all that is trainable, nothing else, and that gradients reach all of it."""
    net = built(model)
    images, masks = tiles()
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    training = trainable(net)
    optimizer = torch.optim.AdamW(training.values(), lr=1e-3)
    unused = {name for name in training if not has_zero_gradient(name)}
    for _ in range(2):
        take_step(net, optimizer, images, masks)
        unused -= {name for name, p in training.items() if p.grad is not None and p.grad.any()}
    changed = {name for name, parameter in net.named_parameters() if not torch.equal(parameter, before[name])}
    require(not unused, f"no loss reaches {_some(unused)}: freeze them with requires_grad_(False), or use them")
    unchanged = {name for name in training if not has_zero_gradient(name)} - changed
    require(not unchanged, f"training does not change {_some(unchanged)}")
    require(changed <= training.keys(), f"training changes the frozen {_some(changed - training.keys())}")


@torch.no_grad()
def check_state(model: Model) -> None:
    """Check that equal random states build equal networks, and others not, and that `state_dict` carries everything."""
    first, second, other = built(model).eval(), built(model).eval(), built(model, seed=1).eval()
    images = torch.rand(1, 3, 64, 64)
    logits = first(images)
    require(torch.equal(logits, second(images)), "built twice from one random state, it gives different logits")
    require(not torch.equal(logits, other(images)), "built from another random state, it gives the same logits")
    other.load_state_dict(copy.deepcopy(first.state_dict()))
    require(torch.equal(logits, other(images)), "its state_dict, loaded into another, gives other logits")


def check_global_state(model: Model) -> None:
    """Check that building leaves the settings of torch and the random numbers of NumPy alone."""

    def flags() -> tuple[bool, torch.dtype, bool]:
        return torch.is_grad_enabled(), torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()

    before, drawn = flags(), np.random.get_state(legacy=False)["state"]["key"].copy()
    built(model)
    require(flags() == before, "building changes a global setting of torch")
    after = np.random.get_state(legacy=False)["state"]["key"]
    require(bool((drawn == after).all()), "building draws from NumPy's global random numbers")


def check_overfitting(model: Model) -> None:
    """Check that four tiles are learned by heart; a network that cannot is wired wrongly."""
    net = built(model)
    images, masks = tiles()
    learned = trainable(net).values()
    # Fused it takes a quarter of the time on a CPU; it takes no complex numbers.
    optimizer = torch.optim.AdamW(learned, lr=1e-3, fused=all(p.is_floating_point() for p in learned))
    score = 0.0
    for step in range(STEPS):
        take_step(net, optimizer, images, masks)
        if step % 10 == 9 and (score := dice(net, images, masks)) > 0.9:
            return
    raise CheckFailed(f"four tiles must be learned to Dice 0.9 in {STEPS} steps, found {score:.3f}")


@torch.no_grad()
def dice(net: nn.Module, images: Tensor, masks: Tensor) -> float:
    """Return Dice in training mode: the running statistics of batch norm are young, and tested elsewhere."""
    predicted = net(images) > 0
    return float(2 * (predicted * masks).sum() / (predicted.sum() + masks.sum()))


def check_half(model: Model, half: torch.dtype) -> None:
    """Check that under autocast logits come back as float32, and that logits and gradients are finite."""
    net, name = built(model), str(half).removeprefix("torch.")
    images, masks = (part[:2] for part in tiles())  # a CPU takes ten times as long as in float32
    with torch.autocast("cpu", half):
        logits = net(images)
        loss = loss_of(net, images, masks)
    loss.backward()  # type: ignore[no-untyped-call]
    require(logits.dtype == torch.float32, f"under autocast logits must come back as float32, found {logits.dtype}")
    require(bool(logits.isfinite().all()), f"logits are not finite in {name}")
    bad = {name for name, p in net.named_parameters() if p.grad is not None and not p.grad.isfinite().all()}
    require(not bad, f"gradients are not finite in {name}: {_some(bad)}")


def check_counting(model: Model) -> None:
    """Check that parameters and operations can be counted on the meta device, as every result records them."""
    cost = measure(model, TASK)
    require(cost.trainable > 0, "it has no trainable parameter")
    require(cost.gmacs > 0, "its forward pass multiplies nothing")


def _some(names: set[str]) -> str:
    return shortened(sorted(names), 5)


FINITE = "logits and gradients are finite under autocast"

CHECKS: tuple[Check, ...] = (
    Check(
        "declaration", "equal declarations are equal values; the smallest variant needs no weights", check_declaration
    ),
    *(
        Check(
            f"forward {height}x{width} of {len(classes)}",
            f"images [B, 3, {height}, {width}] give float32 logits [B, {len(classes)}, {height}, {width}]",
            partial(check_forward, classes=classes, size=(height, width)),
        )
        for classes in (BINARY, SIX)
        for height, width in ((64, 64), (96, 160))
    ),
    Check("integers", "images of 0..255 are refused, not taken for 0..1", check_integers),
    Check("range", "images of 0..1 are normalised once, not as if they were 0..255", check_range),
    Check("batch", "the images of a batch do not mix", check_batch),
    Check("training", "two steps train what is declared trainable, and nothing else", check_training),
    Check("state", "one random state builds one network; its state makes the round trip", check_state),
    Check("global state", "building changes no global setting", check_global_state),
    Check("overfitting", f"four tiles are learned by heart within {STEPS} steps", check_overfitting),
    Check("bfloat16", FINITE, partial(check_half, half=torch.bfloat16)),
    Check("float16", FINITE, partial(check_half, half=torch.float16)),
    Check("counting", "parameters and operations can be counted without weights", check_counting),
)

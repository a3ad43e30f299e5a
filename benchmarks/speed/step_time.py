"""Time two training steps of a system on this machine, once, and keep what they took in the home.

Imports torch to time, and none to read.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.protocol.recipe import Precision
from benchmarks.protocol.run import Run, plain_fields, short_digest
from benchmarks.results.home import Home
from rssam.files import write_atomic
from rssam.foreign_json import Unreadable, read_json
from rssam.kinds import COUNT, NUMBER, fault

if TYPE_CHECKING:
    import torch

    from benchmarks.training.device_layout import Device

MOST_BYTES = 1 << 16
KINDS: dict[str, Any] = {"seconds_an_image": NUMBER, "memory": (COUNT, None)}
IMAGES_ON_CPU = 2
"""Images of a timed step, at most; time and memory above the weights are taken to grow with the images."""


@dataclass(frozen=True)
class StepTime:
    """Seconds of one image in a training step, and bytes at the peak of a step of the recipe's group."""

    seconds_an_image: float
    memory: int | None  # None where the system does not tell


def read_step_time(home: Path, run: Run, device: str, precision: Precision) -> StepTime | None:
    """Return what was timed before on a device of this name, None if nothing was or it cannot be read.

    Args:
        home: the home folder.
        run: the declaration.
        device: its maker's name.
        precision: of the training.
    """
    try:
        values = read_json(_file(home, run, device, precision), most_bytes=MOST_BYTES)
    except (OSError, Unreadable):
        return None
    return None if fault(values, KINDS) else StepTime(**{name: values[name] for name in KINDS})


def time_step(home: Path, run: Run, device: Device, precision: Precision) -> StepTime:
    """Time two steps with random weights and images, the first of which allocates; keep and return the second.

    Args:
        home: where the time is kept.
        run: the declaration.
        device: "cpu" or "cuda".
        precision: of the training.
    """
    import torch

    from benchmarks.results.provenance import device_name
    from benchmarks.speed.memory import memory_of, wait_for
    from benchmarks.training.compile import channels_last
    from benchmarks.training.loop import make_fabric, set_up_training, take_step
    from benchmarks.training.loss import training_loss
    from benchmarks.training.optimizer import make_optimizer
    from benchmarks.training.reproducibility import seeded

    fabric, recipe, task = make_fabric(device, precision), run.recipe.for_model(run.model), run.task
    with seeded(0, deterministic=False):
        net = run.model.architecture(task)
        count = recipe.group if device == "cuda" else min(recipe.group, IMAGES_ON_CPU)
        images = torch.rand(count, 3, *task.image_size, device=fabric.device)
        labels = torch.randint(max(2, len(task.classes)), (count, *task.image_size), device=fabric.device)
    if device == "cuda":
        channels_last(net)
    model, optimizer = set_up_training(fabric, net, make_optimizer(net, recipe, 0.0, fused=device == "cuda"))
    net.train()
    seconds: list[float] = []

    def loss() -> torch.Tensor:
        return training_loss(model, images, labels.to(torch.uint8), recipe.ce_weight, recipe.dice_weight)

    def step() -> None:
        began = time.perf_counter()
        take_step(fabric, optimizer, loss)
        wait_for(fabric.device)
        seconds.append(time.perf_counter() - began)

    memory = memory_of(step, fabric.device)
    if not seconds[1:]:  # where memory cannot be told the call above ended after its first step
        step()
    peak = None if memory is None else round(memory.peak - memory.above + memory.above * recipe.group / count)
    timed = StepTime(seconds[1] / count, peak)
    path = _file(home, run, device_name(fabric.device), precision)
    write_atomic(path, (json.dumps(asdict(timed)) + "\n").encode(), durable=False)
    return timed


def _file(home: Path, run: Run, device: str, precision: Precision) -> Path:
    """Name the file by all that decides the time of an image: system, size, group, device and precision."""
    declared = {
        "model": [run.model.name, run.model.version, plain_fields(run.model)],
        "task": [len(run.task.classes), *run.task.image_size], "group": run.recipe.group,
        "device": device, "precision": precision,
    }  # fmt: skip
    return Home(home).step_time(f"{run.model.name}-{short_digest(declared)}")

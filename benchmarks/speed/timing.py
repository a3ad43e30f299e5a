"""Measure what a system costs on this machine: latency, throughput, training step and memory.

Weights are random: time does not depend on their values. Each round times every operation of every way once, so that
other work of the machine hits all of them alike. Ratios are of one round each, and their median is given.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.protocol.cost import Cost, measure, measure_network
from benchmarks.protocol.recipe import PAPER, Precision
from benchmarks.protocol.run import plain_fields, short_digest
from benchmarks.results.home import Home
from benchmarks.results.provenance import provenance
from benchmarks.speed.memory import CallMemory, memory_of, wait_for
from benchmarks.speed.peers import EncoderAlone, encoder_alone, peer_encoder
from benchmarks.training.compile import channels_last, compile_network
from benchmarks.training.device_layout import Device
from benchmarks.training.loop import make_fabric, set_up_training, take_step
from benchmarks.training.loss import training_loss
from benchmarks.training.optimizer import make_optimizer
from benchmarks.training.reproducibility import seeded
from rssam.contract import Model, Task
from rssam.files import write_atomic
from rssam.sam.attention import AttentionKind, set_attention

SCHEMA = 1
SECONDS_OF_AN_OPERATION = 0.05
"""An operation is repeated within a round until it has taken about so long."""
OPERATIONS = ("latency", "throughput", "step")
SIDE_OF_PRODUCT = {"cuda": 4096, "cpu": 1024}
"""Of the square matrices whose product gives the rate of the device."""


@dataclass(frozen=True)
class Conditions:
    """Conditions of a measurement: where and how everything is timed."""

    device: Device
    precision: Precision
    batch: int  # images of a forward pass
    group: int  # images of a training step
    rounds: int
    compiled: bool = False


@dataclass(frozen=True)
class Operation:
    """Something to time: `run` does it once, after `ready` was called, which is not timed."""

    name: str
    run: Callable[[], object]
    images: int  # that `run` handles
    ready: Callable[[], object] = lambda: None


def measure_system(
    model: Model, task: Task, conditions: Conditions, ways: tuple[AttentionKind, ...] = ("auto",)
) -> dict[str, Any]:
    """Return the record of a system; the first of `ways` gives its figures, others are compared with it.

    Args:
        model: the declaration.
        task: its classes and size of images.
        conditions: device, precision and sizes.
        ways: kinds of attention.
    """
    with seeded(0, deterministic=False):
        net = model.architecture(task)
    description = {
        "system": {"name": model.name, "title": model.title, "version": model.version, "options": plain_fields(model)},
        "classes": list(task.classes),
    }
    return _record(description, time_network(net, task, conditions, ways), task, conditions, measure(model, task))


def measure_encoder(
    name: str,
    task: Task,
    conditions: Conditions,
    ways: tuple[AttentionKind, ...] = ("auto",),
    peers: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Measure SAM's encoder by itself, and how much longer the encoders of `peers` take.

    Raises PeerMissing for one that is not installed.
    """
    with seeded(0, deterministic=False):
        net = encoder_alone(name, task)
        others = {peer: peer_encoder(peer, name, task) for peer in peers}
    title = f"SAM's encoder {name}"
    description: dict[str, Any] = {
        "system": {"name": "encoder", "title": title, "version": 1, "options": {"encoder": name}},
        "classes": [],
    }
    cost = measure_network(partial(encoder_alone, name), task)
    return _record(description, time_network(net, task, conditions, ways, others), task, conditions, cost)


def time_network(
    net: nn.Module,
    task: Task,
    conditions: Conditions,
    ways: tuple[AttentionKind, ...],
    others: Mapping[str, nn.Module] | None = None,
) -> dict[str, Any]:
    """Seconds of every operation by way, "auto.latency" and so on, each a list with one entry a round.

    Args:
        net: the network, the figures of whose first way stand for it.
        task: size of the images.
        conditions: where and how it is timed.
        ways: ways of the network's blocks.
        others: networks that the first way is compared with, by name.
    """
    fabric = make_fabric(conditions.device, conditions.precision)
    device, cuda = fabric.device, conditions.device == "cuda"
    images = torch.rand(max(conditions.batch, conditions.group), 3, *task.image_size, device=device)
    labels = torch.randint(max(2, len(task.classes)), (conditions.group, *task.image_size), device=device)
    labels = labels.to(torch.uint8)
    segments = not isinstance(net, EncoderAlone)

    def operations(name: str, network: nn.Module, set_up: tuple[Any, Any], way: AttentionKind) -> list[Operation]:
        model, optimizer = set_up

        def ready(training: bool) -> None:
            set_attention(network, way)
            network.train(training)

        def forward(count: int) -> object:
            with torch.inference_mode():
                return model(images[:count])

        def loss() -> Tensor:
            if segments:
                return training_loss(model, images[: conditions.group], labels, 0.2, 0.8)
            squares: Tensor = model(images[: conditions.group]).float().square()
            return squares.mean()

        to_predict, to_train = partial(ready, training=False), partial(ready, training=True)
        return [
            Operation(f"{name}.latency", partial(forward, 1), 1, to_predict),
            Operation(f"{name}.throughput", partial(forward, conditions.batch), conditions.batch, to_predict),
            Operation(f"{name}.step", partial(take_step, fabric, optimizer, loss), conditions.group, to_train),
        ]

    def set_up(network: nn.Module) -> tuple[Any, Any]:
        if cuda:
            channels_last(network)
        if conditions.compiled:
            compile_network(network)
        raw = make_optimizer(network, PAPER, 0.0, fused=cuda)  # at rate 0, so that thousands of steps diverge nowhere
        return set_up_training(fabric, network, raw)

    own = set_up(net)
    found = [operation for way in ways for operation in operations(way, net, own, way)]
    for name, other in (others or {}).items():
        found += operations(name, other, set_up(other), "auto")
    memory: dict[str, CallMemory | None] = {}
    seconds: dict[str, list[float]] = {}
    forwards = [operation for operation in found if not operation.name.endswith(".step")]
    # What predicts has not trained: after a step an allocator keeps so much that large temporaries cost nothing.
    for part in ([*forwards, _product(conditions)], [operation for operation in found if operation not in forwards]):
        for operation in part:
            operation.ready()
            memory[operation.name] = memory_of(operation.run, device)
        seconds |= alternating(part, conditions.rounds, device)
    first, compared = ways[0], (*ways[1:], *(others or {}))
    ratios, memory_above = {}, {}
    for way, name in product(compared, OPERATIONS):
        pairs = zip(seconds[f"{way}.{name}"], seconds[f"{first}.{name}"], strict=True)
        ratios[f"{way}.{name}"] = summary([theirs / ours for theirs, ours in pairs])
        of_ours, of_theirs = memory[f"{first}.{name}"], memory[f"{way}.{name}"]
        if of_ours is not None and of_theirs is not None:
            memory_above[f"{way}.{name}"] = {"own": of_ours.above, "other": of_theirs.above}
    calls = {name: memory[f"{first}.{name}"] for name in OPERATIONS}
    peaks = {name: None if call is None else call.peak for name, call in calls.items()}
    return {
        "seconds": seconds, "way": first, "peak_memory": peaks, "times_as_long": ratios,
        "memory_above_weights": memory_above,
    }  # fmt: skip


def alternating(operations: list[Operation], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Return seconds of each operation in every round, after a round to warm up and to find how often to repeat it."""
    repeats = {}
    for operation in operations:
        operation.ready()
        operation.run()  # compiles, allocates, chooses kernels
        repeats[operation.name] = max(1, round(SECONDS_OF_AN_OPERATION / max(timed(operation.run, 1, device), 1e-6)))
    seconds: dict[str, list[float]] = {operation.name: [] for operation in operations}
    for number in range(rounds):
        for operation in operations if number % 2 == 0 else reversed(operations):
            operation.ready()
            seconds[operation.name].append(timed(operation.run, min(repeats[operation.name], 200), device))
    return seconds


def timed(run: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Return seconds of a call, as the mean of `repeats` calls in a row; waits for the device before and after."""
    wait_for(device)
    began = time.perf_counter()
    for _ in range(repeats):
        run()
    wait_for(device)
    return (time.perf_counter() - began) / repeats


def summary(values: list[float]) -> dict[str, Any]:
    """Return median and extremes over the rounds, and the rounds themselves."""
    return {"median": median(values), "low": min(values), "high": max(values), "rounds": values}


def save_record(home: Path, record: Mapping[str, Any]) -> Path:
    """Write a record into the home, in place of one of the same system under the same conditions."""
    identity = {key: record[key] for key in ("system", "image_size", "classes", "conditions", "device", "way")}
    path = Home(home).speed / f"{record['system']['name']}-{record['image_size'][0]}-{short_digest(identity)}.json"
    write_atomic(path, (json.dumps(record, indent=1) + "\n").encode())
    return path


def _record(
    description: Mapping[str, Any], timings: Mapping[str, Any], task: Task, conditions: Conditions, cost: Cost
) -> dict[str, Any]:
    seconds, way = timings["seconds"], timings["way"]
    device = torch.device(conditions.device)
    rate = 2 * SIDE_OF_PRODUCT[conditions.device] ** 3 / median(seconds["product"])  # operations a second
    seconds_an_image = median(seconds[f"{way}.throughput"]) / conditions.batch  # seconds an image
    achieved = 2e9 * cost.gmacs / seconds_an_image
    origin = provenance(device)
    return {
        "schema": SCHEMA,
        **description,
        "parameters": {"total": cost.total, "trainable": cost.trainable, "as_published": cost.as_published},
        "gmacs": cost.gmacs,
        "image_size": list(task.image_size),
        "weights": "random: time does not depend on their values",
        "conditions": vars(conditions),
        "way": way,
        "latency_seconds": summary(seconds[f"{way}.latency"]),
        "images_per_second": summary([conditions.batch / value for value in seconds[f"{way}.throughput"]]),
        "step_seconds": summary(seconds[f"{way}.step"]),
        "trained_images_per_second": summary([conditions.group / value for value in seconds[f"{way}.step"]]),
        **{name: timings[name] for name in ("peak_memory", "times_as_long", "memory_above_weights")},
        "product_rate": rate,
        "achieved_rate": achieved,
        "share_of_product_rate": achieved / rate,
        "waiting_for_images": None,
        "device": origin["device"],
        "provenance": origin,
    }


def _product(conditions: Conditions) -> Operation:
    """Return a product of square matrices in the precision of the networks: what the device can do at best."""
    side = SIDE_OF_PRODUCT[conditions.device]
    dtype = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16, "32-true": torch.float32}[conditions.precision]
    left, right = torch.rand(2, side, side, device=conditions.device, dtype=dtype)
    return Operation("product", lambda: left @ right, 1)

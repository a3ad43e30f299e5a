"""The steps of gpu.py: each measures or compares, and records what it finds through the `Site` that it is given."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.protocol.recipe import PAPER
from benchmarks.protocol.registry import MODELS, smallest
from benchmarks.results.provenance import provenance
from benchmarks.speed.timing import Conditions, Operation, alternating, measure_encoder
from benchmarks.training.compile import channels_last, compile_network
from benchmarks.training.loop import make_fabric, set_up_training
from benchmarks.training.loss import training_loss
from benchmarks.training.optimizer import make_optimizer
from benchmarks.training.precision import LossScale
from benchmarks.training.reproducibility import seeded
from rssam.contract import Model, Task

CLOSE = 1e-4
"""Largest difference of float32 from float32 on the CPU, as a share of the largest value."""
ROAD = ("road",)


@contextmanager
def exact() -> Iterator[None]:
    """Compute float32 as such: TF32 has ten bits, which turn SegNet's pooling indices over."""
    flags = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [flag.allow_tf32 for flag in flags]
    for flag in flags:
        flag.allow_tf32 = False
    try:
        yield
    finally:
        for flag, allowed in zip(flags, before, strict=True):
            flag.allow_tf32 = allowed


def ceilings(site: Any) -> None:
    """Record what the device does at best: bytes copied, products of matrices and convolutions, each a second."""
    device, quick = torch.device(site.device), site.quick
    site.record(provenance=provenance(device))
    source = torch.rand((1 << 20) if quick else (1 << 28), device=device)
    target = torch.empty_like(source)
    side, maps = (256, 32) if quick else (8192, 256)
    dtypes = [torch.float32] if device.type == "cpu" else [torch.float32, torch.bfloat16, torch.float16]
    work: list[tuple[str, Callable[[], object], float]] = [
        ("copy, bytes", lambda: target.copy_(source), 2.0 * source.nbytes)
    ]
    for dtype in dtypes:
        left, right = torch.rand(2, side, side, device=device).to(dtype)
        images = torch.rand(8, maps, 64, 64, device=device).to(dtype).to(memory_format=torch.channels_last)
        kernel = torch.rand(maps, maps, 3, 3, device=device).to(dtype).to(memory_format=torch.channels_last)
        work += [
            (f"product {dtype}, operations", lambda a=left, b=right: a @ b, 2.0 * side**3),  # type: ignore[misc]
            (f"convolution {dtype}, operations",
             lambda a=images, b=kernel: torch.nn.functional.conv2d(a, b, padding=1),  # type: ignore[misc]
             2.0 * 8 * 64 * 64 * 9 * maps**2),
        ]  # fmt: skip
    with exact():
        seconds = alternating([Operation(name, run, 1) for name, run, _ in work], 2 if quick else 5, device)
    for name, _, amount in work:
        site.record(ceiling=name, a_second=amount / median(seconds[name]))


def system(site: Any, name: str) -> None:
    """Compare a system with the CPU in float32, then train it for ten steps in bf16 and in fp16."""
    model, task = smallest(MODELS[name]), Task(ROAD, (64, 64) if site.quick else (128, 128))
    with seeded(0, deterministic=False), torch.inference_mode(), exact():
        net, images = model.architecture(task).eval(), torch.rand(2, 3, *task.image_size)
        wanted = net(images)
        found = net.to(site.device)(images.to(site.device)).cpu()
    difference = _difference(found, wanted)
    site.record(system=model.title, differs=difference)
    for precision in ("bf16-mixed", "16-mixed"):
        step, scale = _step(site, model, task, 2, precision)
        losses = torch.stack([step() for _ in range(2 if site.quick else 10)]).tolist()
        site.record(system=model.title, precision=precision, losses=losses, left_out=scale.take_left_out())
        if not all(map(math.isfinite, losses)):
            raise ValueError(f"losses of {precision}: {losses}")
    if not difference < CLOSE:
        raise ValueError(f"logits differ by {difference:.2g} of the largest, expected less than {CLOSE}")


def _difference(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-6))


def network(site: Any, model: Model, task: Task) -> nn.Module:
    """Return the network of a system with the same random parameters, laid out as the suite does."""
    with seeded(0, deterministic=False):
        net = model.architecture(task)
    if site.cuda:
        channels_last(net)
    return net


def _step(
    site: Any, model: Model, task: Task, group: int, precision: Any, *, compiled: bool = False
) -> tuple[Callable[[], Tensor], LossScale]:
    """Return one training step as the suite's loop takes it, and the scale of its loss."""
    fabric = make_fabric(site.device, precision)
    net = network(site, model, task)
    with seeded(0, deterministic=False):
        images = torch.rand(group, 3, *task.image_size)
    labels = (images.mean(dim=1) > 0.5).to(torch.uint8).to(fabric.device)
    images = images.to(fabric.device)
    if compiled:
        compile_network(net, "aot_eager" if site.quick else "inductor")  # Inductor takes minutes on two cores
    trained, optimizer = set_up_training(fabric, net, make_optimizer(net, PAPER, 1e-3, fused=site.cuda))
    net.train()
    scale = LossScale(fabric, {})

    def step() -> Tensor:
        with fabric.autocast():
            loss = training_loss(trained, images, labels, 0.2, 0.8)
        fabric.backward(loss)
        scale.step(optimizer)
        optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    return step, scale


def blocks(site: Any) -> None:
    """Compare ViT-B's blocks, windowed and global, in every way to attend; name the kernels that are chosen."""
    from rssam.sam.attention import set_attention
    from rssam.sam.encoder import SamEncoder
    from rssam.sam.encoder_sizes import ENCODERS

    size, tokens = ENCODERS["vit_t" if site.quick else "vit_b"], 8 if site.quick else 32
    with seeded(0, deterministic=False):
        encoder = SamEncoder(size, (16 * tokens, 16 * tokens), neck=False)
        for parameter in encoder.parameters():
            nn.init.normal_(parameter, std=0.02)
        maps = torch.randn(2, tokens, tokens, size.width)
    worst = 0.0
    chosen = {"window": 0, "global": size.global_blocks[0]}
    for kind, number in chosen.items():
        block = list(encoder.blocks)[number]
        set_attention(block, "reference")
        wanted = _passes(block.cpu(), maps)
        block.to(site.device)
        for way in ("folded", "dense", "reference"):
            set_attention(block, way)
            with exact():
                found = _passes(block, maps.to(site.device))
            differences = {name: _difference(found[name].cpu(), value) for name, value in wanted.items()}
            worst = max(worst, *differences.values())
            names = _kernels(site, lambda block=block: _passes(block, maps.to(site.device)))  # type: ignore[misc]
            site.record(block=kind, way=way, differs=max(differences.values()), kernels=names)
    if not worst < CLOSE:
        raise ValueError(f"a block differs by {worst:.2g} of the largest, expected less than {CLOSE}")


def _passes(block: nn.Module, maps: Tensor) -> dict[str, Tensor]:
    """Return output, gradient of the input and gradients of the parameters."""
    block.zero_grad(set_to_none=True)
    maps = maps.detach().requires_grad_()
    out = block(maps)
    out.square().mean().backward()
    gradients = {name: value.grad for name, value in block.named_parameters() if value.grad is not None}
    assert maps.grad is not None
    return {"out": out.detach(), "input": maps.grad, **gradients}


def _kernels(site: Any, run: Callable[[], object]) -> list[str]:
    """Return the names of the longest kernels of a pass in bf16, on the CPU of its operators."""
    cuda = site.device == "cuda"
    with torch.autocast(site.device, torch.bfloat16):
        run()
        with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as found:
            run()
            if cuda:
                torch.cuda.synchronize()
    key = "self_device_time_total" if cuda else "self_cpu_time_total"
    events = sorted(found.key_averages(), key=lambda event: -getattr(event, key))
    return [event.key[:120] for event in events[:6]]


def training_steps(
    site: Any, names: list[str], *, compiled: bool = False, profiled: bool = False, forward: bool = False
) -> None:
    """Record seconds and memory of a training step of each system at 512, group 6; then of a forward pass."""
    side, group, rounds = (64, 2, 1) if site.quick else (512, 6, 5)
    precision = site.precision
    task = Task(ROAD, (side, side))
    failed = []
    for name in names:
        model = smallest(MODELS[name]) if site.quick else MODELS[name]
        try:
            step, _ = _step(site, model, task, group, precision, compiled=compiled)
            began = time.perf_counter()
            step()
            float(step())  # reading the loss waits for the device
            first_two = time.perf_counter() - began
            seconds = alternating([Operation("step", step, group)], rounds, torch.device(site.device))["step"]
            memory = torch.cuda.max_memory_allocated() if site.cuda else None
            site.record(system=model.title, size=side, group=group, compiled=compiled, step_seconds=seconds,
                        seconds_of_first_two=first_two, peak_memory=memory)  # fmt: skip
            if profiled:
                _keep_profile(site, name, step)
        except (RuntimeError, ImportError, AttributeError) as error:  # the next system is measured all the same
            failed.append(name)
            site.record(system=model.title, failed=f"{type(error).__name__}: {str(error)[:300]}")
        if site.cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
    for name in names if forward else []:
        if name not in failed:
            _forward(site, smallest(MODELS[name]) if site.quick else MODELS[name], task, precision, rounds)
    if failed:
        raise ValueError(f"no step of {', '.join(failed)}")


def _keep_profile(site: Any, name: str, step: Callable[[], Tensor]) -> None:
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if site.cuda else [])]) as found:
        float(step())
    order = "self_device_time_total" if site.cuda else "self_cpu_time_total"
    (site.kept / f"profile-{name}.txt").write_text(found.key_averages().table(sort_by=order, row_limit=60))


def _forward(site: Any, model: Model, task: Task, precision: Any, rounds: int) -> None:
    fabric = make_fabric(site.device, precision)
    ready = fabric.setup(network(site, model, task).eval())
    images = torch.rand(1 if site.quick else 8, 3, *task.image_size, device=fabric.device)

    def run() -> object:
        with torch.inference_mode():
            return ready(images)

    seconds = alternating([Operation("forward", run, len(images))], rounds, fabric.device)["forward"]
    site.record(system=model.title, size=task.image_size[0], batch=len(images), forward_seconds=seconds)


def encoder(site: Any, side: int) -> None:
    """Record SAM's encoder: forward and step, ours, with segment_anything's blocks, and with a bias for all pairs."""
    side = side // 8 if site.quick else side
    batch = 1 if site.quick else max(1, 8 * 256 // side)
    conditions = Conditions(site.device, site.precision, batch, batch, 1 if site.quick else 5)
    record = measure_encoder("vit_t" if site.quick else "vit_b", Task(ROAD, (side, side)), conditions)
    names = ("latency_seconds", "step_seconds", "times_as_long", "memory_above_weights", "share_of_product_rate")
    site.record(size=side, batch=batch, **{name: record[name] for name in names})
    (site.kept / f"encoder-{side}.json").write_text(json.dumps(record, indent=1) + "\n")

"""A graphics card put to the test: does it compute what the CPU computes, how fast is everything, and two tables.

From the root of the repository: python docs/measure/gpu.py --stage tests|speed|tables [--out DIR] [--home HOME]
[--device cpu --quick]; or: make gpu STAGE=tests OUT=DIR GPU_HOME=HOME. Each stage ends within nine minutes: what is
not done by then is named in its summary, and the same command goes on with it. Needs no network, MLflow or rasterio.

- tests: every system on the device as on the CPU, finite in bf16, one training step, and a resumed training.
- speed: every system, and SAM's encoders, as they are and compiled, beside segment_anything's own code.
- tables: Table 5, then Table 1, with the MINI recipe on the prepared data of HOME, else on stand-in scenes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch

from benchmarks.protocol.recipe import MINI, PAPER
from benchmarks.protocol.registry import MODELS, smallest
from benchmarks.protocol.setting import Setting
from benchmarks.results.provenance import provenance
from benchmarks.signals import Interrupted, Stop
from benchmarks.speed.sam_encoder import stock_encoder
from benchmarks.speed.timing import (
    Conditions,
    Operation,
    alternating,
    measure_encoder,
    measure_system,
    summary,
)
from benchmarks.training.checkpoint import Checkpoints
from benchmarks.training.compile import channels_last
from benchmarks.training.loop import Listener, make_fabric, outputs_loss, train, training_outputs
from benchmarks.training.optimizer import make_optimizer
from benchmarks.training.reproducibility import seeded
from data_prep.errors import NotPrepared
from data_prep.loading.torch_dataset import PreparedDataset
from data_prep.manifest import load_manifest
from data_prep.registry import dataset as find_dataset
from rssam.contract import Model, Task
from rssam.files import write_atomic

SECONDS_OF_A_STAGE = 500.0
ENCODERS = ("vit_b", "vit_l", "vit_h")


@dataclass
class Stage:
    """One stage on its way: what it found, and what it had no time for."""

    device: Literal["cpu", "cuda"]
    quick: bool
    home: Path
    until: float
    lines: list[str] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def attempt(self, name: str, what: Callable[[], str]) -> None:
        """One check or measurement, unless the time is up; a failure does not end the others."""
        if time.monotonic() > self.until:
            self.left.append(name)
            return
        try:
            said = what()
        except (RuntimeError, AssertionError, ValueError) as error:
            first = (str(error).splitlines() or [""])[0]
            said = f"FAILED: {type(error).__name__}: {first}"
            self.failed.append(name)
        self.lines.append(f"| {name} | {said} |")
        sys.stdout.write(f"{name}: {said}\n")
        sys.stdout.flush()


def tests(stage: Stage) -> None:
    """The device against the CPU, system by system."""
    stage.lines += ["| system | found |", "|---|---|"]
    task = Task(("road",), (64, 64) if stage.quick else (128, 128))
    for model in map(smallest, MODELS.values()):
        stage.attempt(f"{model.title}: as on the CPU", lambda model=model: _as_on_cpu(stage, model, task))  # type: ignore[misc]
        stage.attempt(f"{model.title}: training steps", lambda model=model: _step(stage, model, task))  # type: ignore[misc]
    for name in ("sam-lora", "fcn"):
        stage.attempt(f"{MODELS[name].title}: resumed", lambda name=name: _resumed(stage, smallest(MODELS[name])))  # type: ignore[misc]


def _as_on_cpu(stage: Stage, model: Model, task: Task) -> str:
    """Largest difference of logits in fp32, relative to their largest value."""
    with seeded(0, deterministic=False):
        net, images = model.architecture(task).eval(), torch.rand(2, 3, *task.image_size)
    with torch.inference_mode():
        wanted = net(images)
        net.to(stage.device)
        if stage.device == "cuda":
            channels_last(net)
        found = net(images.to(stage.device)).cpu()
    difference = float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-6))
    if not difference < 5e-3:  # TF32 of cuDNN's convolutions has ten bits
        raise AssertionError(f"logits differ by {difference:.2g} of the largest, expected less than 0.005")
    return f"differs by {difference:.1e} of the largest logit"


def _step(stage: Stage, model: Model, task: Task) -> str:
    """Some training steps on one group, in bf16 on CUDA: the loss stays a number."""
    fabric = make_fabric(stage.device, "bf16-mixed" if stage.device == "cuda" else "32-true")
    with seeded(0, deterministic=False):
        net, images = model.architecture(task), torch.rand(2 if stage.quick else 4, 3, *task.image_size)
    labels = (images.mean(dim=1) > 0.5).to(torch.uint8).to(fabric.device)
    if stage.device == "cuda":
        channels_last(net)
    raw = make_optimizer(net, PAPER, 1e-3, fused=stage.device == "cuda")
    network, optimizer = fabric.setup(net, raw)
    if hasattr(net, "training_outputs"):
        network.mark_forward_method("training_outputs")
    losses = []
    for _ in range(2 if stage.quick else 10):
        with fabric.autocast():
            outputs = training_outputs(network, images.to(fabric.device))
        loss = outputs_loss(outputs, labels, 0.2, 0.8)
        fabric.backward(loss)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    if not all(value == value and abs(value) < 1e4 for value in losses):
        raise AssertionError(f"losses {losses}")
    return f"loss {losses[0]:.3f} to {losses[-1]:.3f}"


def _resumed(stage: Stage, model: Model) -> str:
    """A training that was interrupted after an epoch goes on to its end, with whole checkpoints."""
    task = Task(("road",), (128, 128))
    folder = _prepared(stage)
    splits = load_manifest(folder, "deepglobe").splits(0)
    data = PreparedDataset(folder, splits["train"][:4]), PreparedDataset(folder, splits["val"][:2])
    recipe = dataclasses.replace(MINI, epochs=2, batch=2, group=2, crop=128)
    fabric = make_fabric(stage.device, "bf16-mixed" if stage.device == "cuda" else "32-true")

    def network() -> torch.nn.Module:
        with seeded(0, deterministic=False):
            net = model.architecture(task)
        if stage.device == "cuda":
            channels_last(net)
        return net

    def run(checkpoints: Checkpoints, listener: Listener) -> float:
        return train(network(), recipe, 1e-3, 0, data, fabric, checkpoints, listener).history[-1]["train_loss"]

    watched = Listener(lambda *_: None, lambda _: None)
    stop = Stop()

    def ask(_: dict[str, float]) -> None:
        stop.signal = "the test"

    with tempfile.TemporaryDirectory() as scratch:
        straight = run(Checkpoints(Path(scratch) / "straight"), watched)
        broken = Checkpoints(Path(scratch) / "broken")
        try:
            run(broken, Listener(lambda *_: None, ask, stop))
            raise AssertionError("was not interrupted")
        except Interrupted:
            resumed = run(broken, watched)
    if not abs(resumed - straight) < (1e-9 if stage.device == "cpu" else 0.02):
        raise AssertionError(f"loss {resumed:.6f} after resuming, {straight:.6f} without")
    return f"loss {resumed:.6f}, without interruption {straight:.6f}"


def speed(stage: Stage) -> None:
    """Tables of cost: encoders first, for they are what the others stand on."""
    cuda = stage.device == "cuda"
    side, rounds = (512, 7) if cuda else (128, 7)
    task = Task(("road",), (side, side))
    precision: Literal["bf16-mixed", "32-true"] = "bf16-mixed" if cuda else "32-true"
    batch, group = (8, 6) if cuda else (1, 1)
    stage.lines += [f"{side}x{side}, {precision}, random weights, medians of {rounds} alternating rounds.", ""]
    stage.lines += ["| what | found |", "|---|---|"]
    for compiled in (False, True) if cuda else (False,):
        conditions = Conditions(stage.device, precision, batch, group, rounds, compiled)
        how = ", compiled" if compiled else ""
        for name in ("vit_t",) if stage.quick else ENCODERS:
            stage.attempt(
                f"encoder {name}{how}",
                lambda name=name, conditions=conditions: _kept(stage, measure_encoder(name, task, conditions)),  # type: ignore[misc]
            )
        for model in [smallest(MODELS["sam-lora"])] if stage.quick else list(MODELS.values()):
            stage.attempt(
                f"{model.title}{how}",
                lambda model=model, conditions=conditions: _kept(stage, measure_system(model, task, conditions)),  # type: ignore[misc]
            )
        if not compiled:
            for name in ("vit_t",) if stage.quick else ENCODERS:
                stage.attempt(f"segment_anything's {name}, fp32", lambda name=name: _stock(stage, name, task, batch))  # type: ignore[misc]


def _kept(stage: Stage, record: dict[str, Any]) -> str:
    stage.records.append(record)
    ratios = "; ".join(f"{what} {ratio['median']:.2f} times" for what, ratio in record["times_as_long"].items())
    memory = record["peak_memory"]["step"]
    return (
        f"{1e3 * record['latency_seconds']['median']:.2f} ms at batch 1, {record['images_per_second']['median']:.1f} "
        f"images/s ({record['share_of_product_rate']:.0%} of the rate of a large product), training "
        f"{record['trained_images_per_second']['median']:.1f} images/s"
        + ("" if memory is None else f", {memory / 2**30:.2f} GiB")
        + (f"; as long as ours: {ratios}" if ratios else "")
    )


def _stock(stage: Stage, name: str, task: Task, batch: int) -> str:
    """segment_anything's own encoder, unchanged, in fp32."""
    net = stock_encoder(name, task).to(stage.device).eval()
    images = torch.rand(batch, 3, *task.image_size, device=stage.device)

    def run() -> object:
        with torch.inference_mode():
            return net(images)

    seconds = alternating([Operation("stock", run, batch)], 7, torch.device(stage.device))["stock"]
    stage.records.append({"stock": name, "images_per_second": summary([batch / value for value in seconds])})
    return f"{batch / median(seconds):.1f} images/s forward"


def tables(stage: Stage) -> None:
    """Table 5, then Table 1; a run that the time ends is saved and goes on the next time."""
    from benchmarks.execution.hardware import choose_workers
    from benchmarks.execution.observer import NullObserver
    from benchmarks.execution.plan import plan, resolve_all
    from benchmarks.execution.runner import execute
    from benchmarks.execution.session import Session
    from benchmarks.protocol.targets import find_items

    _prepared(stage)
    stage.lines += ["| run | Dice | waited for images |", "|---|--:|--:|"]
    weights = (stage.home / "weights").is_dir() and any((stage.home / "weights").glob("vit_b*"))
    setting = Setting("smoke") if stage.quick else Setting("mini", init=None if weights else "scratch")
    session = Session(stage.home, stage.device, NullObserver(), workers=choose_workers(None, stage.device))
    session.stop = _Deadline(stage.until)
    runs = plan(find_items(["table5", "table1"]), setting, [0], 0, 1)
    for resolved in resolve_all(runs[: 1 if stage.quick else None], session):
        if session.stop.wanted:
            stage.left.append(resolved.key)
            continue
        outcome = execute(resolved, session)
        if outcome.result is None:
            (stage.left if outcome.status == "interrupted" else stage.failed).append(
                f"{resolved.key}: {outcome.reason}"
            )
            continue
        waited = outcome.result.provenance["waiting_for_images"]
        shown = "" if waited is None else f"{waited:.2%}"
        stage.lines.append(f"| {resolved.key} | {outcome.result.scores.dice:.4f} | {shown} |")
        stage.records.append({"key": resolved.key, "dice": outcome.result.scores.dice, "waited": waited})


class _Deadline(Stop):
    """A wish to stop that comes with the clock."""

    def __init__(self, until: float) -> None:
        super().__init__()
        self.until = until

    @property
    def wanted(self) -> bool:
        """Whether the time is up."""
        if time.monotonic() > self.until:
            self.signal = "the end of the stage's time"
        return self.signal is not None


def _prepared(stage: Stage) -> Path:
    """The prepared deepglobe of the home, or stand-in scenes made there."""
    folder = stage.home / "data" / "deepglobe"
    try:
        load_manifest(folder, "deepglobe")
    except NotPrepared:
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch) / "deepglobe"
            chosen = find_dataset("deepglobe")
            chosen.synthesize(source, 24, 0)
            chosen.prepare(source, folder, origin="synthetic", workers=2, progress=lambda *_: None, skip_bad=False)
    return folder


def main() -> int:
    """Run one stage, and write its summary and records."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--stage", choices=["tests", "speed", "tables"], required=True)
    parser.add_argument("--out", type=Path, default=Path("gpu"))
    parser.add_argument("--home", type=Path, default=Path(".gpu-home"))
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="the smallest of everything: proves that it runs")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.stderr.write("expected a CUDA device, PyTorch finds none: use --device cpu --quick\n")
        return 1
    began = time.monotonic()
    stage = Stage(options.device, options.quick, options.home.resolve(), began + SECONDS_OF_A_STAGE)
    {"tests": tests, "speed": speed, "tables": tables}[options.stage](stage)
    found = provenance(torch.device(options.device))
    lines = [f"# {options.stage} on {found['device']}", ""]
    lines += [f"torch {found['versions']['torch']}, commit {found['commit']}, {time.monotonic() - began:.0f} s.", ""]
    lines += stage.lines
    for title, items in (("Failed", stage.failed), ("Not done in the time", stage.left)):
        lines += ["", f"{title}: {'; '.join(items) or 'none'}."]
    record = {"stage": options.stage, "provenance": found, "records": stage.records, "failed": stage.failed}
    write_atomic(options.out / f"{options.stage}.json", (json.dumps(record, indent=1) + "\n").encode())
    write_atomic(options.out / f"{options.stage}.md", ("\n".join(lines) + "\n").encode())
    sys.stdout.write(f"{options.out / options.stage}.md\n")
    return 1 if stage.failed else 0


if __name__ == "__main__":
    sys.exit(main())

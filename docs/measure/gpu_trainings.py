"""The steps of gpu.py that train on tiles: from the given home, otherwise on stand-in scenes that are made there."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_steps import network
from PIL import Image

from benchmarks.protocol.recipe import MINI
from benchmarks.protocol.registry import MODELS, smallest
from benchmarks.signals import Interrupted, Stop
from benchmarks.training.checkpoint import Checkpoints
from benchmarks.training.loop import Listener, make_fabric, train
from data_prep.errors import NotPrepared
from data_prep.loading.torch_dataset import PreparedDataset
from data_prep.manifest_file import load_manifest
from data_prep.registry import find_dataset
from rssam.contract import Task


def resumed(site: Any, name: str) -> None:
    """Interrupt a training after an epoch, let it go on, and compare it with one that was not interrupted."""
    model, task = smallest(MODELS[name]), Task(("road",), (128, 128))
    folder, _ = _prepared(site)
    splits = load_manifest(folder, "deepglobe").splits(0)
    data = PreparedDataset(folder, splits["train"][:4]), PreparedDataset(folder, splits["val"][:2])
    recipe = dataclasses.replace(MINI, epochs=2, batch=2, group=2, crop=128)
    fabric = make_fabric(site.device, site.precision)
    stop = Stop()

    def run(folder: str, epoch: Callable[[dict[str, float]], None]) -> float:
        net = network(site, model, task)
        checkpoints = Checkpoints(site.kept.parent / site.step / folder)
        listener = Listener(lambda *_: None, epoch, stop)
        return train(net, recipe, 1e-3, 0, data, fabric, checkpoints, listener).history[-1]["train_loss"]

    def ask(_: dict[str, float]) -> None:
        stop.signal = "the test"

    straight = run("straight", lambda _: None)
    try:
        run("broken", ask)
        raise ValueError("was not interrupted")
    except Interrupted:
        stop.signal = None
    after = run("broken", lambda _: None)
    site.record(system=model.title, straight=straight, resumed=after)
    if not abs(after - straight) < (1e-9 if site.device == "cpu" else 0.02):
        raise ValueError(f"loss {after:.6f} after resuming, {straight:.6f} without")


def short_training(site: Any) -> None:
    """Train RS-SAM for two epochs on tiles of the home; keep its history, and a picture of what it predicts."""
    folder, real = _prepared(site)
    side, count = (128, 4) if site.quick else (512, 48)
    model = smallest(MODELS["rs-sam"] if not site.quick else MODELS["fcn"])
    if not site.quick:
        model = dataclasses.replace(MODELS["rs-sam"], init="scratch")  # type: ignore[type-var]
    task = Task(find_dataset("deepglobe").classes, (side, side))
    splits = load_manifest(folder, "deepglobe").splits(0)
    data = PreparedDataset(folder, splits["train"][:count]), PreparedDataset(folder, splits["val"][: count // 4 + 1])
    group = 2 if site.quick else 6
    recipe = dataclasses.replace(MINI, epochs=1 if site.quick else 2, batch=group, group=group, crop=side)
    fabric = make_fabric(site.device, site.precision)
    net = network(site, model, task)
    work = site.kept.parent / "work"
    listener = Listener(lambda *_: None, lambda epoch: site.record(real=real, **epoch))
    began = time.perf_counter()
    state = train(net, recipe, 3e-4, 0, data, fabric, Checkpoints(work), listener, save_every=math.inf)
    saved = max(path.stat().st_size for path in Path(work).glob("*.safetensors"))
    site.record(system=model.title, real=real, seconds=time.perf_counter() - began, bytes_of_checkpoint=saved)
    (site.kept / "history.json").write_text(json.dumps({"real": real, "history": state.history}, indent=1) + "\n")
    item = data[1][0]
    image = item["image"][:, :side, :side]
    with torch.inference_mode(), fabric.autocast():
        logits = net.eval()(image[None].to(fabric.device).float() / 255)
    predicted = (logits[0, 0] > 0).cpu().numpy().astype(np.uint8) * 255
    truth = (item["mask"][:side, :side] == 1).numpy().astype(np.uint8) * 255
    strips = [image.permute(1, 2, 0).numpy(), *(np.repeat(one[..., None], 3, axis=2) for one in (truth, predicted))]
    Image.fromarray(np.concatenate(strips, axis=1)).save(site.kept / "prediction.png")


def _prepared(site: Any) -> tuple[Path, bool]:
    """Return the prepared deepglobe of the home, or stand-in scenes made there; and whether they are real tiles."""
    folder = site.home / "data" / "deepglobe"
    try:
        manifest = load_manifest(folder, "deepglobe")
    except NotPrepared:
        source = site.kept.parent / "stand-ins"
        chosen = find_dataset("deepglobe")
        chosen.synthesize(source, 6 if site.quick else 24, 0)
        chosen.prepare(source, folder, origin="synthetic", workers=0, progress=lambda *_: None, skip_bad=False)
        manifest = load_manifest(folder, "deepglobe")
    return folder, manifest.origin != "synthetic"

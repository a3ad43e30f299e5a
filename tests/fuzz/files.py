"""A home with every kind of foreign file, and for each kind where the file lies and how it is spoilt."""

import json
import shutil
import zipfile
from contextlib import suppress
from dataclasses import replace

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file, save, save_file

from baselines.unet import UNet
from benchmarks.execution.run_status import FAILURE, HOLDER, PROGRESS
from benchmarks.export.adapter import ENTRY, write_adapter
from benchmarks.export.load_run import TrainedNetwork
from benchmarks.protocol.run import make_key, resolve_run
from benchmarks.protocol.setting import Setting
from benchmarks.results.home import Home
from benchmarks.results.result import Result
from benchmarks.results.store import Store
from benchmarks.results.submission import submission_key
from benchmarks.results.test_set_log import append_use
from benchmarks.scoring.score import score
from benchmarks.scoring.test_images import select_test_images
from benchmarks.tensors import content_digest
from data_prep.datasets.folder import Folder
from data_prep.manifest_file import load_manifest
from reports.bundle.publish import SUMS, publish, sums
from rssam.contract import Task
from rssam.weights.folder import CONTENT, NO_DIGEST, WeightsFolder, write_content_digest
from rssam.weights.registry import WEIGHTS
from tests.benchmarks.prepared import write_prepared
from tests.fuzz import checkpoints, pixels
from tests.fuzz.mutations import bytes_mutated, mutated, text
from tests.reports.bundle.genuine import masks_of, test_of
from tests.reports.fabricate import PROVENANCE, TABLE5
from tests.reports.timed import put as put_speed


def build(home):
    """Write a home whose every file is good."""
    folder = home / "data" / "deepglobe"
    write_prepared(folder)
    manifest, rng = load_manifest(folder, "deepglobe"), np.random.default_rng(0)
    splits = manifest.splits(0)
    weights = WeightsFolder(home / "weights")
    origin = {"source_sha256": "0" * 64, "name": "vit_b", CONTENT: NO_DIGEST}
    save_file({"x": torch.zeros(2)}, _made(weights.path("vit_b")), origin)
    write_content_digest(weights.path("vit_b"))
    for row in TABLE5.rows[:2]:
        run = Setting("smoke").run(row.model, "deepglobe")
        counts, native, _ = test_of(folder, splits["test"], 1, rng)
        resolved = resolve_run(run, manifest, weights, "32-true")
        Store(home).put(
            Result(
                identity=resolved.identity(), average="foreground", classes=("road",),
                images=tuple(entry.stem for entry in splits["test"]),
                counts=counts, native_counts=native,
                history=({"epoch": 1, "train_loss": 0.5, "val_loss": 0.4, "rate": 0.005, "seconds": 1.0},),
                best_epoch=1, parameters={"total": 100, "trainable": 50}, seconds=1.0, peak_memory=1,
                data={
                    **manifest.facts, **{name: min(8, len(each)) for name, each in splits.items()},
                },
                provenance={**PROVENANCE, "system": {
                    "title": "Mine", "class": "mine:Net", "defaults": {"width": 4}, "added": [], "small": {},
                    "cli_options": [], "published": None, "source_sha256": "0" * 64,
                }},
            )
        )  # fmt: skip
        append_use(home, resolved.key, row.model.name, "deepglobe", resolved.data_digest, "test")
    key = resolved.key
    masks = home / "masks"
    masks.mkdir()
    for entry, labels in zip(splits["test"], masks_of(folder, splits["test"]), strict=True):
        Image.fromarray(labels.astype(np.uint8)).save(masks / f"{entry.stem}.png")
    score(home, select_test_images(home, "deepglobe", 0, "random"), masks, "Perfect", "", lambda *_: None)
    publish([], home / "bundle.zip", home)
    with zipfile.ZipFile(home / "bundle.zip") as archive:
        archive.extractall(home / "bundle")
    own = Folder("own", ("a", "b"), (1, 2), None, None, "tile", (512, 512))
    _made(home / "data" / "own" / "dataset.json").write_text(own.to_json())
    (home / "pairs").mkdir()
    classes = [{"name": "road", "value": 1}, {"name": "roof", "value": 2}]
    declared = {"name": "x", "classes": classes, "ignore": 3, "fit": "tile", "side": 64}
    (home / "map.yaml").write_text(yaml.safe_dump(declared))
    put_speed(home, TABLE5.rows[0].model)
    begun = home / "runs" / "deepglobe-unet-0123456789"
    for name, values in {
        HOLDER: {"pid": 1, "host": "a", "since": "2025"},
        FAILURE: {"reason": "it failed", "when": "2025"},
        PROGRESS: {
            "what": "training", "epoch": 1, "epochs": 2, "step": 1, "steps": 3, "done": 0.5, "seconds_left": 3.0,
            "device": "cpu", "noted": "2025",
        },
    }.items():  # fmt: skip
        _made(begun / name).write_text(json.dumps(values))
    (begun / "last.safetensors").write_bytes(b"")
    metrics = {"schema": 1, "key": key, "maps": "a", "masks": "b", "images": ["1"], "metrics": []}
    _made(Home(home).metrics(key)).write_text(json.dumps(metrics))
    model, task = UNet(width=2), Task(("road",), (32, 32))
    identity = {**resolved.identity(), "model": {"name": "unet", "version": model.version, "options": {"width": 2}}}
    result = Store(home).get(key)
    result = replace(result, identity=identity, provenance=PROVENANCE)
    net = model.architecture(task).eval()
    trained = TrainedNetwork(net, model, task, "32-true", result.key, "deepglobe", {})
    write_adapter(home / "a.safetensors", trained, result, None)
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(home / "image.png")
    checkpoints.build()


def spoil(home, case, rng, guard):
    """Mutate a file of the case's kind; return its path."""
    if case.kind == "checkpoint":
        weights = home / "weights" / WEIGHTS["vit_b"].file
        weights.unlink()
        return checkpoints.checkpoint(home, rng)
    if case.kind == "raster":
        return pixels.raster(home, rng)
    if case.kind == "mask":
        return pixels.mask(home, rng, case.command[-1] if "--encoding" in case.command else None)
    return {
        "result": _record, "score": _record, "metrics": _record, "bundle folder": _bundle, "bundle zip": _bundle,
        "adapter": _adapter, "class map": _class_map,
    }.get(case.kind, _any)(home, case.kind, rng, guard)  # fmt: skip


def silent(home, out, case, found, output):
    """Return what is wrong with the outcome of a file that was accepted or refused, "" if nothing is known to be."""
    if case.kind == "checkpoint":
        return checkpoints.prepared(home, found == "accepted")
    if found == "accepted" and case.kind == "raster":
        return pixels.predicted(out)
    return pixels.scored(home, output) if found == "accepted" and case.kind == "mask" else ""


def _any(home, kind, rng, guard):
    patterns = {
        "manifest": "data/deepglobe/manifest.json", "declaration": "data/own/dataset.json", "speed": "speed/*.json",
        "run status": "runs/*/*.json", "ledger": "ledger.jsonl", "weights": f"weights/{WEIGHTS['vit_b'].file}",
        "result": "results/*.json", "score": "scores/*.json", "metrics": "metrics/*.json",
    }  # fmt: skip
    path = rng.choice(sorted(home.glob(patterns[kind])))
    _write(path, rng, guard)
    return path


def _write(path, rng, guard, repair=lambda raw: raw):
    content = path.read_bytes()
    if path.suffix not in (".json", ".jsonl") or rng.random() < 0.15:
        path.write_bytes(bytes_mutated(content, rng))
        return None
    raw = repair(mutated(json.loads(content.split(b"\n")[0] if path.suffix == ".jsonl" else content), rng, guard))
    path.write_text(text(raw, rng), errors="replace")
    return raw


def _record(home, kind, rng, guard):
    """A result or a score; of every second one the key is that of its new identity, and its name that key."""
    path = rng.choice(
        sorted((home / {"result": "results", "score": "scores", "metrics": "metrics"}[kind]).glob("*.json"))
    )
    again = rng.random() < 0.5 and kind != "metrics"
    raw = _write(path, rng, guard, _with_key if again else lambda raw: raw)
    if again and isinstance(raw, dict) and isinstance(raw.get("key"), str):
        fresh = path.with_name(f"{raw['key'].replace('/', '_')[:200]}.json")
        try:
            path = path.rename(fresh)
        except (OSError, ValueError):
            return path
    return path


def _with_key(raw):
    with suppress(KeyError, TypeError, ValueError, RecursionError):
        raw["key"] = make_key(raw["identity"]) if "model" in raw["identity"] else submission_key(raw["identity"])
    return raw


def _bundle(home, kind, rng, guard):
    folder = home / "bundle"
    path = rng.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    _write(path, rng, guard, _with_key if rng.random() < 0.5 else lambda raw: raw)
    if rng.random() < 0.7:
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        (folder / SUMS).write_bytes(sums({name: content for name, content in files.items() if name != SUMS}))
    if kind == "bundle zip":
        with zipfile.ZipFile(home / "bundle.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for member in sorted(path for path in folder.rglob("*") if path.is_file()):
                archive.write(member, member.relative_to(folder).as_posix())
            if rng.random() < 0.2:
                archive.writestr(rng.choice(("../../guard/pwn", f"{guard}/pwn", "results/x.json")), "[]," * 3_000_000)
        if rng.random() < 0.3:
            (home / "bundle.zip").write_bytes(bytes_mutated((home / "bundle.zip").read_bytes(), rng))
        shutil.rmtree(folder)
    return path


def _adapter(home, kind, rng, guard):
    path = home / "a.safetensors"
    if rng.random() < 0.4:
        path.write_bytes(bytes_mutated(path.read_bytes(), rng))
        return path
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    about = json.loads(header["__metadata__"][ENTRY])
    tensors = load_file(path)
    about.pop("sha256")
    about = mutated(about, rng, guard)
    if isinstance(about, dict):
        with suppress(ValueError, TypeError, RecursionError):
            about["sha256"] = content_digest(tensors, about)
    path.write_bytes(save(tensors, {ENTRY: text(about, rng).encode(errors="replace").decode()}))
    return path


def _class_map(home, kind, rng, guard):
    path = home / "map.yaml"
    draw = rng.random()
    if draw < 0.3:
        path.write_bytes(bytes_mutated(path.read_bytes(), rng))
    elif draw < 0.4:
        lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]
        path.write_text("\n".join([*lines, "classes: *a11"]))
    elif draw < 0.5:
        path.write_text(
            "classes: " + rng.choice(("[" * 5000, "{a: " * 5000, "!!python/object/apply:os.system [touch x]"))
        )
    else:
        raw = mutated(yaml.safe_load(path.read_text()), rng, guard)
        written = text(raw, rng)
        if rng.random() < 0.5:
            with suppress(RecursionError, ValueError):  # of what YAML itself cannot write
                written = yaml.safe_dump(raw)
        path.write_text(written, errors="replace")
    return path


def _made(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path

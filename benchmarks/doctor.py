"""Check the environment, and name the command that fixes each fault. Imports torch in a child process alone."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.earlier_version import left_by_0_1
from benchmarks.execution.cost_estimate import trained_parameters
from benchmarks.execution.hardware import cuda_devices
from benchmarks.execution.plan import plan
from benchmarks.needs import Need, data_need, needs
from benchmarks.protocol.run import Run
from benchmarks.protocol.targets import choose
from benchmarks.results.home import Home
from data_prep.errors import DataError
from data_prep.manifest_file import load_manifest
from data_prep.registry import DATASETS
from rssam.errors import UserError
from rssam.files import require_writable
from rssam.sam.encoder_sizes import CHAINS
from rssam.weights.folder import WeightsDamaged, WeightsFolder, WeightsNotFound
from rssam.weights.registry import WEIGHTS, SamWeights
from rssam_bench import in_words, shadowed

CheckState = Literal["ok", "missing", "problem"]

FLOAT = 4e-9
"""GB of a parameter, or of a moment of the optimiser."""
MOMENTS = {"adamw": 2, "sgd": 1}
"""Of each parameter in an optimiser's state."""
SAVED = 2
"""Checkpoints of each rate, as `Checkpoints` keeps them: the last and the previous, and the best epoch of both."""
GIGABYTES_OF_RESULTS = 0.1
"""At most, of a run beside its checkpoints: 2,416 test images of WHU in bits are 0.08, counts and strips less."""

_TORCH_CHECK = (
    "import torch, torchvision, torchvision.ops; "
    "print(torch.__version__, torchvision.__version__, torch.cuda.is_available(), torch.get_num_threads())"
)

_DISTANCE_CHECK = """
import pathlib, sys, torch
from rssam.config import RSSAM
from rssam.contract import Task
from rssam.weights.folder import WeightsFolder
torch.manual_seed(0)
net = RSSAM(encoder=sys.argv[2]).build(Task(("road",), (256, 256)), WeightsFolder(pathlib.Path(sys.argv[1]))).eval()
images = torch.nn.functional.interpolate(torch.rand(1, 3, 16, 16), (256, 256), mode="bilinear")
for net.decoders.chain in sys.argv[3:]:
    print(net.class_distances(images)[-1])
"""

TOO_CLOSE = 1e-6
"""Relative distance of class tokens that float32, which rounds to 6e-8, no longer carries through a decoder."""


@dataclass(frozen=True)
class DoctorCheck:
    """Check by the doctor: what was checked, its state, what was found, and the command that fixes it."""

    what: str
    state: CheckState
    found: str
    remedy: str = ""


def examine(home: Path, runs: Sequence[Run] | None = None) -> list[DoctorCheck]:
    """Look at Python, torch, GPU, disk, home, what 0.1 left, weights, RS-SAM's class tokens and data, in this order.

    With `runs` only at what these need: their data and weights, and the disk that these and the runs take. Without it
    the disk is that of all items of the paper.
    """
    planned = plan(*choose(["all"]), [0], 0, None) if runs is None else runs
    weights, data = list(WEIGHTS), list(DATASETS)
    if runs is not None:
        weights = list(dict.fromkeys(name for run in runs for name in run.model.weights_needed()))
        data = list(dict.fromkeys(run.dataset.name for run in runs))
    return [
        _python(), _package(), *_shadowed(), _torch(), _gpu(), _disk(home, _gigabytes(needs(home, planned), planned)),
        *_home(home), *_weights(home, weights), *(_class_distance(home) if runs is None else []), *_data(home, data),
    ]  # fmt: skip


def _gigabytes(wanted: Sequence[Need], runs: Sequence[Run]) -> float:
    """Return the GB of disk that these runs need, one at a time: weights twice, decoded images and PNGs, runs.

    While they are converted, weights are there twice. A byte for each value of an image and of its mask; PNG takes
    about half of that. All runs but one are finished, and that one trains.
    """
    stays, most = [finished_gigabytes(run) for run in runs], [training_gigabytes(run) for run in runs]
    of_runs = sum(stays) + max((more - less for more, less in zip(most, stays, strict=True)), default=0)
    weights = sum(2 * (need.megabytes or 0) for need in wanted if not need.ready)
    data = {run.dataset.name: run.dataset for run in runs}
    values = sum(
        4 * (dataset.expected_pairs or 0) * dataset.image_size[0] * dataset.image_size[1] for dataset in data.values()
    )
    return weights / 1e3 + 1.5 * values / 1e9 + of_runs


def finished_gigabytes(run: Run) -> float:
    """Return the GB that stay of a finished run: parameters of the best epochs, MLflow's copy, predictions."""
    parameters = FLOAT * trained_parameters(run.model, run.task)
    return parameters * (SAVED * len(run.recipe.rates) + 1) + GIGABYTES_OF_RESULTS


def training_gigabytes(run: Run) -> float:
    """Return the most GB of a run while it trains: the checkpoints of all rates, and that which is written."""
    parameters = FLOAT * trained_parameters(run.model, run.task)
    whole = parameters * (1 + MOMENTS[run.recipe.for_model(run.model).optimizer])
    return (SAVED * len(run.recipe.rates) + 1) * (whole + parameters)


def _shadowed() -> list[DoctorCheck]:
    found = shadowed()
    return [DoctorCheck("packages", "problem", in_words(found))] if found else []


def _python() -> DoctorCheck:
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return DoctorCheck("Python", "ok", f"{version} at {sys.executable}")
    return DoctorCheck("Python", "problem", version, "install with Python 3.11, 3.12 or 3.13: make install")


def _package() -> DoctorCheck:
    try:
        return DoctorCheck("rssam-bench", "ok", importlib.metadata.version("rssam-bench"))
    except importlib.metadata.PackageNotFoundError:
        return DoctorCheck("rssam-bench", "problem", "not installed, run from a folder", "make install")


def _printed(code: str, *arguments: str) -> tuple[list[str], str]:
    """Return the words that Python code prints in a process of its own, and why it failed, or nothing."""
    command = [sys.executable, "-P", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    reason = (done.stderr.strip() or "the check ended without a word").splitlines()[-1] if done.returncode else ""
    return done.stdout.split(), reason


def _torch() -> DoctorCheck:
    words, reason = _printed(_TORCH_CHECK)
    if reason:
        return DoctorCheck(
            "torch", "problem", reason, "install the matching pair: uv pip install --reinstall torch torchvision"
        )
    torch_version, vision_version, cuda, threads = words
    return DoctorCheck(
        "torch", "ok", f"{torch_version} with torchvision {vision_version}, CUDA {cuda}, {threads} threads"
    )


def _gpu() -> DoctorCheck:
    devices = cuda_devices()
    if devices:
        return DoctorCheck("GPU", "ok", f"{devices} CUDA device(s)")
    return DoctorCheck(
        "GPU", "missing", "none: runs go to the CPU", "use --profile smoke, or mini with --encoder vit_t --init scratch"
    )


def _disk(home: Path, wanted: float) -> DoctorCheck:
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(existing).free / 1e9
    if free >= wanted:
        return DoctorCheck("disk", "ok", f"{free:.0f} GB free at {home}")
    return DoctorCheck(
        "disk", "problem", f"{free:.0f} GB free at {home}",
        f"all data, weights and runs together need about {wanted:.0f} GB: set RSSAM_HOME or --home to a larger disk",
    )  # fmt: skip


def _home(home: Path) -> list[DoctorCheck]:
    problems = [left_by_0_1(home).sentence]
    try:
        require_writable(home, "every run, metric and score")
    except UserError as error:
        problems.insert(0, str(error))
    return [DoctorCheck("home", "problem", words, "rssam-bench --home FOLDER COMMAND") for words in problems if words]


def _weights(home: Path, names: Sequence[str]) -> list[DoctorCheck]:
    """Read every checkpoint in full: one that rotted has the right name and size."""
    folder, findings = WeightsFolder(Home(home).weights), []
    for name in names:
        what, remedy = f"weights {name}", f"rssam-bench prepare weights {name}"
        try:
            findings.append(DoctorCheck(what, "ok", str(folder.path_of(name))))
        except WeightsNotFound:
            weights = WEIGHTS[name]
            found = f"not in {folder.root}; {weights.megabytes} MB ({weights.licence}) from {weights.url}"
            findings.append(DoctorCheck(what, "missing", found, remedy))
        except WeightsDamaged as error:
            findings.append(DoctorCheck(what, "problem", str(error), remedy))
    return findings


def _class_distance(home: Path) -> list[DoctorCheck]:
    """Check how far apart each chain leaves RS-SAM's class tokens on SAM's smallest checkpoint here, if any."""
    folder = WeightsFolder(Home(home).weights)
    published = [name for name, weights in WEIGHTS.items() if isinstance(weights, SamWeights)]
    encoder = next((name for name in published if folder.path(name).is_file()), None)
    if encoder is None:
        return []
    what = f"class distance {encoder}"
    words, reason = _printed(_DISTANCE_CHECK, str(folder.root), encoder, *CHAINS)
    if reason:
        return [DoctorCheck(what, "problem", reason, f"rssam-bench prepare weights {encoder}")]
    distances = dict(zip(CHAINS, map(float, words), strict=True))
    found = ", ".join(f"{chain} {distance:.2g}" for chain, distance in distances.items())
    found = f"between the class tokens that SAM's decoders leave at stride 4, relative to their length: {found}"
    if distances["printed"] > TOO_CLOSE:
        return [DoctorCheck(what, "ok", found)]
    return [DoctorCheck(what, "problem", found, "compare the chains: rssam-bench reproduce table5 --controls")]


def _data(home: Path, names: Sequence[str]) -> list[DoctorCheck]:
    findings = []
    for name in names:
        remedy = f"rssam-bench prepare {name} --source DIR, or --synthetic 24 for stand-ins"
        if not (Home(home).dataset(name)).exists():
            facts = dict(data_need(home, name).facts)
            known = "; ".join(facts[heading] for heading in ("source", "size", "licence") if heading in facts)
            found = "; ".join(filter(None, (f"not in {Home(home).data}", known)))
            findings.append(DoctorCheck(f"data {name}", "missing", found, remedy))
            continue
        try:
            findings.append(DoctorCheck(f"data {name}", "ok", load_manifest(Home(home).dataset(name), name).describe()))
        except DataError as error:
            findings.append(DoctorCheck(f"data {name}", "problem", str(error), remedy))
    return findings

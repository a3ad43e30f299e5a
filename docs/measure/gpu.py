"""A graphics card put to the test, in two stages of at most four minutes that need no network.

    python docs/measure/gpu.py --stage 1|2 [--out DIR] [--home HOME] [--device cpu --quick]    # or: make gpu STAGE=1
    RSSAM_BENCH_COMMIT=... names the commit where there is no git.

Every step of `STEPS` is a process of its own with a limit of its own. What it finds is appended to OUT/stage1.jsonl at
once, so that no failure loses what was found before. Last come a summary, and the steps' histories and pictures: at
most eight files of 16 MiB. The steps are in `gpu_steps` and `gpu_trainings`; this module imports Python's own alone.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SECONDS_OF_A_STAGE = 235.0
"""For the steps; what is left of four minutes is for the start and the archive."""
MOST_FILES, MOST_BYTES = 8, 16 << 20
SYSTEMS = (
    "fcn", "unet", "transunet", "manet", "hrnet", "unetformer", "segnet",
    "sam-adapter", "rsam-seg", "sam-lora", "rs-sam", "unet-smp", "encoder-swap",
)  # fmt: skip
OTHERS = (*SYSTEMS[:7], "unet-smp")
PATIENCE_ON_CPU = 6.0
"""Limits are so many times as long where no lease runs out, only other work on the same cores."""


@dataclass(frozen=True)
class Step:
    """One step: `function` is "module:name", and gets a `Site` and the `options`."""

    name: str
    stage: int
    seconds: float
    function: str
    options: dict[str, Any] = field(default_factory=dict)


STEPS: tuple[Step, ...] = (
    Step("ceilings", 1, 14, "gpu_steps:ceilings"),
    *(Step(f"{name} as on the CPU", 1, 9, "gpu_steps:system", {"name": name}) for name in SYSTEMS),
    Step("ViT-B blocks", 1, 22, "gpu_steps:blocks"),
    *(Step(f"{name} resumed", 1, 17, "gpu_trainings:resumed", {"name": name}) for name in ("fcn", "sam-lora")),
    Step("training step of rs-sam", 1, 28, "gpu_steps:training_steps", {"names": ["rs-sam"], "profiled": True}),
    Step("training step of sam-lora", 1, 20, "gpu_steps:training_steps", {"names": ["sam-lora"]}),
    *(Step(f"encoder at {side}", 2, 16, "gpu_steps:encoder", {"side": side}) for side in (256, 512, 1024)),
    Step("steps of convolutional systems", 2, 25, "gpu_steps:training_steps",
         {"names": OTHERS, "forward": True}),
    Step("steps of SAM's other systems", 2, 20, "gpu_steps:training_steps",
         {"names": ["sam-adapter", "rsam-seg"], "forward": True}),
    Step("rs-sam compiled", 2, 90, "gpu_steps:training_steps", {"names": ["rs-sam"], "compiled": True}),
    Step("a short training", 2, 50, "gpu_trainings:short_training"),
)  # fmt: skip


@dataclass(frozen=True)
class Site:
    """Where a step runs, and where it leaves what it finds."""

    step: str
    device: str
    quick: bool
    home: Path
    records: Path
    kept: Path

    @property
    def cuda(self) -> bool:
        """Return whether it is a graphics card."""
        return self.device == "cuda"

    @property
    def precision(self) -> str:
        """Return the usual precision there."""
        return "bf16-mixed" if self.cuda else "32-true"

    def record(self, **found: Any) -> None:
        """Append a record to the file of the stage."""
        append(self.records, {"step": self.step, **found})


def append(path: Path, record: dict[str, Any]) -> None:
    """Append a line of JSON that is on the disk when this returns."""
    with path.open("ab", buffering=0) as file:  # one call writes a line, whole or not at all
        file.write((json.dumps(record) + "\n").encode())
        os.fsync(file.fileno())


def run_step(step: Step, site: Site, said: Path) -> None:
    """Do a step in a process of its own, whose output goes into `said`."""
    os.setsid()  # so that whatever it starts ends with it
    with said.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        module, _, name = step.function.partition(":")
        getattr(import_module(module), name)(site, **step.options)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the finding, and the next step begins
        traceback.print_exc()
        text = (str(error).strip().splitlines() or [""])[0]
        site.record(status="failed", reason=f"{type(error).__name__}: {text}"[:500])
        sys.exit(1)


def run_stage(steps: Sequence[Step], site: Site, seconds: float) -> list[dict[str, Any]]:
    """Do the steps one after another within `seconds`; return the last record of each."""
    context = multiprocessing.get_context("forkserver")  # imports once, and never has a CUDA context to hand on
    context.set_forkserver_preload(["gpu_preload"])
    until = time.monotonic() + seconds
    ends, said = [], site.kept.parent / "said.txt"
    for step in steps:
        there = replace(site, step=step.name)
        limit = min(step.seconds, until - time.monotonic())
        end: dict[str, Any] = {"status": "left out", "reason": f"the {seconds:.0f} s of the stage were over"}
        if limit > 1:
            began = time.monotonic()
            end = _end(context.Process(target=run_step, args=(step, there, said)), limit, said)
            end["seconds"] = round(time.monotonic() - began, 1)
        there.record(end=True, **end)
        ends.append({"step": step.name, **end})
        print(f"{step.name}: {end['status']} {end.get('reason', '')}", flush=True)
    return ends


def _end(process: Any, limit: float, said: Path) -> dict[str, Any]:
    """Start a step's process, and return how it ended within its limit."""
    try:
        process.start()
    except (OSError, EOFError) as error:  # the process that forks ended in what it imports; the next is another
        return {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
    process.join(limit)
    if process.is_alive():
        _kill(process.pid)
        process.join()
        return {"status": "timeout", "reason": f"not done after {limit:.0f} s"}
    if process.exitcode == 0:
        return {"status": "done"}
    lines = said.read_text(errors="replace").strip().splitlines() if said.exists() else []
    return {"status": "failed", "reason": f"exit {process.exitcode}: {(lines or [''])[-1]}"[:500]}


def _kill(pid: int | None) -> None:
    assert pid is not None
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:  # not yet the first of its group
        os.kill(pid, signal.SIGKILL)


def archive(out: Path, stage: int, kept: Path, ends: list[dict[str, Any]], seconds: float) -> Path:
    """Write the summary, and copy what the steps kept, within `MOST_FILES` and `MOST_BYTES`."""
    records = [json.loads(line) for line in (out / f"stage{stage}.jsonl").read_text().splitlines()]
    lines = [f"# Stage {stage}, {seconds:.0f} s", "", "| step | status | s | |", "|---|---|--:|---|"]
    lines += [f"| {e['step']} | {e['status']} | {e.get('seconds', '')} | {_cell(e.get('reason', ''))} |" for e in ends]
    lines += ["", "| step | found |", "|---|---|"]
    for found in (one for one in records if "end" not in one):
        shown = {name: value for name, value in found.items() if name != "step"}
        lines.append(f"| {found['step']} | {_cell(json.dumps(shown)[:600])} |")
    room, left_out = MOST_FILES - 2, []
    for path in sorted(kept.iterdir()):
        if room and path.stat().st_size <= MOST_BYTES:
            shutil.copyfile(path, out / f"stage{stage}-{path.name}")
            room -= 1
        else:
            left_out.append(path.name)
    lines += ["", f"Files left out: {', '.join(left_out) or 'none'}."]
    summary = out / f"stage{stage}.md"
    summary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return summary


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main(steps: Sequence[Step] = STEPS, seconds: float = SECONDS_OF_A_STAGE) -> int:
    """Run one stage; return 1 if a step failed or was left out."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--stage", type=int, choices=[1, 2], required=True)
    parser.add_argument("--out", type=Path, default=Path("gpu"))
    parser.add_argument("--home", type=Path, default=Path(".gpu-home"))
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="the smallest of everything: proves that it runs")
    options = parser.parse_args()
    began = time.monotonic()
    options.out.mkdir(parents=True, exist_ok=True)
    before = os.environ.get("PYTHONPATH")  # carried wheels may lie there: appended to, never replaced
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parents[1]), str(HERE), *([before] if before else [])])
    sys.path[:0] = [str(HERE.parents[1])]
    records = (options.out / f"stage{options.stage}.jsonl").resolve()
    records.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(scratch) / "kept"
        kept.mkdir()
        site = Site("", options.device, options.quick, options.home.resolve(), records, kept)
        patience = PATIENCE_ON_CPU if options.device == "cpu" else 1.0
        chosen = [replace(step, seconds=patience * step.seconds) for step in steps if step.stage == options.stage]
        ends = run_stage(chosen, site, patience * seconds)
        print(archive(options.out, options.stage, kept, ends, time.monotonic() - began))
    return 0 if all(end["status"] == "done" for end in ends) else 1


if __name__ == "__main__":
    sys.exit(main())

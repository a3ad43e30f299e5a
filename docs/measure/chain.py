"""Whether the decoder chain as printed learns, and how far apart each chain leaves the class tokens. On a CPU.

From the root of the repository; fp16's products are shared with the tests:

    python docs/measure/chain.py distance                 # class distance after the decoder at 1/4
    python docs/measure/chain.py learn --out FILE.jsonl   # every cell of `cells`; those in the file are kept
    python docs/measure/chain.py learn --row 2 --precision bf16 --scale 3 --rate 3e-4 --seed 0 [--chain printed]
    python docs/measure/chain.py table FILE.jsonl ...     # what the files hold, a line for each row and precision

The default chain is decided by `learn` alone, never by a test score, and by this rule, which stood before the cells:
a cell is four images of 64 pixels, one group, learnt by heart by AdamW with weight decay 0.1 and a linear warm-up of
`WARMUP` steps. It learns if the mean loss of `LAST` steps in a row falls below `BOUND` within `STEPS` steps, and ends
there; the best constant answer has a loss above 0.4. `printed` is the default if every cell of it learns, or fails
where `sam_first` fails too, which then is no fault of the printed chain; otherwise `sam_first` is.

The encoder is frozen at random numbers under LoRA, as SAM's is frozen under LoRA. `--scale` multiplies the query and
key weights of all decoders, whose attention is then peaked, as a trained SAM's is. float16 has its loss scaled, and
steps whose gradients overflow are left out; its products are taken in float32 and rounded once, as tensor cores do,
for a CPU without float16 takes three times as long.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import nn
from turns import options, say

from benchmarks.conformance import tiles
from benchmarks.training.loss import segmentation_loss
from rssam.contract import Task
from rssam.model import RsSam, architecture
from rssam.modules.decoder import DecoderChain, class_distance
from rssam.sam.encoder_sizes import CHAINS, SCALES, Chain
from tests.rssam.half_precision import Float32Products

ROWS = {2: (False, False), 3: (True, False), 4: (False, True), 5: (True, True)}
"""Rows of Table 5 by number, with MFF and MHFF; row 1 is the Baseline, which has no chain."""
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
STEPS, WARMUP, LAST, BOUND = 50, 10, 5, 0.1


@dataclass(frozen=True)
class Cell:
    """One training."""

    chain: Chain = "printed"
    row: int = 2
    precision: str = "fp32"
    scale: float = 1.0
    rate: float = 3e-4
    seed: int = 0


def cells(chain: Chain) -> Iterable[Cell]:
    """Return the cells that decide: rows 2 and 5 in all precisions, rows 3 and 4 and the steepest attention in one."""
    for row, scale, rate in itertools.product((3, 4), (1, 3), (3e-4, 5e-3)):
        yield Cell(chain, row, "fp32", scale, rate)
    for row, rate in itertools.product(ROWS, (3e-4, 5e-3)):
        yield Cell(chain, row, "fp32", 10, rate)
    for seed, row, precision, scale, rate in itertools.product(range(3), (2, 5), PRECISIONS, (1, 3), (3e-4, 5e-3)):
        yield Cell(chain, row, precision, scale, rate, seed)


def sharpen(net: nn.Module, scale: float) -> None:
    """Multiply the weights that make queries and keys, in place."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith(("q_proj.weight", "k_proj.weight")):
                parameter *= scale


def autocast(precision: str) -> AbstractContextManager[object]:
    """Return the context of a precision on the CPU."""
    return torch.autocast("cpu", PRECISIONS[precision] or torch.bfloat16, enabled=PRECISIONS[precision] is not None)


def products(precision: str) -> AbstractContextManager[object]:
    """Return a context in which products of float16 are taken as tensor cores take them."""
    return Float32Products(torch.float16) if precision == "fp16" else nullcontext()


def network(cell: Cell) -> RsSam:
    """Return the row of Table 5 with a frozen encoder, all at random numbers."""
    torch.manual_seed(cell.seed)
    mff, mhff = ROWS[cell.row]
    net = architecture(
        Task(("road",), (64, 64)), encoder="vit_t", init="sam", neck_source="last", mff=mff, mhff=mhff, scales=SCALES,
        rank=4, chain=cell.chain,
    )  # fmt: skip
    sharpen(net.decoders, cell.scale)
    return net


def learn(cell: Cell) -> dict[str, Any]:
    """Train a cell and return its losses, the class distance at 1/4 before and after, and steps left out."""
    began = time.perf_counter()
    net, (images, masks) = network(cell), tiles()
    labels = masks[:, 0].to(torch.uint8)
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=cell.rate, weight_decay=0.1, fused=True)
    scaler = torch.amp.GradScaler("cpu", enabled=cell.precision == "fp16")
    losses, distances, skipped = [], [_last_distance(net, cell, images)], 0
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = cell.rate * min(1.0, (step + 1) / WARMUP)
        with products(cell.precision):
            with autocast(cell.precision):
                logits = net(images)
            loss = segmentation_loss(logits, labels, 0.2, 0.8)
            losses.append(float(loss.detach()))
            scaler.scale(loss).backward()
        before = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        skipped += scaler.get_scale() < before
        optimizer.zero_grad()
        if mean(losses[-LAST:]) < BOUND and len(losses) >= LAST:
            break
    distances.append(_last_distance(net, cell, images))
    end = mean(losses[-LAST:])
    return {
        **asdict(cell), "start": losses[0], "end": end, "learns": end < BOUND, "steps": len(losses),
        "distances": distances, "skipped": skipped, "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def _last_distance(net: RsSam, cell: Cell, images: torch.Tensor) -> float:
    with products(cell.precision), autocast(cell.precision):
        return net.class_distances(images)[-1]


@torch.no_grad()
def distances(seeds: int) -> None:
    """Print the mean class distance after the decoder at 1/4 of each chain, over seeds of features and weights."""
    say("| chain | weights of queries and keys | fp32 | bf16 | lowest | highest |\n|---|--:|--:|--:|--:|--:|")
    for chain, scale in itertools.product(CHAINS, (1, 3, 10)):
        found: dict[str, list[float]] = {"fp32": [], "bf16": []}
        for seed in range(seeds):
            torch.manual_seed(seed)
            decoders, tokens = DecoderChain(4, chain), torch.randn(2, 256)
            features = [torch.randn(2, 256, side, side) for side in (2, 4, 8, 16)]
            sharpen(decoders, scale)
            for precision, values in found.items():
                with autocast(precision):
                    values.append(float(class_distance(decoders(features, tokens)[1][-1])))
        exact = found["fp32"]
        numbers = (mean(exact), mean(found["bf16"]), min(exact), max(exact))
        say(f"| {chain} | {scale} | {' | '.join(f'{number:.2g}' for number in numbers)} |")


def table(files: list[Path]) -> None:
    """Print at which step each cell had learnt, or its last loss, a number for each seed from 0 on."""
    found: dict[tuple[int, str, float], dict[tuple[float, Chain], dict[int, str]]] = {}
    for line in (line for file in files for line in file.read_text().splitlines()):
        cell = json.loads(line)
        shown = str(cell["steps"]) if cell["learns"] else f"no ({cell['end']:.2f})"
        row = found.setdefault((cell["row"], cell["precision"], float(cell["scale"])), {})
        row.setdefault((cell["rate"], cell["chain"]), {})[cell["seed"]] = shown
    columns: list[tuple[float, Chain]] = list(itertools.product((3e-4, 5e-3), ("printed", "sam_first")))
    names = " | ".join(f"{chain}, {rate:.0e}" for rate, chain in columns).replace("e-0", "e-")
    say(f"| row | precision | weights of queries and keys | {names} |\n|---|---|--:|---|---|---|---|")
    order = {precision: place for place, precision in enumerate(PRECISIONS)}
    for row, precision, scale in sorted(found, key=lambda key: (key[0], order[key[1]], key[2])):
        by_seed = (found[row, precision, scale].get(column, {}) for column in columns)
        cells_shown = " | ".join(" ".join(seeds[seed] for seed in sorted(seeds)) or "-" for seeds in by_seed)
        say(f"| {row} | {precision} | {scale:g} | {cells_shown} |")


def main() -> None:
    """Run one of the measurements, or print what they found."""
    parser = options(__doc__, {"--scale": 1.0, "--rate": 3e-4, "--seed": 0, "--seeds": 5})
    parser.add_argument("what", choices=("distance", "learn", "table"))
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--chain", choices=CHAINS, default="printed")
    parser.add_argument("--row", type=int, choices=ROWS)
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.what == "distance":
        distances(given.seeds)
        return
    if given.what == "table":
        table(given.files)
        return
    chosen = cells(given.chain)
    if given.row is not None:
        chosen = [Cell(given.chain, given.row, given.precision, given.scale, given.rate, given.seed)]
    done = given.out.read_text().splitlines() if given.out and given.out.exists() else []
    known = {tuple(json.loads(line)[name] for name in asdict(Cell())) for line in done}
    for cell in chosen:
        if tuple(asdict(cell).values()) in known:
            continue
        line = json.dumps(learn(cell))
        say(line)
        if given.out:
            with given.out.open("a") as file:
                file.write(line + "\n")


if __name__ == "__main__":
    main()

"""SAM's image encoder beside what people would take instead: stock SAM, SAMed's LoRA, transformers, timm. On the CPU.

From the root of the repository, needing no weights (random numbers are as slow):

    python docs/measure/peers.py [--encoder vit_b] [--sides 256 512 1024] [--threads 1 2] [--rounds 7]

Batch 1. Ours has LoRA of rank 4, as it is trained; SAMed's LoRA is on segment_anything's blocks, unmerged; the others
have none, and a position table that learns, so that a gradient passes every block. A step is forward and backward,
without an optimiser. Contenders take turns in one process, in an order that is turned round every round. Ratios are
medians of ratios within a round, of processor time, which other work on the same cores disturbs less; behind them the
lowest and the highest. A package that is not installed is named and left out.
"""

from __future__ import annotations

from functools import partial
from statistics import median

import torch
from passes import forward, random_encoder, step
from torch import nn
from turns import load, options, say, take_turns

from benchmarks.execution.hardware import has_native_bf16
from benchmarks.speed.peers import PEERS, peer_encoder
from rssam.contract import Task
from rssam.errors import UserError
from rssam.sam.attention import set_attention

OURS, SAMED = "ours", "SAMed's LoRA"
SLOW = 1024
"""Side from which a third of the rounds is made."""


def networks(encoder: str, side: int) -> dict[str, nn.Module]:
    """Return the contenders by name; what is missing is said."""
    found = {OURS: random_encoder(encoder, side), SAMED: random_encoder(encoder, side)}
    set_attention(found[SAMED], "reference")
    for peer in PEERS:
        try:
            found[peer] = peer_encoder(peer, encoder, Task(("road",), (side, side)))
        except UserError as error:
            say(f"{peer} is left out: {error}")
    return found


def row(label: str, taken: dict[str, list[float]], names: list[str]) -> str:
    """Return a row: seconds of ours, and how many times as long the others take."""
    cells = [label, f"{median(taken[OURS]):.2f}"]
    for name in names:
        if name not in taken:
            cells.append("")
            continue
        ratios = [theirs / ours for theirs, ours in zip(taken[name], taken[OURS], strict=True)]
        cells.append(f"**{median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f})")
    return f"| {' | '.join(cells)} | {load()} |"


def main() -> None:
    """Print the table, every row as soon as it is measured."""
    parser = options(__doc__, {"--encoder": "vit_b", "--sides": [256, 512, 1024], "--threads": [1, 2], "--rounds": 7})
    parser.add_argument("--what", nargs="+", choices=("forward", "step"), default=("forward", "step"))
    asked = parser.parse_args()
    precisions = ["fp32", *(["bf16"] if has_native_bf16("cpu") else [])]
    names = [SAMED, *PEERS]
    say(f"| {asked.encoder}, batch 1 | ours, s | {' | '.join(names)} | load |")
    say("|---" + "|--:" * (len(names) + 2) + "|")
    for what in asked.what:  # what predicts has not trained
        run = forward if what == "forward" else step
        for side in asked.sides:
            nets, images = networks(asked.encoder, side), torch.rand(1, 3, side, side)
            for net in nets.values():
                net.train(what == "step")
            for precision in precisions:
                for threads in asked.threads:
                    torch.set_num_threads(threads)
                    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                        contenders = {name: partial(run, net, images) for name, net in nets.items()}
                        rounds = max(3, asked.rounds // (3 if side >= SLOW else 1))
                        turns = take_turns(contenders, rounds, reverse=True)
                    taken = {name: [one.cores for one in found] for name, found in turns.items()}
                    label = f"{what}, {side}, {precision}, {threads} thread{'s' if threads > 1 else ''}"
                    say(row(label, taken, names))
    say(f"\nPyTorch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")


if __name__ == "__main__":
    main()

"""The image encoder beside segment_anything's own: time, memory, where the time goes. Batch 1, LoRA of rank 4.

From the root of the repository: python docs/measure/attention.py [--encoder vit_b] [--side 512] [--rounds 7] [--threads
2] [--flex]. It needs Linux and no weights: random numbers are as slow. Rounds alternate between SAM's blocks
("reference") and ours, so whatever else the machine does falls on both; the ratio is that of medians, its spread that
of single rounds. The second ratio is of processor time, which other work on the same cores disturbs less. `--flex`
compiles FlexAttention and times it too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from passes import forward, random_encoder, step
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from turns import load, options, say, take_turns, vit

from rssam.sam.attention import AttentionKind, ExactBlock, attend, set_attention
from rssam.sam.encoder import WINDOW
from rssam.sam.encoder_sizes import ENCODERS, EncoderSize
from rssam.sam.tiled_attention import offset_table

COMPARED: tuple[AttentionKind, ...] = ("reference", "auto")
WAYS: tuple[AttentionKind, ...] = ("tiled", "folded", "dense")
CLASSES = {
    "products of layers": ("aten::mm", "aten::addmm"),
    "products of attention": ("aten::bmm", "aten::baddbmm", "aten::baddbmm_", "aten::addmm_"),
    "softmax": ("aten::_softmax", "aten::_softmax_backward_data"),
    "GELU": ("aten::gelu", "aten::gelu_backward"),
    "layer norm": ("aten::native_layer_norm", "aten::native_layer_norm_backward"),
    "copies and fills": ("aten::copy_", "aten::cat", "aten::fill_", "aten::zero_"),
    "additions and sums": ("aten::add", "aten::add_", "aten::sum", "aten::mul", "aten::mul_"),
    "convolutions": ("aten::mkldnn_convolution", "aten::convolution_backward", "aten::_slow_conv2d_backward"),
}
"""Operators by what they are for; what is in none is "all else"."""


def trained_encoder(name: str, side: int) -> nn.Module:
    """Return SAM's encoder as it is trained: LoRA and the neck learn, all else is frozen."""
    net = random_encoder(name, side)
    net.encoder.neck.requires_grad_(True)
    return net


def compare(name: str, what: str, side: int, run: Callable[[nn.Module, Tensor], None], rounds: int) -> str:
    """Return a row of the table of times."""
    net, images = trained_encoder(name, side), torch.rand(1, 3, side, side)

    def told(kind: AttentionKind) -> None:
        set_attention(net, kind)
        run(net, images)

    taken = take_turns({kind: partial(told, kind) for kind in COMPARED}, rounds)
    wall = [[one.clock for one in taken[kind]] for kind in COMPARED]
    processor = [[one.cores for one in taken[kind]] for kind in COMPARED]
    ratios = sorted(reference / ours for reference, ours in zip(*wall, strict=True))
    cells = [f"{median(one):.2f}" for one in wall] + [f"**{median(wall[0]) / median(wall[1]):.2f}**"]
    cells += [f"{ratios[0]:.2f} to {ratios[-1]:.2f}", f"{median(processor[0]) / median(processor[1]):.2f}"]
    return f"| {what}, {side} | " + " | ".join(cells) + " |"


def kept(net: nn.Module, images: Tensor) -> int:
    """Return the bytes that wait for the backward pass, every storage once, parameters left out."""
    own = {p.untyped_storage().data_ptr() for p in (*net.parameters(), *net.buffers())}
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = net(images)  # alive, so that no address is used twice
    del out
    return sum(storages.values())


def peak(kind: AttentionKind, name: str, side: int) -> int:
    """Return the bytes by which resident memory rises in one step; a small encoder loads the code first."""
    step(trained_encoder("vit_t", 64), torch.rand(1, 3, 64, 64))
    net, images = trained_encoder(name, side), torch.rand(1, 3, side, side)
    set_attention(net, kind)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    step(net, images)
    return _status("VmHWM") - before


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


def memory(name: str, side: int) -> list[str]:
    """Return rows of the table of memory; each peak is that of a process of its own."""
    net, images = trained_encoder(name, side), torch.rand(1, 3, side, side)
    waiting, peaks = [], []
    for kind in COMPARED:
        set_attention(net, kind)
        waiting.append(kept(net, images))
        command = [sys.executable, *sys.argv, "--peak", kind]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    return [
        f"| {what} | {reference / 2**20:.0f} | {ours / 2**20:.0f} | **{ours / reference:.2f}** |"
        for what, (reference, ours) in (("kept for the backward pass", waiting), ("peak above the weights", peaks))
    ]


def shares(name: str, side: int) -> list[str]:
    """Return rows of the profile of a step."""
    net, images = trained_encoder(name, side), torch.rand(1, 3, side, side)
    spent: list[dict[str, float]] = []
    for kind in COMPARED:
        set_attention(net, kind)
        step(net, images)
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            step(net, images)
        class_of = {name: title for title, names in CLASSES.items() for name in names}
        seconds: dict[str, float] = defaultdict(float)
        for event in profiler.key_averages():
            seconds[class_of.get(event.key, "all else")] += event.self_cpu_time_total / 1e6
        spent.append(seconds)
    totals = [sum(seconds.values()) for seconds in spent]
    rows = []
    for title in (*CLASSES, "all else"):
        cells = (f"{s[title]:.2f} s | {s[title] / total:.0%}" for s, total in zip(spent, totals, strict=True))
        rows.append(f"| {title} | " + " | ".join(cells) + " |")
    return rows


def block_of(size: EncoderSize, side: int, window: int) -> tuple[ExactBlock, Tensor]:
    """Return a block for images of `side` pixels, and what its attention takes [1, rows, columns, 3 widths]."""
    tokens = side // 16
    block = ExactBlock(
        dim=size.width, num_heads=size.heads, use_rel_pos=True, window_size=window, input_size=(tokens, tokens)
    )
    return block.requires_grad_(False), torch.randn(1, tokens, tokens, 3 * size.width)


def ways(size: EncoderSize, side: int, rounds: int) -> list[str]:
    """Return rows of the table of ways: one block's attention, without its layers."""
    rows = []
    for what, pixels, window in (("global", side, 0), ("windows", side, WINDOW), ("windows", side // 2, WINDOW)):
        block, qkv = block_of(size, pixels, window)
        learned, gradient = qkv.clone().requires_grad_(), torch.randn(*qkv.shape[:3], size.width)

        def ahead(way: AttentionKind, block: ExactBlock = block, qkv: Tensor = qkv) -> None:
            with torch.inference_mode():
                attend(block.attn, qkv, block.window_size, way)

        def both(
            way: AttentionKind, block: ExactBlock = block, qkv: Tensor = learned, gradient: Tensor = gradient
        ) -> None:
            attend(block.attn, qkv, block.window_size, way).backward(gradient)

        for name, run in (("forward", ahead), ("forward and backward", both)):
            taken = take_turns({way: partial(run, way) for way in WAYS}, rounds)
            cells = (f"{1000 * median(one.clock for one in taken[way]):.0f}" for way in WAYS)
            rows.append(f"| {what}, {pixels}, {name} | " + " | ".join(cells) + " |")
    return rows


def flex(size: EncoderSize, side: int, rounds: int) -> list[str]:
    """Return rows on FlexAttention, compiled, beside tiles: the forward pass of a global block."""
    from torch.nn.attention.flex_attention import flex_attention

    block, qkv = block_of(size, side, 0)
    tokens, heads = side // 16, size.heads
    split = qkv.view(1, tokens**2, 3, heads, -1).permute(2, 0, 3, 1, 4).contiguous()
    query, key, value = split.unbind(0)  # [1, heads, tokens**2, width of a head]
    grid, shape = query.unflatten(2, (tokens, tokens)), (1, heads, tokens**2, tokens)
    rows = torch.einsum("bnhwd,hkd->bnhwk", grid, offset_table(block.attn.rel_pos_h, tokens)).reshape(shape)
    columns = torch.einsum("bnhwd,wkd->bnhwk", grid, offset_table(block.attn.rel_pos_w, tokens)).reshape(shape)

    def placed(score: Tensor, b: Tensor, head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return score + rows[b, head, q, k // tokens] + columns[b, head, q, k % tokens]

    compiled = torch.compile(flex_attention)
    began = time.perf_counter()
    with torch.inference_mode():
        compiled(query, key, value, score_mod=placed)
        ready = time.perf_counter() - began
        runs: dict[AttentionKind, Callable[[], None]] = {
            "reference": lambda: compiled(query, key, value, score_mod=placed),
            "tiled": lambda: attend(block.attn, qkv, 0, "tiled"),
        }
        taken = take_turns(runs, rounds)
    theirs, ours = (1000 * median(one.clock for one in taken[way]) for way in ("reference", "tiled"))
    lines = [f"FlexAttention: {ready:.0f} s to compile; forward {theirs:.0f} ms, tiled {ours:.0f} ms."]
    try:
        compiled(query.clone().requires_grad_(), key, value, score_mod=placed)
    except NotImplementedError as error:
        lines.append(f"With a gradient: {error}")
    return lines


def _table(head: str, rows: Iterable[str]) -> None:
    """Print every row as soon as it is measured."""
    for line in (head, "|---" + "|--:" * (head.count("|") - 2) + "|"):
        say(line)
    for row in rows:
        say(row)
    say("")


def main() -> None:
    """Print the tables."""
    parser = options(__doc__, {"--rounds": 7, "--threads": 2})
    parser.add_argument("--encoder", choices=ENCODERS, default="vit_b")
    parser.add_argument("--side", type=int, default=512, help="of the images in pixels, a multiple of 32")
    parser.add_argument("--flex", action="store_true")
    parser.add_argument("--peak", choices=COMPARED, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    name, side, size = asked.encoder, asked.side, ENCODERS[asked.encoder]
    torch.set_num_threads(asked.threads)
    if asked.peak:
        sys.stdout.write(str(peak(asked.peak, name, side)))
        return
    began, before = time.perf_counter(), load()
    passes = (("forward", side // 2, forward), ("forward", side, forward), ("forward and backward", side, step))
    timed = (compare(name, *one, asked.rounds) for one in passes)
    _table(f"| {vit(name)}, batch 1 | SAM, s | ours, s | ratio | single rounds | of processor time |", timed)
    _table(f"| forward and backward, {side} | SAM, MiB | ours, MiB | ratio |", memory(name, side))
    _table("| a block's attention, ms | " + " | ".join(WAYS) + " |", ways(size, side, asked.rounds))
    _table(f"| step at {side}, by operator | SAM | | ours | |", shares(name, side))
    for line in flex(size, side, asked.rounds) if asked.flex else []:
        say(line)
    say(
        f"load average {before} at the start and {load()} at the end; {torch.get_num_threads()} threads, "
        f"{asked.rounds} rounds, {time.perf_counter() - began:.0f} s"
    )


if __name__ == "__main__":
    main()

"""The image encoder beside segment_anything's own: time, memory, where the time goes. ViT-B, batch 1, LoRA of rank 4.

From the root of the repository: python docs/measure/attention.py [--rounds 7] [--threads 2] [--flex]. It needs Linux
and no weights: random numbers are as slow. Rounds alternate between SAM's blocks ("reference") and ours, so whatever
else the machine does falls on both; the ratio is that of medians, its spread that of single rounds. The second ratio is
of processor time, which other work on the same cores disturbs less. `--flex` compiles FlexAttention and times it too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from turns import say, take_turns

from rssam.lora import add_lora, freeze_encoder
from rssam.sam.attention import AttentionKind, ExactBlock, attend, set_attention
from rssam.sam.encoder import WINDOW, SamEncoder
from rssam.sam.encoder_sizes import ENCODERS
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


def encoder(side: int, size: str = "vit_b") -> SamEncoder:
    """Return SAM's encoder as it is trained: LoRA and the neck learn, all else is frozen. No parameter is zero."""
    torch.manual_seed(0)
    net = SamEncoder(ENCODERS[size], (side, side), neck=True)
    add_lora(net, 4)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    freeze_encoder(net, "sam")
    assert net.neck is not None
    net.neck.requires_grad_(True)
    return net


def forward(net: SamEncoder, images: Tensor) -> None:
    """Run the encoder as in prediction."""
    with torch.inference_mode():
        net(images)


def step(net: SamEncoder, images: Tensor) -> None:
    """Run the encoder as in training, without the optimiser."""
    neck = net(images).neck
    assert neck is not None
    neck.square().mean().backward()


def compare(what: str, side: int, run: Callable[[SamEncoder, Tensor], None], rounds: int) -> str:
    """Return a row of the table of times."""
    net, images = encoder(side), torch.rand(1, 3, side, side)

    def told(kind: AttentionKind) -> None:
        set_attention(net, kind)
        run(net, images)

    taken = take_turns({kind: partial(told, kind) for kind in COMPARED}, rounds)
    wall = [[one.clock for one in taken[kind]] for kind in COMPARED]
    processor = [[one.cores for one in taken[kind]] for kind in COMPARED]
    ratios = sorted(reference / ours for reference, ours in zip(*wall, strict=True))
    cells = [f"{median(one):.2f}" for one in wall] + [f"**{median(wall[0]) / median(wall[1]):.2f}**"]
    cells += [f"{ratios[0]:.2f} to {ratios[-1]:.2f}", f"{median(processor[0]) / median(processor[1]):.2f}"]
    return f"| {what} | " + " | ".join(cells) + " |"


def kept(net: SamEncoder, images: Tensor) -> int:
    """Return the bytes that wait for the backward pass, every storage once, parameters left out."""
    own = {p.untyped_storage().data_ptr() for p in (*net.parameters(), *net.buffers())}
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = net(images).neck  # alive, so that no address is used twice
    del out
    return sum(storages.values())


def peak(kind: AttentionKind, side: int) -> int:
    """Return the bytes by which resident memory rises in one step; a small encoder loads the code first."""
    step(encoder(64, "vit_t"), torch.rand(1, 3, 64, 64))
    net, images = encoder(side), torch.rand(1, 3, side, side)
    set_attention(net, kind)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _status("VmRSS")
    step(net, images)
    return _status("VmHWM") - before


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


def memory(side: int, threads: int) -> list[str]:
    """Return rows of the table of memory; each peak is that of a process of its own."""
    net, images = encoder(side), torch.rand(1, 3, side, side)
    waiting, peaks = [], []
    for kind in COMPARED:
        set_attention(net, kind)
        waiting.append(kept(net, images))
        command = [sys.executable, __file__, "--threads", str(threads), "--peak", kind]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    return [
        f"| {what} | {reference / 2**20:.0f} | {ours / 2**20:.0f} | **{ours / reference:.2f}** |"
        for what, (reference, ours) in (("kept for the backward pass", waiting), ("peak above the weights", peaks))
    ]


def shares(side: int) -> list[str]:
    """Return rows of the profile of a step."""
    net, images = encoder(side), torch.rand(1, 3, side, side)
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


def ways(rounds: int) -> list[str]:
    """Return rows of the table of ways: one block's attention, without its layers."""
    rows = []
    for what, side, window in (("global, 512", 32, 0), ("windows, 512", 32, WINDOW), ("windows, 256", 16, WINDOW)):
        block = ExactBlock(dim=768, num_heads=12, use_rel_pos=True, window_size=window, input_size=(side, side))
        block.requires_grad_(False)
        qkv = torch.randn(1, side, side, 3 * 768)
        learned, gradient = qkv.clone().requires_grad_(), torch.randn(1, side, side, 768)

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
            rows.append(f"| {what}, {name} | " + " | ".join(cells) + " |")
    return rows


def flex(rounds: int) -> list[str]:
    """Return rows on FlexAttention, compiled, beside tiles: the forward pass of a global block at 512 pixels."""
    from torch.nn.attention.flex_attention import flex_attention

    block = ExactBlock(dim=768, num_heads=12, use_rel_pos=True, window_size=0, input_size=(32, 32))
    block.requires_grad_(False)
    qkv = torch.randn(1, 32, 32, 3 * 768)
    query, key, value = qkv.view(1, 1024, 3, 12, 64).permute(2, 0, 3, 1, 4).contiguous().unbind(0)  # [1, 12, 1024, 64]
    grid = query.view(1, 12, 32, 32, 64)
    rows = torch.einsum("bnhwd,hkd->bnhwk", grid, offset_table(block.attn.rel_pos_h, 32)).reshape(1, 12, 1024, 32)
    columns = torch.einsum("bnhwd,wkd->bnhwk", grid, offset_table(block.attn.rel_pos_w, 32)).reshape(1, 12, 1024, 32)

    def placed(score: Tensor, b: Tensor, head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return score + rows[b, head, q, k // 32] + columns[b, head, q, k % 32]

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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--flex", action="store_true")
    parser.add_argument("--peak", choices=COMPARED, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.peak:
        sys.stdout.write(str(peak(options.peak, 512)))
        return
    began = time.perf_counter()
    load = f"load average {os.getloadavg()[0]:.1f}"
    timed = (
        compare(what, side, run, options.rounds)
        for what, side, run in (
            ("forward, 256", 256, forward),
            ("forward, 512", 512, forward),
            ("forward and backward, 512", 512, step),
        )
    )
    _table("| ViT-B, batch 1 | SAM, s | ours, s | ratio | single rounds | of processor time |", timed)
    _table("| forward and backward, 512 | SAM, MiB | ours, MiB | ratio |", memory(512, options.threads))
    _table("| a block's attention, ms | " + " | ".join(WAYS) + " |", ways(options.rounds))
    _table("| step at 512, by operator | SAM | | ours | |", shares(512))
    for line in flex(options.rounds) if options.flex else []:
        say(line)
    say(
        f"{load} at the start and {os.getloadavg()[0]:.1f} at the end; {torch.get_num_threads()} threads, "
        f"{options.rounds} rounds, {time.perf_counter() - began:.0f} s"
    )


if __name__ == "__main__":
    main()

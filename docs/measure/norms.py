"""Time the norm over channels, and training steps with it, against segment_anything's own, on this CPU or GPU.

    python docs/measure/norms.py [--precision fp32|bf16] [--rounds 9] [--side 256]

In each round everything is timed once, in turn, so that what else the machine does falls on both. The table has
medians, and the median, lowest and highest ratio of a round.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import torch
from segment_anything.modeling.common import LayerNorm2d as SamLayerNorm2d
from torch import nn
from turns import options, say, take_turns

from baselines.sam_lora import SamLora
from benchmarks.training.loss import training_loss
from rssam.config import RSSAM
from rssam.contract import Model, Task
from rssam.sam.layer_norm import LayerNorm2d

HALF = {"fp32": None, "bf16": torch.bfloat16}
IMAGES = 2
Loss = Callable[[nn.Module, torch.Tensor], torch.Tensor]


def use(net: nn.Module, norm: type[nn.Module]) -> None:
    """Let every norm over channels of a network compute as `norm` does."""
    for module in net.modules():
        if isinstance(module, SamLayerNorm2d):
            module.__class__ = norm


def compare(name: str, net: nn.Module, x: torch.Tensor, loss_of: Loss, half: torch.dtype | None, rounds: int) -> None:
    """Print one line of the table: of a forward and a backward pass."""

    def run(norm: type[nn.Module]) -> None:
        use(net, norm)
        with torch.autocast(x.device.type, half or torch.bfloat16, enabled=half is not None):
            loss = loss_of(net, x)
        loss.backward()  # type: ignore[no-untyped-call]
        net.zero_grad(set_to_none=True)
        x.grad = None
        if x.device.type == "cuda":
            torch.cuda.synchronize()

    work = {"SAM's": lambda: run(SamLayerNorm2d), "ours": lambda: run(LayerNorm2d)}
    before, after = ([one.clock for one in found] for found in take_turns(work, rounds).values())
    ratios = [new / old for old, new in zip(before, after, strict=True)]
    cells = (f"{1e3 * median(before):.0f} ms", f"{1e3 * median(after):.0f} ms", f"{median(ratios):.2f}")
    say(f"| {name} | {' | '.join(cells)} | {min(ratios):.2f} to {max(ratios):.2f} |")


def main() -> None:
    """Print the table."""
    parser = options(__doc__, {"--rounds": 9, "--side": 256, "--encoder": "vit_t"})
    parser.add_argument("--precision", choices=HALF, default="fp32")
    given = parser.parse_args()
    device, half, side = "cuda" if torch.cuda.is_available() else "cpu", HALF[given.precision], given.side
    say(f"{device}, {given.precision}, {IMAGES} images of {side}x{side}, {given.rounds} alternating rounds\n")
    say("| forward and backward | SAM's norm | `layer_norm` | ratio | lowest to highest |\n|---|--:|--:|--:|--:|")
    map_type = half or torch.float32
    for layout in (torch.contiguous_format, torch.channels_last):
        x = torch.randn(IMAGES, 256, side // 4, side // 4, device=device, dtype=map_type)
        x = x.to(memory_format=layout).requires_grad_()
        shape = f"norm of {' x '.join(map(str, x.shape))}, {str(layout).removeprefix('torch.').replace('_', ' ')}"
        compare(shape, LayerNorm2d(256).to(device), x, lambda net, x: net(x).float().square().sum(), half, given.rounds)
    systems: tuple[Model, ...] = (RSSAM(given.encoder, "scratch"), SamLora(given.encoder, "scratch"))
    for model in systems:
        net = model.architecture(Task(("road",), (side, side))).to(device).train()
        labels = torch.randint(2, (IMAGES, side, side), device=device)
        compare(
            f"training step of {model.title}, {given.encoder}", net, torch.rand(IMAGES, 3, side, side, device=device),
            lambda net, x, labels=labels: training_loss(net, x, labels, 0.2, 0.8), half, given.rounds,
        )  # fmt: skip


if __name__ == "__main__":
    main()

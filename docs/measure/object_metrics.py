"""What the metrics of objects say of known errors on real road masks, and what they and the histograms cost.

From the root of the repository: python docs/measure/object_metrics.py [--samples DIR] [--images 12] [--rounds 5]; DIR
holds road masks as `*_mask.png` or in a folder `masks` (for the tables in the docs: of Las Vegas). Without it masks of
invented scenes are taken. One thread, and seconds of the core; medians over rounds in which the rivals take turns.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from turns import load, options, say, take_turns

from benchmarks.metrics.apls import Apls
from benchmarks.metrics.boundary_iou import BoundaryIou
from benchmarks.metrics.cldice import ClDice
from benchmarks.metrics.mask_pair import MaskPair
from benchmarks.metrics.object_metrics import ObjectMetric
from benchmarks.metrics.relaxed_f1 import RelaxedF1
from data_prep.synthetic.road_scenes import road_scene

Mask = NDArray[np.bool_]
SIDE = 512
METRICS: tuple[ObjectMetric, ...] = (RelaxedF1(), ClDice(), Apls(), BoundaryIou())


def read_masks(folder: Path | None, count: int) -> list[Mask]:
    """Return masks of SIDE pixels with a road in them: every second pixel of 1024, or a larger mask's upper left."""
    if folder is None:
        rng = np.random.default_rng(0)
        return [np.asarray(road_scene(SIDE, rng).roads) > 0 for _ in range(count)]
    masks = []
    for path in [*sorted(folder.rglob("*_mask.png")), *sorted(folder.rglob("masks/*.png"))]:
        grey = np.asarray(Image.open(path).convert("L"))
        mask = grey >= 128 if path.name.endswith("_mask.png") else grey > 0
        mask = (mask[::2, ::2] if mask.shape[0] >= 2 * SIDE else mask)[:SIDE, :SIDE]
        if mask.any() and mask.shape == (SIDE, SIDE):
            masks.append(mask)
    return masks[:count]


def with_gaps(mask: Mask, count: int = 6, reach: int = 8) -> Mask:
    """Cut squares of 16 pixels out of a mask at random places on roads."""
    rng = np.random.default_rng(1)
    broken = mask.copy()
    places = np.argwhere(mask)
    for row, column in places[rng.integers(0, len(places), count)]:
        broken[max(row - reach, 0) : row + reach, max(column - reach, 0) : column + reach] = False
    return broken


def noisy(mask: Mask) -> Mask:
    """Return a prediction with ragged edges, holes and specks, as a network that has learnt little makes."""
    rng = np.random.default_rng(2)
    noise = ndimage.gaussian_filter(rng.normal(size=mask.shape), 3)
    return ndimage.gaussian_filter(mask.astype(float), 2) + 0.25 * noise / noise.std() > 0.5


EDITS: dict[str, Callable[[Mask], Mask]] = {
    "itself": lambda mask: mask,
    "moved by 2 px": lambda mask: np.roll(mask, 2, axis=1),
    "moved by 6 px": lambda mask: np.roll(mask, 6, axis=1),
    "dilated by 3 px": lambda mask: ndimage.binary_dilation(mask, iterations=3),
    "eroded by 1 px": lambda mask: ndimage.binary_erosion(mask),
    "6 gaps of 16 px": with_gaps,
    "ragged and specked": noisy,
    "mirrored (another map)": lambda mask: mask[:, ::-1].copy(),
    "empty": np.zeros_like,
}


def show_values(masks: list[Mask]) -> None:
    """Print scores pooled over the masks for each kind of error."""
    say("| prediction | Dice | relaxed F1 | clDice | APLS | boundary IoU |\n| :-- | --: | --: | --: | --: | --: |")
    for name, edit in EDITS.items():
        pairs = [MaskPair(mask, edit(mask)) for mask in masks]
        hits = sum(int((pair.truth & pair.prediction).sum()) for pair in pairs)
        both = sum(int(pair.truth.sum() + pair.prediction.sum()) for pair in pairs)
        scores = []
        for metric in METRICS:
            sums = np.array([metric.sums(pair) for pair in pairs], dtype=float).sum(axis=0)
            scores.append(float(metric.scores(sums)[metric.headline]))
        say(f"| {name} | " + " | ".join(f"{value:.3f}" for value in (2 * hits / both, *scores)) + " |")


def timed(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median milliseconds of the core of each work, taking turns."""
    turns = take_turns(work, rounds, warm=False)
    return {name: median(1000 * one.cores for one in found) for name, found in turns.items()}


def rivals(truth: Mask, prediction: Mask) -> dict[str, Callable[[], object]]:
    """Return the metrics on one pair of masks, and other ways to the same sums.

    Skeletons are made anew in each call.
    """

    def together() -> None:
        pair = MaskPair(truth, prediction)
        for metric in METRICS[:3]:
            metric.sums(pair)

    def alone(metric: ObjectMetric) -> Callable[[], object]:
        return lambda: metric.sums(MaskPair(truth, prediction))

    def by_distance() -> None:
        for mask in (truth, prediction):
            _ = ndimage.distance_transform_edt(~mask) <= 3

    def by_chessboard() -> None:
        for mask in (truth, prediction):
            _ = ndimage.distance_transform_cdt(np.pad(mask, 1), metric="chessboard") <= 14

    return {
        **{metric.name: alone(metric) for metric in METRICS},
        "relaxed, clDice and APLS together": together,
        "relaxed by SciPy's distances": by_distance,
        "boundary by SciPy's distances": by_chessboard,
    }


def show_costs(masks: list[Mask], rounds: int) -> None:
    """Print milliseconds an image of the metrics, on predictions with a few gaps and on ragged ones."""
    say("\n| | gaps, ms (median) | largest | ragged, ms (median) | largest |\n| :-- | --: | --: | --: | --: |")
    found: dict[str, list[list[float]]] = {}
    for edit in (with_gaps, noisy):
        taken = [timed(rivals(mask, edit(mask)), rounds) for mask in masks]
        for name in taken[0]:
            found.setdefault(name, []).append([one[name] for one in taken])
    for name, kinds in found.items():
        say(f"| {name} | " + " | ".join(f"{median(one):.1f} | {max(one):.1f}" for one in kinds) + " |")


def at_test_time(classes: tuple[str, ...]) -> dict[str, Callable[[], object]]:
    """Return histogram, confusion matrix and one forward pass of the smallest network."""
    import torch

    from baselines.sam_lora import SamLora
    from benchmarks.metrics.confusion import confusion_matrix, predicted_labels
    from benchmarks.metrics.count_probabilities import probability_histograms
    from rssam.contract import Task
    from rssam.weights.folder import WeightsFolder

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    task = Task(classes, (SIDE, SIDE))
    net = SamLora("vit_t", "scratch").build(task, WeightsFolder(Path("none"))).eval()
    logits = 4 * torch.randn(len(classes), SIDE, SIDE, generator=generator)
    truth = torch.randint(0, max(2, len(classes)), (SIDE, SIDE), generator=generator).to(torch.uint8)
    image = torch.rand(1, 3, SIDE, SIDE, generator=generator)
    return {
        "histogram": lambda: probability_histograms(truth[None], logits[None]),
        "confusion": lambda: confusion_matrix(truth, predicted_labels(logits), task),
        "forward": torch.inference_mode()(lambda: net(image)),
    }


def show_histogram(rounds: int) -> None:
    """Print milliseconds of what testing does with one image."""
    say("\n| | histogram, ms | confusion matrix, ms | forward pass, ms |\n| :-- | --: | --: | --: |")
    for classes in (("road",), tuple("abcdef")):
        taken = timed(at_test_time(classes), rounds + 2)
        cells = " | ".join(f"{value:.1f}" for value in taken.values())
        say(f"| {len(classes)} class{'es' if len(classes) > 1 else ''}, SAM-LoRA `vit_t` | {cells} |")


def main() -> None:
    """Print all three tables, with the load of the machine."""
    parser = options(__doc__, {"--images": 12, "--rounds": 5})
    parser.add_argument("--samples", type=Path)
    asked = parser.parse_args()
    masks = read_masks(asked.samples, asked.images)
    say(f"{len(masks)} masks of {SIDE} pixels; load average {load()}\n")
    show_values(masks)
    show_costs(masks, asked.rounds)
    show_histogram(asked.rounds)
    say(f"\nload average {load()}")


if __name__ == "__main__":
    main()

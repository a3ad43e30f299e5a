"""How often a "95 %" interval of the pooled Dice holds the truth, and how often equal systems are called different.

From the root of the repository: python docs/measure/intervals.py [--simulations 2000] [--draws 1000] [--seed 0]. It
takes ten minutes of one core. With --unequal: scenes of very unequal size alone, in two minutes.

Test sets are drawn from populations whose Dice is known: counts of foreground are log-normal with a tenth of empty
images, recall and false alarms differ from image to image, and tiles of one scene are alike in all of it. Compared are
the delete-one-unit jackknife with Student's t, which the reports use; the percentile bootstrap; and the bias-corrected
and accelerated bootstrap (BCa). With scenes, also the jackknife that takes tiles for independent images. Scenes of
unequal size tell how small an effective number of units may be: for each least number, the share of test sets whose
interval would be shown, how often those hold the truth, and the false daggers among those tested.

Also the rates of the verdicts: T of one system's own replicates against a single run of the paper, where systems differ
in how steady they are and share their splits. Beside it stands T with a spread pooled over systems.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr
from scipy.stats import norm
from turns import options, say

from benchmarks.metrics.counts import Counts
from reports.statistics.jackknife import FEWEST_TESTED, FEWEST_UNITS, Jackknife, jackknife_dice
from reports.statistics.replicates import ROUNDING, reach_factor, student_quantile

Floats = NDArray[np.float64]
Interval = tuple[float, float]
SIZES = (6, 10, 20, 30, 140, 934)
SCENES = (5, 10, 35, 230)
TILES = 4  # of a scene
UNEQUAL = {  # tiles of each scene
    "20 scenes of 1 tile": [1] * 20,
    "30 scenes of 1 tile": [1] * 30,
    "20 scenes of 5": [5] * 20,
    "2 scenes of 100, 18 of 2": [100] * 2 + [2] * 18,
    "1 scene of 500, 19 of 1": [500] + [1] * 19,
    "20 scenes of 1 to 160": np.geomspace(1, 160, 20).round().astype(int).tolist(),
    "1 scene of 300, 29 of 2": [300] + [2] * 29,
    "3 scenes of 80, 37 of 3": [80] * 3 + [3] * 37,
    "5 scenes of 40, 35 of 3": [40] * 5 + [3] * 35,
    "40 scenes of 1 to 160": np.geomspace(1, 160, 40).round().astype(int).tolist(),
}
LEAST = (0.0, 0.3, 0.4, 0.5)  # effective number of units, as a share of the fewest
PIXELS = 512 * 512
POPULATION = 2_000_000


@dataclass(frozen=True)
class Population:
    """Random images. The shares of variance tell how much of it tiles of one scene have in common."""

    common: float = 0.0

    def draw(self, rng: np.random.Generator, units: int, tiles: int | Sequence[int], systems: int = 1) -> list[Counts]:
        """Return counts [tiles of all units, 1] of each system on the same images.

        Systems are equal in the population. `tiles` are those of every unit, or of each.
        """
        size = self._normal(rng, units, tiles)
        hard = self._normal(rng, units, tiles)
        images = len(size)
        truth = np.where(rng.random(images) < 0.1, 0, np.exp(math.log(0.04 * PIXELS) - 0.5 + size))
        truth = np.minimum(truth, 0.6 * PIXELS)
        made = []
        for _ in range(systems):
            own = hard + 0.5 * self._normal(rng, units, tiles)
            recall = 1 / (1 + np.exp(-(1.0 + own)))
            alarms = np.exp(math.log(0.3) - 0.5 * own + 0.5 * rng.normal(size=images))
            base = rng.exponential(150.0, images)  # on empty images too
            tp = (recall * truth).astype(np.int64)
            fp = np.minimum(alarms * truth + base, PIXELS - truth).astype(np.int64)
            fn = truth.astype(np.int64) - tp
            made.append(Counts(tp[:, None], fp[:, None], fn[:, None], (PIXELS - tp - fp - fn)[:, None]))
        return made

    def _normal(self, rng: np.random.Generator, units: int, tiles: int | Sequence[int]) -> Floats:
        """Return standard normal values [tiles of all units], correlated within a unit."""
        shared = np.repeat(rng.normal(size=units), tiles)
        return math.sqrt(self.common) * shared + math.sqrt(1 - self.common) * rng.normal(size=len(shared))

    def dice(self, rng: np.random.Generator) -> float:
        """Return the Dice of the whole population."""
        (counts,) = self.draw(rng, POPULATION, 1)
        return _dice(_sums(counts).sum(axis=0))


def jackknife(counts: Counts, owner: NDArray[np.int64]) -> Jackknife:
    """Return the estimate over units."""
    return jackknife_dice([counts], [owner], int(owner.max()) + 1)[-1]


def bootstraps(
    counts: Counts, owner: NDArray[np.int64], draws: int, rng: np.random.Generator
) -> tuple[Interval, Interval]:
    """Return the percentile and the BCa interval over units."""
    units = int(owner.max()) + 1
    sums = np.zeros((units, 2))
    np.add.at(sums, owner, _sums(counts))
    weights = rng.multinomial(units, np.full(units, 1 / units), size=draws).astype(np.float64)
    pooled = weights @ sums
    drawn = pooled[:, 0] / np.maximum(pooled[:, 1], 1)
    percentile = tuple(np.quantile(drawn, [0.025, 0.975]))
    value, without = _dice(sums.sum(axis=0)), [_dice(sums.sum(axis=0) - each) for each in sums]
    deviations = np.mean(without) - np.asarray(without)
    spread = float((deviations**2).sum()) ** 1.5
    acceleration = float((deviations**3).sum()) / (6 * spread) if spread else 0.0
    below = min(max(float((drawn < value).mean()), 1 / draws), 1 - 1 / draws)
    bias = norm.ppf(below)
    ends = [
        float(norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))) for z in (norm.ppf(0.025), norm.ppf(0.975))
    ]
    return (float(percentile[0]), float(percentile[1])), tuple(np.quantile(drawn, ends))  # type: ignore[return-value]


def coverage(population: Population, units: int, tiles: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Return the share of simulations in which each interval holds the truth, and of false daggers."""
    rng = np.random.default_rng([arguments.seed, units, tiles])
    truth = population.dice(np.random.default_rng([arguments.seed, 1]))
    counted: Counter[str] = Counter()
    owner, alone = np.repeat(np.arange(units), tiles), np.arange(units * tiles)
    for _ in range(arguments.simulations):
        first, second = population.draw(rng, units, tiles, systems=2)
        estimate = jackknife(first, owner)
        percentile, accelerated = bootstraps(first, owner, arguments.draws, rng)
        found = {"jackknife": estimate.student(), "percentile": percentile, "BCa": accelerated}
        if tiles > 1:
            found["tiles as images"] = jackknife(first, alone).student()
        for name, (low, high) in found.items():
            counted[name] += low <= truth <= high
        if units >= FEWEST_TESTED:
            counted["paired jackknife"] += (estimate - jackknife(second, owner)).p < 0.05
        if tiles > 1 and units * tiles >= FEWEST_TESTED:
            difference = jackknife(first, alone) - jackknife(second, alone)
            counted["tiles as images, daggers"] += difference.p < 0.05
    return {name: count / arguments.simulations for name, count in counted.items()}


def unequal(arguments: argparse.Namespace) -> None:
    """Print for scenes of unequal size what each least effective number of units would show, and how often it is right.

    Scenes of one tile are images: nothing ties them.
    """
    for name, tiles in UNEQUAL.items():
        population = Population(0.6 if max(tiles) > 1 else 0.0)
        truth = population.dice(np.random.default_rng([arguments.seed, 1]))
        rng = np.random.default_rng([arguments.seed, len(tiles), sum(tiles)])
        owner = np.repeat(np.arange(len(tiles)), tiles)
        found = []  # effective number, whether it held the truth, whether a dagger
        for _ in range(arguments.simulations):
            first, second = population.draw(rng, len(tiles), tiles, systems=2)
            estimate = jackknife(first, owner)
            low, high = estimate.student()
            difference = estimate - jackknife(second, owner)
            p = 2 * stdtr(difference.units - 1, -abs(difference.value) / difference.error)
            found.append((estimate.effective, low <= truth <= high, difference.effective, p < 0.05))
        effective, held, of_difference, dagger = np.array(found, dtype=np.float64).T
        cells = [f"{name:26} effective {np.median(effective):5.1f}"]
        for least in LEAST:
            shown, tested = effective >= least * FEWEST_UNITS, of_difference >= least * FEWEST_TESTED
            daggers = f" daggers {dagger[tested].mean():.3f}" if len(tiles) >= FEWEST_TESTED and tested.any() else ""
            right = f" right {held[shown].mean():.3f}" if shown.any() else ""
            cells.append(f"{least:.1f}: shown {shown.mean():.2f}{right}{daggers}")
        say("  ".join(cells))


def _sums(counts: Counts) -> Floats:
    doubled = 2 * counts.tp[:, 0]
    return np.stack([doubled, doubled + counts.fp[:, 0] + counts.fn[:, 0]], axis=1).astype(np.float64)


def _dice(sums: Floats) -> float:
    return float(sums[0] / sums[1]) if sums[1] else math.nan


def verdict_rates(arguments: argparse.Namespace) -> None:
    """Print how often a true replication is called "higher" or "lower", by a pooled spread and by its own."""
    systems, simulations = 11, 10 * arguments.simulations
    scenarios = {  # spread of the first system, and the share of variance that the split has
        "all equally steady": (0.004, 0.0),
        "one system four times as unsteady": (0.016, 0.0),
        "half of the variance is the split's, shared by all": (0.004, 0.5),
        "both": (0.016, 0.5),
    }
    say("\nFalse verdicts, worst system and mean of systems, n = 5 replicates; T as a multiple of s")
    for name, (first, shared) in scenarios.items():
        rng = np.random.default_rng([arguments.seed, 7])
        s = np.array([first] + [0.004] * (systems - 1))
        shape = (simulations, systems)

        def runs(count: int) -> Floats:
            """Return Dice of replicates about their mean, [simulations, systems, count]; systems share splits."""
            split = rng.normal(size=(simulations, 1, count))  # noqa: B023
            own = rng.normal(size=(*shape, count))  # noqa: B023
            return s[:, None] * (math.sqrt(shared) * split + math.sqrt(1 - shared) * own)  # noqa: B023

        ours, paper = runs(5), runs(1)[..., 0]
        distance = np.abs(ours.mean(axis=2) - paper)
        pooled = np.sqrt(ours.var(axis=2, ddof=1).mean(axis=1))[:, None]
        together = distance > student_quantile(4 * systems, 0.95) * pooled * math.sqrt(1.2) + ROUNDING
        alone = distance > reach_factor(5) * ours.std(axis=2, ddof=1) + ROUNDING
        means = ours.mean(axis=1) - paper.mean(axis=1)[:, None]  # [simulations, 5]: of all systems together
        joint = np.abs(means.mean(axis=1)) > reach_factor(5) * means.std(axis=1, ddof=1)
        say(
            f"{name:52} pooled spread {together.mean(axis=0).max():.3f} {together.mean():.3f}   own spread "
            f"{alone.mean(axis=0).max():.3f} {alone.mean():.3f}   joint shift excludes 0: {joint.mean():.3f}   "
            f"three or more systems outside: {(together.sum(axis=1) > 2).mean():.3f} "
            f"{(alone.sum(axis=1) > 2).mean():.3f}"
        )
    say(f"T is {reach_factor(5):.2f} s + {ROUNDING} at n = 5")


def main() -> None:
    """Print the tables."""
    parser = options(__doc__, {"--simulations": 2000, "--draws": 1000, "--seed": 0})
    parser.add_argument("--units", type=int, nargs="*", help="only cells with so many images or scenes, no verdicts")
    parser.add_argument("--unequal", action="store_true", help="only scenes of unequal size")
    arguments = parser.parse_args()
    began = time.monotonic()
    if arguments.unequal:
        unequal(arguments)
        say(f"{time.monotonic() - began:.0f} s")
        return
    say(f"{arguments.simulations} simulations a cell, {arguments.draws} draws, seed {arguments.seed}")
    cells = [(Population(), size, 1) for size in SIZES] + [(Population(0.6), count, TILES) for count in SCENES]
    for population, units, tiles in cells:
        if arguments.units and units not in arguments.units:
            continue
        rates = coverage(population, units, tiles, arguments)
        name = f"{units} images" if tiles == 1 else f"{units} scenes of {tiles} tiles"
        say(f"{name:24} " + "  ".join(f"{method} {rate:.3f}" for method, rate in rates.items() if rate))
    if not arguments.units:
        verdict_rates(arguments)
    say(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

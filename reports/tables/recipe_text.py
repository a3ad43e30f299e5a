"""Describe in words how results were made: their recipe, and the seeds of a replicate."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.protocol.recipe import Recipe
from benchmarks.results.failed_run import FailedRun
from benchmarks.results.result import Result
from reports.formatting import join_words, plural

OPTIMIZERS = {"adamw": "AdamW", "sgd": "SGD"}


def describe_recipe(recipe: Recipe) -> str:
    """Return the recipe's key values in one line."""
    rates = ", ".join(f"{rate:g}" for rate in recipe.rates)
    share = isinstance(recipe.warmup, float)
    parts = [
        "optimiser and weight decay as each system published them, else AdamW"
        if recipe.name == "fair"
        else f"{OPTIMIZERS[recipe.optimizer]}, weight decay {recipe.weight_decay:g}",
        f"rate {rates}" if len(recipe.rates) == 1 else f"the rate of {rates} with the lowest validation loss",
        f"warm-up {100 * recipe.warmup:g} % of the steps" if share else f"warm-up {recipe.warmup} steps",
        f"polynomial decay {recipe.power:g}",
        f"{recipe.epochs} {plural(recipe.epochs, 'epoch')}",
        f"batch {recipe.batch} in groups of {recipe.group}",
        _crops(recipe),
        f"at most {recipe.limit} images of each split" if recipe.limit else "",
        "no augmentation" if recipe.augmentation == "none" else f"augmentation: {recipe.augmentation}",
        f"loss {recipe.ce_weight:g} CE + {recipe.dice_weight:g} Dice",
    ]
    return ", ".join(part for part in parts if part)


def describe_replicate(result: Result | FailedRun, joint: str = ", ") -> str:
    """Return the seeds of a replicate in words."""
    return f"split seed {result.identity['split_seed']}{joint}seed {result.identity['seed']}"


def describe_replicates(results: Sequence[Result]) -> str:
    """Return the seeds of several replicates in words, in one span where both seeds count on together."""
    pairs = [(result.identity["split_seed"], result.identity["seed"]) for result in results]
    first, last = pairs[0][0], pairs[-1][0]
    if len(pairs) > 2 and pairs == [(seed, seed) for seed in range(first, last + 1)]:
        return f"split seeds {first} to {last}, each with the seed of the same number"
    return join_words([describe_replicate(result, " with ") for result in results])


def _crops(recipe: Recipe) -> str:
    if recipe.crop is None:
        return "whole images"
    if recipe.crops == 1:
        return f"a crop of {recipe.crop} pixels of each image an epoch"
    return f"{recipe.crops} crops of {recipe.crop} pixels of each image an epoch"

"""A recipe in words."""

from __future__ import annotations

from benchmarks.protocol.recipe import Recipe

OPTIMIZERS = {"adamw": "AdamW", "sgd": "SGD"}


def describe_recipe(recipe: Recipe) -> str:
    """The recipe's key values in one line."""
    rates = ", ".join(f"{rate:g}" for rate in recipe.rates)
    share = isinstance(recipe.warmup, float)
    parts = [
        "optimiser and weight decay as each system published them, else AdamW"
        if recipe.name == "fair"
        else f"{OPTIMIZERS[recipe.optimizer]}, weight decay {recipe.weight_decay:g}",
        f"rate {rates}" if len(recipe.rates) == 1 else f"the rate of {rates} with the lowest validation loss",
        f"warm-up {100 * recipe.warmup:g} % of the steps" if share else f"warm-up {recipe.warmup} steps",
        f"polynomial decay {recipe.power:g}",
        f"{recipe.epochs} epoch{'s' if recipe.epochs != 1 else ''}",
        f"batch {recipe.batch} in groups of {recipe.group}",
        _draws(recipe),
        f"at most {recipe.limit} images of each split" if recipe.limit else "",
        "no augmentation" if recipe.augmentation == "none" else f"augmentation: {recipe.augmentation}",
        f"loss {recipe.ce_weight:g} CE + {recipe.dice_weight:g} Dice",
    ]
    return ", ".join(part for part in parts if part)


def _draws(recipe: Recipe) -> str:
    """What is drawn of each image in an epoch."""
    if recipe.crop is None:
        return "whole images"
    if recipe.crops == 1:
        return f"a crop of {recipe.crop} pixels of each image an epoch"
    return f"{recipe.crops} crops of {recipe.crop} pixels of each image an epoch"

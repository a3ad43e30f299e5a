"""A recipe in words."""

from __future__ import annotations

from benchmarks.spec import Recipe

OPTIMIZERS = {"adamw": "AdamW", "sgd": "SGD"}


def describe_recipe(recipe: Recipe) -> str:
    """The recipe's key values in one line."""
    rates = ", ".join(f"{rate:g}" for rate in recipe.rates)
    share = isinstance(recipe.warmup, float)
    parts = [
        "optimiser and weight decay as each system published them, else AdamW"
        if recipe.name == "fair"
        else f"{ {'adamw': 'AdamW', 'sgd': 'SGD'}[recipe.optimizer] }, weight decay {recipe.weight_decay:g}".strip(),
        f"rate {rates}" if len(recipe.rates) == 1 else f"the rate of {rates} with the lowest validation loss",
        f"warm-up {100 * recipe.warmup:g} % of the steps" if share else f"warm-up {recipe.warmup} steps",
        f"polynomial decay {recipe.power:g}",
        f"{recipe.epochs} epoch{'s' if recipe.epochs != 1 else ''}",
        f"batch {recipe.batch} in groups of {recipe.group}",
        f"crops of {recipe.crop} pixels" if recipe.crop else "whole images",
        f"at most {recipe.limit} images of each split" if recipe.limit else "",
        "no augmentation" if recipe.augmentation == "none" else f"augmentation: {recipe.augmentation}",
        f"loss {recipe.ce_weight:g} CE + {recipe.dice_weight:g} Dice",
    ]
    return ", ".join(part for part in parts if part)

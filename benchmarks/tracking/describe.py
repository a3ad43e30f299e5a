"""Describe a run for people who look at it in MLflow: its name, tags, parameters and data sets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from benchmarks.protocol.run import ResolvedRun
from benchmarks.protocol.run_names import run_name
from data_prep.splits import SPLITS
from rssam.escape import markdown

CONTEXTS = dict(zip(SPLITS, ("training", "validation", "testing"), strict=True))
LONGEST_DIGEST = 36
"""Digits that MLflow takes of the digest of a data set."""


def title(resolved: ResolvedRun) -> str:
    """Return system, variant, data, recipe and seeds in a line."""
    name = run_name(resolved.run.declared())
    return f"{name.title} · {name.dataset} · {name.recipe} · split {name.split_seed} seed {name.seed}"


def tags(resolved: ResolvedRun, commit: str | None) -> dict[str, str]:
    """Return key, system and rows, a tag for each table with the number of its row, source, and a description."""
    name, rows = run_name(resolved.run.declared()), ""
    if name.rows:
        rows = f" Rows of the paper's tables, and controls after them: {', '.join(name.rows)}."
    note = f"**{markdown(name.title)}** on {markdown(name.dataset)}, recipe {markdown(name.recipe)}, "
    note += f"split seed {name.split_seed}, seed {name.seed}.{rows}\n\nKey: {markdown(resolved.key)}"
    source = {} if commit is None else {"mlflow.source.git.commit": commit.removesuffix("-dirty")}
    if commit is not None and commit.endswith("-dirty"):
        source["mlflow.source.git.dirty"] = "true"
    return {
        "key": resolved.key,
        "system": name.system,
        "variant": name.variant,
        "rows": " ".join(name.rows),
        **dict(row.split(":") for row in name.rows),
        "mlflow.source.name": f"rssam-bench {version('rssam-bench')}",
        "mlflow.source.type": "LOCAL",
        **source,
        "mlflow.note.content": note,
    }


def parameters(resolved: ResolvedRun) -> dict[str, str]:
    """Return the identity, names joined by dots."""
    return {name: str(value) for name, value in flat(resolved.identity()).items()}


def data_sets(resolved: ResolvedRun, images: Mapping[str, int]) -> list[Any]:
    """Return MLflow's inputs for the three splits, with the digest that decides the number, and their images."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    name, digest = resolved.run.dataset.name, resolved.data_digest[:LONGEST_DIGEST]
    source = json.dumps({"uri": f"data/{name}"})  # in the home
    return [
        DatasetInput(
            Dataset(f"{name} {split}", digest, "local", source, profile=json.dumps({"images": images.get(split)})),
            [InputTag("mlflow.data.context", context)],
        )
        for split, context in CONTEXTS.items()
    ]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, names joined by dots."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            result.update(flat(value, f"{prefix}{name}."))
        else:
            result[f"{prefix}{name}"] = value
    return result

"""Read the records of `rssam-bench speed` in a home and tabulate what systems cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.protocol.recipe import PRECISION_NAMES
from benchmarks.protocol.run_names import variant
from benchmarks.results.counted_test import CLASS, TITLE
from benchmarks.results.home import Home
from reports.extra_tables.extra_table import ExtraSection, ExtraTable
from reports.tables.rs_sam_note import rs_sam_note
from rssam.foreign_json import Unreadable, read_json
from rssam.kinds import BOOLEAN, COUNT, LINE, NUMBER, OPTION, SECONDS, VALUE, WORD, Each, Leaf, fault, one_of, whole

SCHEMA = 1
HEADS = (
    "system", "size", "on", "parameters", "GMACs", "latency", "images/s", "training images/s", "memory", "of product",
)  # fmt: skip

_POSITIVE = Leaf("a number above 0", lambda value: SECONDS.fits(value) and value > 0)
_SIDE = whole(1, 1 << 16)
_SPREAD = {"median": _POSITIVE, "low": _POSITIVE, "high": _POSITIVE}
_RATES = ("product_rate", "achieved_rate", "share_of_product_rate", "gmacs")
KINDS = {
    "schema": COUNT,
    "system": {"name": WORD, "title": TITLE, "version": COUNT, "options": Each(OPTION, VALUE)},
    "classes": [CLASS],
    "image_size": Leaf(
        "height and width", lambda value: isinstance(value, list) and [*map(_SIDE.fits, value)] == [True, True]
    ),
    "parameters": {"total": COUNT},
    "conditions": {
        **{"device": LINE, "precision": one_of(*PRECISION_NAMES), "compiled": BOOLEAN, "group": whole(1, 1 << 20)},
        **dict.fromkeys(("batch", "rounds"), COUNT),
    },
    "way": LINE,
    **dict.fromkeys(("latency_seconds", "images_per_second", "step_seconds", "trained_images_per_second"), _SPREAD),
    "peak_memory": {"step": (NUMBER, None)},
    **dict.fromkeys(_RATES, NUMBER),
    "waiting_for_images": (NUMBER, None),
    "device": LINE,
    "provenance": {"versions": {"torch": LINE}, "threads": COUNT, "finished": LINE},
}
"""Kinds of the parts of a record."""


@dataclass(frozen=True)
class Efficiency:
    """Usable records, in the order of device, precision, size and system; and one sentence for each file left out."""

    records: tuple[Mapping[str, Any], ...]
    damaged: tuple[str, ...]


def read_efficiency(home: Path) -> Efficiency:
    """Read all records of a home; a folder that does not exist has none."""
    records: list[Mapping[str, Any]] = []
    damaged = []
    for path in sorted(Home(home).speed.glob("*.json")):
        try:
            record = read_json(path)
        except (OSError, Unreadable) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            damaged.append(f"{path.name}: cannot be used ({reason})")
            continue
        if isinstance(record, dict) and record.get("schema") != SCHEMA:
            damaged.append(f"{path.name}: of schema {ascii(record.get('schema'))[:60]}, this version has {SCHEMA}")
        elif words := fault(record, KINDS):
            damaged.append(f"{path.name}: cannot be used ({words})")
        else:
            records.append(record)
    records.sort(key=_order)
    return Efficiency(tuple(records), tuple(damaged))


def efficiency_section(efficiency: Efficiency) -> list[ExtraSection]:
    """Return the section with the table of the records; none without a record."""
    if not efficiency.records:
        return []
    notes = (
        "Random weights; latency is of one image; medians of alternating rounds, lowest and highest in the CSV file.",
        "Of product: operations as published a second, as a share of what a large matrix product reaches there.",
        *rs_sam_note(record["system"] for record in efficiency.records),
        *(f"Left out: {line}." for line in efficiency.damaged),
    )
    texts = tuple(tuple(_cells(record)) for record in efficiency.records)
    tidy = pd.DataFrame([_tidy(record) for record in efficiency.records])
    table = ExtraTable("efficiency", "Efficiency", HEADS, texts, notes, tidy, left=3)
    return [ExtraSection("efficiency", "Efficiency", "Efficiency", (table,))]


def _order(record: Mapping[str, Any]) -> tuple[str, str, int, int]:
    size, total = record["image_size"][0], record["parameters"]["total"]
    return record["device"], record["conditions"]["precision"], size, total


def _cells(record: Mapping[str, Any]) -> list[str]:
    conditions, memory, share = record["conditions"], record["peak_memory"]["step"], record["share_of_product_rate"]
    system, precision = record["system"], PRECISION_NAMES[conditions["precision"]]
    sized = "encoder" in system["options"] and system["name"] != "encoder"
    return [
        system["title"] + (f", {variant(system)}" if sized else ""),
        str(record["image_size"][0]),
        f"{record['device']}, {precision}{', compiled' if conditions['compiled'] else ''}",
        f"{record['parameters']['total'] / 1e6:.2f} M",
        f"{record['gmacs']:.1f}",
        f"{1e3 * record['latency_seconds']['median']:.1f} ms",
        f"{record['images_per_second']['median']:.2f}",
        f"{record['trained_images_per_second']['median']:.2f}",
        "" if memory is None else f"{memory / 2**30:.2f} GiB",
        f"{share:.0%}",
    ]


def _tidy(record: Mapping[str, Any]) -> dict[str, Any]:
    timed = {
        f"{name}_{statistic}": record[name][statistic]
        for name in ("latency_seconds", "images_per_second", "step_seconds", "trained_images_per_second")
        for statistic in ("median", "low", "high")
    }
    return {
        "system": record["system"]["name"], "options": json.dumps(record["system"]["options"]),
        "side": record["image_size"][0], "device": record["device"], **record["conditions"], "way": record["way"],
        **record["parameters"], "gmacs": record["gmacs"], **timed, "memory_of_a_step": record["peak_memory"]["step"],
        "product_rate": record["product_rate"], "achieved_rate": record["achieved_rate"],
        "waiting_for_images": record["waiting_for_images"],
    }  # fmt: skip

"""For each kind of foreign file the commands that read it, and how many cases it has."""

import random
from dataclasses import dataclass
from typing import get_args

from benchmarks.scoring.encoding import Encoding

REPORT = ["report", "table5", "--format", "md,tex,csv", "--out", "{out}/report"]
PAGE = ["report", "table5", "--format", "html", "--out", "{out}/report"]
STATUS = ["status"]
PREDICT = ["predict", "{home}/scene.tif", "--adapter", "{home}/a.safetensors", "--out", "{out}/map.tif"]
SCORE = ["score", "--predictions", "{home}/predicted", "--dataset", "deepglobe", "--name", "A", "--json"]
READERS = {
    "result": (STATUS, REPORT, ["metrics"], ["publish", "table5", "--out", "{out}/b.zip"], PAGE, ["status", "--json"]),
    "score": (REPORT, PAGE, ["publish", "--out", "{out}/b.zip"]),
    "bundle folder": (["verify", "{home}/bundle"],),
    "bundle zip": (["verify", "{home}/bundle.zip"],),
    "manifest": (["datasets"], ["status", "table5", "--profile", "smoke", "--device", "cpu"]),
    "declaration": (["datasets"], STATUS),
    "class map": (
        ["prepare", "folder", "--name", "own", "--source", "{home}/pairs", "--class-map", "{home}/map.yaml"],
    ),
    "speed": (REPORT, PAGE),
    "run status": (STATUS, ["status", "--json"]),
    "ledger": (["report", "claims", "--format", "md", "--out", "{out}/report"],),
    "metrics": (REPORT, ["metrics"]),
    "adapter": (["predict", "{home}/image.png", "--adapter", "{home}/a.safetensors", "--out", "{out}/map.tif"],),
    "weights": (["status", "table5", "--device", "cpu"],),
    "checkpoint": (["prepare", "weights", "vit_b", "--source", "{home}/vit_b.pth"],),
    "raster": (
        PREDICT,
        [*PREDICT, "--vectors", "{out}/map.gpkg", "--quicklook", "{out}/map.png", "--probabilities"],
    ),
    "mask": (SCORE, SCORE, *([*SCORE, "--encoding", encoding] for encoding in get_args(Encoding))),
}
"""Commands by kind of file."""

SHARES = {
    "result": 220, "score": 130, "bundle folder": 90, "bundle zip": 70, "manifest": 90, "declaration": 40,
    "class map": 90, "speed": 60, "run status": 70, "ledger": 20, "metrics": 20, "adapter": 60, "weights": 20,
    "checkpoint": 60, "raster": 60, "mask": 60,
}  # fmt: skip
"""How many cases a kind has beside the others."""


@dataclass(frozen=True)
class Case:
    """One file to mutate and one command that reads it."""

    number: int
    kind: str
    command: tuple[str, ...]


def cases(count, seed, kinds=tuple(SHARES)):
    """About so many cases of these kinds, each by its share and at least once, its commands in turn."""
    found, whole = [], sum(SHARES[kind] for kind in kinds)
    for kind in kinds:
        for index in range(max(1, round(SHARES[kind] * count / whole))):
            found.append((kind, READERS[kind][index % len(READERS[kind])]))
    random.Random(seed).shuffle(found)
    return [Case(number, kind, tuple(command)) for number, (kind, command) in enumerate(found)]

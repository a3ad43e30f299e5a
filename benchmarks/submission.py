"""What was counted without being trained here: predictions of any tool, or a trained system on another data set.

No `Run`, for nobody here knows a recipe of it; but stored like a result, as integer counts of every image, one small
JSON file in `scores/` of the home, written atomically. Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from benchmarks.counts import Average, Counts, Scores, constant_dice, scores
from benchmarks.spec import PROTOCOL, canonical, plain_fields
from benchmarks.store import ResultDamaged
from data_prep.base import Dataset, write_durable

SUBMISSION_SCHEMA = 1

Kind = Literal["scored", "evaluated"]
"""Predictions that were made elsewhere, or a trained system that predicted here, on data it was not trained on."""


@dataclass(frozen=True, eq=False)
class Submission:
    """Counts of predictions on one data set, and where they came from."""

    identity: Mapping[str, Any]  # see `identify`
    average: Average
    classes: tuple[str, ...]
    images: tuple[str, ...]  # stems, in the order of the counts
    counts: Counts  # at the prepared label's resolution
    native_counts: Counts | None  # at the source's own, where the predictions were that fine
    reading: tuple[str, ...]  # how files became labels, or a network met images of another size; one sentence each
    data: Mapping[str, Any]  # origin, complete, pairs, describe of the data set
    provenance: Mapping[str, Any]  # see environment.provenance

    @property
    def kind(self) -> Kind:
        """Which of the two."""
        kind: Kind = self.identity["kind"]
        return kind

    @property
    def name(self) -> str:
        """What the user calls it."""
        return str(self.identity["name"])

    @property
    def dataset(self) -> str:
        """The data set it was counted on."""
        return str(self.identity["dataset"]["name"])

    @cached_property
    def key(self) -> str:
        """Its file's name, from the identity."""
        return submission_key(self.identity)

    @cached_property
    def scores(self) -> Scores:
        """Scores under the data set's own average."""
        return scores(self.counts, self.average)

    @cached_property
    def constant_dice(self) -> float:
        """Dice of the best constant answer on the same images."""
        return constant_dice(self.counts, self.average)

    @property
    def parameters(self) -> Mapping[str, int]:
        """Of a network that nobody here has seen: none."""
        return {}

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` gives the same submission back."""
        return {
            "schema": SUBMISSION_SCHEMA,
            "key": self.key,
            "identity": dict(self.identity),
            "average": self.average,
            "classes": list(self.classes),
            "images": list(self.images),
            "counts": self.counts.to_json(),
            "native_counts": self.native_counts.to_json() if self.native_counts else None,
            "reading": list(self.reading),
            "data": dict(self.data),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_json(cls, raw: Any) -> Submission:
        """Raises ResultDamaged if a part is missing, of another format, or does not fit its key."""
        try:
            if raw["schema"] != SUBMISSION_SCHEMA:
                raise ResultDamaged(f"score format {raw['schema']}, this version reads {SUBMISSION_SCHEMA}")
            found = cls(
                identity=raw["identity"],
                average=raw["average"],
                classes=tuple(raw["classes"]),
                images=tuple(raw["images"]),
                counts=Counts.from_json(raw["counts"]),
                native_counts=Counts.from_json(raw["native_counts"]) if raw["native_counts"] else None,
                reading=tuple(raw["reading"]),
                data=raw["data"],
                provenance=raw["provenance"],
            )
            if found.key != raw["key"]:
                raise ResultDamaged(f"the key {raw['key']} does not belong to its identity ({found.key})")
            if (found.counts.images, found.counts.classes) != (len(found.images), len(found.classes)):
                raise ResultDamaged("the counts do not fit the lists of images and classes")
            if found.kind not in ("scored", "evaluated"):
                raise ResultDamaged(f"it is neither scored nor evaluated, but {found.kind!r}")
            found.scores, found.constant_dice, found.data["describe"], found.identity["split_seed"]
            found.identity["data"], found.identity["images"], found.identity["system"]
        except ResultDamaged:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ResultDamaged(f"a part is missing or malformed ({error!r})") from error
        return found


def identify(
    kind: Kind,
    name: str,
    dataset: Dataset,
    *,
    data: str,
    split_seed: int,
    split_rule: str,
    images: Literal["test", "all"],
    predictions: str | None = None,
    system: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything that decides the number, and the name, as plain values.

    `data` is the digest of data and split, `predictions` that of the predicted labels (of a scored one), `system` says
    what predicted (of an evaluated one).
    """
    return {
        "kind": kind,
        "name": name,
        "dataset": {"name": dataset.name, "version": dataset.version, **plain_fields(dataset)},
        "data": data,
        "split_seed": split_seed,
        "split_rule": split_rule,
        "images": images,
        "predictions": predictions,
        "system": None if system is None else dict(system),
        "protocol": PROTOCOL,
    }


def submission_key(identity: Mapping[str, Any]) -> str:
    """The key that belongs to an identity: data set, kind, and ten hex digits of its SHA-256."""
    digest = hashlib.sha256(canonical(identity).encode()).hexdigest()
    return f"{identity['dataset']['name']}-{identity['kind']}-{digest[:10]}"


def scores_folder(home: Path) -> Path:
    """Where a home keeps its submissions."""
    return home / "scores"


def put_submission(home: Path, submission: Submission) -> Path:
    """Write it, down to the disk, and return its file; a reader sees all of it or nothing."""
    path = scores_folder(home) / f"{submission.key}.json"
    write_durable(path, json.dumps(submission.to_json(), sort_keys=True, separators=(",", ":")).encode())
    return path


def read_submission(path: Path) -> Submission:
    """Read one file. Raises ResultDamaged naming it."""
    try:
        return Submission.from_json(json.loads(path.read_text()))
    except OSError as error:
        raise ResultDamaged(f"{path}: it cannot be read ({error.strerror})") from error
    except ResultDamaged as error:
        raise ResultDamaged(f"{path}: {error}") from error
    except ValueError as error:
        raise ResultDamaged(f"{path}: it is cut off or no JSON ({error})") from error


def read_submissions(home: Path) -> Iterator[Submission | ResultDamaged]:
    """Every submission of a home in the order of their files; a damaged one comes as its error."""
    for path in sorted(scores_folder(home).glob("*.json")):
        try:
            yield read_submission(path)
        except ResultDamaged as error:
            yield error

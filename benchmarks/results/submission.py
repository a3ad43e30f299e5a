"""Submissions: counts of predictions made by any tool, or by a trained system on another data set.

A submission has no `Run`, because its recipe is unknown. It is stored like a result, as integer counts of every image:
one small JSON file in `scores/` of the home, written atomically. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from benchmarks.protocol.run import PROTOCOL, plain_fields, short_digest
from benchmarks.results.counted_test import DATASET, DECLARED, GIVEN, KINDS, TITLE, CountedTest
from benchmarks.results.home import Home
from benchmarks.results.json_files import (
    ResultDamaged,
    decoding,
    read_keyed,
    read_records,
    require_schema,
    write_record,
)
from data_prep.dataset import Dataset
from data_prep.splits import ImageSelection
from rssam.kinds import COUNT, LINE, WORD, Leaf, is_line, one_of

SUBMISSION_SCHEMA = 2

SubmissionKind = Literal["scored", "evaluated"]
"""Predictions that were made elsewhere, or a trained system that predicted here, on data it was not trained on."""

PAIR = Leaf(
    "a pair of class names",
    lambda value: isinstance(value, list) and len(value) == 2 and all(map(is_line, value)),
)
SUBMISSION_KINDS = {
    "identity": {
        "kind": one_of("scored", "evaluated"),
        "name": GIVEN,
        "dataset": DATASET,
        "data": LINE,
        "split_seed": COUNT,
        "split_rule": one_of("random", "blocked"),
        "images": one_of("all", "test"),
        "predictions": (LINE, None),
        "system": (
            {"key": WORD, "dataset": DECLARED, "classes": [PAIR], "crop": (COUNT, None)},
            None,
        ),
        "protocol": COUNT,
    },
    **KINDS,
    "data": {**KINDS["data"], "title?": TITLE},
    "reading": [LINE],
}
"""Kinds of all parts of a submission in a file."""


@dataclass(frozen=True, eq=False)
class Submission(CountedTest):
    """Counts of predictions on one data set, and where they came from; `identity` is that of `identify`."""

    reading: tuple[str, ...]  # how files became labels, or a network met images of another size; one sentence each

    @property
    def kind(self) -> SubmissionKind:
        """Return whether predictions were scored or a system was evaluated."""
        kind: SubmissionKind = self.identity["kind"]
        return kind

    @property
    def name(self) -> str:
        """Return the user's name for it, or the title of the system that predicted."""
        return str(self.data.get("title", self.identity["name"]))

    @property
    def dataset(self) -> str:
        """Return the name of the data set it was counted on."""
        return str(self.identity["dataset"]["name"])

    @cached_property
    def key(self) -> str:
        """Return the name of its file, from the identity."""
        return submission_key(self.identity)

    @property
    def parameters(self) -> Mapping[str, int]:
        """Return no counts of parameters, because the network is unknown."""
        return {}

    def to_json(self) -> dict[str, Any]:
        """Return plain values; `from_json` gives the same submission back."""
        return {**self.counted_json(), "schema": SUBMISSION_SCHEMA, "reading": list(self.reading)}

    @classmethod
    def from_json(cls, raw: Any) -> Submission:
        """Return the submission of plain values.

        Raises ResultDamaged if a part is missing, of another format, or does not fit its key.
        """
        require_schema(raw, SUBMISSION_SCHEMA, "score")
        with decoding(raw, SUBMISSION_KINDS):
            submission = cls(**cls.counted_fields(raw), reading=tuple(raw["reading"]))
            submission.require_fit(raw["key"])
            if (submission.kind == "evaluated") != (submission.identity["system"] is not None):
                raise ResultDamaged("expected a system if the record is an evaluation and none otherwise")
        return submission


def identify(
    kind: SubmissionKind,
    name: str,
    dataset: Dataset,
    *,
    data: str,
    split_seed: int,
    split_rule: str,
    images: ImageSelection,
    predictions: str | None = None,
    system: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return everything that decides the number, and the name, as plain values.

    Args:
        kind: whether predictions were made elsewhere, or here by a trained system.
        name: what the user calls the submission.
        dataset: the data set it is counted on.
        data: digest of data and split.
        split_seed: seed of the split.
        split_rule: how the split is drawn.
        images: which images are counted.
        predictions: digest of the predicted labels, of a scored submission.
        system: what predicted, of an evaluated submission.
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
    """Return the key that belongs to an identity: data set, kind, and ten hex digits of its SHA-256."""
    return f"{identity['dataset']['name']}-{identity['kind']}-{short_digest(identity)}"


def put_submission(home: Path, submission: Submission) -> Path:
    """Write a submission down to the disk and return its file; a reader sees all of it or nothing."""
    path = Home(home).score(submission.key)
    write_record(path, submission.to_json())
    return path


def read_submission(path: Path, *, follow_links: bool = True) -> Submission:
    """Read one file. Raises ResultDamaged naming it, also if it bears another name than its key."""
    return read_keyed(path, Submission.from_json, follow_links=follow_links)


def read_submissions(home: Path) -> Iterator[Submission | ResultDamaged]:
    """Yield every submission of a home in the order of their files; a damaged file comes as its error."""
    return read_records(Home(home).scores, read_submission)

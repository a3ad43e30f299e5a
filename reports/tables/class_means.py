"""Write which classes a mean over classes counts as 0 or leaves out, with the mean without them.

The rule is that of `benchmarks/metrics/counts.py`. With one class there is no mean, and so no sentence.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from benchmarks.metrics.counts import Undefined, undefined
from benchmarks.results.counted_test import CountedTest
from reports.formatting import format_number, join_words
from rssam.escape import in_prose

SCORES = ("dice", "jaccard", "precision", "recall", "accuracy")
COUNTED_AS_ZERO = (
    ("precision", "unpredicted", "A class never predicted counts as precision 0; over the predicted classes alone"),
    ("recall", "untrue", "A class predicted and in no test image counts as recall 0; over the true classes alone"),
)
"""Score, the classes of `Undefined` whose quotient is 0/0, and the sentence."""


def class_mean_notes(
    tests_of_rows: Mapping[str, Sequence[CountedTest]], columns: Collection[str] = SCORES
) -> tuple[str, ...]:
    """Return a sentence for each kind of class that has no score, naming rows and classes.

    Args:
        tests_of_rows: the tests that a row rests on, by the row's name. The numbers are means over them.
        columns: the scores that are shown. Without a mean among them there is nothing to say.
    """
    rows = [_Row(name, tests) for name, tests in tests_of_rows.items() if tests and tests[0].average == "classes"]
    notes = []
    for score, kind, words in COUNTED_AS_ZERO:
        if score in columns and (named := [row for row in rows if row.classes(kind)]):
            listed = [
                f"{row.name} has {row.without(score)} in place of {row.shown(score)} ({row.classes(kind)})"
                for row in named
            ]
            notes.append(f"{words}, {join_words(listed, '; ')}.")
    absent = [f"{row.name} ({row.classes('absent')})" for row in rows if row.classes("absent")]
    if absent and not set(SCORES).isdisjoint(columns):
        notes.append(
            "Classes in neither the test images nor the predictions are left out of every mean, which is then over "
            f"fewer classes: {join_words(absent, '; ')}."
        )
    return tuple(notes)


class _Row:
    """Row with its tests, and which classes have no score in them."""

    def __init__(self, name: str, tests: Sequence[CountedTest]) -> None:
        self.name, self.tests = name, tests
        self.found: list[Undefined] = [undefined(test.counts) for test in tests]

    def classes(self, kind: str) -> str:
        """Return the classes of one kind in any of the tests, in words."""
        indices = sorted({index for one in self.found for index in getattr(one, kind)})
        return join_words([in_prose(self.tests[0].classes[index]) for index in indices])

    def shown(self, score: str) -> str:
        """Return the number that the table prints."""
        return _mean([getattr(test.scores, score) for test in self.tests])

    def without(self, score: str) -> str:
        """Return the number without the classes that count as 0."""
        return _mean([getattr(one, score) for one in self.found])


def _mean(values: Sequence[float]) -> str:
    return format_number(sum(values) / len(values), missing="undefined")

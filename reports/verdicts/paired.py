"""Which of two systems is better, from results of the same replicates: paired differences, families, new imagery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmarks.protocol.claims import CLAIMS, Comparison, ScoreName
from benchmarks.protocol.tables import SYSTEMS
from benchmarks.results.result import Result
from data_prep.registry import dataset as find_dataset
from reports.select.comparable import ResultGroup, ResultGroupRow
from reports.statistics.bootstrap import Interval, interval, mean_over_classes, resampled_class_dice
from reports.statistics.replicates import LEVEL, Contrast, contrast, holm
from reports.verdicts.rule import VerdictSet, find_row

Word = Literal["supported", "contradicted", "undecided", "not tested"]

DRAWS = 2_000
"""Resamples behind an interval for new imagery: the ends of a 95 % interval to about 2 % of its width."""

COLLAPSED = "collapsed"
"""Begins the ground of a comparison that more runs would not make possible."""

PRIMARY = "Baseline"
"""The system against which RS-SAM is compared without adjustment."""


@dataclass(frozen=True, eq=False)
class Paired:
    """A comparison in our results. Differences are `better` less `worse`, one for each replicate that both have.

    `divisor` is Holm's: the number of comparisons of its family that share the 5 % at its place; 1 for a comparison by
    itself. The interval of `contrast` is widened accordingly, so that it excludes 0 exactly where the word is not
    "undecided". `imagery` is the interval over resampled test images, or whole scenes where they are known: what would
    change on new images, with these trained networks.
    """

    comparison: Comparison
    score: ScoreName
    word: Word
    why: str  # of "not tested"
    differences: tuple[float, ...]
    contrast: Contrast | None = None
    divisor: int = 1
    imagery: Interval | None = None
    scenes: bool = False
    missing: tuple[str, ...] = ()  # runs that are not there

    @property
    def points_held(self) -> bool | None:
        """Whether the amount that the text states lies in our interval; None where nothing is stated or tested."""
        if self.comparison.points is None or self.contrast is None:
            return None
        return self.contrast.low <= self.comparison.points / 100 <= self.contrast.high


Key = tuple[Comparison, ScoreName]


def key_of(comparison: Comparison, score: ScoreName) -> Key:
    """What tells comparisons apart: not what a sentence says of the amount, nor whether it decides."""
    return replace(comparison, points=None, decides=True), score


def compare(judgement: VerdictSet) -> dict[Key, Paired]:
    """Every comparison of every claim under the judgement's profile, each tested once, adjusted within its family."""
    wanted = dict.fromkeys(
        key_of(one, claim.score)
        for claim in CLAIMS
        if claim.profile == ("fair" if judgement.setting.profile == "fair" else "paper")
        for one in claim.comparisons
    )
    measured = {key: _paired(key, judgement.sections.get(key[0].dataset)) for key in wanted}
    families: dict[tuple[str, ...], list[Key]] = {}
    for key in measured:
        families.setdefault(family(*key), []).append(key)
    for members in families.values():
        measured |= _adjusted({key: measured[key] for key in members if measured[key].contrast is not None}, judgement)
    return _with_imagery(measured, judgement)


def family(comparison: Comparison, score: ScoreName) -> tuple[str, ...]:
    """What a comparison shares its 5 % with: RS-SAM against the Baseline is alone, against the other nine one family.

    The comparisons of Table 5 are another, those of Tables 6 and 7 alone.
    """
    systems = {name for name, _ in SYSTEMS}
    if comparison.better == "RS-SAM" and comparison.worse in systems:
        if comparison.worse == PRIMARY:
            return (comparison.dataset, score, "primary")
        return (comparison.dataset, score, "systems")
    if "Multi-scale Neck" in comparison.worse or "Multi-scale Neck" in comparison.better:
        return (comparison.dataset, score, "table5")
    return (comparison.dataset, score, comparison.better, comparison.worse)


def pairs(better: ResultGroupRow, worse: ResultGroupRow) -> list[tuple[Result, Result]]:
    """Results of both rows on the same split with the same seed; all others are left out."""
    others = {_replicate(result): result for result in worse.results}
    return [(one, others[_replicate(one)]) for one in better.results if _replicate(one) in others]


def _replicate(result: Result) -> tuple[str, int]:
    """Data and split by their digest, and the seed: an official split is one whatever the split seed."""
    return result.identity["data"], result.identity["seed"]


def _paired(key: Key, section: ResultGroup | None) -> Paired:
    comparison, score = key
    rows = [find_row(section, name) for name in (comparison.better, comparison.worse)]
    better, worse = rows
    if section is None or better is None or worse is None:
        missing = tuple(
            name for name, row in zip((comparison.better, comparison.worse), rows, strict=True) if row is None
        )
        why = f"not run: {' and '.join(missing)}"
        return Paired(comparison, score, "not tested", why, (), missing=missing)
    collapsed = [row.row.labels[0] for row in (better, worse) if row.collapsed]
    if collapsed:
        return Paired(comparison, score, "not tested", f"{COLLAPSED}: {' and '.join(collapsed)}", ())
    both = pairs(better, worse)
    differences = tuple(getattr(one.scores, score) - getattr(other.scores, score) for one, other in both)
    if len(both) < 2:
        why = "one pair of runs: difference only" if both else "no replicate that both have"
        return Paired(comparison, score, "not tested", why, differences)
    tested = contrast(differences, test_over_train(section, both))
    return Paired(comparison, score, "undecided", "", differences, tested)


def test_over_train(section: ResultGroup, both: Sequence[tuple[Result, Result]]) -> float:
    """Test images a training image where splits are drawn anew, for their overlap; 0 for an official split."""
    dataset = section.setting.dataset or section.table.dataset
    if find_dataset(dataset).official_sizes is not None:
        return 0.0
    return float(np.mean([one.data["test"] / one.data["train"] for one, _ in both]))


def _adjusted(members: Mapping[Key, Paired], judgement: VerdictSet) -> dict[Key, Paired]:
    """The members of one family with Holm's words, and intervals that agree with them."""
    ordered = sorted(members, key=lambda key: _tested(members[key]).p)
    adjusted = holm([_tested(members[key]).p for key in ordered])
    undecided = next((place for place, p in enumerate(adjusted) if p >= 1 - LEVEL), len(ordered))
    found = {}
    for place, key in enumerate(ordered):
        one = members[key]
        # Holm steps down until one test fails: all after it would have to pass where that one failed.
        divisor = len(ordered) - min(place, undecided)
        section = judgement.sections[key[0].dataset]
        both = pairs(*_both(section, key[0]))
        tested = contrast(one.differences, test_over_train(section, both), level=1 - (1 - LEVEL) / divisor)
        word: Word = "undecided" if place >= undecided else "supported" if tested.mean > 0 else "contradicted"
        found[key] = replace(one, word=word, contrast=tested, divisor=divisor)
    return found


def _tested(one: Paired) -> Contrast:
    assert one.contrast is not None
    return one.contrast


def _both(section: ResultGroup, comparison: Comparison) -> tuple[ResultGroupRow, ResultGroupRow]:
    better, worse = (find_row(section, name) for name in (comparison.better, comparison.worse))
    assert better is not None
    assert worse is not None
    return better, worse


def _with_imagery(measured: Mapping[Key, Paired], judgement: VerdictSet) -> dict[Key, Paired]:
    """Intervals of the mean difference of Dice over resampled images, all systems of a data set on the same draws.

    What is drawn are images (or scenes) of all the replicates' test sets together, and each replicate is scored on
    those of its own: an image that several test sets share counts in all of them or in none.
    """
    found = dict(measured)
    for dataset, section in judgement.sections.items():
        keys = [key for key, one in measured.items() if key[0].dataset == dataset and key[1] == "dice" and one.contrast]
        if not keys:
            continue
        both = {key: pairs(*_both(section, key[0])) for key in keys}
        results = {result.key: result for each in both.values() for pair in each for result in pair}
        scenes = _scenes(tuple(results.values()))
        images = sorted({image for result in results.values() for image in result.images})
        place = {image: index for index, image in enumerate(images)}
        clusters = [scenes[image] for image in images] if scenes else None
        places = [np.array([place[image] for image in result.images], dtype=np.int64) for result in results.values()]
        counts = [result.counts for result in results.values()]
        drawn = resampled_class_dice(counts, clusters=clusters, places=places, draws=DRAWS)
        dice = dict(zip(results, mean_over_classes(drawn), strict=True))
        for key in keys:
            draws = np.mean([dice[one.key] - dice[other.key] for one, other in both[key]], axis=0)
            found[key] = replace(measured[key], imagery=interval(draws), scenes=bool(scenes))
    return found


def _scenes(results: Sequence[Result]) -> dict[str, str]:
    """The scene of each image as the results recorded it, an image of no known neighbour by itself; empty if none did.

    Of results with scenes and without, those without were made before scenes were recorded: their images count alone.
    """
    known: dict[str, str] = {}
    for result in results:
        scenes = result.data.get("test_scenes")
        if isinstance(scenes, list) and len(scenes) == len(result.images):
            known |= dict(zip(result.images, map(str, scenes), strict=True))
    return {image: known.get(image, f"image {image}") for result in results for image in result.images} if known else {}

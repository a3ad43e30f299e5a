"""Write the chapter on a study: Dice on each data set beside what a system costs, and the answers to its questions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from benchmarks.protocol.setting import Setting
from benchmarks.protocol.studies.study import Study
from benchmarks.protocol.targets import under
from data_prep.registry import find_dataset
from reports.extra_tables.extra_table import ExtraSection, ExtraTable
from reports.extra_tables.study_costs import COST_HEADS, COST_NAMES, Costs, read_costs
from reports.formatting import gathered, join_words
from reports.select.comparable import comparable_groups
from reports.select.owners import ChosenGroups, chosen_by_owner
from reports.select.results import Collection, ResultSource
from reports.select.settings import command, describe
from reports.select.studies import study_settings, tables_under
from reports.statistics.replicates import LEVEL_TEXT
from reports.tables.cells import format_interval, ours
from reports.tables.frames import TableFrame, known, make_frame
from reports.tables.rows import numbered
from reports.verdicts.rule import FEWEST_REPLICATES
from reports.verdicts.study import ANSWERS, Answer, answers
from reports.verdicts.wording import imagery, mean_points, short, smallest

NOT_IN_THE_PAPER = "Not in the paper"
SYSTEM = "System"


@dataclass(frozen=True, eq=False)
class StudyResults:
    """One owner's results of a study under one setting, as a frame for each data set."""

    setting: Setting
    source: ResultSource
    frames: Mapping[str, TableFrame]
    chosen: ChosenGroups


def study_section(
    study: Study, collection: Collection, speed: Sequence[Mapping[str, Any]] = (), setting: Setting | None = None
) -> ExtraSection:
    """Return the chapter: a table for each owner and setting with results, empty without any, and the questions.

    Args:
        study: to write about.
        collection: all usable results.
        speed: records of `rssam-bench speed`, for latency and memory.
        setting: the only one to show; None for all that have results.
    """
    chosen = [setting] if setting is not None else study_settings(study, collection)
    shown = [found for setting in chosen for found in _results(study, collection, setting)]
    shown = shown or _results(study, collection, Setting(study.profile))
    tables = [_scores(study, results, speed) for results in shown]
    answerable = [results for results in shown if results.setting == Setting(study.profile)]
    tables += [_questions(study, results) for results in answerable]
    ids = numbered([table.id for table in tables])
    tables = [replace(table, id=name) for table, name in zip(tables, ids, strict=True)]
    return ExtraSection(study.id, study.id, f"{study.title} {NOT_IN_THE_PAPER}", tuple(tables))


def _results(study: Study, collection: Collection, setting: Setting) -> list[StudyResults]:
    """Return the results of each owner; without a run one empty set, which may hold scored predictions."""
    tables = tables_under(study, setting)
    planned = under(study, setting)
    assert isinstance(planned, Study)
    found = []
    for source, chosen in (chosen_by_owner(tables, collection, setting) or {"own": ChosenGroups({}, ())}).items():
        bare = replace(collection, stored=(), failed=())
        groups = {
            dataset: chosen.groups.get(dataset) or comparable_groups(table, bare, setting)[0]
            for dataset, table in tables.items()
            if dataset in chosen.groups or dataset in planned.datasets or dataset == setting.dataset
        }
        frames = {dataset: make_frame(group) for dataset, group in groups.items()}
        found.append(StudyResults(setting, source, frames, chosen))
    return found


def _scores(study: Study, results: StudyResults, speed: Sequence[Mapping[str, Any]]) -> ExtraTable:
    """Dice of every row on every data set, and of scored predictions; then what the row's system costs."""
    costs = read_costs(study, results.setting, results.chosen.groups, next(iter(results.frames)), speed)
    lines: dict[str, dict[str, dict[Any, Any]]] = defaultdict(dict)
    for dataset, frame in results.frames.items():
        for row in frame.rows.to_dict("records"):
            lines[row[SYSTEM]][dataset] = row
    heads = (
        SYSTEM, "Pretraining", "Licence", *(f"Dice, {short(dataset)}" for dataset in results.frames), *COST_HEADS,
        "Runs",
    )  # fmt: skip
    texts = tuple(
        (label, *costs.origin(label), *(_dice(results, dataset, rows.get(dataset)) for dataset in results.frames),
         *costs.cells(label), _runs(rows))
        for label, rows in lines.items()
    )  # fmt: skip
    title = describe(results.setting) + (", published results" if results.source == "published" else "")
    return ExtraTable(
        study.id, f"{study.title} {NOT_IN_THE_PAPER}; {title}", heads, texts, tuple(_notes(study, results, costs)),
        _tidy(study, results, costs, lines), left=3,
        panels=((*range(3, len(heads) - len(COST_HEADS) - 1), len(heads) - 1),
                (1, 2, *range(len(heads) - len(COST_HEADS) - 1, len(heads) - 1))),
    )  # fmt: skip


def _dice(results: StudyResults, dataset: str, row: dict[Any, Any] | None) -> str:
    if row is None:
        return "-"
    return f"{ours(results.frames[dataset], row, 'dice')} {format_interval(row, 'dice')}".strip()


def _runs(rows: Mapping[str, Mapping[Any, Any]]) -> str:
    counts = [str(row["runs"]) for row in rows.values()]
    return counts[0] if len(set(counts)) == 1 else " / ".join(counts)


def _notes(study: Study, results: StudyResults, costs: Costs) -> list[str]:
    """Return what this table is, then the notes of each data set, once where they are equal."""
    lines = [
        f"{NOT_IN_THE_PAPER}: a comparison of this suite's own, declared for the recipe {study.profile}. No number "
        "here confirms or contradicts one of the paper's."
    ]
    frames = results.frames.items()
    where = gathered((note, find_dataset(dataset).title) for dataset, frame in frames for note in frame.notes)
    for note, datasets in where.items():
        lines.append(note if len(datasets) == len(results.frames) else f"{join_words(datasets)}: {note}")
    lines += _one_run(results)
    lines += [f"Not shown: {words}." for words in results.chosen.passed_over]
    lines += costs.notes
    if results.setting != Setting(study.profile):
        ask = command(next(iter(study.tables.values())), Setting(study.profile))
        lines.append(f"The questions of this study are answered as it is declared alone: `{ask} --repeats 5`.")
    return lines


def _one_run(results: StudyResults) -> list[str]:
    """Return which rows are one run, where an encoder stands in for several."""
    rows: dict[tuple[str, ...], dict[str, None]] = defaultdict(dict)
    for frame in results.frames.values():
        for row in frame.rows.to_dict("records"):
            if row["keys"]:
                rows[row["keys"]][row[SYSTEM]] = None
    shared = "; ".join(dict.fromkeys(join_words(list(labels)) for labels in rows.values() if len(labels) > 1))
    return [f"One run stands in several rows, because their small encoders are one: {shared}."] if shared else []


def _tidy(
    study: Study, results: StudyResults, costs: Costs, lines: Mapping[str, Mapping[str, Mapping[Any, Any]]]
) -> pd.DataFrame:
    """Return one line for each row and data set, not rounded."""
    setting = results.setting
    return pd.DataFrame([
        {
            "study": study.id, "in_the_paper": "no", "profile": setting.profile, "encoder": setting.encoder,
            "init": setting.init, "source": results.source, "dataset": dataset, "system": label,
            "dice": known(row["dice"]), "low": known(row["dice_low"]), "high": known(row["dice_high"]),
            "spread": known(row["dice_spread"]), "state": row["state"], "runs": row["runs"],
            "replicates": row["replicates"], "keys": " ".join(row["keys"]) or row["scored"],
            **dict(zip(("pretraining", "licence"), costs.origin(label), strict=True)),
            **dict(zip(COST_NAMES, costs.values(label), strict=True)),
        }
        for label, rows in lines.items()
        for dataset, row in rows.items()
    ])  # fmt: skip


def _questions(study: Study, results: StudyResults) -> ExtraTable:
    found = answers(study, results.chosen.groups)
    texts = tuple(
        (question.asks, short(paired.comparison.dataset), ANSWERS[paired.word], mean_points(paired), smallest(paired),
         imagery(paired))
        for question, paired in found
    )  # fmt: skip
    owner = ", published results" if results.source == "published" else ""
    return ExtraTable(
        f"{study.id}-questions", f"{study.title} Its questions, {NOT_IN_THE_PAPER.lower()}{owner}",
        ("Question", "Data set", "Answer", "Points", "Smallest seen", "On new images"), texts,
        tuple(_question_notes(study, found)), pd.DataFrame([_tidy_answer(*answer) for answer in found]), left=3,
    )  # fmt: skip


def _question_notes(study: Study, found: Sequence[Answer]) -> list[str]:
    lines = [
        "The questions are this suite's, not the paper's. Compared is Dice, in points (0.01).",
        f"The rule is that of the paper's claims: differences on the same splits and seeds, at least "
        f"{FEWEST_REPLICATES} pairs, {LEVEL_TEXT} intervals that allow for the overlap of training sets; the questions "
        "of a data set are one family (Holm). Yes: above 0 beyond the luck of split and training; no: below 0 "
        "likewise; undecided: smaller than the smallest difference that would have been seen.",
    ]
    for question in study.questions:
        lacking = (paired for asked, paired in found if asked == question and paired.why)
        why = gathered((paired.why, short(paired.comparison.dataset)) for paired in lacking)
        lost = "".join(f" Not compared on {join_words(datasets)}: {reason}." for reason, datasets in why.items())
        lines.append(f"{question.asks} Compared: {question.better} less {question.worse}.{lost}")
    return lines


def _tidy_answer(question: Any, paired: Any) -> dict[str, Any]:
    contrast, new = paired.contrast, paired.imagery
    return {
        "question": question.id, "asks": question.asks, "dataset": paired.comparison.dataset,
        "better": question.better, "worse": question.worse, "answer": ANSWERS[paired.word], "why": paired.why,
        "pairs": len(paired.pairs), "difference": contrast.mean if contrast else None,
        "low": contrast.low if contrast else None, "high": contrast.high if contrast else None,
        "p": contrast.p if contrast else None, "holm_divisor": paired.divisor,
        "new_images_low": new.low if new else None, "new_images_high": new.high if new else None,
    }  # fmt: skip

"""Check the paper's arithmetic from its printed numbers alone: which identities hold, and which rows break them.

Nothing here needs a run, data or weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

from benchmarks.protocol.paper_numbers import CITATIONS, PAPER_TABLES, TEXT_RANGES, TEXT_TILES, RowLabels
from data_prep.datasets.whu import TILES
from reports.formatting import format_range, join_words
from reports.thop_parameters import baseline_parameters, encoder_parameters

PaperTables = Mapping[str, Mapping[RowLabels, Mapping[str, float]]]
Bounds = tuple[float, float]

HALF = 0.0005
"""A printed score may be off by half its last digit."""

FOREGROUND_TABLES = ("table1", "table2", "table5", "table6", "table7")
"""Tables of the binary data sets."""


@dataclass(frozen=True)
class AuditFinding:
    """The answer of the paper's numbers to one question."""

    id: str
    verdict: Literal["holds", "broken", "recovered"]  # recovered: a convention the paper does not state
    finding: str
    evidence: tuple[str, ...]
    consequence: str


def audit(tables: PaperTables = PAPER_TABLES) -> tuple[AuditFinding, ...]:
    """Return every finding, in the order of the questions a reader would ask."""
    return (
        _average(tables),
        _class_means(tables),
        _accuracy(tables),
        *_shares(tables),
        _same_runs(tables),
        _text(tables),
        _baseline_parameters(tables),
        _rs_sam_parameters(tables),
        _citations(),
        _tiles(),
    )


def _average(tables: PaperTables) -> AuditFinding:
    """Dice from precision and recall, Jaccard from Dice: both hold for one confusion matrix, not for a mean of many."""
    broken, checked = [], 0
    for table, labels, row in _rows(tables, FOREGROUND_TABLES):
        checked += 1
        jaccards = [dice / (2 - dice) for dice in _around(row["dice"])]
        if not _within_rounding(row["jaccard"], jaccards):
            broken.append(f"{_name(table, labels)}: Jaccard {row['jaccard']}, its Dice gives {jaccards[1]:.4f}")
        if "precision" in row:
            dices = [2 * p * r / (p + r) for p, r in product(_around(row["precision"]), _around(row["recall"]))]
            if not _within_rounding(row["dice"], dices):
                broken.append(
                    f"{_name(table, labels)}: Dice {row['dice']}, its precision and recall give {dices[4]:.4f}"
                )
    return AuditFinding(
        "average",
        "broken" if broken else "recovered",
        "On the binary data sets D = 2PR/(P+R) and J = D/(2-D): scores of the foreground, pooled over all test pixels."
        if not broken
        else "Rows of the binary data sets break D = 2PR/(P+R) or J = D/(2-D).",
        tuple(broken) or (f"both identities hold within rounding in all {checked} rows of Tables 1, 2, 5, 6 and 7",),
        "Means over images, or with the background, are other numbers and cannot be set beside these.",
    )


def _class_means(tables: PaperTables) -> AuditFinding:
    """Table 3 as the plain mean over the classes of Table 4."""
    broken = []
    for _, labels, row in _rows(tables, ("table3",)):
        classes = list(tables["table4"][labels].values())
        means = {"dice": sum(classes) / 6, "jaccard": sum(dice / (2 - dice) for dice in classes) / 6}
        # D/(2-D) is up to twice as steep as D, so that rounding of the classes may double.
        for score, slack in (("dice", 2 * HALF), ("jaccard", 3 * HALF)):
            if abs(means[score] - row[score]) > slack:
                broken.append(f"{labels[0]}: {score} {row[score]}, the classes of Table 4 give {means[score]:.4f}")
    return AuditFinding(
        "class-means",
        "broken" if broken else "recovered",
        "Dice and Jaccard of Table 3 are plain means over six classes, each pooled over all test pixels."
        if not broken
        else "Rows of Table 3 are not the class means of Table 4.",
        tuple(broken) or ("all 11 rows of Table 3 follow from Table 4 within rounding",),
        "There is no background class, and large classes weigh no more than small ones.",
    )


def _accuracy(tables: PaperTables) -> AuditFinding:
    """Overall accuracy lies between the lowest and the highest class Dice; the printed one often does not."""
    above, outside = [], []
    for _, labels, row in _rows(tables, ("table3",)):
        classes = tables["table4"][labels].values()
        if row["accuracy"] > max(classes) + 2 * HALF:
            above.append(f"{labels[0]}: Acc {row['accuracy']}, highest class Dice {max(classes)}")
        overall = 1 - 3 * (1 - row["accuracy"])
        if not min(classes) < overall < max(classes):
            outside.append(f"{labels[0]}: 1 - 3 (1 - Acc) = {overall:.3f} is outside its class Dices")
    one_vs_rest = bool(above) and not outside
    return AuditFinding(
        "accuracy",
        "recovered" if one_vs_rest else "broken",
        "Acc of Table 3 is no overall accuracy but the mean over the classes of one-vs-rest accuracies, "
        "1 - (1 - OA) / 3."
        if one_vs_rest
        else "No convention explains the accuracy of every row of Table 3.",
        (*above, *outside),
        "An Acc of 0.945 is an overall accuracy of about 0.835: the two must not be compared.",
    )


def foreground_interval(row: Mapping[str, float]) -> Bounds:
    """Return the foreground shares that precision, recall, accuracy allow: 1 - A = share ((1 - R) + R (1 - P) / P)."""
    shares = [
        (1 - a) / ((1 - r) + r * (1 - p) / p)
        for a, p, r in product(_around(row["accuracy"]), _around(row["precision"]), _around(row["recall"]))
    ]
    return min(shares), max(shares)


def _shares(tables: PaperTables) -> Iterator[AuditFinding]:
    """The test split's foreground share, which all rows of a data set must agree on."""
    for data, names in (("deepglobe", ("table1", "table7")), ("whu", ("table2",))):
        intervals = {_name(table, labels): foreground_interval(row) for table, labels, row in _rows(tables, names)}
        agreed, outside = _agreement(intervals)
        lines = [f"{name}: {low:.2%} to {high:.2%}" for name, (low, high) in intervals.items()]
        yield AuditFinding(
            f"foreground-{data}",
            "broken" if outside else "recovered",
            f"The rows on {data} agree on a foreground share of {agreed[0]:.2%} to {agreed[1]:.2%} of the test pixels"
            + (f", but for {join_words(outside)}." if outside else "."),
            tuple(lines),
            "A test split with another share is not the paper's; `prepare` and every report print yours beside it."
            + (" The odd row's accuracy does not fit its own precision and recall." if outside else ""),
        )


def _agreement(intervals: Mapping[str, Bounds]) -> tuple[Bounds, tuple[str, ...]]:
    """The interval that most of them share, and the names of those that do not reach it."""
    best: tuple[Bounds, tuple[str, ...]] | None = None
    for low, _ in sorted(intervals.values()):
        members = {name: bounds for name, bounds in intervals.items() if bounds[0] <= low <= bounds[1]}
        outside = tuple(name for name in intervals if name not in members)
        lows, highs = zip(*members.values(), strict=True)
        shared = max(lows), min(highs)
        if best is None or len(outside) < len(best[1]):
            best = shared, outside
    assert best is not None
    return best


def _same_runs(tables: PaperTables) -> AuditFinding:
    """RS-SAM and the Baseline on DeepGlobe stand in four tables."""
    same = (
        (("table1", ("RS-SAM",)), ("table5", ("yes", "yes", "yes"))),
        (("table1", ("RS-SAM",)), ("table6", ("last layer",))),
        (("table1", ("RS-SAM",)), ("table7", ("RS-SAM (ViT-B)",))),
        (("table1", ("Baseline",)), ("table5", ("no", "no", "no"))),
        (("table1", ("Baseline",)), ("table7", ("Baseline (ViT-B)",))),
    )
    broken = []
    for (first, first_labels), (second, second_labels) in same:
        left, right = tables[first][first_labels], tables[second][second_labels]
        names = f"{_name(first, first_labels)} and {_name(second, second_labels)}"
        broken += [
            f"{names}: {score} {left[score]} and {right[score]}"
            for score in left
            if score in right and left[score] != right[score]
        ]
    return AuditFinding(
        "same-runs",
        "broken" if broken else "holds",
        "One run has the same numbers wherever it stands." if not broken else "One run has different numbers.",
        tuple(broken)
        or ("RS-SAM in Tables 1, 5, 6 and 7, Baseline in Tables 1, 5 and 7: equal in every shared score",),
        "The 55 rows of the seven tables are 39 runs; `reproduce all` trains each once.",
    )


def _text(tables: PaperTables) -> AuditFinding:
    """Differences that the text states, in points, against the tables."""
    broken: list[str] = []
    held: list[str] = []
    for where, table, score, systems, low, high in TEXT_RANGES:
        ours = tables[table][("RS-SAM",)][score]
        points = [round(100 * (ours - tables[table][(name,)][score]), 1) for name in systems]
        in_tables = min(points), max(points)
        line = f"{where}: text {_range(low, high)}, Table {table[-1]} {_range(*in_tables)}"
        (held if in_tables == (low, high) else broken).append(line)
    return AuditFinding(
        "text",
        "broken" if broken else "holds",
        f"Of {len(TEXT_RANGES)} differences that the text states, {len(broken)} not as in the tables."
        if broken
        else "Every stated difference follows from the tables.",
        (*broken, *(f"holds: {line}" for line in held)),
        "Where they differ, this suite compares with the tables. The stated per cent are points, not ratios.",
    )


def _baseline_parameters(tables: PaperTables) -> AuditFinding:
    """Table 7's count of the Baseline from SAM's dimensions: weights of layers that run, as thop counts."""
    lines, equal = [], True
    for encoder, label in (("vit_b", "Baseline (ViT-B)"), ("vit_l", "Baseline (ViT-L)")):
        counted, printed = baseline_parameters(encoder), tables["table7"][(label,)]["params_m"]
        equal &= round(counted / 1e6, 2) == printed
        lines.append(f"{label}: {counted:,} by that rule, {printed} M printed")
    return AuditFinding(
        "parameters-baseline",
        "recovered" if equal else "broken",
        "Table 7 counts what thop counts: layers that run, LoRA of rank 4 on queries and values, two mask tokens; "
        "no positional parameters, embeddings or two-dimensional layer norms."
        if equal
        else "Table 7's Baseline does not follow from SAM's dimensions by thop's rule.",
        tuple(lines),
        "These are neither all parameters (91.21 M and 309.28 M) nor the trained ones (3.79 M and 4.04 M).",
    )


def _rs_sam_parameters(tables: PaperTables) -> AuditFinding:
    """The distance between RS-SAM's two rows against that between their encoders."""
    small, large = (tables["table7"][(f"RS-SAM (ViT-{size})",)]["params_m"] for size in "BL")
    encoders = (encoder_parameters("vit_l") - encoder_parameters("vit_b")) / 1e6
    possible = large - small + 0.055 >= encoders  # 107.4 has one decimal, 324.13 two
    return AuditFinding(
        "parameters-rs-sam",
        "holds" if possible else "broken",
        "RS-SAM's two rows can be one design counted one way."
        if possible
        else "RS-SAM's two rows cannot be one design counted one way.",
        (
            f"printed: {large} - {small} = {large - small:.2f} M (give or take 0.055 M)",
            f"the bare encoders with LoRA are {encoders:.2f} M apart, and every part on top of them only adds",
        ),
        "Parameter counts do not identify the design; our plan is 0.4 % below one and 0.9 % above the other.",
    )


def _citations() -> AuditFinding:
    """One reference number for two systems."""
    shared: dict[str, list[str]] = {}
    for system, number in CITATIONS.items():
        if number is not None:
            shared.setdefault(number, []).append(system.split(" (ViT")[0])
    double = {number: list(dict.fromkeys(names)) for number, names in shared.items() if len(set(names)) > 1}
    return AuditFinding(
        "citations",
        "broken" if double else "holds",
        "One reference is cited for different systems." if double else "Every system has a reference of its own.",
        tuple(f"{number} is cited for {join_words(names)}" for number, names in double.items()),
        "[20] is U-Net; for SAM Adapter this suite follows the paper of that name.",
    )


def _tiles() -> AuditFinding:
    """The official lists of the aerial imagery against the text."""
    total = sum(TILES.values())
    lists = " + ".join(f"{count:,} {split}" for split, count in TILES.items())
    return AuditFinding(
        "tiles",
        "holds" if total == TEXT_TILES else "broken",
        f"The text counts {TEXT_TILES:,} tiles of aerial imagery, the published split has {total:,}.",
        (f"{lists} = {total:,}",),
        "The published split is used as it is.",
    )


def _rows(tables: PaperTables, names: tuple[str, ...]) -> Iterator[tuple[str, RowLabels, Mapping[str, float]]]:
    for name in names:
        for labels, row in tables[name].items():
            yield name, labels, row


def _around(value: float) -> tuple[float, float, float]:
    """A printed number, and the ends of what may have been rounded to it."""
    return value - HALF, value, value + HALF


def _within_rounding(printed: float, possible: Sequence[float]) -> bool:
    return printed - HALF <= max(possible) and min(possible) <= printed + HALF


def _name(table: str, labels: RowLabels) -> str:
    return f"Table {table[-1]}, {', '.join(labels)}"


def _range(low: float, high: float) -> str:
    return format_range(f"{low:.1f}", f"{high:.1f}")

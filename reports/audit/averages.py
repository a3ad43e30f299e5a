"""Find which averages the paper's scores are, and the foreground share that they imply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from math import sqrt

from reports.audit.findings import HALF, AuditFinding, Bounds, PaperTables, around, row_name, rows, within_rounding
from reports.formatting import join_words

FOREGROUND_TABLES = ("table1", "table2", "table5", "table6", "table7")
"""Tables of the binary data sets."""


def average(tables: PaperTables) -> AuditFinding:
    """Return whether Dice follows from precision and recall, and Jaccard from Dice, as for one confusion matrix."""
    broken, checked = [], 0
    for table, labels, row in rows(tables, FOREGROUND_TABLES):
        checked += 1
        jaccards = [jaccard_of(dice) for dice in around(row["dice"])]
        if not within_rounding(row["jaccard"], jaccards):
            broken.append(f"{row_name(table, labels)}: Jaccard {row['jaccard']}, its Dice gives {jaccards[1]:.4f}")
        if "precision" in row:
            dices = [2 * p * r / (p + r) for p, r in product(around(row["precision"]), around(row["recall"]))]
            if not within_rounding(row["dice"], dices):
                broken.append(
                    f"{row_name(table, labels)}: Dice {row['dice']}, its precision and recall give {dices[4]:.4f}"
                )
    mean, rounding, count = jaccard_excess(tables)
    joint = (
        f"over the {count} different rows Jaccard exceeds D/(2-D) by {mean:.5f} on average, where rounding alone has a "
        f"standard deviation of {rounding:.5f}; a mean over parts of the test would exceed it by about the variance of "
        "the parts' Dice"
    )
    return AuditFinding(
        "average",
        "broken" if broken else "recovered",
        "On the binary data sets D = 2PR/(P+R) and J = D/(2-D): scores of the foreground, pooled over all test pixels, "
        "or over parts of the test so large that their Dice hardly differs."
        if not broken
        else "Rows of the binary data sets break D = 2PR/(P+R) or J = D/(2-D).",
        tuple(broken) or (f"both identities hold within rounding in all {checked} rows of {_TABLES}", joint),
        "Means over images, or with the background, are other numbers and cannot be set beside these. No row excludes "
        "a mean over batches of 24 images: it breaks the identities by under 0.001 if precision and recall vary by 0.1 "
        "between images. This suite pools over all test pixels.",
    )


_TABLES = "Tables 1, 2, 5, 6 and 7"


def jaccard_of(dice: float) -> float:
    """Return the Jaccard of one confusion matrix with that Dice."""
    return dice / (2 - dice)


def jaccard_excess(tables: PaperTables) -> tuple[float, float, int]:
    """Return the mean of J - D/(2-D) over different rows, its standard deviation by rounding alone, and their number.

    D/(2-D) is convex, so a mean over parts of the test is on average above it: rows may all hold, and their mean not.
    """
    printed = {
        (table == "table2", row["dice"], row["jaccard"]) for table, _, row in rows(tables, FOREGROUND_TABLES)
    }  # one run stands in several tables
    excesses = [jaccard - jaccard_of(dice) for _, dice, jaccard in printed]
    slopes = [2 / (2 - dice) ** 2 for _, dice, _ in printed]
    rounding = 2 * HALF * sqrt(sum(1 + slope**2 for slope in slopes) / 12) / len(printed)
    return sum(excesses) / len(printed), rounding, len(printed)


def class_means(tables: PaperTables) -> AuditFinding:
    """Return whether Table 3 is the plain mean over the classes of Table 4."""
    broken = []
    for _, labels, row in rows(tables, ("table3",)):
        classes = list(tables["table4"][labels].values())
        means = {"dice": sum(classes) / 6, "jaccard": sum(map(jaccard_of, classes)) / 6}
        # D/(2-D) is up to twice as steep as D, so that rounding of the classes may double.
        for score, slack in (("dice", 2 * HALF), ("jaccard", 3 * HALF)):
            if abs(means[score] - row[score]) > slack:
                broken.append(f"{labels[0]}: {score} {row[score]}, the classes of Table 4 give {means[score]:.4f}")
    return AuditFinding(
        "class-means",
        "broken" if broken else "recovered",
        "Dice and Jaccard of Table 3 are plain means over six classes, each pooled over the test pixels."
        if not broken
        else "Rows of Table 3 are not the class means of Table 4.",
        tuple(broken) or ("all 11 rows of Table 3 follow from Table 4 within rounding",),
        "There is no background class, and large classes weigh no more than small ones.",
    )


def class_precision(tables: PaperTables) -> AuditFinding:
    """Return whether precision and recall of Table 3 can be means over the classes too, and which other they cannot.

    In each class D lies between J and 1, and P + R between 2 D and 1 + J, because D = 2PR/(P+R). So do the means.
    """
    impossible, unequal, harmonic = [], 0, 0
    for _, labels, row in rows(tables, ("table3",)):
        p, r, dice, jaccard = (row[score] for score in ("precision", "recall", "dice", "jaccard"))
        if not (2 * dice - 4 * HALF <= p + r <= 1 + jaccard + 3 * HALF and jaccard <= min(p, r) + 2 * HALF):
            impossible.append(f"{labels[0]}: precision {p} and recall {r} with Dice {dice} and Jaccard {jaccard}")
        unequal += abs(p - r) > 2 * HALF
        harmonic += not within_rounding(dice, [2 * a * b / (a + b) for a, b in product(around(p), around(r))])
    lowest = min(dice for _, _, row in rows(tables, ("table4",)) for dice in row.values())
    return AuditFinding(
        "class-precision",
        "broken" if impossible or lowest <= 0 else "holds",
        "Precision and recall of Table 3 can be plain means over six classes, and each class is predicted in each row."
        if not impossible and lowest > 0
        else "Precision and recall of Table 3 are not means over six classes that are all predicted.",
        (
            *impossible,
            f"pooled over the classes both would be the overall accuracy; they differ in {unequal} of 11 rows",
            f"the Dice of their two means is not the printed one in {harmonic} of 11 rows",
            f"the lowest class Dice of Table 4 is {lowest}",
        ),
        "The paper does not say how a class counts that is never predicted, with a precision of 0/0. This suite "
        "counts 0, as its Dice and recall are, and reports show the mean without it too.",
    )


def accuracy(tables: PaperTables) -> AuditFinding:
    """Check that overall accuracy lies between the lowest and highest class Dice; the printed one often does not."""
    above, outside = [], []
    for _, labels, row in rows(tables, ("table3",)):
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
        for a, p, r in product(around(row["accuracy"]), around(row["precision"]), around(row["recall"]))
    ]
    return min(shares), max(shares)


def foreground_shares(tables: PaperTables) -> Iterator[AuditFinding]:
    """Yield the foreground share of each test split, which all rows of a data set must agree on."""
    for data, names in (("deepglobe", ("table1", "table7")), ("whu", ("table2",))):
        intervals = {row_name(table, labels): foreground_interval(row) for table, labels, row in rows(tables, names)}
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
    """Return the interval that most of the intervals share, and the names of those that do not reach it."""
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

"""The paper's numbers against the paper's own arithmetic; a slip of the pen breaks an identity here."""

from itertools import product

import pytest

from benchmarks.protocol.paper_numbers import CITATIONS, IMPLIED_FOREGROUND, INCONSISTENT_ROWS, PAPER_TABLES

HALF = 0.0005  # the paper rounds to three decimals
BINARY = ("table1", "table2", "table5", "table6", "table7")
ROWS = [(table, labels) for table, rows in PAPER_TABLES.items() for labels in rows]


def rows_of(*tables):
    return [(table, labels) for table, labels in ROWS if table in tables]


def prevalence(row):
    """Shares of foreground allowed by accuracy = 1 - share * ((1 - R) + R (1 - P) / P), each within its rounding."""
    shares = []
    for a, p, r in product((-HALF, HALF), repeat=3):
        accuracy, precision, recall = row["accuracy"] + a, row["precision"] + p, row["recall"] + r
        shares.append((1 - accuracy) / ((1 - recall) + recall * (1 - precision) / precision))
    return min(shares), max(shares)


def test_seven_tables_with_their_rows_and_columns():
    sizes = {table: (len(rows), {len(row) for row in rows.values()}) for table, rows in PAPER_TABLES.items()}
    assert sizes == {
        "table1": (11, {5}),
        "table2": (11, {5}),
        "table3": (11, {5}),
        "table4": (11, {6}),
        "table5": (5, {2}),
        "table6": (2, {2}),
        "table7": (4, {6}),
    }
    assert sum(len(rows) for rows in PAPER_TABLES.values()) == 55


@pytest.mark.parametrize(("table", "labels"), rows_of(*BINARY))
def test_jaccard_follows_from_dice(table, labels):
    row = PAPER_TABLES[table][labels]
    low, high = (dice / (2 - dice) for dice in (row["dice"] - HALF, row["dice"] + HALF))
    assert low - HALF <= row["jaccard"] <= high + HALF


@pytest.mark.parametrize(("table", "labels"), rows_of("table1", "table2", "table7"))
def test_dice_follows_from_precision_and_recall(table, labels):
    row = PAPER_TABLES[table][labels]
    low, high = (2 * p * r / (p + r) for p, r in ((row["precision"] + e, row["recall"] + e) for e in (-HALF, HALF)))
    assert low - HALF <= row["dice"] <= high + HALF


@pytest.mark.parametrize(("table", "labels"), rows_of("table3"))
def test_whdld_scores_are_means_over_classes(table, labels):
    row, classes = PAPER_TABLES[table][labels], list(PAPER_TABLES["table4"][labels].values())
    assert sum(classes) / 6 == pytest.approx(row["dice"], abs=2 * HALF)
    # The slope of D / (2 - D) reaches 2 at D = 1, so that rounding of the classes may double.
    assert sum(dice / (2 - dice) for dice in classes) / 6 == pytest.approx(row["jaccard"], abs=3 * HALF)


@pytest.mark.parametrize(("table", "labels"), rows_of("table3"))
def test_whdld_accuracy_is_the_mean_of_one_vs_rest_accuracies(table, labels):
    # Overall accuracy is a convex mean of the class Dices (weights: mean of a class's true and predicted share).
    accuracy, classes = PAPER_TABLES[table][labels]["accuracy"], PAPER_TABLES["table4"][labels].values()
    overall = 1 - 3 * (1 - accuracy)
    assert min(classes) < overall < max(classes)


def test_whdld_accuracy_cannot_be_the_overall_accuracy():
    impossible = [
        labels
        for labels, row in PAPER_TABLES["table3"].items()
        if row["accuracy"] > max(PAPER_TABLES["table4"][labels].values()) + 2 * HALF
    ]
    assert len(impossible) == 7  # every CNN and hybrid; the SAM rows alone would not tell


def test_the_same_run_has_the_same_numbers_in_every_table():
    first, last = PAPER_TABLES["table1"], PAPER_TABLES["table7"]
    short = {score: first[("RS-SAM",)][score] for score in ("dice", "jaccard")}
    assert PAPER_TABLES["table5"][("yes", "yes", "yes")] == short
    assert PAPER_TABLES["table6"][("last layer",)] == short
    assert {**last[("RS-SAM (ViT-B)",)], "params_m": 0} == {**first[("RS-SAM",)], "params_m": 0}
    assert {**last[("Baseline (ViT-B)",)], "params_m": 0} == {**first[("Baseline",)], "params_m": 0}
    assert PAPER_TABLES["table5"][("no", "no", "no")] == {
        score: first[("Baseline",)][score] for score in ("dice", "jaccard")
    }


@pytest.mark.parametrize(
    ("dataset", "tables"), [("deepglobe", ("table1", "table7")), ("whu", ("table2",))], ids=["deepglobe", "whu"]
)
def test_implied_foreground_share(dataset, tables):
    intervals = {key: prevalence(PAPER_TABLES[key[0]][key[1]]) for key in rows_of(*tables)}
    consistent = [interval for key, interval in intervals.items() if key not in INCONSISTENT_ROWS]
    low, high = max(low for low, _ in consistent), min(high for _, high in consistent)
    assert (round(low, 4), round(high, 4)) == IMPLIED_FOREGROUND[dataset]
    outside = [key for key, interval in intervals.items() if interval[1] < low or interval[0] > high]
    assert outside == [key for key in INCONSISTENT_ROWS if key[0] in tables]


def test_the_inconsistent_row_is_unet_on_deepglobe():
    assert INCONSISTENT_ROWS == (("table1", ("UNet",)),)
    row = PAPER_TABLES["table1"][("UNet",)]
    assert row["accuracy"] == 0.978
    low, high = prevalence({**row, "accuracy": 0.975})
    assert low < IMPLIED_FOREGROUND["deepglobe"][0] < high


def test_every_system_is_cited_as_printed():
    systems = {labels[0] for table, labels in rows_of("table1", "table2", "table3", "table4", "table7")}
    assert set(CITATIONS) == systems
    assert CITATIONS["SAM Adapter"] == CITATIONS["UNet"] == "[20]"

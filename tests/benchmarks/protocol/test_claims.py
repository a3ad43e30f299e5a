"""The declared claims: derived from the paper's numbers where they can be, and the runs they rest on."""

import pytest

from benchmarks.protocol.claims import CLAIMS, RUNS, TITLES, Claim, Comparison, claim_bearing
from benchmarks.protocol.paper_numbers import PAPER_TABLES
from benchmarks.protocol.paper_runs import DATASET_TABLES, PAPER_RUNS
from benchmarks.protocol.tables import TABLES

BY_ID = {claim.id: claim for claim in CLAIMS}


def test_thirty_nine_runs_each_named_once():
    assert len(PAPER_RUNS) == len(RUNS) == 39
    sizes = {name: len(table.rows) for name, table in DATASET_TABLES.items()}
    assert sizes == {
        "deepglobe": 17,
        "whu": 11,
        "whdld": 11,
    }
    assert sum(len(run.tables) for run in PAPER_RUNS) == sum(len(table.rows) for table in TABLES.values()) == 55
    assert RUNS["deepglobe", "RS-SAM"].tables == ("table1", "table5", "table6", "table7")
    assert RUNS["deepglobe", "Multi-scale Neck + MFF"].printed == {"dice": 0.759, "jaccard": 0.611}
    assert RUNS["whdld", "FCN"].printed["dice"] == PAPER_TABLES["table3"]["FCN",]["dice"]


def test_fifteen_runs_bear_the_claims():
    assert [(run.dataset, run.name) for run in claim_bearing()] == [
        ("deepglobe", "SAM Adapter"),
        ("deepglobe", "Baseline"),
        ("deepglobe", "RS-SAM"),
        ("whu", "SAM Adapter"),
        ("whu", "Baseline"),
        ("whu", "RS-SAM"),
        ("whdld", "SAM Adapter"),
        ("whdld", "RSAM-Seg"),
        ("whdld", "Baseline"),
        ("whdld", "RS-SAM"),
        ("deepglobe", "Multi-scale Neck"),
        ("deepglobe", "Multi-scale Neck + MFF"),
        ("deepglobe", "Multi-scale Neck + MHFF"),
        ("deepglobe", "layers 3, 6, 9, and 12"),
        ("deepglobe", "Baseline (ViT-L)"),
    ]


def test_claims_have_names_of_their_own():
    assert len(BY_ID) == len(CLAIMS)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_claim_compares_something_and_decides_by_it(claim):
    assert any(comparison.decides for comparison in claim.comparisons)
    assert len(set(claim.comparisons)) == len(claim.comparisons)
    assert {comparison.dataset for comparison in claim.comparisons} <= set(TITLES)


def test_the_ends_of_a_range_are_those_of_the_papers_tables():
    ends = {comparison.worse: comparison.points for comparison in BY_ID["whdld-dice"].comparisons if comparison.decides}
    assert ends == {"RSAM-Seg": 0.3, "SAM Adapter": 3.2}
    (middle,) = (comparison for comparison in BY_ID["whdld-dice"].comparisons if not comparison.decides)
    assert (middle.worse, middle.points) == ("Baseline", None)


def test_a_run_that_the_paper_does_not_have_cannot_be_compared():
    with pytest.raises(ValueError, match="no run 'ViT' on whu"):
        Claim("id", "sentence", "where", "says", (Comparison("whu", "RS-SAM", "ViT"),))

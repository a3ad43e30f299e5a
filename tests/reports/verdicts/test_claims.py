"""Each claim against the paper's own numbers and against ours, and the exact words that a reader sees."""

import json
import math

import pytest

from benchmarks.protocol.claims import CLAIMS, RUNS, claim_bearing
from benchmarks.protocol.run import ResolvedRun
from benchmarks.protocol.setting import Setting
from benchmarks.results.home import Home
from benchmarks.results.store import Store
from benchmarks.results.test_set_log import record_use
from reports.render.markdown import verdicts as render
from reports.select.results import Collection
from reports.verdicts.claims import on_paper
from reports.verdicts.output import claims_json, verdicts_json
from reports.verdicts.summary import summarize
from reports.verdicts.wording import answers, paper_answer, remedy, short_answer, summary_lines
from reports.write import write_report
from tests.reports.fabricate import PART
from tests.reports.study import PAPER, collection, made, replicated

BY_ID = {claim.id: claim for claim in CLAIMS}
WIGGLE = (-0.002, -0.001, 0.0, 0.001, 0.002)


def summary_of(tmp_path, *results):
    return summarize(collection(*results), tmp_path)


def claims(tmp_path, *results):
    return {ranked.claim.id: ranked for ranked in summary_of(tmp_path, *results).claims["own"]}


def near_paper(runs, setting=PAPER, **options):
    """Replicates around the paper's numbers, each run's in an order of its own, so that differences vary too."""
    found = []
    for number, (dataset, name) in enumerate(runs):
        turned = WIGGLE[number % len(WIGGLE) :] + WIGGLE[: number % len(WIGGLE)]
        centre = RUNS[dataset, name].printed["dice"]
        found += replicated(dataset, name, [centre + turn for turn in turned], setting, **options)
    return found


BEARING = [(run.dataset, run.name) for run in claim_bearing()]


def test_the_papers_own_numbers():
    answers = {name: on_paper(claim).word for name, claim in BY_ID.items()}
    broken = {name for name, word in answers.items() if word == "does not hold"}
    assert broken == {"whu-dice", "neck"}
    assert {name for name, word in answers.items() if word == "cannot be told"} == {
        "fair-deepglobe", "fair-whu", "fair-whdld",
    }  # fmt: skip
    assert set(answers.values()) == {"holds", "does not hold", "cannot be told"}


def test_evidence_names_table_and_numbers():
    assert on_paper(BY_ID["whu-dice"]).evidence == (
        "Table 2: RS-SAM 0.937; SAM Adapter 0.929; +0.8 points.",
        "Table 2: RS-SAM 0.937; Baseline 0.908; +2.9 points.",
        "Table 2: RS-SAM 0.937; RSAM-Seg 0.913; +2.4 points.",
        "The sentence says 0.9 to 2.8 points, the tables 0.8 to 2.9.",
    )
    assert on_paper(BY_ID["neck"]).evidence == (
        "Table 5: Multi-scale Neck 0.756; Baseline 0.703; +5.3 points.",
        "The sentence says 6.2 points, the tables 5.3.",
    )
    assert on_paper(BY_ID["best-deepglobe"]).evidence == (
        "Table 1: RS-SAM 0.765; the nearest, UNetFormer 0.736; +2.9 points.",
    )


def test_nothing_run(tmp_path):
    found = claims(tmp_path)
    assert {claim_verdict.word for claim_verdict in found.values()} == {"not tested"}
    assert found["baseline"].why == "nothing run under profile paper"
    assert remedy(found["baseline"]) == "rssam-bench reproduce claims"
    assert remedy(found["best-whu"]) == "rssam-bench reproduce table2 --repeats 5"
    assert remedy(found["fair-whdld"]) == "rssam-bench reproduce table3 --repeats 5 --profile fair"


def test_the_claim_bearing_runs_decide_every_claim_that_is_not_sweeping(tmp_path):
    """`reproduce claims` is enough for what it promises."""
    found = claims(tmp_path, *near_paper(BEARING))
    for claim in CLAIMS:
        word = found[claim.id].word
        assert (word == "not tested") == claim.sweeping, claim.id


def test_near_the_paper_what_is_large_is_supported_and_what_is_small_undecided(tmp_path):
    found = claims(tmp_path, *near_paper(BEARING))
    words = {name: claim_verdict.word for name, claim_verdict in found.items()}
    assert words["baseline"] == words["deepglobe-dice"] == words["neck"] == "supported"
    assert words["mff"] == words["mhff"] == "undecided"
    assert paper_answer(found["neck"]) == "does not hold: not by that amount"


def test_an_amount_outside_our_interval_is_said(tmp_path):
    runs = [
        *replicated("deepglobe", "Multi-scale Neck", [0.80, 0.801, 0.80, 0.80, 0.801]),
        *replicated("deepglobe", "Baseline", [0.703, 0.703, 0.703, 0.703, 0.704]),
    ]
    neck = claims(tmp_path, *runs)["neck"]
    assert (neck.word, neck.paired[0].points_held, short_answer(neck)) == (
        "supported",
        False,
        "supported, but not the amount",
    )
    assert "the stated +6.2 lies outside that interval" in render(summary_of(tmp_path, *runs))


def test_one_comparison_against_it_contradicts_a_claim(tmp_path):
    runs = [
        *replicated("deepglobe", "RS-SAM", [0.750, 0.7502, 0.7501, 0.75, 0.75]),
        *replicated("deepglobe", "Multi-scale Neck", [0.700, 0.7003, 0.7, 0.7, 0.7]),
        *replicated("deepglobe", "Multi-scale Neck + MFF", [0.790, 0.7904, 0.7901, 0.79, 0.79]),
        *replicated("deepglobe", "Multi-scale Neck + MHFF", [0.740, 0.7, 0.78, 0.72, 0.76]),
    ]
    both = claims(tmp_path, *runs)["both-modules"]
    assert both.word == "contradicted"
    assert both.tally == "3 comparisons: 1 supported, 1 contradicted, 1 undecided"


def test_partial_data_tests_no_claim(tmp_path):
    found = claims(tmp_path, *near_paper(BEARING, data=PART))["baseline"]
    assert (found.word, found.why) == ("not tested", "not comparable with the paper: partial data")
    assert remedy(found) == ""


def test_what_is_missing_is_named_or_counted(tmp_path):
    found = claims(tmp_path, *near_paper([("deepglobe", "RS-SAM"), ("deepglobe", "Baseline")]))
    assert found["baseline"].why == "4 of its runs not run"
    assert found["deepglobe-dice"].why == "not run: SAM Adapter"
    assert found["best-deepglobe"].why == "9 of its runs not run"


def test_the_papers_setting_comes_first_and_smoke_last(tmp_path):
    stored = [made("whu", "FCN", 0.7, setting=Setting(name)) for name in ("smoke", "mini", "fair")]
    found = summary_of(tmp_path, *stored, made("deepglobe", "FCN", 0.6, setting=Setting("smoke")))
    assert [ranked.verdict_set.setting.profile for ranked in found.ranked] == ["paper", "fair", "mini", "smoke"]


def test_a_run_inside_a_range_does_not_decide_it(tmp_path):
    odd = made("deepglobe", "RSAM-Seg", 0.7, share=0.12)
    found = claims(tmp_path, *near_paper(BEARING), odd)
    assert found["deepglobe-dice"].word == "supported"
    assert "12.00 % foreground" in found["sam-variants"].why


def test_a_collapse_is_no_want_of_runs(tmp_path):
    runs = [*replicated("deepglobe", "RS-SAM", [0.02, 0.7]), *replicated("deepglobe", "Baseline (ViT-L)", [0.7, 0.7])]
    found = claims(tmp_path, *runs)["smaller-encoder"]
    assert (found.why, remedy(found)) == ("collapsed: RS-SAM", "")


def test_fairness_is_tested_under_the_fair_recipe_alone(tmp_path):
    runs = [(dataset, name) for dataset, name in RUNS if dataset == "whu"]
    paper = claims(tmp_path, *near_paper(runs))
    assert (paper["best-whu"].word, paper["fair-whu"].why) == ("supported", "nothing run under profile fair")
    fair = claims(tmp_path, *near_paper(runs, Setting("fair")))
    assert (fair["best-whu"].why, fair["fair-whu"].word) == ("nothing run under profile paper", "supported")


def test_words_of_a_home_with_nothing(tmp_path):
    page = render(summary_of(tmp_path))
    assert (
        "- No verdict: nothing was run under this setting. `rssam-bench reproduce claims` makes five replicates" in page
    )
    assert "- No use of a test split is recorded in this home." in page
    assert "| 4 | On the aerial imagery (WHU), Dice of RS-SAM is 0.9 to 2.8 points above" in page


def test_words_of_one_seed(tmp_path):
    found = summary_of(tmp_path, made("deepglobe", "RS-SAM", 0.765), made("deepglobe", "Baseline", 0.703))
    page = render(found)
    assert "- Of the paper's 39 runs: 2 difference only and 37 not run." in page
    assert (
        "| RS-SAM | 1, 5, 6, 7 | 0.765 | 0.765 | 0.000 |  | 1 | difference only, not the printed model: 1 replicate, "
        "where a verdict takes 5 |" in page
    )
    assert (
        "| RS-SAM | Baseline | DeepGlobe | Dice | 1 | +6.2 |  |  | not tested: 1 pair of runs, where a test takes 5: "
        "difference only |" in page
    )
    assert "outside ±T" not in page


def test_words_of_a_whole_reproduction(tmp_path):
    (ranked,) = summary_of(tmp_path, *near_paper(RUNS)).ranked
    lines = summary_lines(ranked.verdict_set)
    assert lines[:2] == ["Of the paper's 39 runs: 39 reproduced.", "0 of the 39 decided runs lie outside ±T."]
    assert lines[2] == (
        "DeepGlobe: 17 runs together, mean shift from the paper 0.0000 in Dice (95 % -0.0003 to +0.0003, 5 common "
        "replicates): no common shift is seen."
    )
    assert not any("chance" in line for line in lines)


def test_words_of_smoke_and_of_mixed_recipes(tmp_path):
    found = summary_of(
        tmp_path, made("deepglobe", "RS-SAM", 0.5, setting=Setting("smoke")), made("deepglobe", "FCN", 0.6)
    )
    paper, smoke = (summary_lines(ranked.verdict_set) for ranked in found.ranked)
    assert paper == ["Of the paper's 39 runs: 1 difference only and 38 not run."]
    assert smoke[0] == "Of the paper's 39 runs: 1 not comparable and 38 not run."
    assert smoke[1].startswith("Not comparable, because: the smoke profile claims nothing (1 run); ")
    page = render(found)
    assert "### Profile smoke, your results" in page
    assert page.count("| RS-SAM | 1, 5, 6, 7 |") == 1  # no line of verdicts for a profile that can have none


def test_answers_in_a_terminal(tmp_path):
    found = summary_of(tmp_path, *near_paper(BEARING[:2]), made("deepglobe", "FCN", 0.6, setting=Setting("mini")))
    lines = answers(found, PAPER)
    assert lines[:2] == ["The paper's setting, your results", "Of the paper's 39 runs: 2 reproduced and 37 not run."]
    assert "not tested: On WHDLD, Dice of RS-SAM is the highest of the eleven systems." in lines
    assert answers(found, Setting("mini"))[1:] == [
        "Of the paper's 39 runs: 1 not comparable and 38 not run.",
        "Not comparable, because: the recipe is mini, not the paper's (1 run).",
    ]


def test_the_ledger_in_words(tmp_path):
    result = made("deepglobe", "RS-SAM", 0.7)
    for seed in (0, 0, 1):
        run = PAPER.run(RUNS["deepglobe", "RS-SAM"].model, "deepglobe", seed)
        record_use(tmp_path, ResolvedRun(run, "0123456789abcdef", (), "bf16-mixed"))
    with Home(tmp_path).test_set_log.open("a") as stream:
        stream.write("half a li")
    page = render(summary_of(tmp_path, result))
    assert "- DeepGlobe, split 0123456789: 3 uses by 2 runs of 1 system." in page
    assert "- 1 result of yours is not in this record: tested in another home, or before the record was kept." in page
    assert "- Damaged: line 4 of ledger.jsonl cannot be read" in page


def test_json_has_every_verdict_and_no_nan(tmp_path):
    def refuse(constant):
        raise AssertionError(constant)

    found = summary_of(tmp_path, *near_paper(BEARING[:3]), made("whu", "FCN", 0.01))
    verdicts = json.loads(verdicts_json(found), parse_constant=refuse)
    assert len(verdicts["judged"][0]["runs"]) == 39
    told = json.loads(claims_json(found), parse_constant=refuse)["own"]
    assert [record["id"] for record in told] == [claim.id for claim in CLAIMS]
    contrast = told[0]["comparisons"][0]["contrast"]
    assert math.isclose(contrast["mean"], 0.062, abs_tol=1e-4)


@pytest.mark.parametrize(
    ("items", "files"),
    [
        (["claims"], {"claims.md", "verdicts.json", "claims.json"}),
        (["table5", "claims"], {"report.md", "verdicts.json", "claims.json"}),
        (["table5"], {"report.md"}),
    ],
)
def test_files_of_a_report(tmp_path, items, files):
    for result in near_paper(BEARING[:2]):
        Store(tmp_path).put(result)
    out = tmp_path / "out"
    write_report(items, ["md"], out, tmp_path, tmp_path / "none")
    assert {path.name for path in out.iterdir()} == files
    page = (out / ("report.md" if "report.md" in files else "claims.md")).read_text()
    assert ("## Claims. Does each sentence hold?" in page) == ("claims" in items)
    assert ("## Table 5." in page) == ("table5" in items)


def test_published_results_are_judged_by_themselves(tmp_path):
    own, published = collection(made("whu", "FCN", 0.78)), collection(made("whu", "UNet", 0.74))
    stored = (*own.stored, *(type(item)(item.result, "published") for item in published.stored))
    found = summarize(Collection(stored), tmp_path)
    assert [ranked.verdict_set.source for ranked in found.ranked] == ["own", "published"]
    assert set(found.claims) == {"own", "published"}
    assert found.unrecorded == 1

"""Answers to the questions of a study: the paper's rule, on runs that the questions are about, and on no others."""

import math

import numpy as np
import pytest
from scipy.stats import t as student

from benchmarks.protocol.setting import Setting
from benchmarks.protocol.studies.still_sam import STILL_SAM
from reports.select.owners import chosen_by_owner
from reports.select.studies import tables_under
from reports.verdicts.study import ANSWERS, answers
from tests.reports.fabricate import PART
from tests.reports.still_sam import BASELINE, FAIR, FROZEN, RS_SAM, in_fp32, of_row, replicates
from tests.reports.study import collection

OURS = [0.740, 0.752, 0.747, 0.760, 0.751]
FROZENS = [0.730, 0.741, 0.741, 0.746, 0.744]


def answered(*results, setting=FAIR):
    """The answers by question and data set."""
    tables = tables_under(STILL_SAM, setting)
    chosen = chosen_by_owner(tables, collection(*results), setting)["own"]
    return {(question.id, paired.comparison.dataset): paired for question, paired in answers(STILL_SAM, chosen.groups)}


def test_one_question_by_hand():
    """Nadeau and Bengio: SE^2 = s^2 (1/5 + test/train). A t interval without the second term was half as wide."""
    found = answered(*replicates(RS_SAM, OURS), *replicates(FROZEN, FROZENS))["dinov3", "deepglobe"]
    gaps = np.array(found.differences)
    assert gaps == pytest.approx(np.subtract(OURS, FROZENS), abs=2e-4)
    error = gaps.std(ddof=1) * math.sqrt(1 / 5 + 934 / 4358)
    reach = student.ppf(0.975, 4) * error
    assert (found.contrast.low, found.contrast.high) == pytest.approx((gaps.mean() - reach, gaps.mean() + reach))
    assert ANSWERS[found.word] == "yes"
    assert found.divisor == 1


def test_the_questions_of_a_data_set_share_their_five_percent():
    """Two of them: the smaller p is doubled, and its interval is wider than alone."""
    frozen, baseline = replicates(FROZEN, FROZENS), replicates(BASELINE, [0.70, 0.71, 0.70, 0.72, 0.705])
    alone = answered(*replicates(RS_SAM, OURS), *frozen)["dinov3", "deepglobe"]
    both = answered(*replicates(RS_SAM, OURS), *frozen, *baseline)
    assert sorted(both[name, "deepglobe"].divisor for name in ("dinov3", "neck-sam")) == [1, 2]
    assert both["neck-sam", "deepglobe"].divisor == 2
    assert both["dinov3", "deepglobe"].contrast == alone.contrast


def test_the_answer_may_be_no_and_undecided():
    lower = answered(*replicates(RS_SAM, FROZENS), *replicates(FROZEN, OURS))["dinov3", "deepglobe"]
    assert ANSWERS[lower.word] == "no, lower"
    noise = answered(*replicates(RS_SAM, OURS), *replicates(FROZEN, OURS[::-1]))["dinov3", "deepglobe"]
    assert ANSWERS[noise.word] == "undecided"


@pytest.mark.parametrize(
    ("results", "why"),
    [
        (replicates(RS_SAM, OURS), f"not run: {FROZEN}"),
        ([*replicates(RS_SAM, OURS), *replicates(FROZEN, FROZENS[:4])], "4 pairs of runs, where a test takes 5"),
        (
            [*replicates(RS_SAM, OURS), *(of_row(FROZEN, dice, 5 + k) for k, dice in enumerate(FROZENS))],
            "no replicate that both have",
        ),
        ([*replicates(RS_SAM, OURS, data=PART), *replicates(FROZEN, FROZENS, data=PART)], "partial data"),
        ([*replicates(RS_SAM, OURS), *in_fp32(replicates(FROZEN, FROZENS))], "not run: "),
        ([*replicates(RS_SAM, OURS), *replicates(FROZEN, FROZENS, dataset="whu")], f"not run: {FROZEN}"),
    ],
    ids=["missing", "few", "other seeds", "partial", "other precision", "other data set"],
)
def test_what_is_not_alike_is_not_compared(results, why):
    """Each of these pairs had Dices that could have been subtracted."""
    found = answered(*results)["dinov3", "deepglobe"]
    assert (ANSWERS[found.word], found.contrast) == ("not compared", None)
    assert found.why.startswith(why)


def test_small_encoders_from_scratch_answer_nothing():
    setting = Setting("fair", "vit_t", "scratch")
    stored = [*replicates(RS_SAM, OURS, setting=setting), *replicates(FROZEN, FROZENS, setting=setting)]
    found = answered(*stored, setting=setting)["dinov3", "deepglobe"]
    assert (found.word, found.contrast) == ("not tested", None)
    words = "trained from scratch, without the pretrained weights; another encoder than the declared one"
    assert found.why.startswith(words)

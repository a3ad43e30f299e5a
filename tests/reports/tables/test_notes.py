"""The exact words under a table."""

from dataclasses import replace

from benchmarks.protocol.recipe import PROFILES
from benchmarks.protocol.setting import Setting
from reports.select.results import Collection, StoredResult
from reports.tables.assemble import assemble
from reports.tables.recipe_text import describe_recipe
from reports.tables.rs_sam_note import PAPERS_AND_OURS
from tests.reports.fabricate import MADE_UP, PART, TABLE5, fabricate, row_run

REBUILT = (
    "RS-SAM is rebuilt from the paper, because no code of its authors exists. Decoder chain: sam_first (not the "
    "printed model)."
)
SMALL = Setting("mini", encoder="vit_t", init="scratch")


def notes(*results, source="own"):
    (frame,) = assemble([TABLE5], Collection(tuple(StoredResult(result, source) for result in results))).frames
    return frame.notes


def all_rows(setting=None, dice=0.7, **options):
    return [fabricate(row_run(index, setting), dice, **options) for index in range(5)]


def test_nothing_run():
    assert notes() == ("Nothing of this table has been run. To fill it: `rssam-bench reproduce table5`.",)


def test_half_run_with_one_seed():
    found = notes(*all_rows()[:2])
    assert "3 of 5 rows not run. To fill them: `rssam-bench reproduce table5`." in found
    assert "Replicates: split seed 0 with seed 0. No verdict: it takes 5 replicates." in found


def test_a_whole_run_of_the_paper_is_not_called_anything_else():
    assert notes(*all_rows()) == (
        f"{REBUILT} {PAPERS_AND_OURS}",
        "Scores of the foreground class, pooled over all test pixels.",
        "No interval: 3 test images with something to score, where an interval takes 20.",
        "Recipe paper: AdamW, weight decay 0.1, rate 0.005, warm-up 250 steps, polynomial decay 0.9, 200 epochs, "
        "batch 24 in groups of 6, whole images, no augmentation, loss 0.2 CE + 0.8 Dice.",
        "Initialisation: from SAM's checkpoint vit_b.",
        "5 controls that the paper does not have can be run: `rssam-bench reproduce table5 --controls`.",
        "Data: deepglobe, complete: all 6226 pairs; images used: 4358 train, 934 val, 934 test.",
        "Foreground share of the test pixels: 4.13 %, within the 4.10 to 4.16 % that the paper's tables imply.",
        "A constant answer (everything foreground) has Dice 0.079.",
        "Replicates: split seed 0 with seed 0. No verdict: it takes 5 replicates.",
        "Precision: bf16-mixed.",
    )


def test_steps_that_overflowed_float16_are_counted():
    overflowed = fabricate(row_run(0), precision="16-mixed")
    epoch = overflowed.history[0]
    overflowed = replace(overflowed, history=({**epoch, "overflows": 2.0}, {**epoch, "overflows": 1.0}))
    two = fabricate(row_run(1), precision="16-mixed")
    found = notes(overflowed, replace(two, history=({**epoch, "overflows": 0.0},)))
    assert "Precision: 16-mixed." in found
    assert found[-1] == "Steps whose gradients overflowed float16 and were left out: 3, in 1 of the runs."
    assert overflowed.overflows == 3


def test_two_replicates():
    both = [fabricate(row_run(0, seed=n, split_seed=n)) for n in range(2)]
    assert (
        "Replicates: split seed 0 with seed 0 and split seed 1 with seed 1. Numbers are means over a row's "
        "replicates. No verdict: it takes 5 replicates."
    ) in notes(*both)
    uneven = notes(*both, fabricate(row_run(4)))
    assert (
        "Rows rest on different replicates. Multi-scale Neck no, MFF no, MHFF no: split seed 0 with seed 0 and split "
        "seed 1 with seed 1; Multi-scale Neck yes, MFF yes, MHFF yes: split seed 0 with seed 0. "
        "Numbers are means over a row's replicates. No verdict: it takes 5 replicates."
    ) in uneven


def test_smoke_claims_nothing():
    found = notes(*all_rows(Setting("smoke"), data=MADE_UP, share=0.12, precision="32-true"))
    assert found[0] == (
        "Not a reproduction: the smoke profile claims nothing; trained from scratch, without the "
        "pretrained weights; another encoder than the paper's; synthetic data. "
        "The paper's setting: `rssam-bench reproduce table5`."
    )
    assert "Initialisation: from scratch: no pretrained weights, not comparable with the paper." in found
    assert "Encoder: vit_t in place of vit_b." in found
    assert any(
        note.startswith("Data: deepglobe, synthetic stand-in scenes (24 pairs), not deepglobe;") for note in found
    )
    assert "Foreground share of the test pixels: 12.00 %, where the paper's tables imply 4.10 to 4.16 %." in found
    assert "Precision: 32-true." in found


def test_partial_data_under_the_papers_recipe():
    found = notes(*all_rows(data=PART))
    assert found[0] == "Not a reproduction: partial data. The paper's setting: `rssam-bench reproduce table5`."
    assert any(note.startswith("Data: deepglobe, partial: 36 pairs of 6226 known;") for note in found)


def test_mini_on_a_cpu():
    assert notes(*all_rows(SMALL, data=PART))[0] == (
        "Not a reproduction: the recipe is mini, not the paper's; trained from scratch, without the pretrained "
        "weights; another encoder than the paper's; partial data. The paper's setting: `rssam-bench reproduce table5`."
    )


def test_collapsed_runs_are_named_with_their_dice_and_the_constant_answer():
    dead = [fabricate(row_run(4, seed=n, split_seed=n), 0.03 + 0.67 * (n == 2)) for n in range(3)]
    assert (
        "Collapsed, not above the constant answer, and so not tabled as a score. Multi-scale Neck yes, MFF yes, MHFF "
        "yes: Dice 0.030 and 0.030 against 0.079 (its other replicates, not tabled either: 0.700)."
    ) in notes(*dead)


def test_published():
    found = notes(*all_rows()[:2], source="published")
    assert found[0] == "Published results that come with this version, not runs of yours."
    assert "3 of 5 rows are not among the published results." in found


def test_every_recipe_can_be_described():
    texts = {name: describe_recipe(profile.recipe) for name, profile in PROFILES.items()}
    assert "14 crops of 128 pixels of each image an epoch, at most 8 images of each split" in texts["smoke"]
    assert "warm-up 10 % of the steps" in texts["mini"]
    assert texts["fair"].startswith("optimiser and weight decay as each system published them, else AdamW, ")
    assert "the rate of 0.0003, 0.001, 0.005 with the lowest validation loss" in texts["fair"]
    assert "augmentation: flips" in texts["fair"]

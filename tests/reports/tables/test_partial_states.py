"""What a reader sees when only a part is there: the exact words of the page, state by state."""

import json
from dataclasses import replace

import pytest

from benchmarks.protocol.setting import Setting
from benchmarks.results.store import Store
from reports.render import csv as csv_table
from reports.render import latex, markdown
from reports.select.results import collect
from reports.tables.assemble import assemble
from reports.tables.rs_sam_note import PAPERS_AND_OURS
from tests.reports.fabricate import MADE_UP, PART, TABLE5, fabricate, fill, row_run
from tests.reports.tables.test_notes import REBUILT

OPENING = [
    "# RS-SAM benchmark report",
    "",
    "Made from {} of yours: rssam-bench 0.2.0, commit 0123456789ab, torch 2.11.0, on NVIDIA RTX A6000, finished "
    "2025-02-03.",
    "Every difference is the new number minus the paper's.",
]
HEADS = (
    "| Multi-scale Neck | MFF | MHFF | Dice ours | Dice paper | Dice difference | Jaccard ours | Jaccard paper "
    "| Jaccard difference | Runs |"
)
MARKS = "- Best of a column in bold, second in italics."
NEVER_RUN = (
    "| no | no | no | not run | 0.703 |  | not run | 0.542 |  | 0 |",
    "| yes | no | no | not run | 0.756 |  | not run | 0.607 |  | 0 |",
    "| yes | yes | no | not run | *0.759* |  | not run | *0.611* |  | 0 |",
    "| yes | no | yes | not run | 0.757 |  | not run | 0.610 |  | 0 |",
    "| yes | yes | yes | not run | **0.765** |  | not run | **0.620** |  | 0 |",
)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def report(home):
    return assemble([TABLE5], collect(home, home / "none published"))


def page(home):
    """The lines of the page."""
    return markdown.render(report(home)).splitlines()


def opening(results):
    return [line.format(results) for line in OPENING]


def part(lines, title):
    """The lines under a heading, up to the next one."""
    start = lines.index(f"### {title}") + 2
    end = next((number for number in range(start, len(lines)) if lines[number].startswith("#")), len(lines))
    return lines[start:end]


def test_nothing_run(home):
    assert page(home) == [
        "# RS-SAM benchmark report",
        "",
        "No run of yours is in these tables.",
        "",
        "## Table 5. Performance comparison of different modules on the DeepGlobe data set",
        "",
        "Nothing of this table has been run. To fill it: `rssam-bench reproduce table5`.",
    ]


def test_half_run_with_one_seed(home):
    first, last = fill(home, [0.70, None, None, None, 0.77])
    lines = page(home)
    assert lines[:4] == opening("2 results")
    assert part(lines, "Profile paper; complete: all 6226 pairs; bf16-mixed") == [
        HEADS,
        "| :-- | :-- | :-- | --: | --: | --: | --: | --: | --: | --: |",
        "| no | no | no | 0.700 | 0.703 | -0.003 | 0.538 | 0.542 | -0.004 | 1 |",
        *NEVER_RUN[1:4],
        "| yes | yes | yes | 0.770 | **0.765** | +0.005 | 0.626 | **0.620** | +0.006 | 1 |",
        "",
        f"{MARKS} Of ours nothing is marked: 3 of 5 rows have no result.",
        "- 3 of 5 rows not run. To fill them: `rssam-bench reproduce table5`.",
        f"- {REBUILT} {PAPERS_AND_OURS}",
        "- Scores of the foreground class, pooled over all test pixels.",
        "- No interval: 3 test images with something to score, where an interval takes 20.",
        "- Recipe paper: AdamW, weight decay 0.1, rate 0.005, warm-up 250 steps, polynomial decay 0.9, 200 epochs, "
        "batch 24 in groups of 6, whole images, no augmentation, loss 0.2 CE + 0.8 Dice.",
        "- Initialisation: from SAM's checkpoint vit_b.",
        "- 5 controls that the paper does not have can be run: `rssam-bench reproduce table5 --controls`.",
        "- Data: deepglobe, complete: all 6226 pairs; images used: 4358 train, 934 val, 934 test.",
        "- Foreground share of the test pixels: 4.13 %, within the 4.10 to 4.16 % that the paper's tables imply.",
        "- A constant answer (everything foreground) has Dice 0.079.",
        "- Replicates: split seed 0 with seed 0. No verdict: it takes 5 replicates.",
        "- Precision: bf16-mixed.",
        f"- Result files: `{first.key}`, `{last.key}`.",
    ]


def test_one_seed_of_one_row_and_three_of_another(home):
    fill(home, [0.70] * 5)
    for seed in (1, 2):
        Store(home).put(fabricate(row_run(4, seed=seed, split_seed=seed), 0.70 + 0.01 * seed))
    lines = part(page(home), "Profile paper; complete: all 6226 pairs; bf16-mixed")
    assert lines[2].startswith("| no | no | no | 0.700 |")
    assert lines[6].startswith("| yes | yes | yes | 0.710 ± 0.010 |")
    assert lines[8] == f"{MARKS} Of ours nothing is marked: rows rest on different replicates."
    assert "- No interval: 3 test images with something to score, where an interval takes 20." in lines
    assert "- ± is the standard deviation over replicates, which holds the luck of split and training." in lines
    (replicates,) = (line for line in lines if line.startswith("- Rows rest on different replicates. "))
    assert replicates.endswith(
        "split seeds 0 to 2, each with the seed of the same number. Numbers are means over a row's replicates. "
        "No verdict: it takes 5 replicates."
    )


def test_mixed_recipes_have_a_table_each(home):
    fill(home, [0.70, 0.75, 0.75, 0.75, 0.77])
    fill(home, [0.72, None, None, None, 0.74], Setting("fair"))
    lines = page(home)
    assert lines[:4] == opening("7 results")
    assert [line for line in lines if line.startswith("### ")] == [
        "### Profile paper; complete: all 6226 pairs; bf16-mixed",
        "### Profile fair; complete: all 6226 pairs; bf16-mixed",
    ]
    paper = part(lines, "Profile paper; complete: all 6226 pairs; bf16-mixed")
    fair = part(lines, "Profile fair; complete: all 6226 pairs; bf16-mixed")
    assert not any(line.startswith("- Not a reproduction") for line in paper)
    assert (
        "- Not a reproduction: the recipe is fair, not the paper's. The paper's setting: "
        "`rssam-bench reproduce table5`."
    ) in fair
    assert "- 3 of 5 rows not run. To fill them: `rssam-bench reproduce table5 --profile fair`." in fair
    assert fair[2].startswith("| no | no | no | 0.720 | 0.703 | +0.017 |")
    assert not any("0.720" in line for line in paper)


def test_smoke_only(home):
    fill(home, [0.30, 0.40, 0.41, 0.42, 0.43], Setting("smoke"), data=MADE_UP, precision="32-true")
    lines = part(page(home), "Profile smoke; synthetic stand-in scenes (24 pairs), not deepglobe; 32-true")
    assert lines[8:10] == [
        f"{MARKS} Of ours nothing is marked: the smoke profile claims nothing.",
        "- Not a reproduction: the smoke profile claims nothing; trained from scratch, without the "
        "pretrained weights; another encoder than the paper's; synthetic data. The paper's setting: "
        "`rssam-bench reproduce table5`.",
    ]
    assert lines[6] == ("| yes | yes | yes | 0.430 | **0.765** | 0.274 | **0.620** | 1 |")
    assert not any("difference |" in line or "No verdict" in line for line in lines), "nothing is comparable"


def test_partial_data(home):
    fill(home, [0.70, 0.75, 0.75, 0.75, 0.77], data=PART)
    lines = part(page(home), "Profile paper; partial: 36 pairs of 6226 known; bf16-mixed")
    assert lines[8:10] == [
        f"{MARKS} No difference is tested: 3 test images with something to score, where a test takes 30.",
        "- Not a reproduction: partial data. The paper's setting: `rssam-bench reproduce table5`.",
    ]


def test_files_that_cannot_be_used_are_named_with_their_reason(home):
    (good,) = fill(home, [0.70])
    folder = Store(home).results
    (folder / "cut.json").write_text((folder / f"{good.key}.json").read_text()[:100])
    (folder / "newer.json").write_text(json.dumps(good.to_json() | {"schema": 3}))
    forged = good.to_json() | {"identity": {**good.identity, "seed": 5}}
    (folder / "forged.json").write_text(json.dumps(forged))
    (folder / "list.json").write_text("[]")
    (folder / "folder.json").mkdir()
    old = replace(good, identity={**good.identity, "protocol": 0})
    Store(home).put(old)
    lines = page(home)
    assert lines[:4] == opening("1 result")
    start = lines.index("Result files that cannot be used, left out:")
    named = lines[start + 2 : start + 7]
    assert named[0].startswith("- cut.json: it is cut off, or is not JSON (")
    assert named[1] == "- folder.json: it cannot be read (Is a directory)"
    assert named[2].startswith(
        f"- forged.json: the key {good.key} does not belong to its identity (deepglobe-sam-lora-"
    )
    assert named[3] == "- list.json: it holds a list, where a result is expected"
    assert named[4] == (
        "- newer.json: made by a newer version of rssam-bench (result format 3; this one reads 2): update rssam-bench "
        "to read it"
    )
    start = lines.index("Results of another version, left out:")
    assert lines[start + 2] == f"- {old.key}: made under protocol 0, this version has 2"
    assert part(lines, "Profile paper; complete: all 6226 pairs; bf16-mixed")[2].startswith("| no | no | no | 0.700 |")
    assert not any(str(home) in line for line in lines)


def test_nothing_but_files_that_cannot_be_used(home):
    folder = Store(home).results
    folder.mkdir(parents=True)
    (folder / "cut.json").write_text("{")
    lines = page(home)
    assert "No run of yours is in these tables." in lines
    assert "Result files that cannot be used, left out:" in lines
    assert "Nothing of this table has been run. To fill it: `rssam-bench reproduce table5`." in lines


def test_other_formats_have_the_same_words(home):
    fill(home, [0.70, 0.03, None, None, None])
    (frame,) = report(home).frames
    text = latex.render([frame])
    assert r"no & no & no & 0.700 &  & 0.703 & $-0.003$ &" in text
    assert r"yes & no & no & collapsed &  & 0.756 &  & collapsed & 0.607 &" in text
    assert r"yes & yes & no & not run &  & \underline{0.759} &" in text
    assert "Of ours nothing is marked: 3 of 5 rows have no result." in text
    lines = csv_table.render([frame]).splitlines()
    assert "score,ours,paper,difference,low,high,spread,p_adjusted,replicates,keys,state" in lines[0]
    assert lines[3].endswith(",dice,,0.756,,,,,,1," + frame.rows["keys"][1][0] + ",collapsed")
    assert lines[5].endswith(",dice,,0.759,,,,,,0,,not run")

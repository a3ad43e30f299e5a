"""The audit finds what is known of the paper's numbers, and a slip put into any row is named."""

import copy
import json
from collections import namedtuple

import numpy as np
import pytest
import torch

from baselines.sam_lora import SamLora
from benchmarks.protocol.cost import measure
from benchmarks.protocol.paper_numbers import IMPLIED_FOREGROUND, PAPER_TABLES
from reports.audit.audit import audit
from reports.audit.averages import average, foreground_interval, jaccard_excess
from reports.thop_parameters import encoder_parameters
from rssam.contract import Task


def found(tables=PAPER_TABLES):
    return {finding.id: finding for finding in audit(tables)}


def changed(table, labels, **scores):
    tables = copy.deepcopy(PAPER_TABLES)
    tables[table][labels].update(scores)
    return tables


def test_what_is_known():
    findings = found()
    assert {name: finding.verdict for name, finding in findings.items()} == {
        "average": "recovered",
        "class-means": "recovered",
        "class-precision": "holds",
        "accuracy": "recovered",
        "foreground-deepglobe": "broken",
        "foreground-whu": "recovered",
        "same-runs": "holds",
        "text": "broken",
        "parameters-baseline": "recovered",
        "parameters-rs-sam": "broken",
        "citations": "broken",
        "tiles": "broken",
    }
    assert findings["foreground-deepglobe"].finding.endswith(
        "share of 4.10% to 4.16% of the test pixels, but for Table 1, UNet."
    )
    assert "11.10% to 11.17%" in findings["foreground-whu"].finding
    assert findings["text"].evidence[0] == "section 4.2: Dice on Aerial Imagery: text 0.9 to 2.8, Table 2 0.8 to 2.9"
    assert findings["citations"].evidence == ("[20] is cited for UNet and SAM Adapter",)
    assert findings["tiles"].evidence == ("4,736 train + 1,036 val + 2,416 test = 8,188",)


def test_every_finding_has_evidence_and_is_plain():
    for finding in audit():
        assert finding.evidence
        assert finding.consequence.endswith(".")
        json.dumps(vars(finding))


@pytest.mark.parametrize(
    ("table", "labels", "scores", "finding", "words"),
    [
        ("table1", ("FCN",), {"jaccard": 0.485}, "average", "Table 1, FCN: Jaccard 0.485"),
        ("table2", ("SegNet",), {"precision": 0.66}, "average", "Table 2, SegNet: Dice 0.747"),
        ("table3", ("MANet",), {"dice": 0.59}, "class-means", "MANet: dice 0.59"),
        ("table3", ("SegNet",), {"recall": 0.5}, "class-precision", "SegNet: precision 0.551 and recall 0.5"),
        ("table3", ("RS-SAM",), {"precision": 0.9}, "class-precision", "RS-SAM: precision 0.9 and recall 0.744"),
        ("table4", ("SegNet",), {"bare_soil": 0.0}, "class-precision", "lowest class Dice of Table 4 is 0.0"),
        ("table2", ("HRNet",), {"accuracy": 0.96}, "foreground-whu", "Table 2, HRNet"),
        ("table5", ("yes", "yes", "yes"), {"dice": 0.764}, "same-runs", "dice 0.765 and 0.764"),
        ("table3", ("RS-SAM",), {"dice": 0.74}, "text", "Dice on WHDLD: text 0.3 to 3.2, Table 3 0.7 to 3.6"),
        ("table7", ("Baseline (ViT-L)",), {"params_m": 309.28}, "parameters-baseline", "309.28 M printed"),
    ],
)
def test_a_slip_is_named(table, labels, scores, finding, words):
    answer = found(changed(table, labels, **scores))[finding]
    assert answer.verdict == "broken"
    assert any(words in line for line in (answer.finding, *answer.evidence))


Images = namedtuple("Images", "tp fp fn tn")


def some_images(count, share, dice, seed):
    """Counts of foreground [count] of images whose precision and recall vary by 0.1 each."""
    rng = np.random.default_rng(seed)
    positive = rng.lognormal(0, 0.5, count)
    positive *= share / positive.mean()
    precision, recall = np.clip(dice + 0.1 * rng.standard_normal((2, count)), 0.02, 0.99)
    tp = positive * recall
    fp, fn = tp * (1 - precision) / precision, positive - tp
    return Images(tp, fp, fn, 1 - tp - fp - fn)


def scored(images, parts, background=False):
    """The plain mean of scores pooled over each part of the images."""
    means = []
    for part in parts:
        tp, fp, fn, tn = (counts[part].sum() for counts in images)
        for a, b, c in ((tp, fp, fn), (tn, fn, fp))[: 1 + background]:
            means.append((2 * a / (2 * a + b + c), a / (a + b + c), a / (a + b), a / (a + c)))
    return dict(zip(("dice", "jaccard", "precision", "recall"), np.mean(means, axis=0), strict=True))


def tables_of(images_in_a_part, background=False):
    """Tables 1 and 2 as they would be printed, of fabricated images, with the largest break of an identity."""
    tables, worst = copy.deepcopy(PAPER_TABLES), 0.0
    for name, count, share in (("table1", 934, 0.0413), ("table2", 2416, 0.1114)):
        for seed, (labels, row) in enumerate(PAPER_TABLES[name].items()):
            parts = np.array_split(np.random.default_rng(seed).permutation(count), -(-count // images_in_a_part))
            exact = scored(some_images(count, share, row["dice"] - 0.05, seed), parts, background)
            d, p, r = exact["dice"], exact["precision"], exact["recall"]
            worst = max(worst, abs(exact["jaccard"] - d / (2 - d)), abs(d - 2 * p * r / (p + r)))
            tables[name][labels] = {**row, **{score: round(float(value), 3) for score, value in exact.items()}}
    return tables, worst


def test_which_averages_the_identities_exclude():
    """The audit said "of no other average": pooled over batches of 24 images nearly every row holds as well."""
    tables, worst = tables_of(3000)
    assert worst < 1e-12
    assert average(tables).verdict == "recovered"
    for images_in_a_part, background in ((1, False), (3000, True)):
        tables, worst = tables_of(images_in_a_part, background)
        assert worst > 0.003
        assert average(tables).verdict == "broken"
        assert len(average(tables).evidence) >= 20
    tables, worst = tables_of(24)
    assert 0 < worst < 0.001
    broken = [line for line in average(tables).evidence if line.startswith("Table")]
    assert len(broken) <= 2
    mean, rounding, _ = jaccard_excess(tables)
    assert 0 < mean < 3 * rounding  # all rows together do not exclude it either, at this variance


def test_all_rows_together_bound_the_parts():
    mean, rounding, count = jaccard_excess(PAPER_TABLES)
    assert count == 28
    assert abs(mean) < rounding
    assert (
        "exceeds D/(2-D) by 0.00003 on average, where rounding alone has a standard deviation of 0.00009"
        in (average(PAPER_TABLES).evidence[1])
    )


def test_the_share_is_that_of_a_confusion_matrix():
    """Counts with 4.13 % foreground, rounded as the paper prints them."""
    tp, fp, fn, total = 32_000, 9_000, 9_300, 1_000_000
    row = {
        "accuracy": round(1 - (fp + fn) / total, 3), "precision": round(tp / (tp + fp), 3),
        "recall": round(tp / (tp + fn), 3),
    }  # fmt: skip
    low, high = foreground_interval(row)
    assert low < (tp + fn) / total < high
    assert high - low < 0.003


def test_shares_equal_those_of_the_notes_under_tables():
    text = " ".join(finding.finding for finding in audit())
    for low, high in IMPLIED_FOREGROUND.values():
        assert f"{low:.2%} to {high:.2%}" in text


@pytest.mark.parametrize("encoder", ["vit_b", "vit_l"])
def test_the_counting_rule_is_that_of_the_networks(encoder):
    """The formula from SAM's dimensions against the layers of the built network that run."""
    model = SamLora(encoder=encoder)
    counted = measure(model, Task(("road",), (512, 512))).as_published
    with torch.device("meta"):
        net = model.architecture(Task(("road",), (512, 512)))
    neck = sum(layer.weight.numel() for layer in net.encoder.neck if hasattr(layer, "stride"))
    assert counted == encoder_parameters(encoder) + neck + 3_776_802

"""The audit finds what is known of the paper's numbers, and a slip put into any row is named."""

import copy
import json

import pytest
import torch

from baselines.sam_lora import SamLora
from benchmarks.protocol.cost import measure
from benchmarks.protocol.paper_numbers import IMPLIED_FOREGROUND, PAPER_TABLES
from reports.audit import audit, foreground_interval
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
        ("table2", ("HRNet",), {"accuracy": 0.96}, "foreground-whu", "Table 2, HRNet"),
        ("table5", ("yes", "yes", "yes"), {"dice": 0.764}, "same-runs", "dice 0.765 and 0.764"),
        ("table3", ("RS-SAM",), {"dice": 0.74}, "text", "Dice on WHDLD: text 0.3 to 3.2, Table 3 0.7 to 3.6"),
        ("table7", ("Baseline (ViT-L)",), {"params_m": 309.28}, "parameters-baseline", "309.28 M printed"),
    ],
)
def test_a_slip_is_named(table, labels, scores, finding, words):
    one = found(changed(table, labels, **scores))[finding]
    assert one.verdict == "broken"
    assert any(words in line for line in (one.finding, *one.evidence))


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

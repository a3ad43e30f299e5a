"""Verdicts and claims as plain values for programs: `verdicts.json` and `claims.json`. No number is null, never NaN."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from benchmarks.results.test_set_log import count_uses
from reports.verdicts.claims import ClaimVerdict
from reports.verdicts.paired import Paired
from reports.verdicts.rule import Verdict
from reports.verdicts.summary import VerdictSummary, VerdictsWithRanks


def verdicts_json(findings: VerdictSummary) -> bytes:
    """Every verdict of every setting, with spreads, rank agreement, and the uses of test splits."""
    return _bytes({
        "judged": [_judged(one) for one in findings.judged],
        "test_splits": {
            "uses": [asdict(one) for one in count_uses(findings.ledger.uses)],
            "damaged": list(findings.ledger.damaged),
            "results_not_recorded": findings.unrecorded,
        },
    })  # fmt: skip


def claims_json(findings: VerdictSummary) -> bytes:
    """Every claim with both answers and the comparisons behind ours; scores and differences in 0..1, not points."""
    return _bytes({source: [_claim(one) for one in claims] for source, claims in findings.claims.items()})


def _judged(one: VerdictsWithRanks) -> dict[str, Any]:
    judgement = one.judgement
    return {
        "setting": asdict(judgement.setting),
        "source": judgement.source,
        "decided": len(judgement.decided),
        "outside": len(judgement.outside),
        "expected_outside": judgement.expected_outside,
        "spreads": {dataset: asdict(spread) for dataset, spread in judgement.spreads.items()},
        "ranks": [asdict(rank) for rank in one.ranks],
        "runs": [_verdict(verdict) for verdict in judgement.verdicts],
        "comparisons": [_paired(paired) for paired in one.paired.values()],
        "passed_over": list(judgement.passed_over),
    }


def _verdict(one: Verdict) -> dict[str, Any]:
    return {
        "dataset": one.run.dataset, "run": one.run.name, "tables": list(one.run.tables), "verdict": one.word,
        "text": one.text, "why": one.why, "paper": one.run.printed["dice"], "mean": one.mean,
        "difference": one.difference, "tolerance": one.tolerance, "replicates": one.replicates, "keys": list(one.keys),
    }  # fmt: skip


def _claim(one: ClaimVerdict) -> dict[str, Any]:
    claim = one.claim
    return {
        "id": claim.id, "sentence": claim.sentence, "where": claim.where, "says": claim.says, "profile": claim.profile,
        "paper": one.paper.word, "evidence": list(one.paper.evidence), "ours": one.word, "why": one.why,
        "comparisons": [_paired(paired) for paired in one.paired],
    }  # fmt: skip


def _paired(one: Paired) -> dict[str, Any]:
    return {
        **asdict(one.comparison), "score": one.score, "verdict": one.word, "why": one.why,
        "differences": list(one.differences), "contrast": asdict(one.contrast) if one.contrast else None,
        "holm_divisor": one.divisor, "stated_amount_in_interval": one.points_held,
        "new_images": asdict(one.imagery) if one.imagery else None, "by_scene": one.scenes,
    }  # fmt: skip


def _bytes(value: Any) -> bytes:
    return (json.dumps(_plain(value), indent=1, allow_nan=False) + "\n").encode()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""Write verdicts and claims for programs, `verdicts.json` and `claims.json`. A missing number is null, never NaN."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from benchmarks.results.test_set_log import count_uses
from reports.verdicts.claims import ClaimVerdict
from reports.verdicts.paired import PairedComparison
from reports.verdicts.rule import Verdict
from reports.verdicts.summary import VerdictSummary, VerdictsWithRanks


def verdicts_json(summary: VerdictSummary) -> bytes:
    """Return every verdict of every setting, with joint shifts, rank agreement, and the uses of test splits."""
    return _bytes({
        "judged": [_ranked(ranked) for ranked in summary.ranked],
        "test_splits": {
            "uses": [asdict(use) for use in count_uses(summary.ledger.uses)],
            "damaged": list(summary.ledger.damaged),
            "results_not_recorded": summary.unrecorded,
        },
    })  # fmt: skip


def claims_json(summary: VerdictSummary) -> bytes:
    """Return every claim with both answers and our comparisons; scores and differences in 0..1, not points."""
    return _bytes({source: [_claim(verdict) for verdict in verdicts] for source, verdicts in summary.claims.items()})


def _ranked(ranked: VerdictsWithRanks) -> dict[str, Any]:
    verdict_set = ranked.verdict_set
    return {
        "setting": asdict(verdict_set.setting),
        "source": verdict_set.source,
        "decided": len(verdict_set.decided),
        "outside": len(verdict_set.outside),
        "shifts": {dataset: asdict(shift) for dataset, shift in verdict_set.shifts.items()},
        "ranks": [asdict(rank) for rank in ranked.ranks],
        "runs": [_verdict(verdict) for verdict in verdict_set.verdicts],
        "comparisons": [_paired(paired) for paired in ranked.paired.values()],
        "passed_over": list(verdict_set.passed_over),
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    run = verdict.run
    return {
        "dataset": run.dataset, "run": run.name, "tables": list(run.tables), "verdict": verdict.word,
        "text": verdict.text, "why": verdict.why, "paper": run.printed["dice"], "mean": verdict.mean,
        "difference": verdict.difference, "tolerance": verdict.tolerance, "replicates": verdict.replicates,
        "keys": list(verdict.keys), "state": verdict.state,
    }  # fmt: skip


def _claim(verdict: ClaimVerdict) -> dict[str, Any]:
    claim = verdict.claim
    return {
        "id": claim.id, "sentence": claim.sentence, "where": claim.where, "says": claim.says, "profile": claim.profile,
        "paper": verdict.paper.word, "evidence": list(verdict.paper.evidence), "ours": verdict.word,
        "why": verdict.why, "comparisons": [_paired(paired) for paired in verdict.paired],
    }  # fmt: skip


def _paired(paired: PairedComparison) -> dict[str, Any]:
    return {
        **asdict(paired.comparison), "score": paired.score, "verdict": paired.word, "why": paired.why,
        "differences": list(paired.differences), "contrast": asdict(paired.contrast) if paired.contrast else None,
        "holm_divisor": paired.divisor, "stated_amount_in_interval": paired.points_held,
        "new_images": asdict(paired.imagery) if paired.imagery else None,
    }  # fmt: skip


def _bytes(value: Any) -> bytes:
    return (json.dumps(_plain(value), indent=1, allow_nan=False) + "\n").encode()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""List the checks of a bundle's records: of any record, of results, of submissions, of the whole.

A check takes a record and yields its problems, a sentence each; those of the whole bundle name the file too. To add
one, write the function beside its like and list it here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.results.result import Result
from reports.bundle.checks import (
    bundle_checks,
    copy_checks,
    data_checks,
    origin_checks,
    pixel_checks,
    run_checks,
    score_checks,
)
from reports.bundle.checks.checked import Checked, Finding, WholeBundle
from reports.bundle.failures import diverged_rates
from reports.bundle.ledger import ledger

RECORD_CHECKS: tuple[Callable[[Checked], Iterator[str]], ...] = (
    data_checks.declared_data,
    lambda checked: data_checks.split_of_identity(checked.identity, checked.split),
    data_checks.counted_images,
    data_checks.recorded_data,
    pixel_checks.counted_pixels,
    pixel_checks.counted_native_pixels,
    pixel_checks.native_errors,
    pixel_checks.probabilities,
    origin_checks.due,
    origin_checks.origin,
)

RESULT_CHECKS: tuple[Callable[[Result], Iterator[str]], ...] = (
    run_checks.history,
    run_checks.recipe,
    run_checks.rates,
    run_checks.numbers,
    run_checks.system,
    run_checks.weights,
    run_checks.parameters,
    diverged_rates,
)

BUNDLE_CHECKS: tuple[Callable[[WholeBundle], Iterator[Finding]], ...] = (
    bundle_checks.splits,
    bundle_checks.same_data,
    bundle_checks.own_data,
    bundle_checks.same_truth,
    copy_checks.copied_runs,
    copy_checks.near_runs,
    bundle_checks.same_network,
    bundle_checks.copied_images,
    bundle_checks.versions,
    bundle_checks.same_predictions,
    bundle_checks.same_parameters,
    bundle_checks.shown,
    ledger,
)


def record_faults(checked: Checked) -> Iterator[str]:
    """Yield all problems of a record, a sentence each."""
    for check in RECORD_CHECKS:
        yield from check(checked)
    if isinstance(checked.record, Result):
        for check_result in RESULT_CHECKS:
            yield from check_result(checked.record)
    else:
        yield from score_checks.submission(checked)


def bundle_faults(bundle: WholeBundle) -> Iterator[Finding]:
    """Yield the problems of the records with each other, and with the splits, the tables and the ledger."""
    for check in BUNDLE_CHECKS:
        yield from check(bundle)

"""A checkpoint in a bundle is the published one by its digest, or is called custom, and not the other way round."""

from dataclasses import replace

import pytest

from reports.bundle.checks.run_checks import weights
from rssam.weights.registry import WEIGHTS
from tests.reports.fabricate import fabricate, fabricate_failure, row_run

RUN = next(run for run in map(row_run, range(8)) if run.model.weights_needed())
(NAME,) = RUN.model.weights_needed()
PUBLISHED = WEIGHTS[NAME].sha256.ljust(64, "0")


def faults(start, make=fabricate):
    made = make(RUN)
    return list(weights(replace(made, identity={**made.identity, "weights": [start]})))


@pytest.mark.parametrize("make", [fabricate, fabricate_failure])
def test_the_published_file_and_custom_weights_are_fine(make):
    assert faults(PUBLISHED, make) == []
    assert faults(f"custom:{'ab' * 32}", make) == []  # was "not that of the published file"


@pytest.mark.parametrize("make", [fabricate, fabricate_failure])
@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("ab" * 32, "abababababab, not that of the published file, and is not called custom"),
        (f"custom:{PUBLISHED}", "is called custom, and has the digest of the published file"),
        ("custom:ab", "'custom:ab' is no SHA-256"),
    ],
)
def test_the_word_and_the_digest_go_together(make, start, words):
    assert any(words in fault for fault in faults(start, make))

"""Check what a submission says of itself: predictions made elsewhere, or a trained system on other data."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.protocol.registry import TITLES
from benchmarks.results.submission import Submission
from reports.bundle.checks.checked import Checked
from reports.bundle.checks.data_checks import SHA256
from rssam.kinds import COUNT


def submission(checked: Checked) -> Iterator[str]:
    """Yield parts of a submission that do not go with its kind."""
    record, identity = checked.record, checked.identity
    assert isinstance(record, Submission)
    if not all(record.reading):
        yield "how its files were read is no list of sentences"
    scored = record.kind == "scored"
    if scored and record.name in TITLES:
        yield f"predictions made elsewhere are called {record.name}, as a system of this suite"
    if scored != (identity["system"] is None) or scored != (identity["predictions"] is not None):
        yield f"it is {record.kind}: expected {'predictions and no system' if scored else 'a system, no predictions'}"
    elif scored and not SHA256.fullmatch(identity["predictions"]):
        yield "the digest of its predictions is no SHA-256"
    elif not scored:
        yield from _evaluated(checked)


def _evaluated(checked: Checked) -> Iterator[str]:
    """Yield what an evaluation says of its system that cannot be."""
    system, images, data = checked.identity["system"], checked.record.images, checked.record.data
    if missing := {"parameters", "precision"} - system.keys():
        yield f"it does not say of its system: {', '.join(sorted(missing))}"
        return
    if not SHA256.fullmatch(str(system["parameters"])):
        yield "the digest of its network is no SHA-256"
    if system["dataset"] == checked.dataset.name:
        yield f"its system was trained on {system['dataset']}, the data set it was evaluated on"
    if not system["key"].startswith(f"{system['dataset']}-"):
        yield f"its run {system['key'][:60]!r} is not one on {system['dataset']}"
    if system["crop"] == 0:
        yield "it predicts crops of 0 pixels, expected a whole number from 1"
    if {tested for _, tested in system["classes"]} != set(checked.record.classes):
        yield f"its classes are brought to {system['classes']}, expected each of {', '.join(checked.record.classes)}"
    if "copies" in data and not (COUNT.fits(data["copies"]) and data["copies"] <= len(images)):
        yield f"{data['copies']!r} of its {len(images)} images are said to be in the training data"

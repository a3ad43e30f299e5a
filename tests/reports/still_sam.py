"""Results of the rows of the study, fabricated: nothing is trained."""

from dataclasses import replace

from benchmarks.protocol.setting import Setting
from benchmarks.protocol.studies.still_sam import STILL_SAM
from benchmarks.results.store import Store
from tests.reports.study import made_by

FAIR = Setting("fair")
MODELS = {row.labels[0]: row.model for row in STILL_SAM.rows}
RS_SAM, BASELINE, FROZEN = "RS-SAM-B", "SAM-B LoRA (Baseline)", "DINOv3-B frozen + DPT"


def of_row(label, dice, replicate=0, dataset="deepglobe", setting=FAIR, **options):
    """The result of a row with that Dice; replicate k has seed k and split seed k."""
    return made_by(MODELS[label], dataset, dice, replicate, setting, **options)


def replicates(label, dices, dataset="deepglobe", setting=FAIR, **options):
    """Replicates 0, 1, ... of a row with these Dices."""
    return [of_row(label, dice, number, dataset, setting, **options) for number, dice in enumerate(dices)]


def put(home, *results):
    """Store results in a home."""
    for result in results:
        Store(home).put(result)


def in_fp32(results):
    """The same results with another precision, as a CPU gives them."""
    return [replace(result, identity={**result.identity, "precision": "32-true"}) for result in results]

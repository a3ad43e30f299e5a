"""Check what a result says of its run: system, recipe, seeds, history, parameters and sizes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product

from benchmarks.protocol.cost import measure
from benchmarks.protocol.recipe import PROFILES, Recipe
from benchmarks.protocol.registry import MODELS
from benchmarks.protocol.run import canonical, from_json_value, plain_fields
from benchmarks.protocol.setting import Setting
from benchmarks.protocol.targets import WITH_TABLES, tables_of
from benchmarks.results.custom_system import SYSTEM
from benchmarks.results.failed_run import FailedRun
from benchmarks.results.result import Result
from benchmarks.training.optimizer import learning_rate
from reports.bundle.checks.data_checks import SHA256
from reports.select.results import declared_recipe, declared_system, profile_of
from reports.select.settings import declare
from rssam.contract import Model, Task
from rssam.encoders.declared import ENCODERS
from rssam.errors import UserError
from rssam.sam.encoder_sizes import ENCODERS as SAM_ENCODERS
from rssam.weights.folder import CUSTOM, DIGITS
from rssam.weights.registry import WEIGHTS

LONGEST = 366 * 24 * 3600.0
"""Seconds that a run is believed to have taken."""

MOST, MOST_MEMORY = 1 << 50, 1 << 45
"""Parameters or operations, and bytes of memory, beyond which nothing is believed."""

MOST_LOSS = 1e6
"""A loss beyond belief: 0.2 of a cross entropy and 0.8 of a Dice loss, which is at most 1."""

MOST_SEED = 2**64 // 1_000_003 - 1_000_000
"""The largest seed that torch takes, because the training multiplies it."""

BYTES = 4
"""Of a parameter: networks are held in fp32, whatever the precision of their products."""

COUNTED_ALIKE = 0.01
"""By how much two versions of torch may differ in the operations that they count."""

PARAMETERS = ("total", "trainable", "as_published", "macs")


def system(result: Result | FailedRun) -> Iterator[str]:
    """Yield options that the declared system does not have, and records of systems that need none."""
    identity, stored = result.identity["model"], result.provenance.get(SYSTEM)
    name, options = identity["name"], identity["options"]
    registered = MODELS.get(name)
    if registered is not None and stored is not None:
        yield f"{name} is a system of this suite, and its record calls it a user's own"
        return
    if registered is None and stored is None:
        return  # it then stands in no table, which is another check's word
    if registered is not None and registered.version != identity["version"]:
        yield f"version {identity['version']} of {name}, this version has {registered.version}"
    try:
        model = _model(result)
        fitting = canonical(plain_fields(model)) == canonical(options)
    except (TypeError, ValueError, UserError):
        fitting = False
    if not fitting:
        yield f"its options {options} are not those of {name}"
    elif "encoder" in options and registered is not None and options["encoder"] not in ENCODERS:
        yield f"its encoder {options['encoder']!r} is not one of {', '.join(ENCODERS)}"


def weights(run: Result | FailedRun) -> Iterator[str]:
    """Yield checkpoints that its system does not need, and those that are custom or published by one word alone."""
    starts, name = run.identity["weights"], run.identity["model"]["name"]
    if wrong := [start for start in starts if not SHA256.fullmatch(start.removeprefix(CUSTOM))]:
        yield f"its checkpoint {wrong[0][:20]!r} is no SHA-256"
    if name not in MODELS:
        return
    needed = _model(run).weights_needed()
    if len(starts) != len(needed):
        yield f"it has the digests of {len(starts)} checkpoints, {name} with its options needs {len(needed)}"
        return
    for start, needed_name in zip(starts, needed, strict=True):
        published = start.removeprefix(CUSTOM).startswith(WEIGHTS[needed_name].sha256)
        if not published and not start.startswith(CUSTOM):
            yield (
                f"its checkpoint {needed_name} has the digest {start[:DIGITS]}, not that of the published file, and is "
                "not called custom"
            )
        elif published and start.startswith(CUSTOM):
            yield f"its checkpoint {needed_name} is called custom, and has the digest of the published file"


def recipe(result: Result | FailedRun) -> Iterator[str]:
    """Yield values of its recipe that are not those declared under the recipe's name."""
    recorded = result.identity["recipe"]
    if profile_of(result) is not None:
        return
    of_version = declared_recipe(result)
    if of_version is None:
        yield f"its recipe {recorded['name']!r} is not one of this version"
        return
    declared = plain_fields(of_version)
    for name in sorted(recorded.keys() | declared.keys()):
        if recorded.get(name) != declared.get(name):
            yield f"its recipe {recorded['name']} has {name} {recorded.get(name)}, expected {declared.get(name)}"


def numbers(result: Result) -> Iterator[str]:
    """Yield numbers out of their range: seeds, parameters, memory, seconds."""
    yield from seeds(result)
    counted = result.parameters.items()
    counts = [(f"number of parameters or operations ({name})", value, MOST) for name, value in counted]
    for name, value, most in (*counts, ("peak memory", result.peak_memory, MOST_MEMORY)):
        if not 1 <= value <= most:
            yield f"its {name} is {value!r}, expected a whole number from 1 to {most}"
    if missing := {"total", "trainable"} - result.parameters.keys() or result.parameters.keys() - set(PARAMETERS):
        yield f"its numbers of parameters are {sorted(result.parameters)}: {sorted(missing)} lacks or is unknown"
    if not 0 < result.seconds <= LONGEST:
        yield f"it took {result.seconds!r} seconds, expected more than 0 and at most a year"


def seeds(run: Result | FailedRun) -> Iterator[str]:
    """Yield a split seed that no run can have; of a seed the kind in its file says so."""
    if (split_seed := run.identity["split_seed"]) > MOST_SEED:
        yield f"its split_seed is {split_seed}, expected a whole number from 0 to {MOST_SEED}"


def parameters(result: Result) -> Iterator[str]:
    """Yield numbers of parameters that its system does not have, as counted from its declaration."""
    counted = result.parameters
    for name in ("trainable", "as_published"):
        if counted.get(name, 1) > counted["total"]:
            yield f"{counted[name]} parameters ({name}), more than all its {counted['total']}"
    if BYTES * counted["total"] > result.peak_memory:
        yield f"its peak memory of {result.peak_memory} bytes is less than its {counted['total']} parameters take"
    model = _model(result) if result.identity["model"]["name"] in MODELS else None
    if model is None or model not in _declared_models():
        return  # a network that no table has is not built, because its options may be of any size
    for name, value in _measured(model, result.task).items():
        slack = value * COUNTED_ALIKE if name == "macs" else 0
        if abs(counted.get(name, value) - value) > slack:
            yield f"{counted[name]} for {name}, {model.name} as declared has {value}"


def history(result: Result) -> Iterator[str]:
    """Yield epochs whose numbers cannot be, and a best epoch that is not the best."""
    epochs, expected = result.history, result.identity["recipe"]["epochs"]
    for number, epoch in enumerate(epochs, start=1):
        if wrong := [name for name, value in epoch.items() if not value >= 0]:  # NaN is not
            yield f"epoch {number} has {wrong[0]} = {epoch[wrong[0]]!r}, expected a finite number from 0"
            return
        if (most := max(epoch["train_loss"], epoch["val_loss"])) > MOST_LOSS:
            yield f"epoch {number} has a loss of {most:g}, expected at most {MOST_LOSS:g}"
    if any(("overflows" in epoch) != (result.identity["precision"] == "16-mixed") for epoch in epochs):
        yield f"its epochs count steps left out of float16 or not, unlike its precision {result.identity['precision']}"
    losses = [float(epoch["val_loss"]) for epoch in epochs]
    if [epoch["epoch"] for epoch in epochs] != list(range(1, len(epochs) + 1)):
        yield "its epochs are not numbered from 1"
    elif len(epochs) != expected:
        yield f"{len(epochs)} epochs, its recipe has {expected}"
    elif losses.index(min(losses)) + 1 != result.best_epoch:
        yield f"epoch {result.best_epoch} is not the one of lowest validation loss"
    elif result.best_loss not in (None, min(losses)):
        yield f"its best loss is {result.best_loss:g}, the lowest of its history {min(losses):g}"
    if result.best_rate not in (None, *result.identity["recipe"]["rates"]):
        yield f"it chose the rate {result.best_rate:g}, which is none of its recipe"
    seconds = [float(epoch["seconds"]) for epoch in epochs]
    if not all(0 < spent <= LONGEST for spent in seconds):
        yield f"an epoch took {min(seconds):g} to {max(seconds):g} seconds, expected more than 0 and at most a year"
    elif sum(seconds) > result.seconds * (1 + 1e-6):
        yield f"its epochs took {sum(seconds):.6g} seconds, the whole run {result.seconds:.6g}"


def rates(result: Result) -> Iterator[str]:
    """Yield the first epoch whose learning rate is not that of its recipe's schedule."""
    if profile_of(result) is None:
        return
    declared = Recipe(**{name: from_json_value(value) for name, value in result.identity["recipe"].items()})
    groups = max(result.data["train"] * declared.crops // declared.group, 1)
    steps = math.ceil(groups / (declared.batch // declared.group))  # an epoch
    found = [float(epoch["rate"]) for epoch in result.history]
    expected = {
        rate: [
            learning_rate(declared, rate, number * steps - 1, declared.epochs * steps)
            for number in range(1, len(found) + 1)
        ]
        for rate in declared.rates
    }
    for lost in result.diverged:
        if _alike(found, expected.pop(lost.rate, [])):
            yield f"its learning rates are those of {lost.rate:g}, which is said to have diverged"
            return
    if not any(_alike(found, schedule) for schedule in expected.values()):
        last = " or ".join(f"{schedule[0]:.6g}" for schedule in expected.values() if schedule)
        yield f"its learning rates begin with {found[:1]}, expected {last} after the first epoch, and so on"


def _model(result: Result | FailedRun) -> Model:
    """Return the declaration of a result's system with its options. Raises TypeError if it does not have them."""
    identity = result.identity["model"]
    declared = declared_system(result)
    if declared is None:
        raise TypeError(f"nothing declares the system {identity['name']}")
    options = {name: from_json_value(value) for name, value in identity["options"].items()}
    changed: Model = dataclasses.replace(declared, **options)  # type: ignore[type-var]
    return changed


@cache
def _declared_models() -> frozenset[Model]:
    """Return every system of every table under every setting, so that a bundle's options cannot ask for others."""
    choices = product(PROFILES, (None, *SAM_ENCODERS), (None, "sam", "scratch"))
    settings = [Setting(profile, encoder, init) for profile, encoder, init in choices]  # type: ignore[arg-type]
    runs = (
        declare(setting, table, row)
        for table in tables_of(WITH_TABLES.values())
        for row in table.every_row
        for setting in settings
    )
    return frozenset(run.model for run in runs if run is not None)


@cache
def _measured(model: Model, task: Task) -> Mapping[str, int]:
    cost = measure(model, task)
    return {
        "total": cost.total, "trainable": cost.trainable, "as_published": cost.as_published,
        "macs": round(cost.gmacs * 1e9),
    }  # fmt: skip


def _alike(found: list[float], expected: list[float]) -> bool:
    return len(found) == len(expected) and all(
        math.isclose(*pair, rel_tol=1e-6) for pair in zip(found, expected, strict=True)
    )

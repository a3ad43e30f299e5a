"""Train and test from Python what `reproduce` trains and tests: rows of tables, or one system on one data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from benchmarks.console.progress import ProgressBars
from benchmarks.execution.hardware import DeviceChoice, choose_device, choose_workers
from benchmarks.execution.observer import Observer, Outcome
from benchmarks.execution.plan import plan, resolve_all, settle_split
from benchmarks.execution.process_pool import execute_in_processes
from benchmarks.execution.runner import execute_all
from benchmarks.execution.session import Session
from benchmarks.protocol.custom import find_model
from benchmarks.protocol.recipe import PrecisionChoice
from benchmarks.protocol.run import ResolvedRun, Run
from benchmarks.protocol.targets import choose, datasets_of, require_encoder_taken, setting_of
from benchmarks.results.custom_system import changes
from benchmarks.results.home import Home, open_home
from benchmarks.signals import handle_signals
from data_prep.splits import SplitRule
from rssam.contract import Model
from rssam.errors import UserError
from rssam.sam.encoder_sizes import EncoderInit

Outcomes = TypeVar("Outcomes")
Executor = Callable[[Sequence[ResolvedRun], Session], Outcomes]
"""Executes resolved runs, and returns their outcomes."""


class RunFailed(UserError):
    """Raised by `fine_tune` for a run that ended without a result; the message has its key and the reason. A UserError.

    `reproduce` does not raise it: one run that fails stops no other, and its `Outcome` has the reason.

    Examples:
        >>> from benchmarks import RunFailed, fine_tune
        >>> try:
        ...     outcome = fine_tune("roads", profile="demo", home="example", progress=False)
        ... except RunFailed as error:
        ...     print(error)
        >>> outcome.reason
        ''
    """


def on_this_machine(jobs: int) -> Executor[list[Outcome]]:
    """Return what executes runs in this process, or `jobs` of them at a time in processes of their own."""
    return execute_all if jobs == 1 else partial(execute_in_processes, jobs=jobs)


def execute_runs(
    runs: Sequence[Run], session: Session, execute: Executor[Outcomes], say: Callable[[str], None]
) -> Outcomes:
    """Look up data and weights of all runs, then execute them. Ctrl-C lets the step finish and saves.

    Args:
        runs: a plan.
        session: where results are stored, and the device.
        execute: executes them, see `on_this_machine`.
        say: called with a sentence on each system of the user's own that was changed since, and at Ctrl-C.

    Raises NotPrepared or WeightsNotFound, naming the command that mends it.
    """
    with handle_signals(session.stop, say):
        resolved = resolve_all(runs, session)
        for note in changes(resolved, session.store):
            say(f"note: {note}")
        return execute(resolved, session)


def reproduce(
    *items: str,
    rows: Sequence[str | int] = (),
    models: Sequence[str] = (),
    dataset: str | None = None,
    profile: str | None = None,
    encoder: str | None = None,
    init: EncoderInit | None = None,
    seeds: Sequence[int] = (0,),
    split_seed: int = 0,
    repeats: int | None = None,
    split: SplitRule = "random",
    controls: bool = False,
    home: Path | str | Home | None = None,
    device: DeviceChoice = "auto",
    precision: PrecisionChoice = "auto",
    jobs: int = 1,
    progress: bool = True,
) -> list[Outcome]:
    """Train and test what tables, figures or claims lack; what is finished is not run again.

    As `rssam-bench reproduce` on one machine, with the same keys, and without MLflow. After an interruption the same
    call goes on from the last saved step.

    Args:
        items: "table1" to "table7", "fig6", "fig7", "claims", "still-sam", or "all" tables and figures. At least
            one.
        rows: only these rows of one table, by number from 1 or by name.
        models: run these systems in place of the rows of a table of systems: names, or "module:Class".
        dataset: run the rows on this data set instead of the table's.
        profile: the recipe: "smoke", "demo", "mini", "fair" or "paper"; None is "paper", of "still-sam" "fair".
            `fine_tune` says what they are.
        encoder: SAM encoder of every row, see `fine_tune`. "vit_b", "vit_l" or "vit_h" leave rows without a SAM
            encoder as they are.
        init: "sam" starts from SAM's checkpoint, "scratch" trains everything; as declared if None. Under "sam" rows
            without SAM keep their own weights.
        seeds: of the training; each gives runs of its own.
        split_seed: first seed of the 70/15/15 split.
        repeats: replicates, with seed and split seed counted up; 1 if None, of the claims 5.
        split: image by image ("random"), or whole scenes together ("blocked"). A published split stays as it is.
        controls: also run the rows that the paper does not have.
        home: the home folder, see `open_home`.
        device: "auto", "cpu" or "cuda"; "auto" takes a GPU if there is one.
        precision: "fp32", "bf16", "fp16" or "auto": fp32 on the CPU; on GPUs bf16, or fp16 without native bf16.
        jobs: runs at a time. A script that asks for more than one needs `if __name__ == "__main__":`.
        progress: show progress on the standard error.

    Returns:
        An outcome for each run, in the order of the plan; a run that failed says why in `reason`.

    Raises:
        UserError: A name does not exist, and the message lists the choices. Or a data set or a checkpoint is not
            prepared in this home, and the message has the command. Nothing is run then.
        KeyboardInterrupt: Ctrl-C; what was done is saved.

    Examples:
        Row 5 of Table 5, the full RS-SAM, on the set of docs/python.md. `fine_tune` made the same run there:

        >>> from benchmarks import reproduce
        >>> (outcome,) = reproduce(
        ...     "table5", rows=[5], dataset="roads", profile="demo", home="example", progress=False
        ... )
        >>> outcome.status, outcome.key.startswith("roads-rs-sam-")
        ('cached', True)
    """
    folder = open_home(home).root
    own = [find_model(name) for name in models]
    chosen, setting = choose(items, profile, encoder, init, dataset, split, [str(row) for row in rows], own)
    setting, notes = settle_split(setting, datasets_of(chosen, setting, own), folder)
    runs = plan(chosen, setting, seeds, split_seed, repeats, controls, own)
    return _execute(runs, folder, device, precision, jobs, progress, notes)


def fine_tune(
    dataset: str,
    *,
    system: str | Model = "rs-sam",
    profile: str = "mini",
    encoder: str | None = None,
    init: EncoderInit | None = None,
    seed: int = 0,
    split_seed: int = 0,
    split: SplitRule = "random",
    home: Path | str | Home | None = None,
    device: DeviceChoice = "auto",
    precision: PrecisionChoice = "auto",
    progress: bool = True,
) -> Outcome:
    """Train and test one system on one prepared data set, or return the finished run.

    After an interruption the same call goes on from the last saved step. For two folders of images and masks, see
    `data_prep.prepare_folders`. `load_network` gives the trained network.

    Args:
        dataset: name of a data set that is prepared in the home.
        system: a name of `MODELS`, "module:Class", or a declaration such as `RSSAM(rank=8)`.
        profile: the recipe. "mini" is for own data with sides of a multiple of 256: 30 epochs. "paper" has 200 epochs
            of whole images, "fair" as many under each of three learning rates. "smoke" and "demo", for sides of a
            multiple of 128 and of 64, only try the installation. They take 8 images of each split at most and the
            smallest variant in place of the declared options.
        encoder: SAM encoder in place of the declared one: "vit_b", "vit_l" or "vit_h". "vit_t" and "vit_s" have no
            weights and need init "scratch". They give every system the options of its smallest variant.
        init: "sam" starts from SAM's checkpoint, "scratch" trains everything; as declared if None. Under "sam" systems
            without SAM keep their own weights.
        seed: of the training.
        split_seed: of the 70/15/15 split.
        split: image by image ("random"), or whole scenes together ("blocked"). A published split stays as it is.
        home: the home folder, see `open_home`.
        device: "auto", "cpu" or "cuda"; "auto" takes a GPU if there is one.
        precision: "fp32", "bf16", "fp16" or "auto": fp32 on the CPU; on GPUs bf16, or fp16 without native bf16.
        progress: show progress on the standard error.

    Returns:
        The outcome, whose `result` has the counts of every test image.

    Raises:
        UserError: A name does not exist, and the message lists the choices. Or data set or checkpoint is not prepared
            in this home, and the message has the command. Or the system has no SAM encoder to
            replace.
        RunFailed: The run ended without a result.
        KeyboardInterrupt: Ctrl-C; what was done is saved.

    Examples:
        The smallest RS-SAM on the set of docs/python.md:

        >>> from benchmarks import fine_tune
        >>> outcome = fine_tune("roads", profile="demo", home="example", progress=False)
        >>> outcome.status in ("trained", "cached")
        True
        >>> len(outcome.result.images), outcome.result.counts.tp.shape
        (1, (1, 1))
    """
    folder = open_home(home).root
    setting, notes = settle_split(setting_of(profile, encoder, init, split=split), [dataset], folder)
    model = find_model(system) if isinstance(system, str) else system
    require_encoder_taken([model], setting)
    run = setting.run(model, dataset, seed, split_seed)
    (outcome,) = _execute([run], folder, device, precision, 1, progress, notes)
    if outcome.result is None:
        raise RunFailed(f"{outcome.key}: {outcome.reason}")
    return outcome


def _execute(
    runs: Sequence[Run],
    home: Path,
    device: DeviceChoice,
    precision: PrecisionChoice,
    jobs: int,
    progress: bool,
    notes: Sequence[str],
) -> list[Outcome]:
    """Execute runs on this machine, after notes on them. Raises KeyboardInterrupt after Ctrl-C."""
    console = Console(stderr=True, quiet=not progress, highlight=False, markup=False)
    for text in notes:
        console.print(f"note: {text}", soft_wrap=True)
    chosen = choose_device(device)
    session = Session(
        home, chosen, ProgressBars(console) if progress else Observer(),
        workers=choose_workers(None, chosen, jobs), precision_choice=precision,
    )  # fmt: skip
    outcomes = execute_runs(runs, session, on_this_machine(jobs), lambda text: console.print(text, soft_wrap=True))
    if session.stop.wanted:
        raise KeyboardInterrupt(f"stopped by {session.stop.signal}; the same call goes on from what is saved")
    return outcomes

"""Execute one run from prepared data to a stored result: build, train, test once, record."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from benchmarks.divergence import DivergedRate, TrainingDiverged
from benchmarks.execution.observer import Outcome
from benchmarks.execution.rank_failures import OUT_OF_MEMORY, failing_together, report_other_rank
from benchmarks.execution.run_status import ProgressWriter, StatusFiles
from benchmarks.execution.session import Session
from benchmarks.failures import first_line
from benchmarks.metrics.probability_histogram import Histogram
from benchmarks.protocol.cost import measure, parameter_counts
from benchmarks.protocol.custom import is_own
from benchmarks.protocol.run import ResolvedRun
from benchmarks.results.custom_system import SYSTEM, record, with_files
from benchmarks.results.data_record import Splits, run_data_record, select_entries
from benchmarks.results.predictions import PREDICTIONS, PROBABILITIES, save_predictions, save_probabilities
from benchmarks.results.provenance import peak_memory, provenance
from benchmarks.results.result import Result
from benchmarks.results.test_set_log import record_use
from benchmarks.signals import Interrupted, Stop
from benchmarks.training.activation_checkpointing import enable_activation_checkpointing
from benchmarks.training.batches import worker_faults
from benchmarks.training.checkpoint import LAST, PREVIOUS, Checkpoints, candidate_name
from benchmarks.training.class_distances import class_distances
from benchmarks.training.compile import COMPILE_FAULTS, channels_last, compile_network, is_compile_fault
from benchmarks.training.evaluate import Evaluation, evaluate
from benchmarks.training.loop import Listener, Training, make_fabric, train
from benchmarks.training.rank_group import ALONE
from benchmarks.training.reproducibility import seeded
from data_prep.loading.torch_dataset import PreparedDataset
from data_prep.manifest_file import load_manifest
from data_prep.splits import Split
from rssam.contract import encoder_rate
from rssam.errors import UserError


def train_and_test(resolved: ResolvedRun, session: Session) -> Outcome:
    """Train, or resume training, and test; the result is stored last, so that a stored result is a whole one.

    Raises UserError or DataError if it cannot be done; then nothing is stored, and checkpoints stay.
    """
    run, key = resolved.run, resolved.key
    manifest = load_manifest(session.data_folder(run.dataset.name), run.dataset.name)
    session.verify(run.dataset.name, manifest)
    splits = select_entries(manifest, run)
    work = session.store.work(key)
    resumed = StatusFiles(work).begun()
    session.tracker.start(resolved)
    if session.ranks is not None:
        session.ranks.on_failure = report_other_rank(resolved, session)
        session.ranks.broadcast_run(resolved)
    cost = measure(run.model, run.task)  # before hours of training: a user's own system may not be fit for it
    own = {SYSTEM: record(run.model)} if is_own(run.model) else {}  # and before its file may change meanwhile
    device_run = _DeviceRun(resolved, session, splits)
    saving_memory = False
    while True:
        try:
            with failing_together(session):
                tested = device_run.train_and_evaluate(saving_memory)
            break
        except COMPILE_FAULTS as error:
            if not device_run.compiled or not is_compile_fault(error):
                raise
            device_run.compiled = False
            message = f"{key} cannot be compiled ({first_line(error, OUT_OF_MEMORY)}): it goes on as written"
        except torch.OutOfMemoryError as error:
            saving_memory = True
            message = (
                f"{key}: the GPU has too little memory ({first_line(error, OUT_OF_MEMORY)}); once more with activation "
                f"checkpointing{', not compiled,' if device_run.compiled else ','} which takes longer and changes no "
                "number"
            )
            device_run.compiled = False  # Dynamo cannot trace the checkpointing, which puts statistics back
        gc.collect()  # outside of the except clauses, which would keep the tensors of the first try alive
        torch.cuda.empty_cache()
        session.observer.note(message)
    net, training, evaluation = tested.net, tested.training, tested.evaluation
    result = Result(
        identity=resolved.identity(),
        average=run.dataset.average,
        classes=run.dataset.classes,
        images=evaluation.images,
        counts=evaluation.counts,
        native_counts=evaluation.native_counts,
        history=tuple(training.history),
        best_epoch=training.best_epoch,
        best_rate=tested.rate,
        best_loss=training.best_loss,
        parameters={**parameter_counts(net), "as_published": cost.as_published, "macs": round(cost.gmacs * 1e9)},
        seconds=training.seconds + tested.test_seconds,
        peak_memory=peak_memory(device_run.fabric.device),
        data=run_data_record(manifest, splits),
        provenance={
            **provenance(device_run.fabric.device),
            "activation_checkpointing": saving_memory,
            "waiting_for_images": device_run.waiting,
            **({"compiled": True} if device_run.compiled else {}),
            **({"devices": device_run.ranks.size} if device_run.ranks.size > 1 else {}),
            **({"class_distances": tested.class_distances} if tested.class_distances["start"] else {}),
            **{name: with_files(recorded, run.model) for name, recorded in own.items()},  # imported when it ran
        },
        probabilities=Histogram.of_images(evaluation.histograms),
        diverged=tested.diverged,
    )
    save_predictions(work / PREDICTIONS, evaluation.images, evaluation.predictions, binary=run.task.binary)
    save_probabilities(work / PROBABILITIES, evaluation.images, evaluation.histograms)
    session.store.put(result)
    for name in (PREVIOUS, *(() if session.keep else (LAST,))):  # nothing will be gone on from
        for path in work.rglob(name):
            path.unlink()
    session.tracker.finish(result, session.store.path(key))
    return Outcome(key, "resumed" if resumed else "trained", result)


def follow_rank_zero(session: Session) -> None:
    """Train and test the runs that rank zero sends, until it ends the group; write nothing."""
    assert session.ranks is not None
    while (resolved := session.ranks.receive_run()) is not None:
        with failing_together(session):
            name = resolved.run.dataset.name
            splits = select_entries(load_manifest(session.data_folder(name), name), resolved.run)
            try:
                _DeviceRun(resolved, session, splits).train_and_evaluate(saving_memory=False)
            except (Interrupted, TrainingDiverged):  # on all ranks alike, and rank zero reports it
                continue


@dataclass(frozen=True)
class _TestedNetwork:
    """Trained network with the evaluation of its test, and the rates that were not in the choice of it."""

    net: nn.Module
    training: Training
    rate: float
    diverged: tuple[DivergedRate, ...]
    evaluation: Evaluation
    test_seconds: float
    class_distances: dict[str, list[float]]  # at "start" and "end", by decoder; empty where a network has none


_Trained = tuple[nn.Module, Training, float, dict[str, list[float]]]
"""A network, its training, its learning rate, and its class distances at start and end."""


class _DeviceRun:
    """Training and test of a run on this device, which may be done a second time with less memory."""

    def __init__(self, resolved: ResolvedRun, session: Session, splits: Splits) -> None:
        self.resolved, self.run, self.session, self.splits = resolved, resolved.run, session, splits
        self.key, self.work = resolved.key, session.store.work(resolved.key)
        self.ranks = session.ranks or ALONE
        session.require_precision(resolved.precision)
        self.fabric = session.ranks.fabric if session.ranks else make_fabric(session.device, resolved.precision)
        self.start = {name: session.weights.digest(name) for name in self.run.model.weights_needed()}
        self.recipe = self.run.recipe.for_model(self.run.model)
        self.compiled = session.compiled and session.device == "cuda"
        self._seconds_waited = self._seconds_trained = 0.0  # seconds in this process
        self.progress = ProgressWriter(StatusFiles(self.work), len(self.recipe.rates), session.device)

    def train_and_evaluate(self, saving_memory: bool) -> _TestedNetwork:
        """Train every candidate, or resume its training, and test the best.

        Raises OutOfMemoryError, or UserError the second time.
        """
        if self.session.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        try:
            trained, diverged = self._train_candidates(saving_memory)
            net, training, rate, distances = trained
            began = time.perf_counter()
            if self.ranks.is_rank_zero:
                self.progress.testing()
                record_use(self.session.home, self.resolved)
            folder = self.session.data_folder(self.run.dataset.name)
            test = PreparedDataset(folder, self.splits["test"], native=True, cache=False)  # each is read once
            together = self.recipe.group if self.session.device == "cuda" else 1  # on the CPU the batch may change bits
            evaluation = evaluate(
                self.fabric.setup(net), test, self.run.task, self.run.recipe.crop, self.fabric.device,
                self._test_progress, self.ranks, together, self.session.workers,
            )  # fmt: skip
        except torch.OutOfMemoryError as error:
            if not saving_memory:
                raise
            raise UserError(
                f"the GPU has too little memory for {self.key}, with activation checkpointing too "
                f"({first_line(error, OUT_OF_MEMORY)}): use a card with more; a smaller group would be another run"
            ) from error
        return _TestedNetwork(net, training, rate, diverged, evaluation, time.perf_counter() - began, distances)

    def _train_candidates(self, saving_memory: bool) -> tuple[_Trained, tuple[DivergedRate, ...]]:
        """Train once for every rate of the recipe, ordinarily one; the lowest validation loss chooses.

        Returns the network with its training and class distances, and the rates that diverged. Raises TrainingDiverged
        if all did.
        """
        session, rates = self.session, self.recipe.rates
        data = self._dataset("train"), self._dataset("val")
        candidates: list[_Trained] = []
        diverged: list[DivergedRate] = []
        for number, rate in enumerate(rates):
            self.progress.candidate = number
            name = candidate_name(rates, rate)
            checkpoints = Checkpoints(self.work / name, self.start, session.observer.note)
            if name and (known := checkpoints.divergence()) is not None:
                diverged.append(known)
                continue
            with seeded(self.run.seed, deterministic=session.device == "cpu"):  # all start from the same parameters
                net = self.run.model.build(self.run.task, session.weights)
                start = class_distances(net, data[0], self.run.task, self.fabric)
                if session.device == "cuda":
                    channels_last(net)
                if saving_memory:
                    enable_activation_checkpointing(net)
                if self.compiled:
                    compile_network(net)
                try:
                    with worker_faults(session.stop if self.ranks.size == 1 else Stop()):  # several stop at one step
                        training = train(
                            net, self.recipe, rate, self.run.seed, data, self.fabric, checkpoints,
                            self._listener(name), session.workers, session.save_every, self.ranks,
                            encoder_rate(self.run.model),
                        )  # fmt: skip
                except TrainingDiverged as error:
                    if not name:
                        raise
                    diverged += error.rates
                    self._note_divergence(checkpoints, error)
                    continue
            end = class_distances(net, data[0], self.run.task, self.fabric)
            candidates.append((net, training, rate, {"start": start, "end": end}))
        if not candidates:
            at = "; ".join(f"{lost.rate:g} in epoch {lost.epoch} ({lost.phase})" for lost in diverged)
            raise TrainingDiverged(
                f"the loss was no number under every rate of the recipe: {at}. Lower its rates; to train these again "
                f"delete {self.work}",
                diverged,
            )
        return min(candidates, key=lambda candidate: candidate[1].best_loss), tuple(diverged)

    def _note_divergence(self, checkpoints: Checkpoints, error: TrainingDiverged) -> None:
        """Keep on the disk that a rate diverged, for the run if it is resumed, and say it."""
        if self.ranks.is_rank_zero:
            for lost in error.rates:
                checkpoints.save_divergence(lost)
            self.session.observer.note(f"{self.key}: {error}; the other rates go on without it")

    def _listener(self, candidate: str) -> Listener:
        def step(epoch: int, epochs: int, step: int, steps: int) -> None:
            if self.ranks.is_rank_zero:
                self.progress.step(epoch, epochs, step, steps)
            self.session.observer.step(epoch, epochs, step, steps)

        def epoch(metrics: dict[str, float]) -> None:
            self.session.observer.epoch(metrics)
            self.session.tracker.epoch(metrics, candidate)

        def waited(waited: float, seconds: float) -> None:
            self._seconds_waited += waited
            self._seconds_trained += seconds

        watched = partial(self.session.tracker.watch, candidate)
        return Listener(step, epoch, self.session.stop, waited, self.progress.overflowed, watched)

    @property
    def waiting(self) -> float | None:
        """Return the share of training in this process spent waiting for images, 0..1; None where it only tested."""
        return round(self._seconds_waited / self._seconds_trained, 5) if self._seconds_trained else None

    def _test_progress(self, done: int, total: int) -> None:
        self.session.observer.testing(done, total)
        self.ranks.check(self.session.stop)

    def _dataset(self, split: Split) -> PreparedDataset:
        """Return a split, from pixels decoded for all processes unless the recipe takes a few images only."""
        few = self.run.recipe.limit is not None
        pixels = None if few else self.session.decoded_pixels(self.run.dataset.name)
        return PreparedDataset(
            self.session.data_folder(self.run.dataset.name), self.splits[split], cache=few, pixels=pixels
        )

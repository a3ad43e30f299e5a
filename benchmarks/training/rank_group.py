"""Communication between the ranks that train one run together, one process a device, and how they fail together.

Rank zero alone holds locks, writes files and prints; the others follow it from run to run. Gradients go through
DistributedDataParallel, everything else through a second group on the CPU, which a full GPU cannot block. A failure of
one rank ends all, because the others would wait for it for ever.
"""

from __future__ import annotations

import json
import logging
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import ProcessGroup

from benchmarks.fabric import DDPStrategy, Fabric, LightningEnvironment, TorchElasticEnvironment
from benchmarks.protocol.recipe import Precision
from benchmarks.signals import Stop, exit_now
from benchmarks.training.batch_norm import BatchNormStats, merge_in_order, read_stats, write_stats
from benchmarks.training.device_layout import Layout, Share, shares
from benchmarks.training.precision import precision_plugin
from rssam.errors import UserError

LONGEST_WAIT = timedelta(days=14)
"""Rank zero may wait for another command's run, and the others for rank zero; threads look for failed ranks."""
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_LEARN_REASON = 5.0
"""How long a rank waits to learn why it has lost the connection to the others."""

Value = TypeVar("Value")


class SingleProcess:
    """Only process of a run on one device: no other rank to wait for, nothing to add up."""

    rank = 0
    size = 1

    @property
    def is_rank_zero(self) -> bool:
        """Return whether this process writes files and prints."""
        return self.rank == 0

    def shares(self, groups: int, per_step: int) -> list[Share]:
        """Return what this device takes of every step of an epoch of `groups` groups."""
        return shares(groups, per_step, self.rank, self.size)

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over all ranks of float64 or int64 values on the CPU."""
        return values

    def barrier(self, place: object = None) -> None:
        """Wait for the other ranks. Raises UserError if not all have come to the same place."""

    def sync_stop(self, stop: Stop, save: bool = False) -> tuple[bool, bool]:
        """Return whether to stop, if any rank was asked to, and whether to save, if rank zero asks for it."""
        return stop.wanted, save

    def check(self, stop: Stop) -> None:
        """Raise Interrupted on all ranks if one was asked to stop."""
        if self.sync_stop(stop)[0]:
            stop.check()

    def all_states(self, states: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the random states of all ranks, those of ranks from 1 on under "rank.name"."""
        return states

    def own_states(self, states: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return this rank's part of what `all_states` gave; empty if there were fewer ranks then."""
        return {name: value for name, value in states.items() if "." not in name}

    def accumulating(self, model: Any, more: bool) -> AbstractContextManager[None]:
        """Return the context of one group's backward pass; with `more` to follow, gradients are not averaged yet."""
        return nullcontext()

    def statistics(self, net: nn.Module) -> BatchNormStats | None:
        """Return the running statistics of batch norm before a step, for `merge`."""
        return None

    def merge(self, net: nn.Module, before: BatchNormStats | None, share: Share) -> None:
        """Set the running statistics after a step as if one device had seen the groups of all ranks in turn."""

    def collect(self, parts: dict[int, Value], count: int, *, rank_zero_only: bool = False) -> dict[int, Value]:
        """Return parts 0..count-1 from all ranks; with `rank_zero_only` the other ranks get their own parts alone.

        Raises UserError if a part is missing or came twice.
        """
        return _merge_parts([parts], count)


ALONE = SingleProcess()


class RankGroup(SingleProcess):
    """Ranks of a run on several devices. Every rank makes one at the same time.

    `children` are the processes that this one has started.
    """

    def __init__(
        self, layout: Layout, device: str, precision: Precision, children: list[subprocess.Popen[bytes]]
    ) -> None:
        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it prints a banner
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")  # old versions lack its successor
        environment = TorchElasticEnvironment() if layout.started else LightningEnvironment()
        strategy = DDPStrategy(broadcast_buffers=False, timeout=LONGEST_WAIT)
        self.fabric = Fabric(
            accelerator=device, devices=layout.devices, num_nodes=layout.nodes, strategy=strategy,
            plugins=[environment, precision_plugin(device, precision)],
        )  # fmt: skip
        self.fabric.launch()
        self.rank, self.size = self.fabric.global_rank, self.fabric.world_size
        self.on_failure: Callable[[str, str], None] = lambda reason, trace: None
        cpu_group = dist.new_group(backend="gloo", timeout=LONGEST_WAIT)
        assert isinstance(cpu_group, ProcessGroup)
        self._cpu_group = cpu_group
        tcp_store: Any = dist.TCPStore  # type: ignore[attr-defined]  # public, but not exported explicitly
        address, server = environment.main_address, None
        if self.is_rank_zero:
            server = tcp_store(address, 0, is_master=True, wait_for_workers=False)
        port = self._broadcast(server.port if server else None)
        self._store = server or tcp_store(address, port, is_master=False, wait_for_workers=False)
        self._children = children
        self._finished = threading.Event()
        self._failed_here = False
        self._watch = threading.Thread(target=self._watch_other_ranks, name="watch-other-ranks", daemon=True)
        self._watch.start()

    def broadcast_run(self, run: object) -> None:
        """Send the other ranks the run to work on."""
        self._broadcast(run)

    def release(self) -> None:
        """End the group: the other ranks exit. They have exited already if one has failed."""
        if not self._failed_here:
            self._broadcast(None)
            self._leave_group()

    def receive_run(self) -> Any:
        """Return the next run that rank zero sends, None if there is none left."""
        run = self._broadcast(None)
        if run is None:
            self._leave_group()
        return run

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of `values` over all ranks."""
        result = values.clone()
        dist.all_reduce(result, group=self._cpu_group)
        return result

    def barrier(self, place: object = None) -> None:
        """Wait for all ranks; raise UserError if they are at different places of the training."""
        places = self._all_gather(place)
        if any(other != places[0] for other in places):
            raise UserError(
                f"the devices are not at the same place of the training ({', '.join(map(str, places))}): all nodes "
                "must see the same home folder; give it with --home"
            )

    def sync_stop(self, stop: Stop, save: bool = False) -> tuple[bool, bool]:
        """Return whether any rank was asked to stop, and whether rank zero asks to save; the same on every rank."""
        wishes = self.total(torch.tensor([int(stop.wanted), int(save and self.is_rank_zero)]))
        if int(wishes[0]) and not stop.wanted:
            stop.signal = "a signal to another device"
        return bool(wishes[0]), bool(wishes[1])

    def all_states(self, states: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the states of all ranks together, those of other ranks under names that begin with the rank."""
        gathered = self._all_gather(states)
        others = {f"{rank}.{name}": value for rank in range(1, self.size) for name, value in gathered[rank].items()}
        return {**gathered[0], **others}

    def own_states(self, states: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the states of this rank out of those of all ranks."""
        if self.is_rank_zero:
            return super().own_states(states)
        prefix = f"{self.rank}."
        return {name.removeprefix(prefix): value for name, value in states.items() if name.startswith(prefix)}

    def accumulating(self, model: Any, more: bool) -> AbstractContextManager[None]:
        """Return a context in which gradients are not averaged as long as `more` groups follow."""
        return self.fabric.no_backward_sync(model, enabled=more)

    def statistics(self, net: nn.Module) -> BatchNormStats | None:
        """Return the running statistics of the network's batch norms."""
        return read_stats(net)

    def merge(self, net: nn.Module, before: BatchNormStats | None, share: Share) -> None:
        """Merge the running statistics of all ranks into the network; see `merge_in_order`."""
        assert before is not None
        if before.updates.numel():
            after = read_stats(net) if share.groups else before
            write_stats(net, merge_in_order(net, before, self._all_gather(after)))

    def collect(self, parts: dict[int, Value], count: int, *, rank_zero_only: bool = False) -> dict[int, Value]:
        """Return parts 0..count-1 from all ranks; see `SingleProcess.collect`."""
        if not rank_zero_only:
            return _merge_parts(self._all_gather(parts), count)
        gathered: list[Any] | None = [None] * self.size if self.is_rank_zero else None
        dist.gather_object(parts, gathered, dst=0, group=self._cpu_group)
        return parts if gathered is None else _merge_parts(gathered, count)

    def abort(self, reason: str, trace: str, *, lost: bool) -> str:
        """End the other ranks, which wait for this one, because it cannot go on; return the reason to print.

        Only rank zero returns, and its plan must end. `lost` says that a connection broke: then another rank has the
        reason, or has died.
        """
        if lost:
            time.sleep(SECONDS_TO_LEARN_REASON)  # the watching thread ends this process if another rank has a reason
            reason = "the process of another device ended abruptly (out of memory?)"
        self._failed_here = True
        self._store.set("failed", json.dumps([self.rank, reason, trace]))
        if not self.is_rank_zero:
            time.sleep(60)  # until rank zero has reported it; the watching thread ends this process then
            exit_now()
        self._finished.set()
        return f"{reason}; the other devices have ended with it, and what was saved is kept"

    def _watch_other_ranks(self) -> None:
        """End this process if another rank has failed, in a thread of its own, because it may wait for ever."""
        while not self._finished.wait(SECONDS_BETWEEN_LOOKS):
            try:
                failed = json.loads(self._store.get("failed")) if self._store.check(["failed"]) else None
            except (RuntimeError, ValueError):  # rank zero is gone
                exit_now()
            if self._failed_here and self._store.check(["reported"]):
                exit_now()
            if failed is None and any(child.poll() not in (None, 0) for child in self._children):
                failed = [-1, "the process of another device ended abruptly (out of memory?)", ""]
            if failed is None or self._failed_here or self._finished.is_set():
                continue
            if self.is_rank_zero:
                rank, reason, trace = failed
                origin = f"device {rank}: " if rank >= 0 else ""
                self.on_failure(f"{origin}{reason}; all devices end, and what was saved is kept: run again", trace)
                self._store.set("reported", "")
                time.sleep(4 * SECONDS_BETWEEN_LOOKS)  # the others see it and exit first
                exit_now()
            exit_now(0)  # no fault of this rank

    def _leave_group(self) -> None:
        self._finished.set()
        self._watch.join()
        dist.barrier(group=self._cpu_group)
        dist.destroy_process_group()

    def _broadcast(self, value: Any) -> Any:
        values = [value]
        dist.broadcast_object_list(values, src=0, group=self._cpu_group, device=torch.device("cpu"))
        return values[0]

    def _all_gather(self, value: Value) -> list[Value]:
        gathered: list[Any] = [None] * self.size
        dist.all_gather_object(gathered, value, group=self._cpu_group)
        return gathered


def is_lost(error: BaseException) -> bool:
    """Return whether an error says that the connection to another rank broke."""
    return isinstance(error, RuntimeError) and (isinstance(error, dist.DistError) or "gloo" in str(error).lower())


def _merge_parts(gathered: list[dict[int, Value]], count: int) -> dict[int, Value]:
    """Return the parts of all ranks as one. Raises UserError unless they are 0..count-1, each once."""
    numbers = sorted(number for parts in gathered for number in parts)
    if numbers != list(range(count)):
        raise UserError(f"expected each of {count} images or groups once, found {len(numbers)}: run again")
    return {number: value for parts in gathered for number, value in parts.items()}

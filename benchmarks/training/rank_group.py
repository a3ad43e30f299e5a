"""The processes that train one run together, one a device: what they tell each other, and how they end.

The first leads: it alone holds locks, writes files and speaks; the others follow it from run to run. Gradients go
through DistributedDataParallel; all else through a second group on the CPU, which a full GPU cannot block. Whatever
only one of them meets ends all, because the others would wait for it for ever.
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
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn
from torch.distributed.distributed_c10d import ProcessGroup

from benchmarks.protocol.recipe import Precision
from benchmarks.signals import Stop, exit_now
from benchmarks.training.batch_norm import BatchNormStats, merge_in_order, read_stats, write_stats
from benchmarks.training.device_layout import Layout, Share, shares
from rssam.errors import UserError

LONGEST_WAIT = timedelta(days=14)
"""The first may wait for another command's run before it calls the others; the watch below knows who has died."""
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_TO_LEARN = 5.0
"""How long one waits to learn why it has lost the others."""

Value = TypeVar("Value")


class SingleProcess:
    """A team of one: nobody to ask, nothing to add."""

    rank = 0
    size = 1

    @property
    def is_rank_zero(self) -> bool:
        """Whether this process writes and speaks."""
        return self.rank == 0

    def shares(self, groups: int, per_step: int) -> list[Share]:
        """What this device takes of every step of an epoch."""
        return shares(groups, per_step, self.rank, self.size)

    def total(self, values: Tensor) -> Tensor:
        """The sum over all devices, of float64 or int64 values on the CPU."""
        return values

    def barrier(self, place: object = None) -> None:
        """Wait for the others. Raises UserError if not all have come to the same place."""

    def sync_stop(self, stop: Stop, save: bool = False) -> tuple[bool, bool]:
        """Whether to stop, if any device was asked to, and whether to save, if the first wants to."""
        return stop.wanted, save

    def check(self, stop: Stop) -> None:
        """Raise Interrupted on all devices if one was asked to stop."""
        if self.sync_stop(stop)[0]:
            stop.check()

    def all_states(self, states: dict[str, Tensor]) -> dict[str, Tensor]:
        """The random states of all devices, those of the others under "rank.name"."""
        return states

    def own_states(self, states: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """This device's part of what `all_states` gave; empty if there were fewer devices then."""
        return {name: value for name, value in states.items() if "." not in name}

    def accumulating(self, model: Any, more: bool) -> AbstractContextManager[None]:
        """For a group; `more` follow before the gradients are averaged."""
        return nullcontext()

    def statistics(self, net: nn.Module) -> BatchNormStats | None:
        """Running statistics before a step, for `merge`."""
        return None

    def merge(self, net: nn.Module, before: BatchNormStats | None, share: Share) -> None:
        """After a step: running statistics as if one device had seen the groups of all in turn."""

    def collect(self, parts: dict[int, Value], count: int, *, leader_only: bool = False) -> dict[int, Value]:
        """Parts 0..count-1 from all devices, each of which must have come once; others get theirs with `leader_only`.

        Raises UserError if one is missing or came twice.
        """
        return _whole([parts], count)


class RankGroup(SingleProcess):
    """Several devices. Made on all of them at the same time; `children` are processes that this one has started."""

    def __init__(
        self, layout: Layout, device: str, precision: Precision, children: list[subprocess.Popen[bytes]]
    ) -> None:
        for name in ("lightning.fabric", "lightning.pytorch"):  # a banner; the second has taken the logger of the first
            logging.getLogger(name).setLevel(logging.WARNING)
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")  # its successor is not in all of ours
        where = TorchElasticEnvironment() if layout.started else LightningEnvironment()
        strategy = DDPStrategy(broadcast_buffers=False, timeout=LONGEST_WAIT)
        self.fabric = Fabric(
            accelerator=device, devices=layout.devices, num_nodes=layout.nodes, strategy=strategy,
            precision=precision, plugins=[where],
        )  # fmt: skip
        self.fabric.launch()
        self.rank, self.size = self.fabric.global_rank, self.fabric.world_size
        self.on_failure: Callable[[str, str], None] = lambda reason, trace: None
        talk = dist.new_group(backend="gloo", timeout=LONGEST_WAIT)
        assert isinstance(talk, ProcessGroup)
        self._talk = talk
        board: Any = dist.TCPStore  # type: ignore[attr-defined]  # public, but not exported explicitly
        server = board(where.main_address, 0, is_master=True, wait_for_workers=False) if self.is_rank_zero else None
        port = self._from_first(server.port if server else None)
        self._board = server or board(where.main_address, port, is_master=False, wait_for_workers=False)
        self._children = children
        self._over = threading.Event()
        self._failed_here = False
        self._watch = threading.Thread(target=self._watch_other_ranks, name="watch", daemon=True)
        self._watch.start()

    def broadcast_run(self, what: object) -> None:
        """Set the others to work."""
        self._from_first(what)

    def release(self) -> None:
        """Let the others go, and end the team; they are gone already where one has failed."""
        if not self._failed_here:
            self._from_first(None)
            self._part()

    def receive_run(self) -> Any:
        """What the first one wants done; None if there is nothing more."""
        what = self._from_first(None)
        if what is None:
            self._part()
        return what

    def total(self, values: Tensor) -> Tensor:
        """See Team."""
        result = values.clone()
        dist.all_reduce(result, group=self._talk)
        return result

    def barrier(self, place: object = None) -> None:
        """See Team."""
        places = self._from_all(place)
        if any(other != places[0] for other in places):
            raise UserError(
                f"the devices are not at the same place of the training ({', '.join(map(str, places))}): all nodes "
                "must see the same home folder; give it with --home"
            )

    def sync_stop(self, stop: Stop, save: bool = False) -> tuple[bool, bool]:
        """See Team."""
        wishes = self.total(torch.tensor([int(stop.wanted), int(save and self.is_rank_zero)]))
        if int(wishes[0]) and not stop.wanted:
            stop.signal = "a signal to another device"
        return bool(wishes[0]), bool(wishes[1])

    def all_states(self, states: dict[str, Tensor]) -> dict[str, Tensor]:
        """See Team."""
        every = self._from_all(states)
        others = {f"{rank}.{name}": value for rank in range(1, self.size) for name, value in every[rank].items()}
        return {**every[0], **others}

    def own_states(self, states: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See Team."""
        if self.is_rank_zero:
            return super().own_states(states)
        prefix = f"{self.rank}."
        return {name.removeprefix(prefix): value for name, value in states.items() if name.startswith(prefix)}

    def accumulating(self, model: Any, more: bool) -> AbstractContextManager[None]:
        """See Team."""
        return self.fabric.no_backward_sync(model, enabled=more)

    def statistics(self, net: nn.Module) -> BatchNormStats | None:
        """See Team."""
        return read_stats(net)

    def merge(self, net: nn.Module, before: BatchNormStats | None, share: Share) -> None:
        """See Team."""
        assert before is not None
        if before.updates.numel():
            after = read_stats(net) if share.groups else before
            write_stats(net, merge_in_order(net, before, self._from_all(after)))

    def collect(self, parts: dict[int, Value], count: int, *, leader_only: bool = False) -> dict[int, Value]:
        """See Team."""
        if not leader_only:
            return _whole(self._from_all(parts), count)
        every: list[Any] | None = [None] * self.size if self.is_rank_zero else None
        dist.gather_object(parts, every, dst=0, group=self._talk)
        return parts if every is None else _whole(every, count)

    def abort(self, reason: str, trace: str, *, lost: bool) -> str:
        """End the others, who wait for this device; to be called where it cannot go on. Returns the reason to tell.

        Only the first returns, and its plan must end. `lost` says that it was a connection that broke: then one of the
        others knows better, or has died.
        """
        if lost:
            time.sleep(SECONDS_TO_LEARN)  # the watch ends this process if there is something to tell
            reason = "the process of another device ended abruptly (out of memory?)"
        self._failed_here = True
        self._board.set("failed", json.dumps([self.rank, reason, trace]))
        if not self.is_rank_zero:
            time.sleep(60)  # until the first has told it; the watch ends this process then
            exit_now()
        self._over.set()
        return f"{reason}; the other devices have ended with it, and what was saved is kept"

    def _watch_other_ranks(self) -> None:
        """In a thread of its own: end this process where another one has failed, for it may wait for ever."""
        while not self._over.wait(SECONDS_BETWEEN_LOOKS):
            try:
                failed = json.loads(self._board.get("failed")) if self._board.check(["failed"]) else None
            except (RuntimeError, ValueError):  # the first is gone
                exit_now()
            if self._failed_here and self._board.check(["told"]):
                exit_now()
            if failed is None and any(child.poll() not in (None, 0) for child in self._children):
                failed = [-1, "the process of another device ended abruptly (out of memory?)", ""]
            if failed is None or self._failed_here or self._over.is_set():
                continue
            if self.is_rank_zero:
                rank, reason, trace = failed
                who = f"device {rank}: " if rank >= 0 else ""
                self.on_failure(f"{who}{reason}; all devices end, and what was saved is kept: run again", trace)
                self._board.set("told", "")
                time.sleep(4 * SECONDS_BETWEEN_LOOKS)  # the others look, and go first
                exit_now()
            exit_now(0)  # no fault of this one

    def _part(self) -> None:
        self._over.set()
        self._watch.join()
        dist.barrier(group=self._talk)
        dist.destroy_process_group()

    def _from_first(self, what: Any) -> Any:
        parcel = [what]
        dist.broadcast_object_list(parcel, src=0, group=self._talk, device=torch.device("cpu"))
        return parcel[0]

    def _from_all(self, what: Value) -> list[Value]:
        every: list[Any] = [None] * self.size
        dist.all_gather_object(every, what, group=self._talk)
        return every


def is_lost(error: BaseException) -> bool:
    """Whether it was the connection to another device that broke."""
    return isinstance(error, RuntimeError) and (isinstance(error, dist.DistError) or "gloo" in str(error).lower())


def _whole(every: list[dict[int, Value]], count: int) -> dict[int, Value]:
    numbers = sorted(number for parts in every for number in parts)
    if numbers != list(range(count)):
        raise UserError(f"expected each of {count} images or groups once, found {len(numbers)}: run again")
    return {number: value for parts in every for number, value in parts.items()}

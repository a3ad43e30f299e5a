"""Lay one run out on several devices: how many there are, who starts them, what each takes. Imports no torch.

A process has one device. The loss is pooled over whole groups of images, so each device takes whole groups of a batch.
The batch stays that of the recipe: the number of devices is in no key.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from benchmarks.protocol.recipe import Recipe
from rssam.errors import UserError

Device = Literal["cpu", "cuda"]


class DevicesUnfit(UserError):
    """Raised for a number of devices that cannot be had, or that does not divide the groups of a batch."""


@dataclass(frozen=True)
class Layout:
    """Devices on each of the nodes; `started` if something else (torchrun) has started all processes."""

    devices: int = 1
    nodes: int = 1
    started: bool = False

    @property
    def size(self) -> int:
        """Return the number of devices on all nodes together, each with a process."""
        return self.devices * self.nodes


@dataclass(frozen=True)
class Share:
    """Share of a device in an optimiser step: `groups`, by number in the epoch, of all the groups of the step."""

    groups: range
    step: range

    @property
    def read(self) -> range:
        """Return the groups to compute.

        A device without any computes the first at weight 0, because the others wait for it.
        """
        return self.groups or self.step[:1]


def shares(groups: int, per_step: int, rank: int, size: int) -> list[Share]:
    """Return the share of device `rank` of `size` in every step of an epoch.

    Neighbouring groups stay on one device, in their order. The last step of an epoch may have fewer groups, and then
    the last devices have fewer or none.

    Args:
        groups: number of groups in the epoch.
        per_step: groups of an optimiser step.
        rank: number of the device, from 0.
        size: number of devices.
    """
    groups_of_rank = per_step // size
    steps = [range(first, min(first + per_step, groups)) for first in range(0, groups, per_step)]
    return [Share(step[rank * groups_of_rank : (rank + 1) * groups_of_rank], step) for step in steps]


def find_layout(devices: int | None, nodes: int | None, environment: Mapping[str, str] = os.environ) -> Layout:
    """Return what was asked for, or what torchrun has started. Raises DevicesUnfit if the two differ."""
    if "TORCHELASTIC_RUN_ID" not in environment:
        layout = Layout(devices or 1, nodes or 1)
        missing = [name for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK") if name not in environment]
        if layout.nodes > 1 and missing:
            raise DevicesUnfit(
                f"--nodes {layout.nodes} must know the other nodes: set {', '.join(missing)} on every node (address "
                "and a free port of the first one, and 0, 1, ... as the node's own number), or start with torchrun"
            )
        return layout
    local = int(environment["LOCAL_WORLD_SIZE"])
    started = Layout(local, int(environment["WORLD_SIZE"]) // local, started=True)
    if (devices or started.devices, nodes or started.nodes) != (started.devices, started.nodes):
        raise DevicesUnfit(
            f"torchrun has started {started.devices} process(es) on each of {started.nodes} node(s), and --devices "
            f"{devices or started.devices} --nodes {nodes or started.nodes} was asked for: leave both options out"
        )
    return started


def require_fit(layout: Layout, recipes: Iterable[Recipe], available: int | None = None) -> None:
    """Raise DevicesUnfit if the devices do not divide the groups of a batch, or if this node has fewer `available`."""
    if available is not None and layout.devices > available:
        raise DevicesUnfit(
            f"--devices {layout.devices} was asked for, and the driver offers {available} CUDA device(s): "
            f"use --devices {available}"
        )
    for recipe in recipes:
        groups = recipe.batch // recipe.group
        if groups % layout.size:
            divisors = [str(count) for count in range(1, groups + 1) if groups % count == 0]
            raise DevicesUnfit(
                f"a batch of the {recipe.name} recipe is {groups} group(s) of {recipe.group} images, and each device "
                f"takes whole groups, as many as the others; {layout.size} cannot: choose {' or '.join(divisors)}"
            )


def local_rank() -> int:
    """Return the number of this process on its node; 0 for a process that was started by hand."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def start_others(layout: Layout) -> list[subprocess.Popen[bytes]]:
    """Start the same command once for each other device of this node, unless this process was started so itself.

    What each must know stands in its environment, under the names that PyTorch gave it.
    """
    if layout.started or "LOCAL_RANK" in os.environ:
        return []
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", str(_free_port()))
    os.environ.setdefault("NODE_RANK", "0")
    os.environ |= {"LOCAL_RANK": "0", "WORLD_SIZE": str(layout.size)}
    main = sys.modules["__main__"].__spec__
    command = [sys.executable, *(["-m", main.name] if main else [os.path.abspath(sys.argv[0])]), *sys.argv[1:]]
    quiet = {"TORCH_CPP_LOG_LEVEL": "ERROR"}  # if the first is killed, the others end; that they miss it is no news
    return [
        subprocess.Popen(command, env={**quiet, **os.environ, "LOCAL_RANK": str(number)})
        for number in range(1, layout.devices)
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

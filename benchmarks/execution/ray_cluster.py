"""Join a Ray cluster, find its device, and say what a run reserves on a node. Importing this needs Ray."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.execution.hardware import DeviceChoice
from benchmarks.failures import first_line
from benchmarks.training.device_layout import Device
from rssam.errors import UserError

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a benchmark does not phone home
try:
    import ray
    from ray.exceptions import RayError
except ImportError as error:
    raise UserError('--executor ray needs Ray, which is an extra: pip install "ray>=2.40"') from error

SECONDS_TO_ANSWER = 10.0
OBJECT_STORE = 128 * 2**20
"""Bytes of shared memory for a Ray on this machine: nothing but outcomes goes through it."""
GIB = 2**30


@dataclass(frozen=True)
class Reservation:
    """Resources that a run reserves on a node.

    Ray adds reservations up and does not enforce them; memory is that of the host.
    """

    gpus: int
    cpus: int
    memory: int  # bytes

    @property
    def text(self) -> str:
        """Return the reservation for a person."""
        gpus = f"{self.gpus} GPU, " if self.gpus else ""
        return f"{gpus}{self.cpus} CPU and {self.memory / GIB:.0f} GiB of memory"


RESERVATIONS = {"cpu": Reservation(0, 1, 2 * GIB), "cuda": Reservation(1, 1, 6 * GIB)}
"""Of a run by its device, when it reads images in its own process."""
RESERVATION_OF_A_READER = Reservation(0, 1, GIB)
"""Of each process of `--workers` besides."""


def reservation(device: Device, workers: int) -> Reservation:
    """Return what each run of a session reserves."""
    run, reader = RESERVATIONS[device], RESERVATION_OF_A_READER
    return Reservation(run.gpus, run.cpus + workers * reader.cpus, run.memory + workers * reader.memory)


@contextmanager
def open_cluster(address: str | None, wish: DeviceChoice) -> Iterator[Device]:
    """Join the cluster at that address, or start one of this machine alone; yield the device that its runs use.

    Raises UserError if no cluster answers there, or if a GPU is asked for and no node has one.
    """
    _require_answer(address)
    alone: dict[str, Any] = {} if address else {"object_store_memory": OBJECT_STORE, "include_dashboard": False}
    try:
        ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **alone)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        raise _no_cluster(address or "this machine", first_line(error, type(error).__name__)) from error
    try:
        has_gpu = any(node["Resources"].get("GPU", 0) >= 1 for node in _nodes())
        if wish == "cuda" and not has_gpu:
            raise UserError("--device cuda was asked for, but no node of the Ray cluster has a GPU; use --device cpu")
        yield "cuda" if has_gpu and wish != "cpu" else "cpu"
    finally:
        ray.shutdown()


def _require_answer(address: str | None) -> None:
    """Raise UserError if nothing answers at HOST:PORT: Ray itself would try for minutes without a message."""
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), SECONDS_TO_ANSWER).close()
    except OSError as error:
        raise _no_cluster(str(address), error.strerror or str(error)) from error


def _no_cluster(place: str, reason: str) -> UserError:
    return UserError(
        f"Ray at {place} cannot be used ({reason}); start a cluster with: ray start --head, and give its address, or "
        "leave out --ray-address to use this machine alone"
    )


def _nodes() -> list[dict[str, Any]]:
    client: Any = ray  # it leaves this function without types
    return [node for node in client.nodes() if node["Alive"]]


def require_room(needed: Reservation) -> None:
    """Raise UserError if no node could ever take a run: Ray would wait for one without a message."""
    for node in _nodes():
        offered = node["Resources"]
        if (
            offered.get("GPU", 0) >= needed.gpus
            and offered.get("CPU", 0) >= needed.cpus
            and offered.get("memory", 0) >= needed.memory
        ):
            return
    raise UserError(
        f"a run needs {needed.text}, and no node of the Ray cluster offers that; see: ray status. Fewer --workers need "
        "less, and ray start takes --num-gpus, --num-cpus and --memory"
    )

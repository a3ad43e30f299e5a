"""Calls to a service that may be gone, locked, slow or ill: none lasts long, no fault gets through, each is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class TimeoutCaller:
    """Waits for a call at most so many seconds; after a fault it makes none for so many seconds of silence.

    A call that was given up goes on by itself, and none is made before it has ended. `complain` is told of each fault.
    """

    complain: Callable[[Exception], None]
    seconds_to_answer: float = 60.0
    seconds_of_silence: float = 300.0
    _silent_until: float = field(default=0.0, init=False)
    _calling: threading.Thread | None = field(default=None, init=False)

    def call(self, what: Callable[[], object], ready: Callable[[], object]) -> None:
        """Call `ready`, which may take its time, and then `what`; or neither, in the silence after a fault."""
        if time.monotonic() < self._silent_until or (self._calling is not None and self._calling.is_alive()):
            return
        faults: list[Exception] = []

        def attempt(call: Callable[[], object]) -> None:
            try:
                call()
            except Exception as error:  # noqa: BLE001  (whatever the service and its client raise must stop nothing)
                faults.append(error)

        attempt(ready)
        if not faults:
            self._calling = threading.Thread(target=attempt, args=(what,), name="patience", daemon=True)
            self._calling.start()
            self._calling.join(self.seconds_to_answer)
            if self._calling.is_alive():
                faults.append(TimeoutError(f"no answer within {self.seconds_to_answer:.0f} s"))
        if faults:
            self._silent_until = time.monotonic() + self.seconds_of_silence
            self.complain(faults[0])

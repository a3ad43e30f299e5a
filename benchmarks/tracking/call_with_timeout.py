"""Call a service that may be gone, locked or slow: no call lasts long, no exception gets through, each is reported."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class TimeoutCaller:
    """Caller of a service, each time for at most `seconds_to_answer`; it makes no calls for a while after a fault.

    A call that was given up goes on in its thread; no other is made before it has ended. Each fault goes to `report`.
    """

    report: Callable[[Exception], None]
    seconds_to_answer: float = 60.0
    seconds_of_pause: float = 300.0
    _paused_until: float = field(default=0.0, init=False)
    _calling: threading.Thread | None = field(default=None, init=False)

    def call(
        self, function: Callable[[], object], before: Callable[[], object], more: Callable[[], float] = float
    ) -> None:
        """Call `before`, which has no time limit, and then `function`; or neither, in the pause after a fault.

        `more` returns, after `before`, how many seconds `function` may take beyond `seconds_to_answer`.
        """
        if time.monotonic() < self._paused_until or (self._calling is not None and self._calling.is_alive()):
            return
        faults: list[Exception] = []

        def attempt(function: Callable[[], object]) -> None:
            try:
                function()
            except Exception as error:  # noqa: BLE001  (whatever the service and its client raise must stop nothing)
                faults.append(error)

        attempt(before)
        if not faults:
            seconds = self.seconds_to_answer + more()
            self._calling = threading.Thread(target=attempt, args=(function,), name="call-with-timeout", daemon=True)
            self._calling.start()
            self._calling.join(seconds)
            if self._calling.is_alive():
                faults.append(TimeoutError(f"no answer within {seconds:.0f} s"))
        if faults:
            self._paused_until = time.monotonic() + self.seconds_of_pause
            self.report(faults[0])

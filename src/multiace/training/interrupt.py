"""Stop on SIGTERM and SIGINT after the step that is running, with the state saved."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any


class TrainingInterrupted(SystemExit):
    """A run that was stopped by a signal after its state was saved; the code is 128 + signal."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(128 + signal_number)
        self.signal_number, self.message = signal_number, message

    def __reduce__(self) -> tuple[type[TrainingInterrupted], tuple[int, str]]:
        return type(self), (self.signal_number, self.message)

    def __str__(self) -> str:
        return self.message


class StopRequest:
    """Remember a signal while training runs; a second one ends the process at once.

    Signals reach the main thread only: elsewhere (in a notebook's worker, say) this does nothing.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._take) for number in self.SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            os._exit(128 + number)
        self.signal = number

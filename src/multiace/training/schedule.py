"""Learning rates over time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiace.training.config import Schedule


class Rate:
    """The learning rate as a factor of `optimiser.rate`.

    With t the training time in epochs (fractions while an epoch runs):

    | schedule | factor |
    |---|---|
    | constant | 1 |
    | exponential | factor^t |
    | cosine | m + (1 - m) (1 + cos(pi t / epochs)) / 2, m = minimum; m after the last epoch |
    | plateau | factor^k after k stalls |

    Every form is at least `minimum` and is multiplied by t / warm_up in the warm-up. A stall is
    `patience` + 1 validations in a row without a loss below (1 - threshold) times the lowest, as
    in torch's ReduceLROnPlateau; NaN is no improvement. Only fresh validations count.

    Example:
        >>> from multiace.training.config import Schedule
        >>> rate = Rate(Schedule(name="cosine", epochs=10, warm_up=1))
        >>> [round(rate.factor_at(t), 3) for t in (0.5, 5.0, 10.0)]
        [0.497, 0.5, 0.0]
    """

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self.reset()

    def reset(self) -> None:
        """Forget the validations, as the second stage of a loss does."""
        self._lowest: float | None = None
        self._waited = 0
        self._stalls = 0

    def factor_at(self, t: float) -> float:
        """Return the factor at a training time of t epochs."""
        schedule = self._schedule
        factor = 1.0
        if schedule.name == "exponential":
            factor = _given(schedule.factor) ** t
        elif schedule.name == "cosine":
            phase = min(t / _given(schedule.epochs), 1.0)
            rise = 0.5 * (1.0 + math.cos(math.pi * phase))
            factor = schedule.minimum + (1.0 - schedule.minimum) * rise
        elif schedule.name == "plateau":
            factor = _given(schedule.factor) ** self._stalls
        warmth = min(t / schedule.warm_up, 1.0) if schedule.warm_up > 0 else 1.0
        return max(factor, schedule.minimum) * warmth

    def validated(self, loss: float) -> None:
        """Take note of a fresh validation loss."""
        threshold = 1.0 - self._schedule.threshold
        if math.isfinite(loss) and (self._lowest is None or loss < self._lowest * threshold):
            self._lowest = loss
            self._waited = 0
            return
        self._waited += 1
        if self._waited > self._schedule.patience:
            self._stalls += 1
            self._waited = 0

    def state(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {"lowest": self._lowest, "waited": self._waited, "stalls": self._stalls}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self._lowest, self._waited = state["lowest"], state["waited"]
        self._stalls = state["stalls"]


def _given(value: float | int | None) -> float | int:
    assert value is not None, "the schedule must be resolved"
    return value

"""What the seeds of a cell came to, in one cell of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from multiace.probes.result import Value
from multiace.report import Uncertain
from multiace.report.table import Cell


def over_seeds(values: Sequence[Value]) -> Cell:
    """Return mean and standard deviation (n - 1) of numbers, and how often each word came.

    Args:
        values: one for each seed; None where there is none.

    Returns:
        None without values; what all seeds agree in as it is.

    Example:
        >>> over_seeds([1.0, 2.0, 3.0])
        Uncertain(value=2.0, error=1.0)
        >>> over_seeds(["C2", "C2"]), over_seeds([True, False]), over_seeds([900.0, None, None])
        ('C2', 'yes (1), no (1)', '900 (1), none (2)')
    """
    if all(value is None for value in values):
        return None
    if len(set(values)) == 1:
        return _word(values[0]) if isinstance(values[0], bool) else values[0]
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) == len(values):
        return Uncertain(float(np.mean(numbers)), float(np.std(numbers, ddof=1)))
    return ", ".join(f"{word} ({n})" for word, n in Counter(map(_word, values)).items())


def _word(value: Value) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)

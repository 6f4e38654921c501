"""Activations scaled to unit second moment."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": torch.nn.functional.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}


@dataclass(frozen=True)
class Activation:
    """f(x) = constant * name(x).

    Example:
        >>> round(float(Activation.of("silu")(torch.tensor(1.0))), 4)
        1.2256
    """

    name: str
    constant: float

    @classmethod
    def of(
        cls, name: str, normalisation: str | Mapping[str, float] = "second_moment"
    ) -> Activation:
        """Return a named activation.

        Args:
            name: silu, tanh or sigmoid.
            normalisation: `second_moment` (E f(x)^2 = 1 for x ~ N(0, 1)), `none`, or constants by
                name: those of an imported model, which may have been sampled.

        Raises:
            ValueError: constants without an entry for `name`.
        """
        if isinstance(normalisation, Mapping):
            if name not in normalisation:
                raise ValueError(
                    f"normalisation.activation has constants for {sorted(normalisation)} but the "
                    f"design uses {name!r}. Add its constant."
                )
            return cls(name, normalisation[name])
        return cls(name, second_moment_constant(name) if normalisation == "second_moment" else 1.0)

    def __call__(self, x: Tensor) -> Tensor:
        """Evaluate the activation."""
        y = _FUNCTIONS[self.name](x)
        return y if self.constant == 1.0 else y * self.constant


@lru_cache
def second_moment_constant(name: str) -> float:
    """Return 1 / sqrt(E f(x)^2), x ~ N(0, 1), by Gauss-Hermite quadrature.

    Example:
        >>> round(second_moment_constant("silu"), 5), round(second_moment_constant("tanh"), 5)
        (1.67653, 1.59254)
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(180)
    values = _FUNCTIONS[name](torch.from_numpy(nodes)).numpy()
    return float(1.0 / math.sqrt(weights @ values**2 / math.sqrt(2.0 * math.pi)))

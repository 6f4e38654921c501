"""Initial weights: one random stream for each named weight of a model."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Initialisation:
    """Draw weights by name, so that equal parts of two designs start from equal weights.

    Every weight has its own stream, seeded by (seed, name): adding a layer or a readout leaves
    the others' initial values as they were. Values are drawn in float64 and cast.

    Args:
        seed: seed of the whole model.
        distribution: normal, uniform or orthogonal, each of unit variance.
        fan_in: `forward` (unit weights, 1/sqrt(fan-in) in every forward pass) or `initial`
            (1/sqrt(fan-in) in the values drawn).
        dtype: dtype of the weights.
        prefix: name of the module the weights belong to.

    Example:
        >>> weight, factor = Initialisation(seed=0).scope("layer").linear("w", (4, 2), fan_in=4)
        >>> tuple(weight.shape), factor
        ((4, 2), 0.5)
    """

    seed: int
    distribution: str = "normal"
    fan_in: str = "forward"
    dtype: torch.dtype = torch.float64
    prefix: str = ""

    def scope(self, name: str) -> Initialisation:
        """Return the initialisation of a part of the model."""
        return replace(self, prefix=f"{self.prefix}{name}.")

    def linear(self, name: str, shape: tuple[int, ...], fan_in: int) -> tuple[nn.Parameter, float]:
        """Return the weights of a linear map and the factor of its forward pass.

        Args:
            name: name within the scope.
            shape: (..., inputs, outputs).
            fan_in: number the variance is divided by.

        Returns:
            Weights and factor; their product has variance 1 / fan_in.
        """
        scale = 1.0 / math.sqrt(fan_in)
        initial = scale if self.fan_in == "initial" else 1.0
        weight = self.weights(name, shape, initial)
        return weight, (1.0 if self.fan_in == "initial" else scale)

    def weights(self, name: str, shape: tuple[int, ...], deviation: float) -> nn.Parameter:
        """Return weights of a given standard deviation."""
        digest = hashlib.sha256(f"{self.seed}/{self.prefix}{name}".encode()).digest()
        stream = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
        return nn.Parameter((self._draw(shape, stream) * deviation).to(self.dtype))

    def _draw(self, shape: tuple[int, ...], stream: torch.Generator) -> Tensor:
        normal = torch.randn(shape, generator=stream, dtype=torch.float64)
        if self.distribution == "normal" or len(shape) < 2:
            return normal
        if self.distribution == "uniform":
            uniform = torch.rand(shape, generator=stream, dtype=torch.float64)
            return math.sqrt(3.0) * (2.0 * uniform - 1.0)
        rows, columns = shape[-2:]
        tall = normal if rows >= columns else normal.mT
        q, r = torch.linalg.qr(tall)
        q = q * torch.sign(torch.diagonal(r, dim1=-2, dim2=-1)).unsqueeze(-2)
        return (q if rows >= columns else q.mT) * math.sqrt(max(rows, columns))

"""The optimiser, gradient clipping and the moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from multiace.training.config import Optimiser

STATE_NAMES = ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")


def make_optimiser(
    config: Optimiser, parameters: Mapping[str, nn.Parameter]
) -> torch.optim.Optimizer:
    """Return the optimiser of named parameters, weight decay on those that match a pattern.

    Raises:
        ValueError: a pattern of `decayed` that matches no parameter.
    """
    for pattern in config.decayed:
        if not any(fnmatchcase(name, pattern) for name in parameters):
            raise ValueError(
                f"optimiser.decayed: {pattern!r} matches no parameter. "
                f"There are {', '.join(sorted(parameters))}."
            )
    decayed, others = [], []
    for name, parameter in parameters.items():
        matches = any(fnmatchcase(name, pattern) for pattern in config.decayed)
        (decayed if matches else others).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(
        [group for group in groups if group["params"]],
        lr=config.rate,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        amsgrad=config.name == "amsgrad",
        fused=True,
    )


def optimiser_state(
    optimiser: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]
) -> dict[str, Tensor]:
    """Return the optimiser's tensors under `state/parameter` names; none before the first step."""
    return {
        f"{kind}/{name}": value
        for name, parameter in parameters.items()
        for kind, value in optimiser.state[parameter].items()
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer,
    parameters: Mapping[str, nn.Parameter],
    tensors: Mapping[str, Tensor],
) -> None:
    """Give the optimiser the tensors of `optimiser_state`."""
    for name, parameter in parameters.items():
        state = optimiser.state[parameter]
        for kind in STATE_NAMES:
            value = tensors.get(f"{kind}/{name}")
            if value is not None:
                state[kind] = value.clone().to(parameter.device)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def clip_gradients(parameters: Mapping[str, nn.Parameter], limit: float | None) -> float:
    """Scale the gradient down to a norm of at most `limit`; None leaves it.

    Returns:
        The norm before; NaN or infinite if any gradient is.
    """
    gradients = [p.grad for p in parameters.values() if p.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    if limit is not None:
        nn.utils.clip_grads_with_norm_(list(parameters.values()), limit, norm)
    return float(norm)


class MovingAverage:
    r"""Exponential moving average of the weights, with a shorter memory in the first steps.

    After step n (from 0): s <- s + (1 - d) (w - s), d = min(decay, (1 + n) / (10 + n)).
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self._parameters = dict(parameters)
        self._decay = decay
        self.n_updates = 0
        self.shadow = {name: p.detach().clone() for name, p in parameters.items()}

    def update(self) -> None:
        """Take in the weights after a step."""
        decay = min(self._decay, (1 + self.n_updates) / (10 + self.n_updates))
        self.n_updates += 1
        with torch.no_grad():
            for name, weights in self._parameters.items():
                self.shadow[name].lerp_(weights, 1.0 - decay)

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Give the model the averaged weights within a `with` block."""
        own = {name: p.detach().clone() for name, p in self._parameters.items()}
        _copy(self.shadow, self._parameters)
        try:
            yield
        finally:
            _copy(own, self._parameters)


def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(source[name])

"""Gradients of the loss of a batch: by autograd, or from a traced graph where that pays."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import torch
from jaxtyping import Float64
from torch import Tensor

from multiace.kernels.dispatch import Kernels
from multiace.potential import Potential
from multiace.tracing import TraceError
from multiace.training.config import TrainingConfig
from multiace.training.examples import Example
from multiace.training.loss import Terms, loss_terms
from multiace.training.read_config import ConfigError
from multiace.training.traced_gradients import Kind, TracedGradients

WATCHED = 10
"""Steps of a kind that autograd takes before `tracing: auto` decides on that kind."""

WORTHWHILE = 2000
"""Steps to come from which on `tracing: auto` traces.

Tracing the models of the demo took as long as 170 to 510 steps save, on a quiet machine; both grow
with the number of operations, and a loaded machine has traced four times as slowly.
"""


def check_tracing(config: TrainingConfig, kernels: Kernels) -> None:
    """Refuse `tracing: always` with kernels whose steps are not traced.

    Raises:
        ConfigError: naming the kernels.
    """
    if config.tracing == "always" and kernels.direct is None:
        raise ConfigError(
            "tracing is always, but steps are traced with the compiled kernels of the CPU alone, "
            f"and the kernels here are {kernels.label}. Set tracing: auto, or device: cpu and "
            "kernels: cpu."
        )


def gradients_by_autograd(
    potential: Potential, config: TrainingConfig, batch: Example, weights: Float64[Tensor, " terms"]
) -> tuple[Float64[Tensor, ""], Terms]:
    """Set the gradients of the weights of a potential; return the loss and its terms.

    Args:
        potential: whose weights get gradients; those that they had are forgotten.
        config: of the run.
        batch: on its device, in its dtype.
        weights: of the terms of the loss; forces and stress of weight 0 are not computed.
    """
    parameters = list(potential.parameters())
    for parameter in parameters:
        parameter.grad = None
    kind = Kind.of(batch, weights)
    with potential.on_radial_grid(config.radial_grid):
        prediction = potential(batch.graph, forces=kind.forces, stress=kind.stress)
    terms = loss_terms(prediction, batch.targets, config.loss)
    loss = terms.value(weights)
    loss.backward(inputs=parameters)
    return loss.detach(), terms.detach()


class Gradients:
    """Gradients of the weights of a potential for batch after batch.

    With `tracing: auto` autograd computes them at first. After `WATCHED` batches of a kind (see
    `Kind`) their operations are traced if `WORTHWHILE` steps of this kind are still to come: the
    steps left in the epochs, or in the time limit at the pace so far, times the share of the kind
    so far. Both ways come to the same bits, so that a run does not depend on when that is. It is
    checked on the first batch of each kind, which is computed both ways. Batches of fewer than two
    atoms or pairs of atoms are always left to autograd.

    Args:
        potential: whose weights get gradients.
        config: of the run.
        note: takes lines for people.
    """

    def __init__(
        self, potential: Potential, config: TrainingConfig, note: Callable[[str], None]
    ) -> None:
        self.potential, self.config, self._note = potential, config, note
        self._may_trace = config.tracing != "never" and potential.kernels.direct is not None
        self._traced: dict[Kind, TracedGradients] = {}
        self._watched: Counter[Kind] = Counter()
        self._since: float | None = None

    def __call__(
        self,
        batch: Example,
        weights: Float64[Tensor, " terms"],
        steps_left: int,
        seconds_left: float | None = None,
    ) -> tuple[Float64[Tensor, ""], Terms]:
        """Set the gradients; return the loss and its terms.

        Args:
            batch: on the device of the potential, in its dtype.
            weights: of the terms of the loss.
            steps_left: steps to come with the same terms, this one among them.
            seconds_left: time to come, if it is limited.

        Raises:
            TraceError: `tracing: always`, and tracing failed.
        """
        kind = Kind.of(batch, weights)
        pairs = batch.graph.pairs
        can_follow = pairs is not None and min(batch.graph.n_nodes, len(pairs.edge)) >= 2
        if can_follow and kind in self._traced:
            return self._traced[kind](batch, weights)
        result = gradients_by_autograd(self.potential, self.config, batch, weights)
        if can_follow and self._may_trace and self._is_time(kind, steps_left, seconds_left):
            self._trace(kind, batch, weights)
        return result

    def _is_time(self, kind: Kind, steps_left: int, seconds_left: float | None) -> bool:
        """Whether to trace a kind now; counts its steps."""
        if self.config.tracing == "always":
            return True
        now = time.monotonic()
        self._since = now if self._since is None else self._since
        self._watched[kind] += 1
        if self._watched[kind] != WATCHED:
            return False
        n_steps = self._watched.total()
        if seconds_left is not None:
            pace = (now - self._since) / max(n_steps - 1, 1)
            steps_left = min(steps_left, int(seconds_left / max(pace, 1e-9)))
        return steps_left * WATCHED / n_steps >= WORTHWHILE

    def _compare(
        self, traced: TracedGradients, batch: Example, weights: Float64[Tensor, " terms"]
    ) -> None:
        """Compute a batch from the graph and compare with the gradients that are set.

        Raises:
            TraceError: they differ.
        """
        parameters = list(self.potential.parameters())
        expected = [parameter.grad for parameter in parameters]
        try:
            traced(batch, weights)
            found = [parameter.grad for parameter in parameters]
        finally:
            for parameter, gradient in zip(parameters, expected, strict=True):
                parameter.grad = gradient
        if not all(map(_same, expected, found)):
            raise TraceError("the graph gives other gradients than autograd")

    def _trace(self, kind: Kind, batch: Example, weights: Float64[Tensor, " terms"]) -> None:
        """Trace the steps of a kind, if they come to the gradients that are set.

        Raises:
            TraceError: `tracing: always`, and they cannot be traced.
        """
        try:
            traced = TracedGradients(self.potential, self.config, kind)
            self._compare(traced, batch, weights)
        except Exception as error:  # PyTorch raises errors of any type while it traces
            reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            if self.config.tracing == "always":
                raise TraceError(
                    f"tracing is always, but training steps cannot be traced: {reason}. "
                    "Set tracing: auto or never."
                ) from error
            self._may_trace = False
            self._note(f"Training steps are not traced, which changes no result: {reason}.")
            return
        self._traced[kind] = traced
        of_kind = " of single structures" if kind.single else ""
        self._note(
            f"Training steps{of_kind} are traced: {traced.n_operations} operations, "
            f"{traced.seconds:.1f} s."
        )


def _same(one: Tensor | None, two: Tensor | None) -> bool:
    """Whether two gradients are the same numbers, of which NaN is one, or neither is there."""
    if one is None or two is None:
        return one is two
    return torch.allclose(one, two, rtol=0.0, atol=0.0, equal_nan=True)

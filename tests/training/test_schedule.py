"""Learning rates against torch's schedulers."""

from __future__ import annotations

import math

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, ReduceLROnPlateau

from multiace.training.config import Schedule
from multiace.training.schedule import Rate


def _optimiser() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)


def _after(scheduler, optimiser: torch.optim.Optimizer, n_epochs: int) -> list[float]:
    rates = []
    for _ in range(n_epochs):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


def test_exponential_equals_torch_at_the_start_of_each_epoch():
    optimiser = _optimiser()
    expected = _after(ExponentialLR(optimiser, 0.9), optimiser, 6)
    rate = Rate(Schedule(name="exponential", factor=0.9))
    assert [rate.factor_at(float(t)) for t in range(6)] == pytest.approx(expected)


def test_cosine_equals_torch_at_the_start_of_each_epoch_and_stays_at_the_minimum():
    optimiser = _optimiser()
    expected = _after(CosineAnnealingLR(optimiser, 8, eta_min=0.1), optimiser, 9)
    rate = Rate(Schedule(name="cosine", epochs=8, minimum=0.1))
    assert [rate.factor_at(float(t)) for t in range(9)] == pytest.approx(expected)
    assert rate.factor_at(20.0) == pytest.approx(0.1)


@pytest.mark.parametrize("patience", [1, 3])
def test_plateau_equals_torch_on_a_noisy_curve(patience):
    losses = [
        1.0,
        0.5,
        0.6,
        0.49999,
        0.7,
        0.5,
        0.4,
        0.41,
        0.42,
        0.43,
        0.44,
        0.2,
        0.3,
        0.3,
        0.3,
        0.3,
    ]
    optimiser = _optimiser()
    theirs = ReduceLROnPlateau(optimiser, factor=0.5, patience=patience)
    ours = Rate(Schedule(name="plateau", factor=0.5, patience=patience))
    for loss in losses:
        theirs.step(loss)
        ours.validated(loss)
        assert ours.factor_at(0.0) == optimiser.param_groups[0]["lr"]


@pytest.mark.parametrize("first", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_no_improvement(first):
    rate = Rate(Schedule(name="plateau", factor=0.5, patience=1))
    for loss in (first, 1.0, first, first):
        rate.validated(loss)
    assert rate.factor_at(0.0) == 0.5


def test_minimum_bounds_the_plateau():
    rate = Rate(Schedule(name="plateau", factor=0.1, patience=1, minimum=0.05))
    for _ in range(20):
        rate.validated(1.0)
    assert rate.factor_at(0.0) == 0.05


@pytest.mark.parametrize("name", ["constant", "plateau", "exponential", "cosine"])
def test_warm_up_rises_linearly_to_the_schedule(name):
    factor = {"plateau": 0.8, "exponential": 0.9}.get(name)
    epochs = 10 if name == "cosine" else None
    with_warm_up = Rate(Schedule(name=name, factor=factor, epochs=epochs, warm_up=2.0))
    without = Rate(Schedule(name=name, factor=factor, epochs=epochs))
    assert with_warm_up.factor_at(0.5) == pytest.approx(0.25 * without.factor_at(0.5))
    assert with_warm_up.factor_at(3.0) == without.factor_at(3.0)


def test_a_restored_plateau_goes_on_as_if_nothing_had_happened():
    schedule = Schedule(name="plateau", factor=0.5, patience=2)
    losses = [1.0, 1.1, 1.2, 1.3, 0.9, 1.0, 1.0, 1.0, 1.0]
    whole, first, second = Rate(schedule), Rate(schedule), Rate(schedule)
    for loss in losses:
        whole.validated(loss)
    for loss in losses[:3]:
        first.validated(loss)
    second.restore(first.state())
    for loss in losses[3:]:
        second.validated(loss)
    assert second.state() == whole.state()

"""Optimiser, clipping and moving average."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from multiace.training.config import Optimiser
from multiace.training.optimiser import (
    MovingAverage,
    clip_gradients,
    make_optimiser,
    optimiser_state,
    restore_optimiser,
)


def _parameters(seed: int = 0) -> dict[str, nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64))
        for name, shape in (("layers.0.weights", (3, 2)), ("readouts.0.weights", (4,)))
    }


def _set_gradients(parameters: dict[str, nn.Parameter], step: int) -> None:
    generator = torch.Generator().manual_seed(100 + step)
    for parameter in parameters.values():
        parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)


def _by_hand(
    config: Optimiser, weights: torch.Tensor, gradients: list[torch.Tensor]
) -> torch.Tensor:
    """Adam, AMSGrad and AdamW as their papers write them."""
    m, v, largest = (torch.zeros_like(weights) for _ in range(3))
    for t, gradient in enumerate(gradients, start=1):
        if config.name == "adamw":
            weights = weights * (1 - config.rate * config.weight_decay)
        else:
            gradient = gradient + config.weight_decay * weights
        m = config.beta1 * m + (1 - config.beta1) * gradient
        v = config.beta2 * v + (1 - config.beta2) * gradient**2
        largest = torch.maximum(largest, v)
        second = largest if config.name == "amsgrad" else v
        denominator = (second / (1 - config.beta2**t)).sqrt() + config.epsilon
        weights = weights - config.rate * m / (1 - config.beta1**t) / denominator
    return weights


@pytest.mark.parametrize("name", ["adam", "amsgrad", "adamw"])
def test_each_optimiser_follows_its_formula(name):
    config = Optimiser(name=name, rate=0.1, weight_decay=0.2)
    parameters = _parameters()
    start = {key: p.detach().clone() for key, p in parameters.items()}
    optimiser = make_optimiser(config, parameters)
    gradients: dict[str, list[torch.Tensor]] = {key: [] for key in parameters}
    for step in range(5):
        _set_gradients(parameters, step)
        for key, p in parameters.items():
            gradients[key].append(p.grad.clone())
        optimiser.step()
    for key, p in parameters.items():
        expected = _by_hand(config, start[key], gradients[key])
        torch.testing.assert_close(p.detach(), expected, rtol=1e-12, atol=1e-12)


def test_weight_decay_acts_only_on_parameters_that_match():
    config = Optimiser(name="adamw", rate=0.1, weight_decay=0.5, decayed=["readouts.*"])
    parameters = _parameters()
    start = {key: p.detach().clone() for key, p in parameters.items()}
    for parameter in parameters.values():
        parameter.grad = torch.zeros_like(parameter)
    make_optimiser(config, parameters).step()
    assert torch.equal(parameters["layers.0.weights"], start["layers.0.weights"])
    torch.testing.assert_close(
        parameters["readouts.0.weights"].detach(), 0.95 * start["readouts.0.weights"]
    )


def test_a_pattern_without_parameters_is_refused_with_their_names():
    config = Optimiser(weight_decay=0.1, decayed=["product*"])
    with pytest.raises(ValueError, match=r"'product\*' matches no parameter.*readouts\.0\.weights"):
        make_optimiser(config, _parameters())


@pytest.mark.parametrize("name", ["adam", "amsgrad", "adamw"])
def test_a_restored_optimiser_takes_bitwise_the_same_steps(name):
    config = Optimiser(name=name, weight_decay=0.1)
    whole = _parameters()
    optimiser = make_optimiser(config, whole)
    for step in range(3):
        _set_gradients(whole, step)
        optimiser.step()
    halves = {key: nn.Parameter(p.detach().clone()) for key, p in whole.items()}
    other = make_optimiser(config, halves)
    saved = {key: value.clone() for key, value in optimiser_state(optimiser, whole).items()}
    restore_optimiser(other, halves, saved)
    for step in range(3, 6):
        for parameters, stepper in ((whole, optimiser), (halves, other)):
            _set_gradients(parameters, step)
            stepper.step()
    assert all(torch.equal(whole[key], halves[key]) for key in whole)


def test_clipping_scales_the_whole_gradient_and_returns_its_norm():
    parameters = _parameters()
    _set_gradients(parameters, 0)
    before = torch.cat([p.grad.flatten() for p in parameters.values()]).clone()
    norm = clip_gradients(parameters, 0.5)
    after = torch.cat([p.grad.flatten() for p in parameters.values()])
    assert norm == pytest.approx(before.norm().item())
    torch.testing.assert_close(after, before * 0.5 / norm, rtol=1e-5, atol=0)


def test_short_gradients_are_not_clipped():
    parameters = _parameters()
    _set_gradients(parameters, 0)
    before = {key: p.grad.clone() for key, p in parameters.items()}
    clip_gradients(parameters, 1e6)
    assert all(torch.equal(before[key], p.grad) for key, p in parameters.items())


def test_the_norm_shows_a_gradient_that_is_not_finite():
    parameters = _parameters()
    _set_gradients(parameters, 0)
    parameters["layers.0.weights"].grad[0, 0] = math.nan
    assert math.isnan(clip_gradients(parameters, None))


def test_the_average_follows_its_recursion():
    parameters = _parameters()
    average = MovingAverage(parameters, decay=0.9)
    expected = parameters["readouts.0.weights"].detach().clone()
    for n in range(120):
        with torch.no_grad():
            for parameter in parameters.values():
                parameter.add_(0.1 * n)
        average.update()
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * parameters["readouts.0.weights"].detach()
    torch.testing.assert_close(average.shadow["readouts.0.weights"], expected, rtol=1e-10, atol=0)


def test_swapping_gives_the_average_and_takes_it_back_even_after_an_error():
    parameters = _parameters()
    average = MovingAverage(parameters, decay=0.9)
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.add_(1.0)
    own = {key: p.detach().clone() for key, p in parameters.items()}

    def fail_while_swapped() -> None:
        with average.swapped_in():
            assert all(torch.equal(parameters[key], average.shadow[key]) for key in parameters)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_while_swapped()
    assert all(torch.equal(parameters[key], own[key]) for key in parameters)
    assert not torch.equal(average.shadow["readouts.0.weights"], own["readouts.0.weights"])

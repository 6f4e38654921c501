"""Readouts against loops over channels."""

import math

import pytest
import torch

from multiace.activation import Activation
from multiace.initialisation import Initialisation
from multiace.readout import LinearReadout, MLPReadout

CHANNELS, HIDDEN = 3, 4
H = torch.randn(5, CHANNELS + 6, dtype=torch.float64)  # scalars, then two vectors


def test_linear_readout_is_the_weighted_sum_of_the_even_scalars():
    readout = LinearReadout(CHANNELS, Initialisation(seed=0))
    w = readout.weights.detach()[:, 0]
    expected = [
        sum(float(h[c]) * float(w[c]) for c in range(CHANNELS)) / math.sqrt(CHANNELS) for h in H
    ]
    torch.testing.assert_close(readout(H), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("name", [None, "silu", "tanh"])
def test_mlp_readout_is_its_formula(name):
    activation = None if name is None else Activation.of(name)
    readout = MLPReadout(CHANNELS, HIDDEN, activation, Initialisation(seed=0))
    first, second = readout.first.detach(), readout.second.detach()
    expected = []
    for h in H:
        energy = 0.0
        for k in range(HIDDEN):
            x = sum(h[c] * first[c, k] for c in range(CHANNELS)) / math.sqrt(CHANNELS)
            y = x if activation is None else activation(x)
            energy += float(y) * float(second[k, 0]) / math.sqrt(HIDDEN)
        expected.append(energy)
    torch.testing.assert_close(readout(H), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("name", ["silu", "tanh"])
def test_no_features_give_no_energy(name):
    readouts = (
        LinearReadout(CHANNELS, Initialisation(seed=0)),
        MLPReadout(CHANNELS, HIDDEN, Activation.of(name), Initialisation(seed=0)),
    )
    for readout in readouts:
        assert (readout(torch.zeros_like(H)) == 0).all()

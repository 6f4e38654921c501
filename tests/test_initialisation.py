"""Initial weights: one stream a name, unit variance, orthogonal where asked for."""

import itertools

import pytest
import torch
from tests.laws.potentials import statistics
from tests.laws.systems import ELEMENTS

from multiace.initialisation import Initialisation
from multiace.potential import Potential
from multiace.presets import botnet, nequip_linear

DISTRIBUTIONS = ["normal", "uniform", "orthogonal"]
SHAPES = [(60, 80), (80, 60), (3, 40, 50), (200, 16)]


def test_stream_depends_on_seed_and_full_name_and_nothing_else():
    def draw(seed, *scopes, name):
        initial = Initialisation(seed=seed)
        for scope in scopes:
            initial = initial.scope(scope)
        return initial.weights(name, (5,), 1.0)

    first = draw(0, "layers.0", "update", name="w")
    assert torch.equal(first, draw(0, "layers.0", "update", name="w"))
    assert torch.equal(first, draw(0, "layers.0.update", name="w"))
    others = [
        draw(1, "layers.0", "update", name="w"),
        draw(0, "layers.1", "update", name="w"),
        draw(0, "layers.0", "update", name="v"),
    ]
    for some, other in itertools.combinations([first, *others], 2):
        assert not torch.equal(some, other)


def test_process_wide_random_state_is_neither_read_nor_moved():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = Initialisation(seed=0).weights("w", (5,), 1.0)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(first, Initialisation(seed=0).weights("w", (5,), 1.0))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_weights_have_mean_zero_and_the_deviation_asked_for(distribution, shape):
    initial = Initialisation(seed=0, distribution=distribution)
    w = initial.weights("w", shape, 2.0).detach()
    n = w.numel()
    assert abs(w.mean()) < 4 * 2.0 / n**0.5
    assert w.square().mean().sqrt().item() == pytest.approx(2.0, rel=4 / n**0.5)
    kurtosis = {"normal": 3.0, "uniform": 1.8, "orthogonal": 3.0}[distribution]
    assert (w.pow(4).mean() / w.square().mean() ** 2).item() == pytest.approx(kurtosis, rel=0.15)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_orthogonal_matrices_are_orthogonal_along_their_shorter_side(shape):
    initial = Initialisation(seed=0, distribution="orthogonal")
    w = initial.weights("w", shape, 1.0).detach()
    rows, columns = shape[-2:]
    gram = w.mT @ w if rows >= columns else w @ w.mT
    expected = torch.eye(min(rows, columns), dtype=torch.float64) * max(rows, columns)
    torch.testing.assert_close(gram, expected.expand_as(gram))


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_weights_and_factor_of_a_map_have_the_variance_of_its_fan_in(distribution):
    shape, fan_in = (50, 60), 50
    drawn = {
        place: Initialisation(seed=0, distribution=distribution, fan_in=place).linear(
            "w", shape, fan_in
        )
        for place in ("forward", "initial")
    }
    assert drawn["forward"][1] == fan_in**-0.5
    assert drawn["initial"][1] == 1.0
    products = [(weights * factor).detach() for weights, factor in drawn.values()]
    torch.testing.assert_close(*products)
    assert products[0].var().item() == pytest.approx(1 / fan_in, rel=0.1)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_weights_in_float32_are_those_in_float64_rounded(distribution):
    single, double = (
        Initialisation(seed=0, distribution=distribution, dtype=dtype).weights("w", (7, 5), 1.0)
        for dtype in (torch.float32, torch.float64)
    )
    assert single.dtype == torch.float32
    assert torch.equal(single, double.float())


def test_parts_that_two_designs_share_start_from_the_same_weights():
    designs = [
        botnet("small", channels=4),
        botnet("small", channels=4, layers=2),
        nequip_linear("small", channels=4),
        botnet("small", channels=4, radial={"number": 6}),
    ]
    models = [
        dict(Potential(d, ELEMENTS, statistics(d), seed=3).named_parameters()) for d in designs
    ]
    for other in models[1:]:
        shared = [n for n, w in models[0].items() if n in other and w.shape == other[n].shape]
        assert len(shared) > 10
        for name in shared:
            assert torch.equal(models[0][name], other[name]), name


def test_no_two_weights_of_a_model_are_the_same():
    design = botnet("small", channels=4)
    weights = Potential(design, ELEMENTS, statistics(design)).named_parameters()
    first = [tuple(w.flatten()[:3].tolist()) for _, w in weights if w.numel() >= 3]
    assert len(set(first)) == len(first)

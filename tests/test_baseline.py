"""E0, shift, scale and repulsion: in float64 whatever the model computes in."""

import copy

import pytest
import torch

from multiace.baseline import Baseline
from multiace.kernels.operations.repulsion import Repulsion
from multiace.repulsion import zbl_table

ELEMENTS = (1, 8)
E0 = {"H": -13.605693122994, "O": -2041.8396812345678}
SPECIES = torch.tensor([1, 0, 0])
READOUTS = [torch.tensor([0.1, -0.2, 0.3]), torch.tensor([1.0, 2.0, -3.0])]
REPULSION = torch.tensor([0.5, 0.25, 0.125])


def build(shift=0.0, scale=1.0, **fields):
    defaults = {
        "shifted": False,
        "scaled": True,
        "per_element": False,
        "trainable": False,
        "atomic_energies": E0,
        "dtype": torch.float32,
    }
    return Baseline(ELEMENTS, shift=shift, scale=scale, **(defaults | fields))


CONVERSIONS = {
    "as built": lambda model: model,
    "to float32": lambda model: model.to(torch.float32),
    "float": lambda model: model.float(),
    "to float32 and back": lambda model: model.to(torch.float32).double(),
    "half": lambda model: model.half(),
    "copied": copy.deepcopy,
}


@pytest.mark.parametrize("conversion", CONVERSIONS)
def test_atomic_energies_keep_their_last_digit(conversion):
    baseline = build(shift=0.123456789012345, scale=1.1111111111111, shifted=True)
    baseline = CONVERSIONS[conversion](baseline)
    terms = baseline([torch.ones(3)], SPECIES, None)
    assert terms.dtype == torch.float64
    assert terms[:, 0].tolist() == [E0["O"], E0["H"], E0["H"]]
    assert terms[:, 1].tolist() == [0.123456789012345] * 3
    assert terms[:, 2].tolist() == [1.1111111111111] * 3


def test_fixed_numbers_are_no_parameters_and_are_not_saved():
    baseline = build(shift=0.1, shifted=True)
    assert not list(baseline.parameters())
    assert not baseline.state_dict()


@pytest.mark.parametrize("zbl", ["none", "outside", "inside"])
@pytest.mark.parametrize("shifted", [False, True])
def test_terms_are_named_in_the_order_of_their_columns(zbl, shifted):
    baseline = build(
        shift=0.25,
        scale=2.0,
        shifted=shifted,
        repulsion=None if zbl == "none" else Repulsion(zbl_table(ELEMENTS)),
        repulsion_inside=zbl == "inside",
    )
    columns = dict(
        zip(
            baseline.terms((1, 3)),
            baseline(READOUTS, SPECIES, None if zbl == "none" else REPULSION).T,
            strict=True,
        )
    )
    expected = {"E0": torch.tensor([E0["O"], E0["H"], E0["H"]], dtype=torch.float64)}
    if shifted:
        expected["shift"] = torch.full((3,), 0.25, dtype=torch.float64)
    if zbl != "none":
        expected["ZBL"] = REPULSION.double() * (2.0 if zbl == "inside" else 1.0)
    expected |= {"E1": READOUTS[0].double() * 2.0, "E3": READOUTS[1].double() * 2.0}
    assert list(columns) == list(expected)
    for name, values in expected.items():
        torch.testing.assert_close(columns[name], values, rtol=0, atol=0)


@pytest.mark.parametrize("trainable", [False, True])
def test_shift_and_scale_are_those_of_the_element(trainable):
    baseline = build(
        shift={"O": 0.5, "H": 0.25},
        scale={"H": 2.0, "O": 4.0},
        shifted=True,
        per_element=True,
        trainable=trainable,
    )
    terms = baseline(READOUTS[:1], SPECIES, None)
    assert terms[:, 1].tolist() == [0.5, 0.25, 0.25]
    of_readout = READOUTS[0].double() * torch.tensor([4.0, 2.0, 2.0], dtype=torch.float64)
    torch.testing.assert_close(terms[:, 2], of_readout)


@pytest.mark.parametrize("per_element", [False, True])
@pytest.mark.parametrize(
    ("shifted", "scaled"), [(False, False), (True, False), (False, True), (True, True)]
)
def test_what_is_used_is_what_is_trained(per_element, shifted, scaled):
    baseline = build(per_element=per_element, shifted=shifted, scaled=scaled, trainable=True)
    used = {name for name, is_used in (("shift", shifted), ("scale", scaled)) if is_used}
    assert {name for name, _ in baseline.named_parameters()} == used
    for weights in baseline.parameters():
        assert weights.shape == ((2,) if per_element else (1,))
        assert weights.dtype == torch.float32
    terms = baseline([torch.ones(3)], SPECIES, None).sum()
    if used:
        gradients = torch.autograd.grad(terms, list(baseline.parameters()))
        for gradient in gradients:
            assert gradient.tolist() == ([2.0, 1.0] if per_element else [3.0])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"shift": {"H": 0.1}, "per_element": True}, "statistics.shift has no number for O"),
        ({"scale": {"O": 0.1}, "per_element": True}, "statistics.scale has no number for H"),
        (
            {"scale": {"H": 1.0, "O": 2.0}},
            "statistics.scale has numbers for H, O, but the design has one for all .*per_element",
        ),
    ],
)
def test_numbers_that_do_not_fit_the_design_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        build(**fields)


def test_an_element_without_e0_is_refused():
    with pytest.raises(ValueError, match="atomic_energies has no number for O.*every element"):
        build(atomic_energies={"H": -13.0})
